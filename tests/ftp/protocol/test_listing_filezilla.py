"""LIST lines as FileZilla reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logferry.ftp.filesystem import Entry
from logferry.ftp.protocol.listing import list_line
from tests.ftp.filezilla import read_line

FIRST = datetime(2023, 1, 1, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, 0, 0, 30, tzinfo=UTC)


def _ns(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000


MOMENTS = st.integers(0, 7 * 365 * 86_400).map(lambda seconds: FIRST + timedelta(seconds=seconds))


@given(modified=MOMENTS, now=MOMENTS)
@example(modified=NEW_YEAR - timedelta(minutes=1), now=NEW_YEAR)
@example(modified=NEW_YEAR, now=NEW_YEAR - timedelta(hours=6))
@example(modified=NEW_YEAR, now=NEW_YEAR)
@example(modified=NEW_YEAR - timedelta(days=181), now=NEW_YEAR)
@example(modified=NEW_YEAR - timedelta(days=182), now=NEW_YEAR)
@example(modified=datetime(2024, 2, 29, 12, tzinfo=UTC), now=datetime(2024, 7, 1, tzinfo=UTC))
@example(modified=datetime(2024, 2, 29, 12, tzinfo=UTC), now=datetime(2025, 2, 28, tzinfo=UTC))
def test_the_date_is_the_right_one_whatever_the_day(modified: datetime, now: datetime) -> None:
    """Also over New Year, half a year ago, on 29 February and with a clock that is ahead: the minute, or the day."""
    seen = read_line(list_line(Entry("a.log", is_folder=False, size=7, modified_ns=_ns(modified)), _ns(now)), now)
    told = modified.replace(second=0, microsecond=0)
    assert seen.modified == (told if seen.exact else told.replace(hour=0, minute=0))
    if timedelta(0) <= now - modified < timedelta(days=182):
        assert seen.exact, "a file of the last half year has its time of day"


@pytest.mark.parametrize("name", ["a", " a", "   a  b ", "Nov 23 08:14 a", "a -> b", "1 2 3", "ä\udcff", "-rw", "\t"])
@pytest.mark.parametrize("size", [0, 2**63 - 1])
@pytest.mark.parametrize("is_folder", [False, True])
def test_names_and_sizes_come_through(name: str, size: int, is_folder: bool) -> None:
    """Names that begin or end with spaces, look like columns or like a link; sizes of any width."""
    now = NEW_YEAR
    seen = read_line(list_line(Entry(name, is_folder=is_folder, size=size, modified_ns=_ns(now)), _ns(now)), now)
    assert (seen.name, seen.size, seen.is_folder) == (name, size, is_folder)
