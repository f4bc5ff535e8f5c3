"""Retention deletes what its rules say, exactly that, and nothing that is held."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.archive.durable import Disk
from logferry.archive.retention import Due, Rule
from logferry.clock import SYSTEM
from logferry.errors import NotFound, Refused
from logferry.limits import RETENTION_GRACE_S
from tests.archive.conftest import AGENT, Shelf
from tests.archive.crashing import dying_at, forked, told
from tests.archive.segment.making import log_text
from tests.archive.test_seal import files_below, seal

DAY_S = 86400.0
RULES = (Rule("*/keep/**", 1000 * DAY_S), Rule("*/var/log/**", 90 * DAY_S), Rule("**/*.tmp", DAY_S))


def run(shelf: Shelf, rules: tuple[Rule, ...] = RULES) -> list[str]:
    """Paths with numbers that a run deletes: what the preview said before."""
    preview = list(shelf.archive.retention(rules).due())
    done = [due for step in shelf.archive.retention(rules).run() for due in step]
    assert done == preview
    return names(done)


def names(dues: list[Due]) -> list[str]:
    """``path#number``, sorted."""
    return sorted(f"{due.generation.path}#{due.generation.number}" for due in dues)


def sweep(shelf: Shelf) -> None:
    """What the background does after the grace time."""
    shelf.clock.advance(RETENTION_GRACE_S + 1)
    shelf.archive.sealer().clean_up()
    shelf.archive.sealer().sweep(RETENTION_GRACE_S)


def sound(shelf: Shelf) -> None:
    """Nothing is wrong, and the sums are those of what is there."""
    assert list(shelf.archive.check(digests=True)) == []
    shown = list(shelf.catalog.files.each())
    folder = shelf.catalog.files.folder_record(AGENT, "")
    assert folder is not None
    assert (folder.files, folder.bytes) == (len(shown), sum(file.size for file in shown))


def test_the_first_rule_that_matches_counts_and_without_one_files_stay(shelf: Shelf) -> None:
    for path in ("keep/a.tmp", "var/log/a.log", "var/log/b.tmp", "srv/c.tmp", "srv/d.log"):
        shelf.put(path, path.encode())
    assert run(shelf) == []
    shelf.clock.advance(2 * DAY_S)
    assert run(shelf) == ["srv/c.tmp#1"]
    shelf.clock.advance(89 * DAY_S)
    assert run(shelf) == ["var/log/a.log#1", "var/log/b.tmp#1"]
    shelf.clock.advance(5000 * DAY_S)
    assert run(shelf) == ["keep/a.tmp#1"]
    assert run(shelf, ()) == []
    sweep(shelf)
    assert shelf.everything() == {"srv/d.log": [b"srv/d.log"]}
    assert shelf.live() == {"srv/d.log": b"srv/d.log"}
    sound(shelf)


@pytest.mark.databases
def test_every_deletion_is_noted_with_rule_and_reason(shelf: Shelf) -> None:
    done = shelf.put("var/log/a.log", b"one")
    shelf.clock.advance(91 * DAY_S)
    run(shelf)
    (noted,) = shelf.catalog.retaining.expired()
    assert (noted.agent, noted.path, noted.number, noted.size) == (AGENT, "var/log/a.log", 1, 3)
    assert noted.rule == "*/var/log/** keep 90d"
    assert "last byte came at 2025-10-09" in noted.reason
    with pytest.raises(NotFound):
        shelf.bytes_of(done.generation_id or 0)
    shelf.clock.advance(400 * DAY_S)
    run(shelf)
    assert shelf.catalog.retaining.expired() == []


