"""Like beside like: the order in which files go into a segment."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.archive.likeness import likeness
from logferry.archive.segment import Segment
from tests.archive.conftest import AGENT, Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """An empty archive."""
    made = Shelf(tmp_path)
    yield made
    made.close()


def test_paths_that_differ_in_dates_ids_and_numbers_follow_each_other() -> None:
    """Names count, and folders whose names are words; the paths themselves decide last."""
    wanted = [
        "app/access.log",
        "app/access.log.1",
        "app/access.log.2",
        "2026-11-25/access.log",
        "2026-11-26/access.log",
        "2026-11-25/error.log",
        "2026-11-26/error.log",
        "pods/3f9a0c11de/out.log",
        "pods/b07e55aa01/out.log",
        "tank/out.log",
    ]
    mixed = random.Random(4).sample(wanted, len(wanted))
    found = sorted(mixed, key=likeness)
    at = {path: found.index(path) for path in wanted}
    for before, after in itertools.pairwise(wanted):
        if likeness(before)[0] == likeness(after)[0]:
            assert at[after] == at[before] + 1
    assert likeness("app/access.log.1")[0] == likeness("app/access.log.2")[0]
    assert (
        likeness("pods/3f9a0c11de/out.log")[0] == likeness("pods/b07e55aa01/out.log")[0] != likeness("tank/out.log")[0]
    )


def test_a_sealed_segment_has_like_files_beside_each_other(shelf: Shelf) -> None:
    """A folder a day with two logs each: one log after the other; compaction keeps it so. Every byte comes back."""
    put = {f"2026-11-{day:02d}/{name}.log": f"{name} {day}\n".encode() for day in range(1, 10) for name in ("a", "b")}
    for path, data in put.items():
        shelf.put(path, data)
    wanted = sorted(put, key=lambda path: (path[-5], path))
    list(shelf.archive.sealer(level=3).seal(shelf.clock.now_ns() + 1))
    assert _order(shelf) == wanted
    list(shelf.archive.compactor(level=9).compact(shelf.clock.now_ns() + 1))
    assert _order(shelf) == wanted
    assert {path: shelf.current(path) for path in put} == put


def _order(shelf: Shelf) -> list[str]:
    """Paths in the newest segment, in the order of its content."""
    name = shelf.catalog.sealing.segments(limit=9)[-1].name
    data = (shelf.folder / "store" / name).read_bytes()
    manifest = Segment.open(lambda offset, count: data[offset : offset + count], len(data), where=name).manifest
    assert manifest.agent == AGENT
    held = [(extent.raw_offset, one.path) for one in manifest.generations for extent in one.extents]
    return [path for _, path in sorted(held)]
