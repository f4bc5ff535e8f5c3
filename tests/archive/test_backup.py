"""A backup is the archive as it was at one moment; restored, every byte is there, and it goes on growing."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import itertools
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.archive.backup import Backup, Repository, Restorer, Taking
from logferry.archive.backup.records import BACKUPS, backup_in, written
from logferry.archive.backup.repository import SEGMENTS, BackupFlaw, Checked
from logferry.archive.catalog.facts import RESTORED
from logferry.archive.catalog.snapshot import check_copy
from logferry.archive.durable import Disk
from logferry.archive.locks import backing_up
from logferry.archive.retention import Rule
from logferry.archive.store import LocalStore
from logferry.errors import Busy, Conflict, Damaged, Full, NotFound
from logferry.limits import BACKUP_LINE_BYTES_MAX, BACKUP_NOTE_BYTES_MAX, BACKUP_PROBLEMS_MAX
from logferry.names import aside_name
from tests.archive.conftest import AGENT, Shelf
from tests.archive.crashing import dying_at, forked, told
from tests.archive.segment.making import log_text
from tests.archive.test_crashes import FINAL, STAMP, STEPS
from tests.archive.test_repair import without_catalog
from tests.archive.test_seal import files_below, seal
from tests.security.amounts import amount

LOG, OLD = "var/log/app.log", "var/log/app.log.1"
History = dict[str, list[bytes]]
STRIDE = amount("backup_kill_stride", 3, 1)


def backups_in(folder: Path, disk: Disk | None = None) -> Repository:
    """The repository beside the archive in ``folder``."""
    return Repository(LocalStore(str(folder / "backups"), disk))


def take(shelf: Shelf, *, disk: Disk | None = None, segment_bytes: int = 1 << 20) -> Backup:
    """Take a backup; a second later nobody minds its name."""
    shelf.clock.advance(1)
    taker = shelf.archive.taker(backups_in(shelf.folder.parent, disk), segment_bytes=segment_bytes)
    return taker.take({"tls/key.pem": b"secret\n"})


def notes_of(shelf: Shelf) -> list[str]:
    """What the next backup, whole and well, says about older ones."""
    shelf.clock.advance(1)
    taker = shelf.archive.taker(backups_in(shelf.folder.parent))
    assert taker.take({}).problems == ()
    return taker.taking.notes


def restore(place: Path, *, name: str | None = None, into: str = "restored", disk: Disk | None = None) -> Restorer:
    """Restore into a folder beside the backups."""
    repository = backups_in(place)
    folder = place / into
    folder.mkdir(exist_ok=True)
    store = LocalStore(str(folder / "store"), disk)
    restorer = Restorer(repository, repository.get(name), str(folder), store, disk=disk)
    restorer.restore()
    return restorer


def restored(place: Path, *, name: str | None = None, into: str = "restored") -> Shelf:
    """The archive that a backup becomes, which must be whole."""
    done = restore(place, name=name, into=into).done
    assert done.problems == []
    shelf = Shelf(place / into)
    assert list(shelf.archive.verifier().verify()) == []
    return shelf


def flaws(place: Path, *, deep: bool = True) -> list[BackupFlaw]:
    """What is wrong with the backups."""
    repository = backups_in(place)
    return list(repository.verify(repository.listing().whole, Checked(), deep=deep, pace=lambda _: None))


@pytest.fixture
def place(folder: Path) -> Path:
    """An empty folder for archive, backups and what is restored."""
    (folder / "archive").mkdir()
    return folder


@pytest.fixture
def shelf(place: Path) -> Iterator[Shelf]:
    """An archive in the folder ``archive``."""
    made = Shelf(place / "archive")
    yield made
    made.close()


def mixed(shelf: Shelf) -> History:
    """Live, kept, sealed files, tails, an empty one, a moved one; returns what the archive holds."""
    shelf.put(LOG, log_text(30_000))
    shelf.put("var/log/quiet.log", log_text(9_000, 2))
    shelf.put("var/log/moved.log", log_text(2_000, 3))
    seal(shelf)
    shelf.put(LOG, b"a tail\n", append=True)
    shelf.rename("var/log/moved.log", "var/log/moved-on.log")
    shelf.put("var/log/live.log", log_text(7_000, 4))
    shelf.put("var/log/replaced.log", b"one\n")
    shelf.put("var/log/replaced.log", b"another\n")
    shelf.put("var/log/empty.log", b"")
    shelf.put("var/log/ended.log", b"")
    shelf.rename("var/log/ended.log", f"var/log/{aside_name('ended.log', STAMP)}")
    return shelf.everything()


def test_a_restored_archive_has_every_byte_and_goes_on_growing(shelf: Shelf, place: Path) -> None:
    whole = mixed(shelf)
    backup = take(shelf)
    assert backup.problems == ()
    assert (backup.agents, backup.files, backup.generations) == (1, 8, 8)
    assert flaws(place) == []
    assert shelf.everything() == whole
    shelf.put(LOG, b"too late\n", append=True)
    other = restored(place)
    assert other.everything() == whole
    assert (place / "restored/tls/key.pem").read_bytes() == b"secret\n"
    assert (place / "restored/tls/key.pem").stat().st_mode & 0o77 == 0
    for path, history in whole.items():
        if other.current(path) is not None:
            other.put(path, b"more\n", append=True)
            assert other.history(path) == [*history[:-1], history[-1] + b"more\n"]
    seal(other)
    assert list(other.archive.check(digests=True)) == []
    assert files_below(other, "tails") == []
    other.close()


def test_a_restored_archive_whose_catalog_is_lost_is_built_anew(shelf: Shelf, place: Path) -> None:
    """Also what was renamed since it was packed is found under its name then."""
    mixed(shelf)
    take(shelf)
    shelf.rename("var/log/live.log", "var/log/live.log.1")
    whole = shelf.everything()
    take(shelf)
    other = restored(place)
    rebuilt, found = without_catalog(other)
    assert [one.problems for one in found] == [[]]
    assert rebuilt.everything() == whole
    rebuilt.close()


def test_the_second_backup_copies_only_what_is_new(shelf: Shelf, place: Path) -> None:
    mixed(shelf)
    first = take(shelf)
    second = take(shelf)
    assert second.new_objects == 0
    assert second.objects == first.objects
    more = log_text(100_000, 9)
    shelf.put(LOG, more, append=True)
    whole = shelf.everything()
    third = take(shelf)
    assert third.new_objects == 1
    assert third.new_bytes < first.new_bytes + len(more)
    seal(shelf)
    fourth = take(shelf)
    assert shelf.everything() == whole
    other = restored(place)
    assert other.everything() == whole
    other.close()
    assert [one.name for one in backups_in(place).listing().whole] == [b.name for b in (first, second, third, fourth)]


def test_an_older_backup_is_restored_as_it_was(shelf: Shelf, place: Path) -> None:
    shelf.put(LOG, b"one\n")
    first = take(shelf)
    shelf.put(LOG, b"two\n", offset=4)
    seal(shelf)
    take(shelf)
    older, newer = restored(place, name=first.name, into="older"), restored(place, into="newer")
    assert older.history(LOG) == [b"one\n"]
    assert newer.history(LOG) == [b"one\ntwo\n"]
    older.close()
    newer.close()


def test_after_a_restore_nothing_is_taken_from_backups_of_before(shelf: Shelf, place: Path) -> None:
    """What came after the restored backup may have come differently again, under the same lasting id."""
    shelf.put(LOG, b"one\n")
    first = take(shelf)
    shelf.put(LOG, b"lost\n", offset=4)
    take(shelf)
    other = restored(place, name=first.name)
    assert other.catalog.facts.get(RESTORED) != ""
    other.put(LOG, b"else\n", offset=4)
    other.clock.advance(10)
    other.archive.taker(backups_in(place)).take({})
    again = restored(place, into="again")
    assert again.history(LOG) == [b"one\nelse\n"]
    again.close()
    other.close()


def test_sealing_renaming_compacting_and_deleting_go_on_meanwhile(shelf: Shelf, place: Path) -> None:
    """Each at the worst moment: when the catalog is copied and nothing of its bytes is."""
    whole = mixed(shelf)
    meanwhile: list[str] = []

    class Meddling(Disk):
        def step(self, name: str) -> None:
            super().step(name)
            if name == "write":
                meanwhile.append(name)
                if len(meanwhile) == 3:  # the first two come before the catalog is copied, the third right behind
                    meddle()

    def meddle() -> None:
        other = Shelf(place / "archive")
        other.clock.advance(10_000_000)
        other.rename("var/log/live.log", "var/log/live.log.1")
        other.put(LOG, b"new\n", append=True)
        seal(other)
        for _ in other.archive.compactor(level=3, segment_bytes=1 << 22).compact(other.clock.now_ns()):
            pass
        other.put("var/log/replaced.log", b"third\n")
        with pytest.raises(Busy, match="backup"):
            list(other.archive.retention([Rule("**", 3600)]).run())
        assert other.catalog.retaining.expired() == []
        other.clock.advance(10_000_000)
        assert other.archive.sealer().sweep(5) == 0
        other.close()

    taken = take(shelf, disk=Meddling())
    assert len(meanwhile) > 3
    assert taken.problems == ()
    again = restored(place)
    assert again.everything() == whole
    again.close()
    # It is over: what waited goes.
    shelf.clock.advance(max(0.0, time.time() - shelf.clock.now_ns() / 1e9) + 20_000_000)
    assert shelf.archive.sealer().sweep(5) > 0
    assert sum(map(len, shelf.archive.retention([Rule("**", 3600)]).run())) > 0


def test_two_at_once_are_refused(shelf: Shelf, place: Path) -> None:
    shelf.put(LOG, b"one\n")
    fd = os.open(place / "archive/backup.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(Conflict, match="another backup"):
        take(shelf)
    os.close(fd)
    assert take(shelf).files == 1


def test_older_ones_go_before_another_backup_can_begin(shelf: Shelf, place: Path) -> None:
    """Else what that one has written already would look like what a dead one left."""
    mixed(shelf)
    first = take(shelf)
    seal(shelf)
    refused: list[str] = []

    class Another(Disk):
        def step(self, name: str) -> None:
            super().step(name)
            if name == "unlink":
                with pytest.raises(Conflict, match="another backup"), backing_up(str(place / "archive")):
                    pass
                refused.append(name)

    shelf.clock.advance(1)
    taker = shelf.archive.taker(backups_in(place, Another()))
    second = taker.take({}, keep=1)
    assert refused != []
    assert f"{BACKUPS}{first.name}" in taker.taking.removed
    assert [one.name for one in backups_in(place).listing().whole] == [second.name]
    assert flaws(place) == []


def test_that_older_ones_cannot_go_is_told_and_the_new_one_is_whole(shelf: Shelf, place: Path) -> None:
    first, second = take(shelf), take(shelf)
    (place / "backups" / BACKUPS / second.name / "objects.zst").unlink()
    shelf.clock.advance(1)
    taker = shelf.archive.taker(backups_in(place))
    third = taker.take({}, keep=2)
    assert third.problems == ()
    assert ["older backups stay" in note for note in taker.taking.notes] == [True]
    assert [one.name for one in backups_in(place).listing().whole] == [second.name, third.name]
    assert first.name in "".join(taker.taking.removed)


def test_a_folder_with_something_else_in_it_is_refused(shelf: Shelf, place: Path) -> None:
    (place / "backups").mkdir()
    (place / "backups" / "photo").write_bytes(b"x")
    with pytest.raises(Conflict, match="photo"):
        take(shelf)
    shutil.rmtree(place / "backups")
    (place / "backups" / "lost+found").mkdir(mode=0, parents=True)  # as on a disk of its own
    take(shelf)
    (place / "other").mkdir()
    other = Shelf(place / "other")
    with pytest.raises(Conflict, match="of another archive"):
        take(other)
    other.close()


def test_what_is_damaged_already_is_named_and_the_rest_is_backed_up(shelf: Shelf, place: Path) -> None:
    whole = mixed(shelf)
    (place / "archive/live" / AGENT / "var/log/live.log").unlink()
    backup = take(shelf)
    assert len(backup.problems) == 1
    assert "var/log/live.log" in backup.problems[0]
    assert [flaw.is_damage for flaw in flaws(place)] == [False]
    restore(place)
    other = Shelf(place / "restored")
    assert {finding.is_damage for finding in other.archive.check()} == {True}
    whole.pop("var/log/live.log")
    assert {path: other.history(path) for path in whole} == whole
    other.close()


@pytest.fixture
def bad_sectors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files, by the end of their path, whose bytes the disk cannot read: there is no such disk here, so it is the
    system's call that says so."""
    bad: list[str] = []
    reading = os.pread

    def pread(fd: int, count: int, offset: int) -> bytes:
        if bad and os.readlink(f"/proc/self/fd/{fd}").endswith(tuple(bad)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return reading(fd, count, offset)

    monkeypatch.setattr(os, "pread", pread)
    return bad


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file is read")
def test_a_bad_sector_of_the_archive_is_named_and_all_else_is_backed_up(
    shelf: Shelf, place: Path, bad_sectors: list[str]
) -> None:
    """Also the next time, and when it can be read again it is in the backup."""
    whole = mixed(shelf)
    (segment,) = (place / "archive/store").rglob("*.zst")
    bad_sectors += [segment.name, "var/log/live.log"]
    for _ in range(2):
        problems = take(shelf).problems
        assert len(problems) == 2
        assert "var/log/live.log" in problems[0]
        assert segment.name in problems[1]
        assert [segment.name in flaw.place for flaw in flaws(place) if flaw.is_damage] != []
    restore(place)
    other = Shelf(place / "restored")
    assert other.history("var/log/replaced.log") == whole["var/log/replaced.log"]
    other.close()
    bad_sectors.clear()
    assert take(shelf).problems == ()
    again = restored(place, into="again")
    assert again.everything() == whole
    again.close()


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file is read")
def test_a_bad_sector_of_a_backup_is_named_and_all_else_is_restored(
    shelf: Shelf, place: Path, bad_sectors: list[str]
) -> None:
    whole = mixed(shelf)
    first, second = take(shelf), take(shelf)
    (segment,) = (place / "archive/store").rglob("*.zst")
    bad_sectors.append(segment.name)
    assert {(flaw.place.rpartition("/")[2], flaw.is_damage) for flaw in flaws(place)} == {(segment.name, True)}
    problems = restore(place).done.problems
    assert [segment.name in problem for problem in problems] == [True]
    other = Shelf(place / "restored")
    assert other.history("var/log/live.log") == whole["var/log/live.log"]
    other.close()
    for name in ("objects.zst", "catalog.db.zst"):
        bad_sectors[:] = [f"{second.name}/{name}"]
        assert {flaw.backups for flaw in flaws(place)} == {(second.name,)}
        assert take(shelf).files == first.files
    bad_sectors[:] = [f"{first.name}/backup.json"]
    assert backups_in(place).listing().unreadable == [first.name]
    (told,) = notes_of(shelf)
    assert first.name in told


def test_damage_of_a_backup_is_found_and_named(shelf: Shelf, place: Path) -> None:
    mixed(shelf)
    first = take(shelf)
    shelf.put(LOG, b"new\n", append=True)
    second = take(shelf)
    objects = sorted(path for path in (place / "backups").rglob("*") if path.is_file() and path.suffix == ".zst")
    for path in objects:
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:])
        name = str(path.relative_to(place / "backups"))
        found = {flaw.place: flaw.backups for flaw in flaws(place) if flaw.is_damage}
        assert name in found
        assert flaws(place, deep=False) == [] or name.endswith("objects.zst")
        path.write_bytes(whole[:-1])
        assert name in {flaw.place for flaw in flaws(place, deep=False)}
        path.write_bytes(whole)
    assert flaws(place) == []
    catalog = place / "backups" / BACKUPS / second.name / "catalog.db.zst"
    catalog.write_bytes(catalog.read_bytes()[:-300])
    with pytest.raises(Damaged):
        restore(place)
    other = restored(place, name=first.name, into="older")
    other.close()