@pytest.mark.databases
@pytest.mark.parametrize("sealed", [False, True])
def test_generations_in_every_state_go_one_by_one(shelf: Shelf, sealed: bool) -> None:
    """Live, kept, sealed, with a tail: each goes when its own last byte is old enough."""
    for number in range(4):
        shelf.put("var/log/a.log", f"{number}\n".encode())
        shelf.put("srv/a.log", log_text(1000, number))
        if sealed and number != 3:
            seal(shelf)
        shelf.clock.advance(30 * DAY_S)
    shelf.put("var/log/a.log", b"and more\n", append=True)
    assert run(shelf) == ["var/log/a.log#1"]
    assert shelf.history("var/log/a.log") == [b"1\n", b"2\n", b"3\nand more\n"]
    shelf.clock.advance(30 * DAY_S)
    assert run(shelf) == ["var/log/a.log#2"]
    if sealed:
        seal(shelf)
        shelf.put("var/log/a.log", b"late\n", append=True)
    shelf.clock.advance(89 * DAY_S)
    assert run(shelf) == ["var/log/a.log#3"] + ([] if sealed else ["var/log/a.log#4"])
    shelf.clock.advance(2 * DAY_S)
    assert run(shelf) == (["var/log/a.log#4"] if sealed else [])
    sweep(shelf)
    assert sorted(shelf.everything()) == ["srv/a.log"]
    assert [n for n in (*files_below(shelf, "tails"), *files_below(shelf, "generations")) if "var" in n] == []
    sound(shelf)
    # Numbers are never given out again.
    shelf.put("var/log/a.log", b"new\n")
    assert [g.number for g in shelf.generations("var/log/a.log")] == [5]


def test_bytes_stay_for_the_grace_time_and_segments_go_when_nothing_of_them_counts(shelf: Shelf) -> None:
    shelf.put("var/log/a.log", log_text(5_000))
    seal(shelf)
    shelf.put("var/log/b.log", b"live\n")
    shelf.clock.advance(91 * DAY_S)
    (segment,) = (shelf.folder / "store").rglob("*.zst")
    assert len(run(shelf)) == 2
    sealer = shelf.archive.sealer()
    assert (sealer.clean_up(), sealer.sweep(RETENTION_GRACE_S)) == (0, 0)
    assert segment.exists()
    assert list(shelf.archive.check(repair=True)) == []
    assert shelf.live() == {"var/log/b.log": b"live\n"}
    sweep(shelf)
    assert not segment.exists()
    assert shelf.live() == {}
    sound(shelf)


def test_a_file_that_comes_again_within_the_grace_time_is_not_touched(shelf: Shelf) -> None:
    shelf.put("var/log/a.log", b"old\n")
    shelf.put("var/log/b.log", b"old\n")
    shelf.clock.advance(91 * DAY_S)
    run(shelf)
    shelf.put("var/log/a.log", b"new\n")
    shelf.put("var/log/b.log", b"old\n")
    sweep(shelf)
    assert shelf.everything() == {"var/log/a.log": [b"new\n"], "var/log/b.log": [b"old\n"]}
    sound(shelf)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_file_is_renamed_to_where_another_expired_within_the_grace_time(shelf: Shelf, sealed: bool) -> None:
    """As a rotation does whose oldest file nobody keeps any longer."""
    shelf.put("var/log/a.log.1", b"old\n")
    shelf.clock.advance(91 * DAY_S)
    assert run(shelf) == ["var/log/a.log.1#1"]
    shelf.put("var/log/a.log", b"new\n")
    if sealed:
        for _ in shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1):
            pass
    shelf.rename("var/log/a.log", "var/log/a.log.1")
    assert shelf.everything() == {"var/log/a.log.1": [b"new\n"]}
    sweep(shelf)
    assert shelf.everything() == {"var/log/a.log.1": [b"new\n"]}
    assert shelf.live() == ({} if sealed else {"var/log/a.log.1": b"new\n"})
    sound(shelf)


