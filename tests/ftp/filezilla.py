"""How FileZilla reads a line of LIST in the form of ``ls -l``, written anew from what it accepts.

Tokens stand apart by spaces: permissions, links, owner, group, size, month, day, time or year; the name is everything
behind one single space after that, so that names may begin with spaces. A time without a year is of this year, or of
the last one when that would lie more than a day ahead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_LINE = re.compile(
    r"(?P<kind>[-dlbcps])(?P<bits>(?:[r-][w-][xsStT-]){3})[+.@]? +(?P<links>\d+) +(?P<owner>\S+) +(?P<group>\S+) +"
    r"(?P<size>\d+) +(?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2}) +(?:(?P<hour>\d{1,2}):(?P<minute>\d\d)|(?P<year>\d{4}))"
    r" (?P<name>.+)",
    re.DOTALL,
)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What FileZilla shows. ``exact``: with the time of day."""

    name: str
    is_folder: bool
    size: int
    modified: datetime
    exact: bool


def read_line(line: str, now: datetime) -> Seen:
    """The entry of ``line``, read at ``now``. Fails for a line that FileZilla would not show."""
    found = _LINE.fullmatch(line)
    assert found, line
    month, day = _MONTHS.index(found["month"]) + 1, int(found["day"])
    exact = found["year"] is None
    if exact:
        modified = datetime(now.year, month, day, int(found["hour"]), int(found["minute"]), tzinfo=UTC)
        if modified > now + timedelta(days=1):
            modified = modified.replace(year=now.year - 1)
    else:
        modified = datetime(int(found["year"]), month, day, tzinfo=UTC)
    return Seen(found["name"], found["kind"] == "d", int(found["size"]), modified, exact)