def test_old_backups_go_with_what_only_they_need(shelf: Shelf, place: Path) -> None:
    mixed(shelf)
    take(shelf)
    seal(shelf)
    for _ in shelf.archive.compactor(level=3, segment_bytes=1 << 22).compact(shelf.clock.now_ns() + 1):
        pass
    take(shelf)
    third = take(shelf)
    whole = shelf.everything()
    removed = list(backups_in(place).prune(1))
    assert [name for name in removed if name.startswith(SEGMENTS)] != []
    listing = backups_in(place).listing()
    assert [one.name for one in listing.whole] == [third.name]
    assert listing.unfinished == []
    assert flaws(place) == []
    assert len(files_below_store(place)) == third.objects
    other = restored(place)
    assert other.everything() == whole
    other.close()


def files_below_store(place: Path) -> list[Path]:
    """Segments among the backups."""
    return [path for path in (place / "backups/store").rglob("*.zst") if path.is_file()]


@pytest.mark.parametrize("name", ["50%20off", "a#b", "why?", "%"])
def test_a_copy_of_a_catalog_is_checked_in_whatever_folder_it_lies(shelf: Shelf, place: Path, name: str) -> None:
    (place / name).mkdir()
    path = place / name / "catalog.db"
    shelf.catalog.snapshot(str(path))
    check_copy(str(path), "here")
    path.write_bytes(path.read_bytes()[:-5_000])
    with pytest.raises(Damaged, match="here"):
        check_copy(str(path), "here")


