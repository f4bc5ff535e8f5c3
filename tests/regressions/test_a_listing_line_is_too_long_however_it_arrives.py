"""A line beyond the bound was refused when it came in pieces and read when it came in one."""

from __future__ import annotations

import pytest

from logferry.errors import Unreachable
from logferry.ftp.protocol.listing_reader import ListingReader
from logferry.limits import FTP_LISTING_LINE_BYTES_MAX

LINE = b"type=file; " + b"a" * FTP_LISTING_LINE_BYTES_MAX + b"\r\n"


@pytest.mark.parametrize("step", [FTP_LISTING_LINE_BYTES_MAX, len(LINE)])
def test_a_line_beyond_the_bound_is_refused(step: int) -> None:
    """In pieces and whole."""
    reader = ListingReader(facts=True)
    *pieces, last = [LINE[start : start + step] for start in range(0, len(LINE), step)]
    for piece in pieces:
        reader.feed(piece)
    with pytest.raises(Unreachable):
        reader.feed(last)
