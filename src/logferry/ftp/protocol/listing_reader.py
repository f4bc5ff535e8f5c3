"""Listings a client reads: MLSD and MLST facts (RFC 3659), and what LIST prints in the style of Unix or DOS.

Facts are exact. LIST was made for people: its times have no seconds and no zone (taken as UTC) and often no year, and
a name that begins with a space keeps it only because exactly one space follows the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from logferry.errors import TooLarge, Unreachable
from logferry.limits import FILE_BYTES_MAX, FTP_LIST_ENTRIES_MAX, FTP_LISTING_LINE_BYTES_MAX

Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a listing. ``size`` in bytes, ``modified_ns`` since 1970 UTC; None where the server does not say.

    ``step_s``: how coarse the time is. LIST gives the minute or the day only.
    """

    name: str
    kind: Kind
    size: int | None = None
    modified_ns: int | None = None
    unique: str = ""
    target: str = ""
    step_s: int = field(default=1, compare=False)


# Times ---------------------------------------------------------------------------------------------------------------

_TIME_VALUE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(?:\.([0-9]{1,18}))?")


def time_value_ns(text: str) -> int | None:
    """``YYYYMMDDHHMMSS[.sss]`` (RFC 3659 section 2.3, UTC) -> nanoseconds since 1970, or None when it is none."""
    found = _TIME_VALUE.fullmatch(text)
    if found is None:
        return None
    # "the value 60 of seconds is used only when a leap second is being inserted": it counts as the next second.
    leap = found[6] == "60"
    year, month, day, hour, minute = (int(found[n]) for n in range(1, 6))
    seconds = _seconds(year, month, day, hour, minute, 59 if leap else int(found[6]))
    if seconds is None:
        return None
    return (seconds + leap) * 1_000_000_000 + int((found[7] or "0")[:9].ljust(9, "0"))


def time_value(ns: int, *, digits: int = 0) -> str:
    """Nanoseconds since 1970 -> ``YYYYMMDDHHMMSS``, with ``digits`` (0-9) digits of a fraction."""
    assert 0 <= digits <= 9, digits
    whole, part = divmod(ns, 1_000_000_000)
    text = f"{datetime.fromtimestamp(whole, UTC):%Y%m%d%H%M%S}"
    return f"{text}.{part:09d}"[: 15 + digits] if digits else text


def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int = 0) -> int | None:
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None


# Sizes ---------------------------------------------------------------------------------------------------------------