def test_a_restore_into_a_folder_with_signs_of_a_url_in_its_name(shelf: Shelf, place: Path) -> None:
    whole = mixed(shelf)
    take(shelf)
    other = restored(place, into="50%20off#1")
    assert other.everything() == whole
    other.close()


@pytest.mark.parametrize("name", ["catalog.db", "tls/a/b", "tls", "run/lock", "server.toml", "live/web-01/x"])
def test_what_belongs_to_no_archive_is_not_restored(shelf: Shelf, place: Path, name: str) -> None:
    mixed(shelf)
    shelf.archive.taker(backups_in(place)).take({name: b"planted\n"})
    with pytest.raises(Damaged, match="belongs to no archive"):
        restore(place)
    assert list((place / "restored").iterdir()) == [place / "restored/store"]


@pytest.mark.parametrize("line", [b"[]\n", b'["../tls/key"]\n', b'["\\u0000"]\n', b'["."]\n', b'["a/b"]\n'])
def test_a_journal_of_no_agent_is_not_restored(shelf: Shelf, place: Path, line: bytes) -> None:
    backup = take(shelf)
    repository = backups_in(place)
    (place / "backups" / BACKUPS / backup.name / "journal.zst").unlink()
    written_anew = repository.put(backup.name, "journal.zst", [line])
    parts = tuple(written_anew if part.name == written_anew.name else part for part in backup.parts)
    other = dataclasses.replace(backup, parts=parts)
    (place / "restored").mkdir()
    store = LocalStore(str(place / "restored/store"))
    with pytest.raises(Damaged, match="journal"):
        Restorer(repository, other, str(place / "restored"), store).restore()


