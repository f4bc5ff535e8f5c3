"""The index knows the times of lines in the formats of logs, file by file."""

from __future__ import annotations

import numpy as np

from logferry.archive.index import NO_TIME as NO_TIME_OF_INDEX
from logferry.archive.stamping import FileStamps
from logferry.archive.timestamps import NO_TIME, Reading
from tests.archive.index.making import made
from tests.archive.timestamps.test_reference import EXAMPLES, NOON, ns


def test_both_rooms_mean_the_same_by_no_time() -> None:
    assert NO_TIME == NO_TIME_OF_INDEX


def test_an_index_tells_the_time_of_every_format() -> None:
    """Each example in a file of its own, with a line without time behind it; over several granules."""
    contents = [b"%s started\nno time here\n" % text.encode() for _, text, _ in EXAMPLES]
    index = made(contents, frame_bytes=512, granule_bytes=256, stamps=FileStamps(lambda _uid: NOON)).index
    index.verify()
    seconds = [int(second) for granule in range(index.facts.granules) for second in index.row_seconds(granule)]
    wanted = [second for _, _, text in EXAMPLES for second in (ns(text) // 10**9, NO_TIME)]
    assert seconds == wanted


def test_each_file_has_its_own_order_of_dates_and_its_own_arrival() -> None:
    arrivals = {"old": ns("2020-01-02T00:00:00Z"), "new": NOON.arrival_ns, "german": NOON.arrival_ns}
    find = FileStamps(lambda uid: Reading(arrivals[uid]))

    def time_of(uid: str, line: bytes) -> int:
        data = np.frombuffer(line, np.uint8)
        return int(find(uid, data, np.zeros(1, np.int32), np.full(1, len(line), np.int32)).times[0])

    assert time_of("german", b"13/06/2026 07:15:00") == ns("2026-06-13T07:15:00Z")
    assert time_of("new", b"05/06/2026 07:15:00") == ns("2026-05-06T07:15:00Z")
    assert time_of("german", b"05/06/2026 07:15:00") == ns("2026-06-05T07:15:00Z")
    assert time_of("old", b"Nov 26 07:15:00 x") == ns("2019-11-26T07:15:00Z")
    assert time_of("new", b"Nov 26 07:15:00 x") == ns("2026-11-26T07:15:00Z")