@pytest.mark.parametrize("renamed", [False, True])
def test_an_object_that_a_crash_left_goes_also_when_what_it_holds_has_expired(shelf: Shelf, renamed: bool) -> None:
    """Else what retention deleted would be on the disk for ever."""
    shelf.clock.advance(SYSTEM.now_ns() / 1e9 - shelf.clock.now_ns() / 1e9)
    shelf.put("var/log/a.log", b"secret\n" * 100)
    shelf.put("srv/b.log", b"kept\n" * 100)
    for _ in shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1):
        pass
    (left,) = (shelf.folder / "store").rglob("*.zst")
    data = left.read_bytes()
    shelf.clock.advance(1)
    for _ in shelf.archive.compactor(level=2).compact(shelf.clock.now_ns()):
        pass
    left.with_name(f"{1:032x}.zst").write_bytes(data)  # as if a sealer had been killed before its commit
    if renamed:
        shelf.rename("var/log/a.log", "var/log/a.log.1")
    shelf.clock.advance(91 * DAY_S)
    assert run(shelf) == [f"var/log/a.log{'.1#1' if renamed else '#1'}"]
    sweep(shelf)
    assert [path.name for path in (shelf.folder / "store").rglob("*") if path.is_file()] == [
        record.name.rpartition("/")[2] for record in shelf.catalog.sealing.segments(limit=9)
    ]
    assert shelf.everything() == {"srv/b.log": [b"kept\n" * 100]}
    sound(shelf)


def test_compaction_gives_back_what_expired_out_of_shared_segments(shelf: Shelf) -> None:
    shelf.put("var/log/a.log", log_text(500_000, 1))
    shelf.put("srv/b.log", log_text(5_000, 2))
    seal(shelf)
    shelf.clock.advance(91 * DAY_S)
    run(shelf)
    (before,) = (shelf.folder / "store").rglob("*.zst")
    sweep(shelf)
    assert before.exists()
    for done in shelf.archive.compactor(level=3).compact(shelf.clock.now_ns()):
        assert done.problems == ()
    sweep(shelf)
    (after,) = (shelf.folder / "store").rglob("*.zst")
    assert after.stat().st_size < 5_000
    assert shelf.everything() == {"srv/b.log": [log_text(5_000, 2)]}
    sound(shelf)


@pytest.mark.databases
def test_a_hold_wins_over_every_rule_also_under_a_former_name(shelf: Shelf) -> None:
    shelf.put("var/log/case.log", b"evidence\n")
    shelf.put("var/log/other.log", b"other\n")
    hold = shelf.catalog.retaining.add_hold("web-*/var/log/case.log", "case 4711")
    shelf.rename("var/log/case.log", "var/log/case.log.1")
    shelf.clock.advance(1000 * DAY_S)
    assert run(shelf) == ["var/log/other.log#1"]
    assert [h.reason for h in shelf.catalog.retaining.holds()] == ["case 4711"]
    shelf.catalog.retaining.remove_hold(hold.id)
    assert run(shelf) == ["var/log/case.log.1#1"]
    with pytest.raises(NotFound):
        shelf.catalog.retaining.remove_hold(hold.id)
    with pytest.raises(Refused):
        shelf.catalog.retaining.add_hold("web-01", " ")


def test_what_expired_is_found_under_every_name_it_had_until_the_note_goes(shelf: Shelf) -> None:
    """An old link tells what became of its lines, although they had moved before they went."""
    shelf.put("var/log/app.log", b"one\n")
    shelf.rename("var/log/app.log", "var/log/app.log.1")
    shelf.put("var/log/app.log", b"second\n")
    shelf.rename("var/log/app.log.1", "var/log/app.log.2")
    shelf.clock.advance(91 * DAY_S)
    assert run(shelf) == ["var/log/app.log#2", "var/log/app.log.2#1"]
    retaining = shelf.catalog.retaining

    def went(path: str, number: int | None) -> tuple[str, int] | None:
        was = retaining.gone(AGENT, path, number)
        return (was.path, was.size) if was is not None else None

    assert went("var/log/app.log", 1) == went("var/log/app.log.1", 1) == ("var/log/app.log.2", 4)
    assert went("var/log/app.log", 2) == went("var/log/app.log", None) == ("var/log/app.log", 7)
    assert went("var/log/app.log.1", None) == ("var/log/app.log.2", 4)
    assert went("var/log/app.log", 3) is None
    assert retaining.forget_expired(shelf.clock.now_ns() + 1) == 2
    assert went("var/log/app.log", 1) is None