def test_a_restore_refuses_a_folder_in_which_something_lies(shelf: Shelf, place: Path) -> None:
    mixed(shelf)
    take(shelf)
    with pytest.raises(Conflict, match="archive"):
        restore(place, into="archive")
    for name in ("live", "store"):
        (place / f"with-{name}" / name).mkdir(parents=True)
        (place / f"with-{name}" / name / "x").write_bytes(b"x")
        with pytest.raises(Conflict, match="already"):
            restore(place, into=f"with-{name}")
    with pytest.raises(NotFound, match="no backup"):
        restore(place, name="20010101T000000Z")


def with_values(**values: object) -> Callable[[bytes], bytes]:
    """Other values in a ``backup.json``."""
    return lambda data: json.dumps(json.loads(data) | values).encode()


@pytest.mark.parametrize(
    "alter",
    [
        lambda data: data[:-20],
        lambda _: b"",
        lambda _: b"[" * 100_000,
        lambda _: b"[]",
        with_values(format=2),
        with_values(colour="red"),
        lambda data: json.dumps({name: value for name, value in json.loads(data).items() if name != "files"}).encode(),
        with_values(files="3"),
        with_values(files=True),
        with_values(name="20010101T000000Z"),
        with_values(problems=[3]),
        with_values(parts=[["store/a", 1, "", 1, ""]]),
        with_values(parts=[["backups/../x", 1, "", 1, ""]]),
        with_values(parts=[["backups", 1]]),
        with_values(parts=["abcde"]),
    ],
)
def test_a_backup_that_cannot_be_read_any_more_is_named_and_nothing_is_removed(
    shelf: Shelf, place: Path, alter: Callable[[bytes], bytes]
) -> None:
    """It was whole once: what it needs may be all there."""
    mixed(shelf)
    first = take(shelf)
    shelf.put(LOG, b"new\n", append=True)
    second = take(shelf)
    third = take(shelf)
    note = place / "backups" / BACKUPS / first.name / "backup.json"
    note.write_bytes(alter(note.read_bytes()))
    (place / "backups" / BACKUPS / second.name / "backup.json").unlink()
    before = sorted((place / "backups").rglob("*"))
    repository = backups_in(place)
    listing = repository.listing()
    assert [one.name for one in listing.whole] == [third.name]
    assert (listing.unfinished, listing.unreadable) == ([second.name], [first.name])
    (flaw,) = repository.unreadable(listing.unreadable)
    assert (flaw.place, flaw.is_damage, flaw.backups) == (f"{BACKUPS}{first.name}/backup.json", True, (first.name,))
    for work in (repository.tidy, lambda: repository.prune(1)):
        with pytest.raises(Damaged, match=first.name):
            list(work())
    with pytest.raises(Damaged, match=first.name):
        repository.get(first.name)
    assert sorted((place / "backups").rglob("*")) == before
    (told,) = notes_of(shelf)
    assert first.name in told
    assert set(before) <= set((place / "backups").rglob("*"))


