"""Files of a real archive merged by time: live, sealed, compressed, rotated, without times, with hostile ones."""

from __future__ import annotations

import gzip
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from logferry.archive import Archive, Catalog
from logferry.archive.timestamps import Reading
from logferry.search.merge import Part, Place, Source, after, at_fraction, at_time, before, fraction_of
from logferry.search.merge.order import Item
from logferry.search.merge.source import Line

SECOND_NS = 1_000_000_000
BASE_S = 1_795_500_000
MERGED = Callable[..., list[bytes]]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty one."""
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db") as catalog, Archive(str(tmp_path), catalog) as archive:
        catalog.agents.add("a")
        yield archive


def stamp(second: int) -> str:
    """A time so many seconds after the base."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(BASE_S + second))


def put(archive: Archive, path: str, data: bytes) -> Part:
    """Store a file; the part that it is."""
    incoming = archive.begin("a", path)
    incoming.write(data)
    fid = incoming.commit().file_id
    assert fid is not None
    found = archive.catalog.files.get(fid)
    assert found is not None
    return Part(fid, found.number, found.generation_id, path, found.size, Reading((BASE_S + 10**6) * SECOND_NS))


@contextmanager
def sources(archive: Archive, *parts: Sequence[Part]) -> Iterator[list[Source]]:
    """Each of so many parts."""
    made = [Source(each, lambda part: archive.lines(part.generation_id)) for each in parts]
    try:
        yield made
    finally:
        for source in made:
            source.close()


def texts(items: list[tuple[int, Item[Place, Line]]]) -> list[bytes]:
    """What is shown."""
    return [item.line.row.data for _, item in items]


def walked_down(made: list[Source], count: int) -> list[bytes]:
    """All lines, page by page from the start."""
    places: Sequence[Place] = [(0, 0)] * len(made)
    found: list[bytes] = []
    while True:
        page = after(made, places, count)
        found += texts(page.items)
        places = page.end
        if not page.more:
            return found


def walked_up(made: list[Source], count: int) -> list[bytes]:
    """All lines, page by page from the end."""
    places: Sequence[Place] = [source.end() for source in made]
    found: list[bytes] = []
    while True:
        page = before(made, places, count)
        found = texts(page.items) + found
        places = page.start
        if not page.more:
            return found


def entries(name: str, seconds: Sequence[int], dice: random.Random) -> tuple[bytes, list[tuple[int, list[bytes]]]]:
    """A log with an entry at each second, some of several lines; and its entries."""
    found = []
    for number, second in enumerate(seconds):
        lines = [f"{stamp(second)} {name} entry {number}".encode()]
        lines += [f"    at {name} {number}.{line}".encode() for line in range(dice.choice((0, 0, 0, 1, 7)))]
        found.append((second, lines))
    return b"".join(line + b"\n" for _, lines in found for line in lines), found


def test_merged_files_are_as_a_sort_has_them(archive: Archive) -> None:
    """Entries stay whole, in both directions, with pages of any size, in windows of any."""
    dice = random.Random(7)
    parts: list[list[Part]] = []
    held: list[tuple[int, int, int, list[bytes]]] = []
    for name in ("one", "two", "three"):
        seconds = sorted(dice.randrange(500) for _ in range(dice.randrange(150, 350)))
        data, found = entries(name, seconds, dice)
        held += [(second, len(parts), at, lines) for at, (second, lines) in enumerate(found)]
        parts.append([put(archive, f"{name}.log", data)])
    oracle = [line for *_, lines in sorted(held) for line in lines]
    with sources(archive, *parts) as made:
        for count in (1000, 97):
            assert walked_down(made, count) == oracle
            assert walked_up(made, count) == oracle