def test_a_hold_that_comes_between_looking_and_deleting_wins_too(shelf: Shelf) -> None:
    shelf.put("var/log/a.log", b"one")
    shelf.clock.advance(91 * DAY_S)
    steps = shelf.archive.retention(RULES)
    due = list(steps.due())
    shelf.catalog.retaining.add_hold(AGENT, "all of it")
    assert steps._expire(due) == []
    assert shelf.everything() == {"var/log/a.log": [b"one"]}


def test_what_is_being_written_to_or_has_grown_since_stays(shelf: Shelf) -> None:
    shelf.put("var/log/a.log", b"one")
    shelf.put("var/log/b.log", b"one")
    shelf.clock.advance(91 * DAY_S)
    steps = shelf.archive.retention(RULES)
    due = list(steps.due())
    incoming = shelf.archive.begin(AGENT, "var/log/a.log", offset=3)
    shelf.put("var/log/b.log", b"two", offset=3)
    assert steps._expire(due) == []
    incoming.write(b"more")
    incoming.commit()
    assert run(shelf) == []
    assert shelf.everything() == {"var/log/a.log": [b"onemore"], "var/log/b.log": [b"onetwo"]}


@pytest.mark.parametrize("years", [-10, 10])
def test_times_that_a_node_tells_delete_nothing_early(shelf: Shelf, years: int) -> None:
    shelf.put("var/log/a.log", b"one")
    shelf.archive.set_modified(AGENT, "var/log/a.log", shelf.clock.now_ns() + int(years * 365 * DAY_S * 1e9))
    shelf.catalog.writer.flush()
    shelf.clock.advance(89 * DAY_S)
    assert run(shelf) == []
    shelf.clock.advance(2 * DAY_S)
    assert run(shelf) == ["var/log/a.log#1"]


def test_what_was_read_from_goes_on_being_read(shelf: Shelf) -> None:
    shelf.put("var/log/a.log", log_text(50_000))
    seal(shelf)
    shelf.put("var/log/b.log", b"live\n")
    open_files = [shelf.archive.open(shelf.generations(f"var/log/{name}.log")[0].id) for name in "ab"]
    shelf.clock.advance(91 * DAY_S)
    run(shelf)
    assert open_files[0].read_at(0, 60_000) == log_text(50_000)
    sweep(shelf)
    assert open_files[1].read_at(0, 10) == b"live\n"
    with pytest.raises(NotFound):
        shelf.archive.open(1)
    for reader in open_files:
        reader.close()


@pytest.mark.databases
def test_another_original_is_looked_for_when_the_first_expires(shelf: Shelf) -> None:
    shelf.put("var/log/a.log", b"text\n" * 10)
    shelf.put("srv/a.log.gz", b"no gzip")
    with shelf.catalog._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE compressed SET copy_of = 1, state = 'text', due_ns = NULL")
    assert list(shelf.catalog.copies.links([2])) == [2]
    shelf.clock.advance(91 * DAY_S)
    assert run(shelf) == ["var/log/a.log#1"]
    assert list(shelf.catalog.copies.links([2])) == []
    assert [waiting.generation_id for waiting in shelf.catalog.copies.due(shelf.clock.now_ns())] == [2]


# Cut off anywhere ---------------------------------------------------------------------------------------------------


def _filled(folder: Path) -> None:
    """Sealed alone, sealed together, with a tail, kept, live: half of each old, half to stay."""
    shelf = Shelf(folder)
    for tree in ("var/log", "srv"):
        shelf.put(f"{tree}/sealed.log", log_text(300, 1))
        shelf.put(f"{tree}/tail.log", log_text(200, 2))
    seal(shelf, segment_bytes=400)
    for tree in ("var/log", "srv"):
        shelf.put(f"{tree}/tail.log", b"tail\n", append=True)
        shelf.put(f"{tree}/kept.log", b"one\n")
        shelf.put(f"{tree}/kept.log", b"two\n")
        shelf.put(f"{tree}/live.log", b"live\n")
    shelf.close()


