"""Compacting changes the segments and nothing that anybody reads."""

from __future__ import annotations

import time

import pytest

from logferry.archive.compact import Compacted
from logferry.archive.retention import Rule
from logferry.archive.seal import Sealed
from logferry.archive.segment.manifest import told_bytes_max
from logferry.archive.store import LocalStore
from logferry.errors import Damaged
from logferry.limits import MIB
from tests.archive.conftest import AGENT, Shelf
from tests.archive.segment.making import log_text
from tests.archive.test_seal import seal


def compact(shelf: Shelf, *, level: int = 3, segment_bytes: int = 1 << 20, before_ns: int | None = None) -> Compacted:
    """Everything that is worth it."""
    done = Compacted()
    old_before_ns = shelf.clock.now_ns() if before_ns is None else before_ns
    for step in shelf.archive.compactor(level=level, segment_bytes=segment_bytes).compact(old_before_ns):
        done += step
    assert done.problems == ()
    return done


def many_small(shelf: Shelf, count: int) -> dict[str, bytes]:
    """Files sealed one by one: a segment each."""
    contents = {}
    for number in range(count):
        contents[f"logs/{number % 3}/app-{number}.log"] = log_text(2_000 + number, number)
        shelf.put(*list(contents.items())[-1])
        seal(shelf)
    return contents


def objects(shelf: Shelf) -> int:
    """Segments in the store, those that are to go included."""
    return len(list((shelf.folder / "store").rglob("*.zst")))


@pytest.mark.databases
def test_small_segments_become_one_with_the_same_bytes(shelf: Shelf) -> None:
    contents = many_small(shelf, 12)
    before = shelf.catalog.sealing.sums()
    assert before[0] == 12
    with shelf.archive.open(next(iter(shelf.catalog.files.each())).generation_id) as reader:
        done = compact(shelf)
        assert (done.segments, done.into) == (12, 1)
        assert done.bytes < done.bytes_before
        after = shelf.catalog.sealing.sums()
        assert (after[0], after[2]) == (1, before[2])
        assert reader.read_at(0, reader.size) in contents.values()  # opened before, read after
    assert {path: shelf.current(path) for path in contents} == contents
    assert list(shelf.archive.check(digests=True)) == []
    assert compact(shelf).segments == 0