@pytest.mark.parametrize("sealed", [False, True])
def test_a_time_is_found_in_a_large_file(archive: Archive, *, sealed: bool) -> None:
    """The first line of that time or later, wherever it is; what lies together in time is shown together."""
    numbers = range(0, 20_000, 2)
    parts = [
        [
            put(
                archive,
                f"{name}.log",
                b"".join(b"%s %s %d\n" % (stamp(n + odd).encode(), name.encode(), n + odd) for n in numbers),
            )
        ]
        for odd, name in enumerate(("even", "odd"))
    ]
    if sealed:
        assert list(archive.sealer(level=1, segment_bytes=1 << 20).seal(time.time_ns() + 10**15))
    with sources(archive, *parts) as made:
        for second in (0, 1, 2, 9_999, 10_000, 15_141, 19_998, 19_999):
            page = after(made, at_time(made, (BASE_S + second) * SECOND_NS), 3)
            shown = [int(text.rsplit(b" ", 1)[1]) for text in texts(page.items)]
            assert shown == list(range(second, min(second + 3, 20_000)))
        assert after(made, at_time(made, (BASE_S + 20_000) * SECOND_NS), 3).items == []
        for fraction in (0.0, 0.1, 0.5, 0.77, 1.0):
            places = at_fraction(made, fraction)
            assert fraction_of(made, places) == pytest.approx(fraction, abs=0.02)
            first = after(made, places, 2)
            if len(first.items) == 2:
                one, two = (int(text.rsplit(b" ", 1)[1]) for text in texts(first.items))
                assert two == one + 1


def test_a_rotated_log_reads_as_one(archive: Archive) -> None:
    """Compressed pieces unpacked, the seams without a gap; another log beside it."""
    whole = [f"{stamp(n)} app line {n}".encode() for n in range(900)]
    cut = [b"".join(line + b"\n" for line in whole[low : low + 300]) for low in (0, 300, 600)]
    series = [
        put(archive, "app.log.2.gz", gzip.compress(cut[0])), put(archive, "app.log.1", cut[1].rstrip(b"\n")),
        put(archive, "app.log", cut[2]),
    ]  # fmt: skip
    other = [f"{stamp(n)} other {n}".encode() for n in range(50, 900, 100)]
    beside = [put(archive, "other.log", b"".join(line + b"\n" for line in other))]
    oracle = sorted(whole + other)
    with sources(archive, series, beside) as made:
        assert walked_down(made, 64) == oracle
        assert walked_up(made, 64) == oracle
        for second in (0, 299, 300, 599, 600, 899):
            page = after(made, at_time(made, (BASE_S + second) * SECOND_NS), 1)
            assert texts(page.items)[0].startswith(stamp(second).encode())


def test_files_without_times_come_last_in_their_order(archive: Archive) -> None:
    """An empty one is no reason to fail; a share of all bytes leads into them. Bytes that are no UTF-8 are guessed."""
    plain = [b"first", b"", b"\xff\xfe no text", b"last without an end"]
    timed = b"".join(b"%s timed\n" % stamp(n).encode() for n in range(10))
    parts = [
        [put(archive, "plain.txt", b"\n".join(plain))],
        [put(archive, "timed.log", timed)],
        [put(archive, "empty.log", b"")],
    ]
    with sources(archive, *parts) as made:
        found = walked_down(made, 3)
        shown = [line.decode("utf-8" if line.isascii() else "cp1252").encode() for line in plain]
        assert found == timed.splitlines() + shown
        assert walked_up(made, 3) == found
        assert [source.timed for source in made] == [False, True, False]
        assert at_fraction(made, 0.99)[1] == made[1].end()
        assert made[1].named is not None
        assert (made[1].named.year, made[1].named.zone) == (True, False)


def test_a_clock_that_is_set_back_loses_no_line(archive: Archive) -> None:
    """An hour back, again and again, and once a year ahead: each line once, those of a file in their order."""
    jumps = list(itertools.chain(range(4000, 4400), range(800, 1200), [2_000_000], range(1200, 1300)))
    data = b"".join(b"%s jump %d\n" % (stamp(second).encode(), n) for n, second in enumerate(jumps))
    steady = b"".join(b"%s steady %d\n" % (stamp(n * 10).encode(), n) for n in range(600))
    parts = [[put(archive, "jumps.log", data)], [put(archive, "steady.log", steady)]]
    with sources(archive, *parts) as made:
        for found in (walked_down(made, 50), walked_up(made, 50)):
            assert [line for line in found if b"jump" in line] == data.splitlines()
            assert [line for line in found if b"steady" in line] == steady.splitlines()