def _expire_all(shelf: Shelf) -> None:
    for _ in shelf.archive.retention(RULES).run():
        pass
    for _ in shelf.archive.compactor(level=2, segment_bytes=4000).compact(shelf.clock.now_ns()):
        pass
    sweep(shelf)
    sweep(shelf)


def test_killed_at_every_step_of_retention_nothing_goes_early_and_everything_in_the_end(
    quick_folders: Path, folder: Path
) -> None:
    """SIGKILL before each durable step of a run, the compaction after it and the removal of what is left."""
    template = quick_folders / "retention-template"
    template.mkdir()
    _filled(template)
    shelf = Shelf(template)
    stays = {path: history for path, history in shelf.everything().items() if path.startswith("srv/")}
    goes = {path: history for path, history in shelf.everything().items() if not path.startswith("srv/")}
    shelf.close()
    kill_at = 0
    while True:
        place = folder / f"killed-{kill_at}"
        shutil.copytree(template, place)

        def work(tell: Callable[[str], None], folder: Path = place, kill_at: int = kill_at) -> None:
            shelf = Shelf(folder, disk=Disk(dying_at(kill_at)))
            shelf.clock.advance(91 * DAY_S)
            _expire_all(shelf)
            tell("end")

        with forked(work) as (_, reading):
            ended = told(reading) == ["end"]
        shelf = Shelf(place)
        shelf.clock.advance(91 * DAY_S)
        assert [f for f in shelf.archive.check(digests=True) if f.is_damage] == [], kill_at
        found = shelf.everything()
        assert {path: history for path, history in found.items() if path.startswith("srv/")} == stays, kill_at
        noted = {(one.path, one.number) for one in shelf.catalog.retaining.expired()}
        for path, history in goes.items():
            left = [number for number in range(1, len(history) + 1) if (path, number) not in noted]
            assert found.get(path, []) == [history[number - 1] for number in left], (kill_at, path)
        _expire_all(shelf)
        # The store's own clock is the real one: what was cut off there is old only then.
        shelf.clock.advance(max(0.0, time.time() - shelf.clock.now_ns() / 1e9))
        sweep(shelf)
        list(shelf.archive.check(repair=True))
        assert list(shelf.archive.check(digests=True)) == [], kill_at
        assert shelf.everything() == stays, kill_at
        assert sorted(shelf.live()) == ["srv/kept.log", "srv/live.log"], kill_at
        assert [n for n in files_below(shelf, "generations") if "var" in n] == [], kill_at
        assert len(files_below(shelf, "tails")) == 1, kill_at
        rows = shelf.catalog.sealing.segments(limit=99)
        assert len(files_below(shelf, "store")) == len([row for row in rows if row.gone_ns is None]), kill_at
        shelf.close()
        shutil.rmtree(place)
        if ended:
            break
        kill_at += 1
    assert kill_at > 20


def test_a_name_whose_old_file_waits_out_its_grace_is_free(shelf: Shelf) -> None:
    """For a rename, for a folder, for a folder that moves there; what somebody reads there stays readable."""
    for path in ("var/log/a.log.1", "var/log/b", "var/log/c"):
        shelf.put(path, b"old\n")
    file = shelf.catalog.files.at(AGENT, "var/log/a.log.1")
    assert file is not None
    shelf.clock.advance(91 * DAY_S)
    reader = shelf.archive.open(file.generation_id)
    assert len(run(shelf)) == 3
    shelf.put("var/log/a.log", b"new\n")
    shelf.rename("var/log/a.log", "var/log/a.log.1")
    assert shelf.current("var/log/a.log.1") == b"new\n"
    assert reader.read_at(0, 10) == b"old\n"
    reader.close()
    shelf.put("var/log/b/inner.log", b"inner\n")
    shelf.put("srv/one.log", b"one\n")
    shelf.rename("srv", "var/log/c")
    shelf.archive.make_folder(AGENT, "var/log/c/deep")
    sweep(shelf)
    assert shelf.live() == {
        "var/log/a.log.1": b"new\n", "var/log/b/inner.log": b"inner\n", "var/log/c/one.log": b"one\n",
    }  # fmt: skip
    sound(shelf)
