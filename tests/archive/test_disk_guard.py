"""A disk that is almost full: nothing more is confirmed, everything is read, and care does not fill it up either."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.archive.compact import Compacted
from logferry.archive.durable import Disk
from logferry.archive.incoming import Incoming
from logferry.archive.many import WholeFile
from logferry.archive.seal import Sealed
from logferry.errors import Full
from logferry.limits import DISK_RESERVE_BYTES, INDEX_AGAIN_S, MIB, SEAL_SCRATCH_BYTES_MIN
from tests.agent.crash.keepers import small_disk
from tests.archive.conftest import AGENT, Shelf
from tests.archive.segment.making import log_text
from tests.archive.test_indexes import reindex
from tests.archive.test_seal import seal

FILES, FILE_BYTES = 16, MIB


class Watching(Disk):
    """Remembers the least room there ever was."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self._place = place
        self.least = free(place)

    def step(self, name: str) -> None:
        super().step(name)
        self.least = min(self.least, free(self._place))


def free(place: Path) -> int:
    """Bytes that are free."""
    facts = os.statvfs(place)
    return facts.f_bavail * facts.f_frsize


def leave(place: Path, size: int) -> None:
    """Take so much that ``size`` bytes are left."""
    with (place / "filler").open("ab") as filler:
        while (more := free(place) - size) >= 4096:
            filler.write(b"\0" * min(more, MIB))
            filler.flush()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for the reserve and some files, or a skip that says what it takes."""
    stack = small_disk(tmp_path / "disk", DISK_RESERVE_BYTES + 64 * MIB)
    try:
        mounted = stack.__enter__()
    except OSError as error:
        pytest.skip(str(error))
    (mounted / "archive").mkdir()
    try:
        yield mounted
    finally:
        stack.__exit__(None, None, None)


@pytest.fixture(scope="module")
def logs() -> dict[str, bytes]:
    """16 MB of logs."""
    return {f"logs/{number}.log": log_text(FILE_BYTES, number) for number in range(FILES)}


@pytest.fixture
def contents(place: Path, logs: dict[str, bytes]) -> dict[str, bytes]:
    """They lie live in the archive."""
    made = dict(logs)
    shelf = Shelf(place / "archive")
    for path, data in made.items():
        shelf.put(path, data)
    shelf.close()
    return made


def whole(shelf: Shelf, contents: dict[str, bytes]) -> bool:
    """Whether everything is read as it was sent."""
    return all(shelf.current(path) == data for path, data in contents.items())


def test_below_the_reserve_nothing_is_confirmed_and_everything_is_read(place: Path, contents: dict[str, bytes]) -> None:
    shelf = Shelf(place / "archive")
    leave(place, DISK_RESERVE_BYTES - MIB)
    with pytest.raises(Full, match="kept in reserve"):
        shelf.put("more.log", b"x")
    with pytest.raises(Full):
        shelf.put("logs/0.log", b"x", append=True)
    assert isinstance(shelf.archive.store_many(AGENT, [WholeFile("many.log", b"x")])[0], Full)
    assert whole(shelf, contents)
    assert list(shelf.archive.check(digests=True)) == []
    (place / "filler").unlink()
    shelf.put("logs/0.log", b"x", append=True)
    shelf.close()


def test_an_upload_ends_before_it_fills_the_disk(place: Path) -> None:
    disk = Watching(place)
    shelf = Shelf(place / "archive", disk=disk)
    incoming = shelf.archive.begin(AGENT, "large.log")
    with pytest.raises(Full):
        _send(incoming, 200 * MIB)
    incoming.abandon()
    assert shelf.size("large.log") == incoming.position > 50 * MIB
    assert shelf.current("large.log") is None
    assert disk.least >= DISK_RESERVE_BYTES - 8 * MIB
    shelf.close()


def _send(incoming: Incoming, size: int) -> None:
    for _ in range(size // MIB):
        incoming.write(bytes(MIB))


def test_with_little_room_sealing_goes_on_in_small_steps(place: Path, contents: dict[str, bytes]) -> None:
    leave(place, DISK_RESERVE_BYTES + 3 * MIB)
    disk = Watching(place)
    shelf = Shelf(place / "archive", disk=disk)
    done = seal(shelf, segment_bytes=64 * MIB)
    assert done.generations >= FILES
    assert done.segments > 1
    assert disk.least >= DISK_RESERVE_BYTES
    assert shelf.live() == {}
    assert free(place) > DISK_RESERVE_BYTES + 10 * MIB
    assert whole(shelf, contents)
    shelf.close()


def test_without_room_sealing_says_so_and_leaves_everything_as_it_is(place: Path, contents: dict[str, bytes]) -> None:
    leave(place, DISK_RESERVE_BYTES + SEAL_SCRATCH_BYTES_MIN // 2)
    before = free(place)
    shelf = Shelf(place / "archive")
    steps = list(shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1))
    assert [step.segments for step in steps] == [0]
    assert "needs some first: 1 MiB" in steps[0].problems[0]
    assert len(shelf.live()) == FILES
    assert before - free(place) < SEAL_SCRATCH_BYTES_MIN // 2
    (place / "filler").unlink()
    seal(shelf)
    assert shelf.live() == {}
    assert whole(shelf, contents)
    shelf.close()


def test_compaction_waits_for_room_and_says_so(place: Path, contents: dict[str, bytes]) -> None:
    shelf = Shelf(place / "archive")
    assert seal(shelf, segment_bytes=8 * MIB).segments > 1
    shelf.clock.advance(max(0.0, time.time() - shelf.clock.now_ns() / 1e9) + 86400)
    leave(place, DISK_RESERVE_BYTES + MIB // 4)

    def compact() -> Compacted:
        return sum(shelf.archive.compactor(level=9).compact(shelf.clock.now_ns()), Compacted())

    done = compact()
    assert done.segments == 0
    assert "wait for room" in done.problems[0]
    (place / "filler").unlink()
    done = compact()
    assert (done.into, done.problems) == (1, ())
    assert whole(shelf, contents)
    shelf.close()


def test_no_index_is_written_into_the_reserve(place: Path, contents: dict[str, bytes]) -> None:
    """The segments count without, and get them when there is room again: soon, since nothing is wrong with them."""
    shelf = Shelf(place / "archive")
    segments = seal(shelf, segment_bytes=8 * MIB).segments
    leave(place, DISK_RESERVE_BYTES + MIB // 16)
    for _ in range(3):
        done = reindex(shelf)
        assert len(done) == segments
        assert all("that stay free" in one.problem for one in done)
        shelf.clock.advance(INDEX_AGAIN_S)
    assert list((place / "archive/store").rglob("*.idx")) == []
    (place / "filler").unlink()
    assert [one.problem for one in reindex(shelf)] == [""] * segments
    shelf.close()


def test_a_disk_that_gets_full_while_a_segment_is_written_loses_nothing(
    place: Path, contents: dict[str, bytes]
) -> None:
    """Somebody else takes what was there at the start."""

    class Filling(Disk):
        def write(self, fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
            leave(place, 0)
            super().write(fd, data, offset)

    shelf = Shelf(place / "archive", disk=Filling())
    done = sum(shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1), Sealed())
    assert done.segments == 0
    assert "no room left" in done.problems[0]
    assert whole(shelf, contents)
    shelf.close()
    (place / "filler").unlink()
    other = Shelf(place / "archive")
    seal(other)
    assert other.live() == {}
    assert whole(other, contents)
    assert [path for path in (place / "archive/store").rglob("*") if path.name.startswith(".")] == []
    other.close()
