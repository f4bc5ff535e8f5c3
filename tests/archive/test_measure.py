"""How many lines files have, and from when to when: as a plain count of their bytes has it, wherever these lie."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, select

from logferry.archive.catalog.measuring import Measure, Measures, summed
from logferry.archive.catalog.tables import measured, measures
from logferry.archive.index.layout import Blocks, Kind
from logferry.archive.retention import Rule
from logferry.limits import MEASURE_LIVE_BYTES
from tests.archive.conftest import AGENT, Shelf
from tests.archive.test_compact import compact
from tests.archive.test_indexes import named, reindex, seal, segments
from tests.archive.test_repair import without_catalog
from tests.archive.test_verify import flip

pytestmark = pytest.mark.databases
SEED = int(os.environ.get("LOGFERRY_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
SECOND_NS = 10**9
START_S = 1_700_000_000


def text(dice: random.Random, size: int, start_s: int, *, encoding: str = "utf-8", stamped: bool = True) -> bytes:
    """Some ``size`` bytes of lines, most with a time of their own, ever later ones; the last one may have no end."""
    lines: list[str] = []
    length, now_s = 0, start_s
    while length < size:
        now_s += dice.randrange(3)
        stamp = f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%dT%H:%M:%S}.{dice.randrange(1000):03}Z "
        shows = stamped and dice.random() < 0.8
        lines.append((stamp if shows else "  at ") + "x" * dice.randrange(120))
        length += len(lines[-1]) + 1
    return ("\n".join(lines) + "\n" * dice.randrange(2)).encode(encoding)


def plain(data: bytes, encoding: str = "utf-8") -> Measures:
    """What a plain look at all bytes tells."""
    lines = data.decode(encoding).split("\n")
    if not lines[-1]:
        lines.pop()
    times = [
        int(datetime.fromisoformat(line[:19] + "Z").timestamp()) * SECOND_NS
        for line in (line.lstrip("\ufeff") for line in lines)
        if line[:2] == "20"
    ]
    return Measures(len(lines), True, times[0] if times else None, times[-1] if times else None)


def measure(shelf: Shelf) -> int:
    """Until there is nothing to do; how many segments were measured."""
    measurer = shelf.archive.measurer()
    while measurer.growing().generations:
        pass
    return sum(step.segments for step in measurer.sealed())


def known(shelf: Shelf, path: str) -> Measures | None:
    """What is known of a file."""
    file = shelf.catalog.files.at(AGENT, path)
    assert file is not None
    return shelf.catalog.measuring.of([(file.generation_id, file.size)]).get(file.generation_id)


def count(shelf: Shelf, table: object = measures) -> int:
    """Rows of a table."""
    engine: Engine = shelf.catalog._engine
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def check(shelf: Shelf, wanted: dict[str, bytes]) -> None:
    """All that is known is as a plain look has it, and nothing is missing."""
    for path, data in wanted.items():
        encoding = "utf-16" if data[:2] == b"\xff\xfe" else "utf-8"
        assert known(shelf, path) == plain(data, encoding), path


@pytest.mark.parametrize("turn", range(3))
def test_lines_and_times_are_those_of_a_plain_look_wherever_the_bytes_lie(shelf: Shelf, turn: int) -> None:
    """Live, grown, sealed in several segments cut anywhere, with a tail, compacted, after a catalog was built anew."""
    print(f"LOGFERRY_SEED={SEED}")
    dice = random.Random(f"{SEED} {turn}")
    files = {f"logs/{n}.log": text(dice, dice.randrange(1, 4_000), START_S + n) for n in range(40)}
    files["plain.txt"] = text(dice, 3_000, START_S, stamped=False)
    files["wide.log"] = text(dice, 90_000, START_S, encoding="utf-16")
    files["large.log"] = text(dice, 700_000, START_S)
    files["empty.log"] = b""
    for path, data in files.items():
        cut = dice.randrange(len(data) + 1)
        shelf.put(path, data[:cut])
        if dice.randrange(2):
            shelf.archive.measurer().growing()
        shelf.put(path, data[cut:], offset=cut)
    measure(shelf)
    check(shelf, files)
    seal(shelf, segment_bytes=dice.choice([150_000, 400_000, 1 << 22]))
    check(shelf, files)  # what is known of bytes holds where they lie now
    assert measure(shelf) == len(segments(shelf))
    check(shelf, files)
    more = text(dice, 300_000, START_S + 500_000)
    shelf.put("large.log", more, offset=len(files["large.log"]))
    files["large.log"] += more
    measure(shelf)
    check(shelf, files)
    seal(shelf, segment_bytes=200_000)
    measure(shelf)
    check(shelf, files)
    assert measure(shelf) == 0
    shelf.clock.advance(1)
    assert compact(shelf, segment_bytes=1 << 22).segments > 0
    check(shelf, files)
    reindex(shelf)
    assert measure(shelf) == len(segments(shelf))
    check(shelf, files)
    other, _ = without_catalog(shelf)
    assert known(other, "large.log") is None
    reindex(other)
    measure(other)
    check(other, files)
    other.close()


def test_sealed_bytes_alone_tell_all(shelf: Shelf) -> None:
    """Nobody looked while they were live."""
    dice = random.Random(5)
    files = {f"{n}.log": text(dice, 50_000, START_S + n) for n in range(9)}
    for path, data in files.items():
        shelf.put(path, data)
    seal(shelf, segment_bytes=120_000)
    assert known(shelf, "3.log") is None
    assert [step.segments for step in shelf.archive.measurer().sealed()] == [1] * len(segments(shelf))
    check(shelf, files)


def test_what_is_not_looked_at_yet_is_estimated_and_says_so(shelf: Shelf) -> None:
    """By the bytes of the lines that were."""
    line = b"2023-11-14T22:13:20Z one line\n"
    shelf.put("a.log", line * 100)
    measure(shelf)
    shelf.put("a.log", line * 300, offset=100 * len(line))
    at = START_S * SECOND_NS
    assert known(shelf, "a.log") == Measures(400, False, at, at)
    shelf.put("b.log", b"x")
    assert known(shelf, "b.log") is None
    shelf.put("b.log", b"yz", offset=1)
    measure(shelf)
    assert known(shelf, "b.log") == Measures(1, True)


def test_a_turn_counts_a_bounded_part_of_what_is_new(shelf: Shelf) -> None:
    """The next one goes on, to the byte."""
    line = b"2023-11-14T22:13:20Z " + b"x" * 977 + b"\r\n"
    shelf.put("a.log", line * 6_000)
    measurer = shelf.archive.measurer()
    assert measurer.growing().bytes == MEASURE_LIVE_BYTES
    first = known(shelf, "a.log")
    assert first is not None
    assert not first.exact
    assert abs(first.lines - 6_000) <= 2
    assert measurer.growing().bytes == 6_000 * len(line) - MEASURE_LIVE_BYTES
    check(shelf, {"a.log": line * 6_000})
    assert measurer.growing().generations == 0
    assert measurer.growing(lambda: False).generations == 0


def test_a_compressed_file_is_not_counted(shelf: Shelf) -> None:
    """Its bytes are no lines."""
    shelf.put("a.log.gz", b"a\nb\nc\n")
    measure(shelf)
    assert count(shelf) == 0


def test_measures_go_with_what_retention_deletes(shelf: Shelf) -> None:
    """Row by row; those of other files in the same segment stay."""
    dice = random.Random(6)
    files = {path: text(dice, 5_000, START_S) for path in ("old/a.log", "old/b.log", "new/c.log")}
    for path, data in files.items():
        shelf.put(path, data)
    seal(shelf)
    measure(shelf)
    assert (count(shelf), count(shelf, measured)) == (3, 1)
    shelf.clock.advance(10 * 86400)
    for _ in shelf.archive.retention([Rule("**/old/**", 86400.0)]).run():
        pass
    assert count(shelf) == 1
    check(shelf, {"new/c.log": files["new/c.log"]})


@pytest.mark.parametrize("kind", [None, Kind.GRANULES, Kind.TIMES])
def test_a_damaged_index_leaves_lists_empty_until_it_is_built_again(shelf: Shelf, kind: Kind | None) -> None:
    """And that is no error."""
    data = text(random.Random(7), 300_000, START_S)
    shelf.put("a.log", data)
    seal(shelf)
    (path,) = named(shelf)
    whole = path.read_bytes()
    blocks = Blocks(lambda at, size: whole[at : at + size], len(whole), where="x")
    flip(path, 10 if kind is None else blocks._entries[kind, 0][0])
    assert measure(shelf) == 0
    assert known(shelf, "a.log") is None
    assert measure(shelf) == 0
    reindex(shelf)
    assert measure(shelf) == 1
    check(shelf, {"a.log": data})
    (path,) = named(shelf)
    path.unlink()
    measure(shelf)
    check(shelf, {"a.log": data})  # what is known stays so


def test_times_are_read_anew_in_another_zone(shelf: Shelf) -> None:
    """With the index that is built for it."""
    shelf.put("a.log", b"2023-11-14 22:13:20 a\n")
    seal(shelf)
    measure(shelf)
    at = START_S * SECOND_NS
    assert known(shelf, "a.log") == Measures(1, True, at, at)
    shelf.catalog.agents.change(AGENT, zone="Asia/Tokyo")
    reindex(shelf, all_of_them=True)
    assert measure(shelf) == 1
    tokyo = at - 9 * 3600 * SECOND_NS
    assert known(shelf, "a.log") == Measures(1, True, tokyo, tokyo)


@pytest.mark.sqlite
def test_what_a_gap_hides_is_not_told() -> None:
    """The first time of all is not that of what comes behind the gap."""
    part = Measure(1, 50, 50, 5, False, 7, 9)
    assert summed([part], 100) == Measures(10, False, None, 9)
    assert summed([Measure(1, 0, 50, 5, False, None, None), part], 100) == Measures(10, True, 7, 9)
    assert summed([], 100) is None
    assert summed([], 0) == Measures(0, True)


@pytest.mark.sqlite
def test_times_of_large_segments_are_found_block_by_block(shelf: Shelf) -> None:
    """Files in the first and in the last of them, one over all, one of whose times all lie in its middle."""
    line = b"2023-11-14T%02d:%02d:20Z " + b"x" * 4_000 + b"\n"
    untimed = b"y" * 4_000 + b"\n"
    files = {
        "a.log": line % (1, 1) + line % (1, 2),
        "b.log": b"".join(line % (2 + n // 900, n // 15 % 60) for n in range(4_500)),
        "c.log": untimed * 4_500 + line % (9, 9) + untimed * 100,
        "d.log": line % (10, 1) + line % (10, 2),
    }
    for path, data in files.items():
        shelf.put(path, data)
    seal(shelf, segment_bytes=1 << 26)
    assert len(segments(shelf)) == 1
    for step in shelf.archive.measurer().sealed():
        assert step.segments == 1
    check(shelf, files)


@pytest.mark.sqlite
def test_nothing_compiled_is_loaded_to_measure() -> None:
    """The care process does without: kernels need memory that it would keep for ever."""
    code = "import sys, logferry.archive.index.bounds, logferry.archive.timestamps.reference, logferry.server.care\n"
    code += "sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