@pytest.mark.parametrize(
    "content",
    [
        b'["a/b.zst", 1]\n',
        b'["a/b.zst", 1, "", 2]\n',
        b'["a/b.zst", "1", ""]\n',
        b'["a/b.zst", -1, ""]\n',
        b'["../b.zst", 1, ""]\n',
        b'"abc"\n',
        b"{}\n",
        b"[" * 100_000 + b"\n",
        b'["a/b.zst", 1, ""]' + b" " * 3 * BACKUP_LINE_BYTES_MAX + b"\n",
    ],
)
def test_a_list_of_other_things_than_segments_is_damage(shelf: Shelf, place: Path, content: bytes) -> None:
    backup = take(shelf)
    repository = backups_in(place)
    blocks = [content[at : at + 1000] for at in range(0, len(content), 1000)]
    listed = repository.put("20010101T000000Z", "objects.zst", blocks)
    other = dataclasses.replace(backup, name="20010101T000000Z", parts=(listed,))
    with pytest.raises(Damaged, match=r"objects\.zst"):
        list(repository.objects(other))


def test_a_backup_of_very_much_damage_can_still_be_read(shelf: Shelf, place: Path) -> None:
    taking = Taking()
    for _ in range(BACKUP_PROBLEMS_MAX + 1):
        taking.problem("\U0001f4be" * 10_000 + " is damaged")
    assert taking.more_problems == 1
    assert taking.problems[0].endswith(" is damaged")
    backup = take(shelf)
    full = dataclasses.replace(backup, problems=tuple(taking.problems))
    assert len(written(full)) < BACKUP_NOTE_BYTES_MAX
    assert backup_in(written(full), backup.name) == full


