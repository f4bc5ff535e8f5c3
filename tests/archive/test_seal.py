"""Sealing changes where bytes lie and nothing else: every path, size, generation and byte stays as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.engine import Connection

from logferry.archive.catalog.tables import removals
from logferry.archive.catalog.writer import Change, Rows
from logferry.archive.durable import Disk
from logferry.archive.many import WholeFile
from logferry.archive.removal import RemoveFile, made_free, made_free_above
from logferry.archive.seal import Sealed
from logferry.archive.segment import salvage
from logferry.archive.store import LocalStore
from logferry.errors import Busy, Damaged, Differs, LogferryError
from logferry.names import aside_name
from tests.archive.conftest import AGENT, Shelf
from tests.archive.crashing import STRIDE, killed_at_each_step
from tests.archive.segment.making import log_text
from tests.archive.test_crashes import FINAL, STAMP, STEPS

LOG, OLD = "var/log/app.log", "var/log/app.log.1"


def seal(shelf: Shelf, *, segment_bytes: int = 1 << 20) -> Sealed:
    """Seal everything there is."""
    done = Sealed()
    for step in shelf.archive.sealer(level=1, segment_bytes=segment_bytes).seal(shelf.clock.now_ns() + 1):
        done += step
    assert done.problems == ()
    return done


def files_below(shelf: Shelf, tree: str) -> list[str]:
    """Names of plain files in one of the trees."""
    root = shelf.folder / tree
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_name_that_is_another_files_by_now_is_not_free(shelf: Shelf) -> None:
    """The row that it is to go is of before; only what is gone makes room."""
    rooms = shelf.archive._rooms
    shelf.put(LOG, b"another\n")
    left = shelf.folder / "live" / AGENT / OLD
    left.write_bytes(b"left\n")

    def note(connection: Connection) -> None:
        for path in (LOG, OLD):
            connection.execute(insert(removals).values(place=f"live/{AGENT}/{path}", since_ns=0))

    shelf.catalog.writer.run(Rows(note))
    assert made_free(rooms, AGENT, OLD)
    assert not left.exists()
    assert not made_free_above(rooms, AGENT, f"{LOG}/below")
    assert shelf.current(LOG) == b"another\n"
    assert not made_free(rooms, AGENT, LOG)  # and nobody asks again


@pytest.mark.databases
def test_sealed_files_are_the_same_to_every_reader(shelf: Shelf) -> None:
    contents = {f"var/log/app-{n}.log": log_text(1_000 * (n + 1), n) for n in range(20)} | {"var/log/empty.log": b""}
    for path, content in contents.items():
        shelf.put(path, content)
    before = {path: (shelf.size(path), shelf.catalog.files.at(AGENT, path)) for path in contents}
    done = seal(shelf)
    assert (done.segments, done.generations) == (1, 20)
    assert done.raw_bytes == sum(map(len, contents.values()))
    assert done.bytes < done.raw_bytes
    assert shelf.live() == {"var/log/empty.log": b""}
    assert files_below(shelf, "tails") == []
    assert {path: (shelf.size(path), shelf.catalog.files.at(AGENT, path)) for path in contents} == before
    assert {path: shelf.current(path) for path in contents} == contents
    assert [node.name for node in shelf.archive.entries(AGENT, "var/log")] == sorted(
        path.rpartition("/")[2] for path in contents
    )
    assert list(shelf.archive.check(digests=True)) == []
    assert seal(shelf).segments == 0


def test_any_range_across_the_seal_is_read(shelf: Shelf) -> None:
    whole = log_text(200_000)
    shelf.put(LOG, whole[:150_000])
    seal(shelf)
    shelf.put(LOG, whole[150_000:], offset=150_000)
    assert files_below(shelf, "tails") != []
    assert shelf.live() == {}
    file = shelf.catalog.files.at(AGENT, LOG)
    assert file is not None
    dice = random.Random(4)
    with shelf.archive.open(file.generation_id) as reader:
        assert reader.fileno() is None
        for _ in range(200):
            start, count = dice.randrange(len(whole)), dice.randrange(90_000)
            assert reader.read_at(start, count) == whole[start : start + count]
    with shelf.archive.lines(file.generation_id) as lines:
        assert lines.size == len(whole)


@pytest.mark.databases
def test_a_file_goes_on_growing_after_each_seal(shelf: Shelf) -> None:
    whole = b""
    for number in range(6):
        more = log_text(5_000, number)
        shelf.put(LOG, more, offset=len(whole))
        whole += more
        if number % 2:
            seal(shelf)
        assert shelf.current(LOG) == whole
        assert shelf.size(LOG) == len(whole)
    assert files_below(shelf, "tails") == []
    assert len(shelf.generations(LOG)) == 1
    assert list(shelf.archive.check(digests=True)) == []


def test_overlapping_bytes_are_compared_with_sealed_ones(shelf: Shelf) -> None:
    whole = log_text(20_000)
    shelf.put(LOG, whole[:12_000])
    seal(shelf)
    shelf.put(LOG, whole[5_000:15_000], offset=5_000)
    assert shelf.current(LOG) == whole[:15_000]
    with pytest.raises(Differs):
        shelf.put(LOG, b"X" + whole[5_001:], offset=5_000)
    shelf.put(LOG, whole[15_000:], append=True)
    assert shelf.current(LOG) == whole


def test_the_same_file_sent_again_is_one_generation_and_another_is_the_next(shelf: Shelf) -> None:
    one, other = log_text(20_000), log_text(9_000, 7)
    shelf.put(LOG, one)
    seal(shelf)
    shelf.put(LOG, one)
    shelf.put(LOG, one + b"more\n")
    assert shelf.history(LOG) == [one + b"more\n"]
    shelf.put(LOG, other)
    assert shelf.history(LOG) == [one + b"more\n", other]
    shelf.put(LOG, other[:100])
    assert shelf.history(LOG) == [one + b"more\n", other, other[:100]]
    seal(shelf)
    assert shelf.history(LOG) == [one + b"more\n", other, other[:100]]
    assert shelf.live() == {}
    assert files_below(shelf, "generations") == []
    assert files_below(shelf, "tails") == []


def test_sealed_files_are_renamed_kept_and_removed(shelf: Shelf) -> None:
    one, two = log_text(20_000), log_text(9_000, 7)
    shelf.put(LOG, one)
    seal(shelf)
    shelf.rename(LOG, OLD)
    assert shelf.history(OLD) == [one]
    assert shelf.current(LOG) is None
    shelf.put(OLD, b"late\n", offset=len(one))
    shelf.put(LOG, two)
    seal(shelf)
    shelf.rename(LOG, f"var/log/{aside_name('app.log', STAMP)}")
    assert shelf.history(LOG) == [two]
    assert shelf.current(LOG) is None
    shelf.rename("var", "srv")
    assert shelf.current("srv/log/app.log.1") == one + b"late\n"
    shelf.archive.remove_file(AGENT, "srv/log/app.log.1")
    assert shelf.history("srv/log/app.log.1") == [one + b"late\n"]
    assert list(shelf.archive.check(digests=True, repair=True)) == []


def test_a_large_file_spans_several_segments_and_stays_whole_until_the_last(shelf: Shelf) -> None:
    whole = log_text(400_000)
    shelf.put(LOG, whole)
    shelf.put("var/log/small.log", b"small\n")
    sealer = shelf.archive.sealer(level=1, segment_bytes=100_000)
    segments = 0
    for step in sealer.seal(shelf.clock.now_ns() + 1):
        segments += step.segments
        assert shelf.current(LOG) == whole
    assert segments == 5
    assert shelf.live() == {}
    assert shelf.current("var/log/small.log") == b"small\n"
    count, _, raw_bytes = shelf.catalog.sealing.sums()
    assert (count, raw_bytes) == (5, len(whole) + 6)


def test_bytes_that_arrive_while_a_segment_is_written_go_to_a_tail(shelf: Shelf) -> None:
    first, more = log_text(50_000), log_text(3_000, 2)
    shelf.put(LOG, first)
    grown = False

    class Growing(Disk):
        def sync_data(self, fd: int) -> None:
            nonlocal grown
            super().sync_data(fd)
            if not grown:
                grown = True
                shelf.put(LOG, more, offset=len(first))

    other = Shelf(shelf.folder, disk=Growing())
    seal(other)
    other.close()
    assert grown
    assert shelf.current(LOG) == first + more
    assert shelf.live() == {}
    assert len(files_below(shelf, "tails")) == 1
    seal(shelf)
    assert files_below(shelf, "tails") == []
    assert shelf.history(LOG) == [first + more]


def test_a_file_that_is_being_written_to_is_left_for_the_next_run(shelf: Shelf) -> None:
    shelf.put(LOG, b"one\n")
    shelf.put(OLD, b"zero\n")
    incoming = shelf.archive.begin(AGENT, LOG, offset=4)
    incoming.write(b"two\n")
    other = Shelf(shelf.folder)
    assert seal(other).generations == 1
    with pytest.raises(Busy):
        other.put(LOG, b"three\n", offset=4)
    other.close()
    incoming.commit()
    assert seal(shelf).generations == 1
    assert shelf.history(LOG) == [b"one\ntwo\n"]
    assert shelf.history(OLD) == [b"zero\n"]


@pytest.mark.databases
def test_uploads_and_renames_go_on_beside_a_sealer(shelf: Shelf) -> None:
    """Two processes' worth of work on one archive; in the end everything is there once."""
    stop = threading.Event()
    other = Shelf(shelf.folder)
    failures: list[BaseException] = []

    def keep_sealing() -> None:
        try:
            while not stop.is_set():
                for _ in other.archive.sealer(level=1, segment_bytes=20_000).seal(other.clock.now_ns() + 10**12):
                    pass
        except LogferryError as error:  # told below, in the thread that asserts
            failures.append(error)

    thread = threading.Thread(target=keep_sealing)
    thread.start()
    dice = random.Random(11)
    wholes = [b""] * 5
    rotated: list[bytes] = []
    try:
        for turn in range(300):
            which = dice.randrange(5)
            path = f"logs/{which}.log"
            if wholes[which] and dice.random() < 0.1:
                _again(partial(shelf.rename, path, f"logs/old-{turn}.log"))
                rotated.append(wholes[which])
                wholes[which] = b""
                continue
            more = log_text(dice.randrange(1, 4_000), turn)
            offset = len(wholes[which])
            _again(partial(shelf.put, path, more, offset=offset))
            wholes[which] += more
    finally:
        stop.set()
        thread.join()
        other.close()
    assert failures == []
    seal(shelf)
    found = sorted(content for history in shelf.everything().values() for content in history)
    assert found == sorted([*rotated, *(whole for whole in wholes if whole)])
    assert list(shelf.archive.check(digests=True, repair=True)) == []


