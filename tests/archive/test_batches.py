"""What is sealed together: as much as makes a segment, and nothing that goes wrong with one file costs another."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from logferry.archive.durable import Disk
from logferry.archive.retention import Rule
from logferry.archive.rooms import Rooms
from logferry.archive.seal import Sealed
from logferry.archive.store import LocalStore
from logferry.errors import Conflict, LogferryError, NotFound, Unreachable
from tests.archive.conftest import AGENT, Shelf
from tests.archive.segment.making import log_text
from tests.archive.test_seal import seal

SEGMENT = 100_000
WORTH = SEGMENT // 4
"""Less room than this is left empty rather than filled with a piece of a larger file."""


def lying(shelf: Shelf, path: str) -> list[tuple[int, int, str]]:
    """Where the sealed bytes of a file lie: (from, to, segment)."""
    file = shelf.catalog.files.at(AGENT, path)
    assert file is not None
    return [(e.offset, e.end, e.name) for e in shelf.catalog.sealing.extents(file.generation_id)]


# Pieces --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [1, 40, WORTH - 1, WORTH, WORTH + 1, SEGMENT - 1])
def test_no_piece_is_smaller_than_it_is_worth_and_none_cuts_a_line(shelf: Shelf, left: int) -> None:
    first, second = b"a" * (SEGMENT - left - 1) + b"\n", b"a line of forty bytes, as they come, end\n" * 7_000
    shelf.put("a/first.log", first)
    shelf.put("b/second.log", second)
    seal(shelf, segment_bytes=SEGMENT)
    ((_, _, beside),) = lying(shelf, "a/first.log")
    pieces = lying(shelf, "b/second.log")
    assert (pieces[0][2] == beside) == (left >= WORTH)
    assert [start for start, _, _ in pieces[1:]] == [end for _, end, _ in pieces[:-1]]
    assert all(second[end - 1 : end] == b"\n" for _, end, _ in pieces)
    assert all(WORTH - 41 <= end - start <= SEGMENT for start, end, _ in pieces[:-1])
    assert all(record.raw_bytes <= SEGMENT for record in shelf.catalog.sealing.segments(limit=100))
    assert (shelf.current("a/first.log"), shelf.current("b/second.log")) == (first, second)


@pytest.mark.parametrize("size", [SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 2 * SEGMENT + 1])
def test_a_file_about_as_large_as_a_segment_is_sealed_whole(shelf: Shelf, size: int) -> None:
    """Without a line end anywhere, so that every cut lies where the room ends."""
    content = b"x" * size
    shelf.put("one.log", content)
    assert seal(shelf, segment_bytes=SEGMENT).segments == -(-size // SEGMENT)
    assert shelf.current("one.log") == content
    assert shelf.live() == {}
    assert seal(shelf, segment_bytes=SEGMENT).segments == 0


def test_a_small_file_goes_where_it_fits_whole(shelf: Shelf) -> None:
    """However little room is left."""
    shelf.put("a/first.log", b"a" * (SEGMENT - 10))
    shelf.put("b/second.log", b"ten bytes\n")
    assert seal(shelf, segment_bytes=SEGMENT).segments == 1


# One that goes wrong -------------------------------------------------------------------------------------------------


def test_a_file_that_is_deleted_between_two_of_its_parts_stops_no_other(shelf: Shelf) -> None:
    shelf.put("a/large.log", log_text(4 * SEGMENT))
    shelf.clock.advance(2 * 86400)
    shelf.put("b/other.log", b"other\n")
    steps = shelf.archive.sealer(level=1, segment_bytes=SEGMENT).seal(shelf.clock.now_ns() + 1)
    done = next(steps)
    assert done.segments == 1
    assert [len(step) for step in shelf.archive.retention([Rule("**/large.log", 86400)]).run()] == [1]
    done = sum(steps, done)
    assert (done.segments, done.problems) == (2, ())
    assert shelf.everything() == {"b/other.log": [b"other\n"]}


class Picky(LocalStore):
    """Refuses the first segment, by a step and in a way of its own."""

    def __init__(self, root: str, step: str, error: LogferryError) -> None:
        super().__init__(root)
        self.step = step
        self.error = error
        self.refused = ""

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        self._refuse("put", name)
        return super().put(name, parts)

    def read(self, name: str, offset: int, count: int) -> bytes:
        self._refuse("read", name)
        return super().read(name, offset, count)

    def _refuse(self, step: str, name: str) -> None:
        if step == self.step and name.endswith(".zst"):
            self.refused = self.refused or name
            if name == self.refused:
                raise self.error


@pytest.mark.parametrize("step", ["put", "read"])
@pytest.mark.parametrize("error", [NotFound("it is gone"), Conflict("it is there"), Unreachable("no answer")], ids=str)
def test_a_store_that_refuses_one_segment_gets_the_others(folder: Path, step: str, error: LogferryError) -> None:
    shelf = Shelf(folder, store=Picky(str(folder / "store"), step, error))
    contents = {f"logs/{number}.log": log_text(SEGMENT - 5_000, number) for number in range(4)}
    for path, content in contents.items():
        shelf.put(path, content)

    def run() -> Sealed:
        return sum(shelf.archive.sealer(level=1, segment_bytes=SEGMENT).seal(shelf.clock.now_ns() + 1), Sealed())

    done = run()
    assert (done.segments, done.problems) == (3, (str(error),))
    assert len(shelf.live()) == 1
    done = run()
    assert (done.segments, done.problems) == (1, ())
    assert {path: shelf.current(path) for path in contents} == contents
    shelf.close()


def test_a_tail_that_cannot_be_written_costs_its_own_file_alone(folder: Path) -> None:
    """It grows while its segment is written, and what is new would have to be copied."""

    class Growing(Disk):
        grown = False

        def sync_data(self, fd: int) -> None:
            super().sync_data(fd)
            if not self.grown:
                self.grown = True
                shelf.put("a.log", b"more\n", append=True)

    class Bad(Growing):
        def sync_data(self, fd: int) -> None:
            if self.grown and os.fstat(fd).st_size == len(b"more\n"):
                raise OSError(5, "it is broken")
            super().sync_data(fd)

    shelf = Shelf(folder)
    for name in ("a", "b", "c"):
        shelf.put(f"{name}.log", log_text(5_000, ord(name)))
    other = Shelf(folder, disk=Bad())
    done = sum(other.archive.sealer(level=1).seal(other.clock.now_ns() + 1), Sealed())
    other.close()
    assert (done.segments, done.generations) == (1, 2)
    assert [problem.startswith("the disk refused a.log") for problem in done.problems] == [True]
    assert list(shelf.live()) == ["a.log"]
    assert not [path for path in (folder / "tails").rglob("*") if path.is_file()]
    assert shelf.current("a.log") == log_text(5_000, ord("a")) + b"more\n"
    assert seal(shelf).generations == 1
    assert list(shelf.archive.check(digests=True)) == []
    shelf.close()


# Room ----------------------------------------------------------------------------------------------------------------


def test_no_room_is_no_problem_once_everything_is_sealed(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last segment may take it all."""
    rooms = iter([SEGMENT, SEGMENT])
    monkeypatch.setattr(Rooms, "scratch_bytes", lambda _: next(rooms, 0))
    monkeypatch.setattr("logferry.archive.batches.SEAL_SCRATCH_BYTES_MIN", 1)
    content = b"x" * (2 * SEGMENT)
    shelf.put("one.log", content)
    done = seal(shelf, segment_bytes=SEGMENT)
    assert (done.segments, done.problems) == (2, ())
    assert shelf.current("one.log") == content
    shelf.put("two.log", b"two\n")
    (step,) = shelf.archive.sealer().seal(shelf.clock.now_ns() + 1)
    assert "needs some first" in step.problems[0]