# Damage that stays --------------------------------------------------------------------------------------------------


def test_damage_is_named_by_every_backup_until_it_is_mended(shelf: Shelf, place: Path) -> None:
    """Though the segment is not copied again; when it is well, what the backups have of it is replaced."""
    shelf.put(LOG, log_text(60_000))
    seal(shelf)
    whole = shelf.everything()
    (segment,) = (place / "archive/store").rglob("*.zst")
    good = segment.read_bytes()
    segment.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    shelf.close()

    def take_anew() -> Backup:
        with contextlib.closing(Shelf(place / "archive")) as here:  # nothing is open of what was there before
            here.clock.advance(next(seconds))
            return take(here)

    seconds = itertools.count(1)
    for _ in range(3):
        taken = take_anew()
        assert [segment.name in problem for problem in taken.problems] == [True]
    segment.unlink()
    assert [segment.name in problem for problem in take_anew().problems] == [True]
    assert flaws(place) != []
    segment.write_bytes(good)
    mended = take_anew()
    assert mended.problems == ()
    assert mended.new_objects == 1
    assert [flaw for flaw in flaws(place) if flaw.is_damage] == []
    assert take_anew().new_objects == 0
    other = restored(place)
    assert other.everything() == whole
    other.close()


def test_the_newest_backup_is_the_last_one_whatever_the_clock_says(shelf: Shelf, place: Path) -> None:
    """A clock that was years ahead, and one that goes back between two backups."""
    shelf.put(LOG, b"one\n")
    shelf.clock.advance(3e8)
    ahead = take(shelf)
    shelf.clock.advance(-3e8)
    shelf.put(LOG, b"two\n", append=True)
    second = take(shelf)
    assert second.name < ahead.name
    shelf.clock.advance(-100)
    shelf.put(LOG, b"three\n", append=True)
    third = take(shelf)
    repository = backups_in(place)
    assert [one.name for one in repository.listing().whole] == [ahead.name, second.name, third.name]
    assert repository.get().name == third.name
    other = restored(place)
    assert other.history(LOG) == [b"one\ntwo\nthree\n"]
    other.close()
    assert f"{BACKUPS}{ahead.name}" in list(repository.prune(2))
    assert [one.name for one in repository.listing().whole] == [second.name, third.name]


def test_many_backups_of_one_second_are_in_their_order(shelf: Shelf, place: Path) -> None:
    shelf.put(LOG, b"one\n")
    names = [shelf.archive.taker(backups_in(place)).take({}).name for _ in range(12)]
    assert [one.name for one in backups_in(place).listing().whole] == names


def test_a_backup_of_before_sequences_is_read_and_is_older(shelf: Shelf, place: Path) -> None:
    shelf.put(LOG, b"one\n")
    first = take(shelf)
    note = place / "backups" / BACKUPS / first.name / "backup.json"
    values = json.loads(note.read_text())
    del values["sequence"]
    note.write_text(json.dumps(values))
    second = take(shelf)
    assert [(one.name, one.sequence) for one in backups_in(place).listing().whole] == [
        (first.name, 0),
        (second.name, 1),
    ]


# Others at the same place --------------------------------------------------------------------------------------------


def test_another_machine_at_the_same_place_is_refused_and_named(shelf: Shelf, place: Path) -> None:
    """Until somebody is sure that it is dead. Nothing of it is removed meanwhile."""
    shelf.put(LOG, b"one\n")
    first = take(shelf)
    assert not (place / "backups/lock.json").exists()
    theirs = {"key": "ab" * 16, "owner": "process 7 on db-07", "since_ns": shelf.clock.now_ns()}
    (place / "backups/lock.json").write_text(json.dumps(theirs))
    pack = place / "backups/store/web-01/theirs.zst"
    pack.write_bytes(b"being written")
    (place / "backups" / BACKUPS / "29991231T000000Z").mkdir()
    (place / "backups" / BACKUPS / "29991231T000000Z" / "begun.json").write_text("{}")
    with pytest.raises(Conflict, match=r"process 7 on db-07 .* since 20\d\d-") as caught:
        take(shelf)
    assert "--force" in caught.value.hint
    assert pack.exists()
    assert json.loads((place / "backups/lock.json").read_text()) == theirs
    shelf.clock.advance(1)
    second = shelf.archive.taker(backups_in(place)).take({}, force=True)
    assert not pack.exists()
    assert [one.name for one in backups_in(place).listing().whole] == [first.name, second.name]
    assert not (place / "backups/lock.json").exists()