def _again(work: Callable[[], object]) -> None:
    """As a sender does: what is busy or changed is tried again."""
    for _ in range(2000):
        try:
            work()
        except Busy:
            time.sleep(0.005)
        else:
            return
    raise AssertionError("still busy")


def test_damage_in_a_segment_is_named_and_the_other_files_are_read(shelf: Shelf) -> None:
    shelf.put("a.log", log_text(700_000, 1))
    shelf.put("b.log", log_text(700_000, 2))
    seal(shelf, segment_bytes=1 << 22)
    (segment,) = (shelf.folder / "store").rglob("*.zst")
    data = bytearray(segment.read_bytes())
    data[len(data) // 8] ^= 1
    segment.write_bytes(data)
    other = Shelf(shelf.folder)
    with pytest.raises(Damaged, match=r"store/web-01/.*\.zst frame \d"):
        other.current("a.log")
    assert other.current("b.log") == log_text(700_000, 2)
    segment.unlink()
    third = Shelf(shelf.folder)
    with pytest.raises(Damaged, match="is missing"):
        third.current("b.log")
    other.close()
    third.close()


@pytest.mark.databases
def test_segments_that_no_row_names_go_after_the_grace_time(shelf: Shelf) -> None:
    shelf.put(LOG, log_text(5_000))
    seal(shelf)
    (segment,) = (shelf.folder / "store").rglob("*.zst")
    orphan = segment.with_name("00" * 16 + ".zst")
    shutil.copy(segment, orphan)
    shelf.clock.advance(max(0.0, time.time() - shelf.clock.now_ns() / 1e9) + 10)
    sealer = shelf.archive.sealer()
    assert sealer.sweep(3600) == 0
    assert sealer.sweep(5) == 1
    assert not orphan.exists()
    assert shelf.current(LOG) == log_text(5_000)


def test_a_file_that_is_just_being_published_under_a_name_that_is_to_go_stays(shelf: Shelf) -> None:
    """Between its rename and its commit only its lock tells that it is a new one."""
    shelf.put(LOG, log_text(5_000))
    with dying_before_it_removes(shelf):
        for _ in shelf.archive.sealer().seal(shelf.clock.now_ns() + 1):
            pass
    shelf.rename(LOG, OLD)
    live = shelf.folder / "live" / AGENT / LOG
    live.write_bytes(b"new, renamed, not committed\n")
    fd = os.open(live, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert shelf.archive.sealer().clean_up() == 0
    assert live.read_bytes() == b"new, renamed, not committed\n"
    os.close(fd)


@contextlib.contextmanager
def dying_before_it_removes(shelf: Shelf) -> Iterator[None]:
    """A sealer that dies before it removes the files that it has sealed."""
    run_all = shelf.catalog.writer.run_all

    def refusing(changes: Sequence[Change[object]]) -> list[object]:
        assert all(isinstance(change, RemoveFile) for change in changes)
        return [Busy("it died") for _ in changes]

    shelf.catalog.writer.run_all = refusing  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        shelf.catalog.writer.run_all = run_all  # type: ignore[method-assign]


@pytest.mark.sqlite
def test_an_older_catalog_that_was_put_back_removes_no_segment(shelf: Shelf) -> None:
    """What was sealed since has no row, and no other copy."""
    shelf.put(LOG, log_text(5_000))
    shelf.close()
    shutil.copy(shelf.folder / "catalog.db", shelf.folder / "backup.db")
    newer = Shelf(shelf.folder)
    seal(newer)
    newer.close()
    for name in ("catalog.db", "catalog.db-wal", "catalog.db-shm"):
        (shelf.folder / name).unlink(missing_ok=True)
    shutil.copy(shelf.folder / "backup.db", shelf.folder / "catalog.db")
    older = Shelf(shelf.folder)
    older.clock.advance(max(0.0, time.time() - older.clock.now_ns() / 1e9) + 1_000_000)
    assert older.archive.sealer().sweep(5) == 0
    assert len(list((shelf.folder / "store").rglob("*.zst"))) == 1
    older.close()


def test_what_is_written_is_read_back_once(folder: Path) -> None:
    """A bucket bills each request, and a disk has other things to do."""

    class Counting(LocalStore):
        read_bytes = 0

        def read(self, name: str, offset: int, count: int) -> bytes:
            data = super().read(name, offset, count)
            self.read_bytes += len(data)
            return data

    store = Counting(str(folder / "store"))
    shelf = Shelf(folder, store=store)
    for number in range(20):
        shelf.put(f"{number}.log", random.Random(number).randbytes(300_000))
    done = seal(shelf, segment_bytes=1 << 23)
    assert done.bytes <= store.read_bytes < done.bytes + 200_000  # the end, where the manifest is, twice
    shelf.close()


def test_many_small_files_with_long_names_are_sealed(shelf: Shelf) -> None:
    """More names than one marker could tell."""
    contents = {f"{'n' * 200}/{'m' * 200}-{number:05}.log": b"%d\n" % number for number in range(3_000)}
    shelf.archive.store_many(AGENT, [WholeFile(path, data) for path, data in contents.items()])
    assert seal(shelf).generations == len(contents)
    some = list(contents)[::250]
    assert {path: shelf.current(path) for path in some} == {path: contents[path] for path in some}
    (segment,) = (shelf.folder / "store").rglob("*.zst")
    data = segment.read_bytes()
    found = list(salvage(lambda offset, count: data[offset : offset + count], len(data), where="it"))
    assert sum(len(frame.pieces) for frame in found) == len(contents)


@pytest.mark.parametrize("ended", [False, True], ids=["moved", "kept"])
def test_an_old_name_that_a_crash_left_goes_before_its_file_is_sealed_away(shelf: Shelf, ended: bool) -> None:
    """Left alone it would be taken for a whole file that nobody knows, and its bytes would be there twice."""
    shelf.put("a/app.log", b"line\n")
    if ended:
        shelf.rename("a/app.log", f"a/{aside_name('app.log', STAMP)}")
        (new,) = (shelf.folder / "generations").rglob("app.log*")
    else:
        shelf.rename("a/app.log", "b/app.log.1")
        new = shelf.folder / "live" / AGENT / "b/app.log.1"
    os.link(new, shelf.folder / "live" / AGENT / "a/app.log")  # killed before it was taken away
    expected = shelf.everything()
    seal(shelf)
    assert shelf.live() == {}
    list(shelf.archive.check(repair=True))
    assert shelf.everything() == expected
    assert list(shelf.archive.check(digests=True)) == []
    shelf.put("a/app.log", b"another\n")
    assert shelf.everything() == expected | {"a/app.log": [*expected.get("a/app.log", []), b"another\n"]}


def test_files_from_before_1970_are_sealed_too(shelf: Shelf) -> None:
    """A node may say so, and keeps no other file from being sealed."""
    shelf.put("old.log", b"old\n")
    shelf.put("new.log", b"new\n")
    shelf.archive.set_modified(AGENT, "old.log", -(10**18))
    shelf.catalog.writer.flush()
    (done,) = shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1)
    assert (done.generations, done.problems) == (2, ())
    assert shelf.everything() == {"old.log": [b"old\n"], "new.log": [b"new\n"]}
    assert list(shelf.archive.check(digests=True)) == []


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_sealed(shelf: Shelf) -> None:
    """Its loss is told, and the rest goes on."""
    shelf.put("a/one.log", b"one\n")
    shelf.put("b/two.log", b"two\n")
    (shelf.folder / "live" / AGENT / "a" / "one.log").unlink()
    steps = list(shelf.archive.sealer().seal(shelf.clock.now_ns() + 1))
    assert [step.generations for step in steps] == [1]
    assert "a/one.log is missing" in steps[0].problems[0]
    assert shelf.current("b/two.log") == b"two\n"


# Cut off anywhere ---------------------------------------------------------------------------------------------------


def _sealing_steps() -> list[tuple[str, Callable[[Shelf], None]]]:
    """The script of an agent's day with a seal between any two of its steps."""
    steps: list[tuple[str, Callable[[Shelf], None]]] = []
    for number, (name, step) in enumerate(STEPS):
        steps += [(name, step), (f"sealing after {name}", _seal_again)]
        if number % 4 == 3:
            steps.append((f"compacting after {name}", _compact_again))
    return steps


def _compact_again(shelf: Shelf) -> None:
    for done in shelf.archive.compactor(level=2, segment_bytes=60).compact(shelf.clock.now_ns()):
        assert done.problems == ()


def _seal_again(shelf: Shelf) -> None:
    for _ in shelf.archive.sealer(level=1, segment_bytes=12).seal(shelf.clock.now_ns() + 1):
        pass


def _check_end(shelf: Shelf) -> None:
    assert shelf.everything() == FINAL
    _seal_again(shelf)
    list(shelf.archive.check(repair=True))
    assert list(shelf.archive.check(digests=True)) == []
    assert shelf.everything() == FINAL
    assert shelf.live() == {}
    assert files_below(shelf, "tails") == []
    assert files_below(shelf, "generations") == []
    sums = shelf.catalog.files.sums()
    assert (sums.files, sums.generations) == (4, 6)


@pytest.mark.slow
def test_killed_at_every_step_of_sealing_nothing_is_lost_or_doubled(quick_folders: Path, folder: Path) -> None:
    """SIGKILL before each durable step of a day with a seal after every change; then the day goes on."""
    template = quick_folders / "sealing-template"
    template.mkdir()
    Shelf(template).close()
    steps = _sealing_steps()
    kills = 0
    for kill_at, done, place in killed_at_each_step(template, folder, steps):
        shelf = Shelf(place)
        where = (kill_at, steps[done][0])
        assert [finding for finding in shelf.archive.check() if finding.is_damage] == [], where
        for name, step in steps[done:]:
            try:
                step(shelf)
            except Exception as error:
                raise AssertionError((where, name)) from error
        _check_end(shelf)
        shelf.close()
        kills += 1
    assert (kills + 1) * STRIDE > 250