def test_segments_become_one_only_as_far_as_its_manifest_can_hold_their_names(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what was written could not be read back, and would be written again and again."""
    names = [f"{n}/{'long' * 50}.log" for n in range(8)]
    for name in names:
        shelf.put(name, log_text(2_000, len(name)))
        seal(shelf)
    monkeypatch.setattr("logferry.archive.compact.MANIFEST_BYTES_MAX", MIB + 2 * told_bytes_max(1, len(names[0])))
    before = shelf.everything()
    shelf.clock.advance(1)
    done = list(shelf.archive.compactor(level=1).compact(0))
    assert [(one.segments, one.into, one.problems) for one in done] == [(2, 1, ())] * 4
    assert shelf.everything() == before


@pytest.mark.databases
def test_replaced_segments_go_after_the_grace_time(shelf: Shelf) -> None:
    contents = many_small(shelf, 4)
    compact(shelf)
    assert objects(shelf) == 5
    sealer = shelf.archive.sealer()
    assert sealer.sweep(60) == 0
    shelf.clock.advance(61 + max(0.0, time.time() - shelf.clock.now_ns() / 1e9))
    assert sealer.sweep(60) == 4
    assert objects(shelf) == 1
    assert {path: shelf.current(path) for path in contents} == contents


def test_old_segments_are_compressed_harder_and_young_ones_left(shelf: Shelf) -> None:
    shelf.put("a.log", log_text(900_000))
    seal(shelf)
    assert compact(shelf, level=9, before_ns=shelf.clock.now_ns() - 10**9).segments == 0
    shelf.clock.advance(2)
    done = compact(shelf, level=9)
    assert (done.segments, done.into) == (1, 1)
    assert done.bytes < done.bytes_before
    assert shelf.current("a.log") == log_text(900_000)


@pytest.mark.databases
def test_extents_of_a_file_that_was_sealed_in_parts_become_one(shelf: Shelf) -> None:
    whole = b""
    for number in range(6):
        more = log_text(3_000, number)
        shelf.put("a.log", more, offset=len(whole))
        whole += more
        seal(shelf)
    file = shelf.catalog.files.at(AGENT, "a.log")
    assert file is not None
    assert len(shelf.catalog.sealing.extents(file.generation_id)) == 6
    compact(shelf)
    assert len(shelf.catalog.sealing.extents(file.generation_id)) == 1
    assert shelf.current("a.log") == whole


def test_a_large_segment_is_not_written_again_for_each_small_one(shelf: Shelf) -> None:
    shelf.put("a.log", log_text(200_000))
    seal(shelf)
    compact(shelf, segment_bytes=1 << 20)
    shelf.put("b.log", log_text(2_000))
    done = Sealed()
    for step in shelf.archive.sealer(level=3).seal(shelf.clock.now_ns() + 1):
        done += step
    assert done.segments == 1
    assert compact(shelf, level=3).segments == 0


def test_damage_moves_nothing_and_is_told(shelf: Shelf) -> None:
    contents = many_small(shelf, 3)
    victim = sorted((shelf.folder / "store").rglob("*.zst"))[1]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    other = Shelf(shelf.folder)
    steps = list(other.archive.compactor(level=3).compact(other.clock.now_ns()))
    assert [step.into for step in steps] == [0]
    assert "store/web-01" in steps[0].problems[0]
    assert other.catalog.sealing.sums()[0] == 3
    good = 0
    for path, content in contents.items():
        try:
            good += other.current(path) == content
        except Damaged:
            continue
    assert good == 2
    other.close()


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_or_one_tight_segment_is_left_alone(shelf: Shelf, count: int) -> None:
    many_small(shelf, count)
    compact(shelf, level=1)
    assert compact(shelf, level=1).segments == 0


@pytest.mark.databases
def test_a_large_segment_of_which_little_counts_is_written_anew(shelf: Shelf) -> None:
    """However well it is compressed: what was deleted shall not take room for ever."""
    kept, gone = log_text(100_000, 1), log_text(900_000, 2)
    shelf.put("keep/a.log", kept)
    shelf.put("gone/b.log", gone)
    seal(shelf)
    shelf.clock.advance(10 * 86400)
    assert compact(shelf, level=9).segments == 1
    shelf.clock.advance(10 * 86400)
    assert compact(shelf, level=9).segments == 0
    assert [len(step) for step in shelf.archive.retention([Rule("*/gone/**", 3600)]).run()] == [1]
    done = compact(shelf, level=9)
    assert (done.segments, done.into) == (1, 1)
    assert done.bytes < done.bytes_before / 4
    assert shelf.current("keep/a.log") == kept
    assert compact(shelf, level=9).segments == 0
    assert list(shelf.archive.check(digests=True)) == []


def test_a_reader_goes_on_when_the_segments_it_began_with_are_gone(shelf: Shelf) -> None:
    """A download may take longer than any grace time; its bytes are elsewhere by then, and they are the same."""
    contents = many_small(shelf, 3)
    path, content = next(iter(contents.items()))
    shelf.put(path, b"a tail\n", append=True)
    file = shelf.catalog.files.at(AGENT, path)
    assert file is not None
    with shelf.archive.open(file.generation_id) as reader:
        assert reader.read_at(0, 100) == content[:100]
        other = Shelf(shelf.folder)
        compact(other)
        other.clock.advance(10 + max(0.0, time.time() - other.clock.now_ns() / 1e9))
        assert other.archive.sealer().sweep(5) == 3
        other.close()
        rooms = shelf.archive._rooms
        for record in shelf.catalog.sealing.segments(limit=10):
            rooms.segments.forget(record.name)
        store = rooms.segments.store
        assert isinstance(store, LocalStore)
        store._open.clear()
        rooms.segments._open.clear()
        rooms.segments._frames.clear()
        assert reader.read_at(0, reader.size) == content + b"a tail\n"