def test_a_lock_that_cannot_be_read_is_somebodys(shelf: Shelf, place: Path) -> None:
    shelf.put(LOG, b"one\n")
    take(shelf)
    for content in (b"", b"{", b"[]", b"{}", b'{"since_ns": "x"}'):
        (place / "backups/lock.json").write_bytes(content)
        with pytest.raises(Conflict, match="somebody has been writing"):
            take(shelf)
    (place / "backups/lock.json").unlink()
    take(shelf)


def test_two_archives_of_one_backup_do_not_write_at_once(shelf: Shelf, place: Path) -> None:
    """As when an archive was restored on another machine and the old one lives on: both are the same archive."""
    shelf.put(LOG, b"one\n")
    take(shelf)
    twin = restored(place, into="twin")
    refused: list[str] = []

    class Both(Disk):
        def step(self, name: str) -> None:
            super().step(name)
            if name == "write" and (place / "backups/lock.json").exists() and not refused:
                refused.append(name)
                with pytest.raises(Conflict, match="has been writing"):
                    twin.archive.taker(backups_in(place)).take({})

    shelf.put(LOG, b"two\n", append=True)
    assert take(shelf, disk=Both()).problems == ()
    assert refused != []
    twin.clock.advance(50)
    assert twin.archive.taker(backups_in(place)).take({}).problems == ()
    twin.close()


# Cut off anywhere ---------------------------------------------------------------------------------------------------


def killed_at_each_step(work: Callable[[Disk], None], prepare: Callable[[], None]) -> Iterator[int]:
    """Run ``work`` in a child, killed before each of its durable steps in turn; yields the step after each kill.

    In the quick run every third one; ``make crash`` takes all.
    """
    kill_at = 0
    while True:
        prepare()

        def child(tell: Callable[[str], None], kill_at: int = kill_at) -> None:
            work(Disk(dying_at(kill_at)))
            tell("end")

        with forked(child) as (_, reading):
            if told(reading) == ["end"]:
                return
        yield kill_at
        kill_at += STRIDE


def test_killed_at_every_step_a_backup_is_whole_or_told_to_be_unfinished(shelf: Shelf, place: Path) -> None:
    """The one before stays good, the next one succeeds, and nothing of the dead one stays."""
    mixed(shelf)
    before = shelf.everything()
    take(shelf)
    template = place / "template"
    shutil.copytree(place / "backups", template)
    shelf.put(LOG, b"new\n", append=True)
    shelf.put("var/log/new.log", log_text(3_000, 8))
    seal(shelf)
    shelf.put("var/log/new.log", b"and a tail\n", append=True)
    whole = shelf.everything()
    shelf.close()

    def prepare() -> None:
        shutil.rmtree(place / "backups")
        shutil.copytree(template, place / "backups")

    def work(disk: Disk) -> None:
        here = Shelf(place / "archive", disk=disk)
        here.clock.advance(100)
        take(here, disk=disk)

    kills = 0
    for kill_at in killed_at_each_step(work, prepare):
        kills += 1
        listing = backups_in(place).listing()
        assert flaws(place) == []
        expected = before if len(listing.whole) == 1 else whole
        if kills % 5 == 0:
            shutil.rmtree(place / "restored", ignore_errors=True)
            other = restored(place)
            assert other.everything() == expected, kill_at
            other.close()
        again = Shelf(place / "archive")
        again.clock.advance(200)
        taken = take(again)
        again.close()
        assert taken.problems == ()
        listing = backups_in(place).listing()
        assert listing.unfinished == [], kill_at
        needed = {one.name for backup in listing.whole for one in backups_in(place).objects(backup)}
        there = {str(path.relative_to(place / "backups/store")) for path in files_below_store(place)}
        assert there == needed, kill_at
        assert [path.name for path in (place / "backups").rglob(".*")] == [], kill_at
        assert not (place / "archive/backup-work").exists()
    assert kills * STRIDE > 40
    shutil.rmtree(place / "restored", ignore_errors=True)
    other = restored(place)
    assert other.everything() == whole
    other.close()


def test_killed_at_every_step_a_restore_goes_on_where_it_was(shelf: Shelf, place: Path) -> None:
    mixed(shelf)
    take(shelf, segment_bytes=5_000)
    whole = shelf.everything()

    def prepare() -> None:
        shutil.rmtree(place / "restored", ignore_errors=True)

    def work(disk: Disk) -> None:
        restore(place, disk=disk)

    kills = 0
    for kill_at in killed_at_each_step(work, prepare):
        kills += 1
        catalog = (place / "restored/catalog.db").exists()
        assert catalog or kill_at == 0 or (place / "restored/restore.json").exists() or not files_in(place / "restored")
        if catalog and not (place / "restored/restore.json").exists():
            other = Shelf(place / "restored")  # it had just come to its end
        else:
            other = restored(place)
        assert other.everything() == whole, kill_at
        other.close()
        left = [path.name for path in (place / "restored").rglob("*") if path.name.startswith((".restore-", "restore"))]
        assert left == [], kill_at
    assert kills * STRIDE > 40


