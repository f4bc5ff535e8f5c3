"""Lines as rows: joined they are the file, in NDJSON and in Parquet."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from logferry.errors import Damaged, NotFound
from logferry.takeout import Fault, LineRow, Opened, Source, from_ndjson, rows_of, time_of, to_ndjson
from logferry.takeout.parquet import FAULTS_KEY, to_parquet
from tests.takeout.packs import Held, Zeros, opened

RNG = random.Random(int(os.environ.get("LOGFERRY_SEED", "7")))
CONTENTS = {
    "plain": b"2026-11-23T08:14:01.882Z one\n2026-11-23 08:14:02 two\r\nthree without an end",
    "empty": b"",
    "one end": b"\n",
    "ends": b"\n\r\n\n\n",
    "no utf-8": b"good\nbad \xff\xfe\n\x00\x01\n\xed\xa0\x80\n",
    "utf-16": "eins\nzwei\n".encode("utf-16"),
    "separators": "a\u2028b\x85c\x0bd\x1ce\n".encode(),
    "noise": RNG.randbytes(300_000),
    "long": b"x" * 5_000 + b"\n" + b"y" * 3_001,
    "exactly": b"z" * 1_000 + b"\n" + b"z" * 999 + b"\n" + b"z" * 2_000,
}


def source(path: str, held: Opened) -> Source:
    return Source("web-01", path, 3, lambda: opened(held))


def rows(data: dict[str, bytes], line_bytes_max: int = 1_000) -> Iterator[LineRow | Fault]:
    return rows_of([source(p, Held(d)) for p, d in data.items()], time_of, line_bytes_max=line_bytes_max)


def joined(found: list[LineRow | Fault]) -> dict[str, bytes]:
    """Path -> bytes; checks that offsets and line numbers are those of the file."""
    made = dict.fromkeys(CONTENTS, b"")
    expected = dict.fromkeys(CONTENTS, 1)
    for row in found:
        assert isinstance(row, LineRow)
        assert row.offset == len(made[row.path])
        assert row.line == expected[row.path]
        assert len(row.raw) <= 1_000
        made[row.path] += row.raw
        expected[row.path] += not row.more
        assert row.line == CONTENTS[row.path][: row.offset].count(b"\n") + 1
    return made


def test_rows_joined_are_the_files() -> None:
    """Every byte is in exactly one row, line ends included; long lines come in parts."""
    assert joined(list(rows(CONTENTS))) == CONTENTS


def test_ndjson_gives_back_every_row() -> None:
    """Written and read: the same rows, whatever the bytes; one JSON object per line."""
    expected = list(rows(CONTENTS))
    text = b"".join(to_ndjson(rows(CONTENTS)))
    assert list(from_ndjson(text.split(b"\n"))) == expected
    assert len(text.decode().splitlines()) == len(expected)
    assert json.loads(text.split(b"\n")[0]) == {
        "agent": "web-01",
        "path": "plain",
        "generation": 3,
        "line": 1,
        "offset": 0,
        "time": "2026-11-23T08:14:01.882Z",
        "text": "2026-11-23T08:14:01.882Z one\n",
    }


def test_parquet_gives_back_every_byte_and_time() -> None:
    """The column raw joined is the file; times are timestamps in UTC."""
    table = pq.read_table(io.BytesIO(b"".join(to_parquet(rows(CONTENTS)))))
    expected = [row for row in rows(CONTENTS) if isinstance(row, LineRow)]
    assert table.num_rows == len(expected)
    for name in ("agent", "path", "generation", "line", "offset", "raw", "more"):
        assert table[name].to_pylist() == [getattr(row, name) for row in expected], name
    assert table["time"].cast("int64").to_pylist() == [row.time_ns for row in expected]
    assert str(table.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert str(table.schema.field("raw").type) == "binary"


def test_a_damaged_file_is_named_and_the_next_goes_on() -> None:
    """What came before the damage is there, then a fault; Parquet has it in its metadata."""

    def fail() -> contextlib.AbstractContextManager[Opened]:
        raise NotFound("the generation is gone")

    def made() -> Iterator[LineRow | Fault]:
        bad = b"line\n" * 500_000
        sources = [
            source("bad", Held(bad, bad_from=2_000_000)),
            Source("web-01", "gone", 1, fail),
            source("good", Held(b"good\n")),
        ]
        return rows_of(sources, time_of)

    found = list(made())
    faults = [row for row in found if isinstance(row, Fault)]
    assert [fault.path for fault in faults] == ["bad", "gone"]
    assert b"".join(row.raw for row in found if isinstance(row, LineRow) and row.path == "bad") == b"line\n" * 209_715
    assert isinstance(found[-1], LineRow)
    assert found[-1].raw == b"good\n"
    assert [r for r in from_ndjson(b"".join(to_ndjson(made())).split(b"\n")) if isinstance(r, Fault)] == faults
    told: list[Fault] = []
    file = pq.ParquetFile(io.BytesIO(b"".join(to_parquet(made(), told))))
    assert told == faults
    assert [fault["path"] for fault in json.loads(file.metadata.metadata[FAULTS_KEY.encode()])] == ["bad", "gone"]


@pytest.mark.parametrize("made", [to_ndjson, to_parquet])
def test_memory_stays_small(made: Any) -> None:
    """A line of 64 MiB, and many lines, pass through without being held."""
    lines = Held(b"2026-11-23 08:14:02 some words of a line that is like others\n" * 100_000)
    tracemalloc.start()
    size = sum(
        len(piece) for piece in made(rows_of([source("zeros", Zeros(64 << 20)), source("lines", lines)], time_of))
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 0
    assert peak < 80 << 20


def test_what_is_no_export_is_refused() -> None:
    """A proxy's page is not taken for rows."""
    for line in (b"<html>", b"[]", b"{}", b'{"agent": "a", "path": "b", "generation": 1, "line": 1}'):
        with pytest.raises(Damaged):
            list(from_ndjson([line]))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"2026-11-23T08:14:01Z x", "2026-11-23T08:14:01"),
        (b"2026-11-23 08:14:01 x", "2026-11-23T08:14:01"),
        (b"2026-11-23T08:14:01.5+01:00 x", "2026-11-23T07:14:01.500000000"),
        (b"2026-11-23 08:14:01,123456789 -0330 x", "2026-11-23T11:44:01.123456789"),
        (b"[INFO] web 2026-11-23T08:14:01.882Z x", "2026-11-23T08:14:01.882000000"),
        (b'10.1.2.3 - - [23/Nov/2026:08:14:01 +0200] "GET /"', "2026-11-23T06:14:01"),
        (b"2016-12-31T23:59:60Z leap", "2016-12-31T23:59:59"),
        (b"2026-06-31T08:14:01Z no such day", None),
        (b"2026-11-23T28:14:01Z no such hour", None),
        (b"2026-11-23T08:14:01+99:00 no such zone", None),
        (b"0000-11-23T08:14:01Z no such year", None),
        (b"[23/Xyz/2026:08:14:01 +0200] no such month", None),
        (b"Nov 23 08:14:01 host no year", None),
        (b"12026-11-23T08:14:01Z digits before", None),
        (b"\xff\x00", None),
    ],
)
def test_times(line: bytes, expected: str | None) -> None:
    """Times with year, in UTC; what is none is None."""
    import numpy as np

    found = time_of(line)
    assert found == (None if expected is None else np.datetime64(expected, "ns").astype(int))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"2026-07-01 12:00:00 summer", "2026-07-01T10:00:00"),
        (b"2026-12-01 12:00:00,5 winter", "2026-12-01T11:00:00.500000000"),
        (b"2026-12-01 12:00:00Z named", "2026-12-01T12:00:00"),
        (b"[01/Dec/2026:12:00:00 -0500] named", "2026-12-01T17:00:00"),
        (b"2026-03-29 02:30:00 skipped", "2026-03-29T01:30:00"),
        (b"2026-10-25 02:30:00 twice", "2026-10-25T00:30:00"),
    ],
)
def test_times_that_name_no_zone_are_in_that_of_their_file(line: bytes, expected: str) -> None:
    """As docs/reference/timestamps.md says where the clock changes."""
    import numpy as np

    assert time_of(line, ZoneInfo("Europe/Berlin")) == np.datetime64(expected, "ns").astype(int)
    here = Source("web-01", "a.log", 1, lambda: opened(Held(line)), ZoneInfo("Europe/Berlin"))
    (row,) = rows_of([here], time_of)
    assert isinstance(row, LineRow)
    assert row.time_ns == np.datetime64(expected, "ns").astype(int)