def size_value(text: str) -> int | None:
    """Decimal digits -> bytes; None when it is something else, or more than any file can have."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(FILE_BYTES_MAX)):
        return None
    size = int(text)
    return size if size <= FILE_BYTES_MAX else None


# Facts ---------------------------------------------------------------------------------------------------------------

_KINDS: dict[str, Kind] = {"file": "file", "dir": "folder", "cdir": "folder", "pdir": "folder"}


def read_facts(line: str) -> Listed | None:
    """An MLSD or MLST line: ``type=file;size=5;modify=20260101000000; name``. None when it is no such line."""
    facts, space, name = line.partition(" ")
    if not space or not name or (facts and not facts.endswith(";")):
        return None
    values: dict[str, str] = {}
    for fact in facts.split(";"):
        key, _, value = fact.partition("=")
        values[key.lower()] = value
    kind_word, _, target = values.get("type", "file").partition(":")
    kind: Kind = "link" if "slink" in kind_word.lower() else _KINDS.get(kind_word.lower(), "other")
    return Listed(
        name=name,
        kind=kind,
        size=size_value(values.get("size", "")) if kind != "folder" else None,
        modified_ns=time_value_ns(values.get("modify", "")),
        unique=values.get("unique", ""),
        target=target if kind == "link" else "",
    )


def _is_itself(line: str) -> bool:
    facts = line.partition(" ")[0].lower()
    return "type=cdir" in facts or "type=pdir" in facts


# LIST ----------------------------------------------------------------------------------------------------------------

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: n for n, name in enumerate(_MONTH_NAMES, 1)}
_UNIX = re.compile(
    r"(?P<type>[-dlbcpsD])[-rwxsStTlL]{9}[+.@]?\s+"
    r"(?:[0-9]+\s+)?"  # links
    r"(?P<owners>(?:\S+\s+){0,3}?)"
    r"(?P<size>[0-9]+(?:,\s*[0-9]+)?)\s+"  # of a device: major, minor
    r"(?P<month>[A-Za-z]{3})\s+(?P<day>[0-9]{1,2})\s+"
    r"(?:(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})|(?P<year>[0-9]{4})) "
    r"(?P<name>.+)",
    re.DOTALL,
)
_UNIX_ISO = re.compile(
    r"(?P<type>[-dlbcpsD])[-rwxsStTlL]{9}[+.@]?\s+(?:[0-9]+\s+)?(?P<owners>(?:\S+\s+){0,3}?)(?P<size>[0-9]+(?:,\s*[0-9]+)?)\s+"
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2}) (?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}) (?P<name>.+)",
    re.DOTALL,
)
_DOS = re.compile(
    r"(?P<month>[0-9]{2})-(?P<day>[0-9]{2})-(?P<year>[0-9]{4}|[0-9]{2})\s+"
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})\s*(?P<half>[AaPp][Mm])?\s+"
    r"(?P<size><DIR>|<JUNCTION>|<SYMLINKD?>|[0-9]+)\s+(?P<name>\S.*)",
    re.DOTALL,
)
_UNIX_KINDS: dict[str, Kind] = {"-": "file", "d": "folder", "D": "folder", "l": "link"}


def read_list_line(line: str, *, now_ns: int) -> Listed | None:
    """A line of LIST; None for ``total 12``, empty lines and what nobody understands.

    ``now_ns`` settles the year where the line has none: such times lie within the last twelve months.
    """
    for pattern in (_UNIX, _UNIX_ISO):
        if found := pattern.fullmatch(line):
            return _unix(found, now_ns)
    found = _DOS.fullmatch(line)
    return _dos(found) if found else None


def _unix(found: re.Match[str], now_ns: int) -> Listed | None:
    kind = _UNIX_KINDS.get(found["type"], "other")
    name, arrow, target = found["name"].partition(" -> ") if kind == "link" else (found["name"], "", "")
    size = size_value(found["size"]) if kind in ("file", "link") else None
    step_s = 60 if found["hour"] else 86_400
    return Listed(name, kind, size, _unix_time_ns(found, now_ns), target=target if arrow else "", step_s=step_s)


def _unix_time_ns(found: re.Match[str], now_ns: int) -> int | None:
    month = int(found["month"]) if found["month"].isdigit() else _MONTHS.get(found["month"].lower(), 0)
    day, hour, minute = int(found["day"]), int(found["hour"] or 0), int(found["minute"] or 0)
    if found["year"]:
        seconds = _seconds(int(found["year"]), month, day, hour, minute)
    else:
        now_s = now_ns // 1_000_000_000
        year = datetime.fromtimestamp(now_s, UTC).year
        # A day ahead is a clock or a time zone; more is last year. 29 February may not exist this year.
        seconds = _seconds(year, month, day, hour, minute)
        if seconds is None or seconds > now_s + 86_400:
            seconds = _seconds(year - 1, month, day, hour, minute)
    return None if seconds is None else seconds * 1_000_000_000


def _dos(found: re.Match[str]) -> Listed:
    year, hour = int(found["year"]), int(found["hour"])
    if year < 100:
        year += 1900 if year >= 70 else 2000
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
    seconds = _seconds(year, int(found["month"]), int(found["day"]), hour, int(found["minute"]))
    size = size_value(found["size"])
    kind: Kind = "file" if found["size"].isdigit() else "folder"
    return Listed(found["name"], kind, size, None if seconds is None else seconds * 1_000_000_000, step_s=60)


# Whole listings ------------------------------------------------------------------------------------------------------


class ListingReader:
    """Takes the bytes of a listing as they come and collects its entries, without ``.`` and ``..``."""

    def __init__(self, *, facts: bool, now_ns: int = 0) -> None:
        self._parse: Callable[[str], Listed | None] = read_facts if facts else self._list_line
        self._facts = facts
        self._now_ns = now_ns
        self._buffer = bytearray()
        self._entries: list[Listed] = []

    def _list_line(self, line: str) -> Listed | None:
        return read_list_line(line, now_ns=self._now_ns)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes.

        Raises:
            Unreachable: a line is longer than any listing's.
            TooLarge: the folder has more entries than a client holds.
        """
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        for line in lines:
            self._line(line)
        _check_bytes(rest)

    def finish(self) -> list[Listed]:
        """All entries; a last line without its end counts."""
        self._line(self._buffer)
        self._buffer = bytearray()
        return self._entries

    def _line(self, raw: bytearray) -> None:
        _check_bytes(raw)
        line = raw.decode("utf-8", "surrogateescape").rstrip("\r")
        if self._facts and _is_itself(line):
            return
        entry = self._parse(line)
        if entry is None or entry.name in (".", ".."):
            return
        self._entries.append(entry)
        if len(self._entries) > FTP_LIST_ENTRIES_MAX:
            raise TooLarge(f"a folder with more than {FTP_LIST_ENTRIES_MAX} entries", hint="list its sub-folders")


def _check_bytes(line: bytearray) -> None:
    if len(line) > FTP_LISTING_LINE_BYTES_MAX:
        raise Unreachable(f"the server sent a listing line of more than {FTP_LISTING_LINE_BYTES_MAX} bytes")