def files_in(folder: Path) -> list[Path]:
    """Files that do not begin with a dot."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def test_a_backup_after_each_step_of_an_agents_day(shelf: Shelf, place: Path) -> None:
    """Each is the archive as it was then."""
    expected: list[tuple[str, History]] = []
    for number, (_, step) in enumerate(STEPS):
        step(shelf)
        if number % 3 == 1:
            seal(shelf, segment_bytes=12)
        expected.append((take(shelf).name, shelf.everything()))
    assert expected[-1][1] == FINAL
    assert flaws(place) == []
    for name, whole in expected:
        other = restored(place, name=name, into=name)
        assert other.everything() == whole
        other.close()


def test_without_room_for_the_catalogs_copy_nothing_is_begun(shelf: Shelf, place: Path) -> None:
    shelf.put(LOG, b"one\n")
    shelf.close()
    tight = Shelf(place / "archive", min_free_bytes=1 << 62)
    with contextlib.closing(tight), pytest.raises(Full, match="catalog"):
        take(tight)
    assert backups_in(place).listing().whole == []


def test_killed_at_every_step_of_thinning_out_the_newest_stays_whole(shelf: Shelf, place: Path) -> None:
    mixed(shelf)
    take(shelf)
    seal(shelf)
    take(shelf)
    whole = shelf.everything()
    shelf.close()
    template = place / "template"
    shutil.copytree(place / "backups", template)

    def prepare() -> None:
        shutil.rmtree(place / "backups")
        shutil.copytree(template, place / "backups")

    def work(disk: Disk) -> None:
        list(backups_in(place, disk).prune(1))

    kills = 0
    for kill_at in killed_at_each_step(work, prepare):
        kills += 1
        assert flaws(place) == [], kill_at
        list(backups_in(place).prune(1))
        listing = backups_in(place).listing()
        assert (len(listing.whole), listing.unfinished) == (1, []), kill_at
        assert len(files_below_store(place)) == listing.whole[0].objects
    assert kills * STRIDE > 8
    other = restored(place)
    assert other.everything() == whole
    other.close()


def test_backups_of_a_busy_archive_have_everything_that_was_confirmed_when_they_began(
    shelf: Shelf, place: Path
) -> None:
    back_up_while_busy(shelf, place, backups=8)


def back_up_while_busy(shelf: Shelf, place: Path, *, backups: int) -> None:
    """Uploads, seals, compaction go on in other threads; each backup is a moment of all that."""
    stop = threading.Event()
    wholes: dict[str, bytes] = {}
    failures: list[BaseException] = []
    lock = threading.Lock()

    def keep(work: Callable[[Shelf, int], None]) -> None:
        mine = Shelf(place / "archive")
        try:
            turn = 0
            while not stop.is_set():
                work(mine, turn)
                turn += 1
        except BaseException as error:  # noqa: BLE001 - told below, in the thread that asserts
            failures.append(error)
        finally:
            mine.close()

    def send(mine: Shelf, turn: int) -> None:
        path, more = f"logs/{turn % 7}.log", log_text(700, turn)
        with contextlib.suppress(Busy):
            mine.put(path, more, append=True)
            with lock:
                wholes[path] = wholes.get(path, b"") + more

    def care(mine: Shelf, turn: int) -> None:
        for _ in mine.archive.sealer(level=1, segment_bytes=5_000).seal(mine.clock.now_ns() + 10**12):
            pass
        if turn % 3 == 0:
            for _ in mine.archive.compactor(level=2, segment_bytes=50_000).compact(mine.clock.now_ns() + 10**12):
                pass
        mine.clock.advance(1_000_000)
        mine.archive.sealer().sweep(0.001)

    threads = [threading.Thread(target=keep, args=(work,)) for work in (send, care)]
    for thread in threads:
        thread.start()
    confirmed: dict[str, dict[str, bytes]] = {}
    try:
        for _ in range(backups):
            time.sleep(0.2)
            with lock:
                before = dict(wholes)
            taken = take(shelf)
            assert taken.problems == ()
            confirmed[taken.name] = before
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert flaws(place) == []
    for name, before in list(confirmed.items())[::3]:
        other = restored(place, name=name, into=name)
        for path, content in before.items():
            (found,) = other.history(path)
            assert found.startswith(content)
            assert wholes[path].startswith(found)
        other.close()
