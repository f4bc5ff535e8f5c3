"""Listings as text: ``ls -l`` lines for LIST, facts for MLSD and MLST, times (RFC 3659 sections 2.3 and 7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from logferry.errors import Refused
from logferry.ftp.filesystem import Entry
from logferry.ftp.permissions import Permissions

FACTS = ("type", "size", "modify", "perm", "unique", "unix.mode")
"""The facts on offer, in the order they are sent."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_NS = 86_400 * 1_000_000_000
_HALF_YEAR_NS = 182 * _DAY_NS
_TIME_VALUE = re.compile(r"([0-9]{14})(?:\.([0-9]{1,9}))?")
_LINE_END = re.compile("[\r\n\x00]")


def time_value(ns: int) -> str:
    """``20261123081400`` for nanoseconds since 1970, in UTC, whole seconds."""
    at = _moment(ns)
    return f"{at.year:04}{at.month:02}{at.day:02}{at.hour:02}{at.minute:02}{at.second:02}"


def parse_time_value(text: str) -> int:
    """Nanoseconds since 1970 of a time value ``YYYYMMDDHHMMSS[.fraction]`` in UTC.

    Raises:
        Refused: it is none.
    """
    found = _TIME_VALUE.fullmatch(text)
    if not found:
        raise Refused(f"{text[:40]} is not a time", hint="YYYYMMDDHHMMSS in UTC")
    try:
        year, rest = divmod(int(found[1]), 10**10)
        month, day, hour, minute, second = (rest // 10**power % 100 for power in (8, 6, 4, 2, 0))
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise Refused(f"{text[:40]} is not a time: {error}", hint="YYYYMMDDHHMMSS in UTC") from error
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    return whole * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))


def _moment(ns: int) -> datetime:
    """A time that formats always, whatever a file claims."""
    seconds = min(max(ns // 1_000_000_000, -62_135_596_800), 253_402_300_799)
    return _EPOCH + timedelta(seconds=seconds)


def list_line(entry: Entry, now_ns: int) -> str:
    """``-rw-r--r--   1 ftp      ftp          1234 Nov 23 08:14 name``: what every client's parser knows."""
    moment = _moment(entry.modified_ns)
    # Readers put a time without a year into the last twelve months: one of tomorrow must not be New Year's Day.
    age_ns = now_ns - entry.modified_ns
    recent = 0 <= age_ns < _HALF_YEAR_NS or (-_DAY_NS < age_ns < 0 and moment.year == _moment(now_ns).year)
    when = f"{moment:%H:%M}" if recent else f"{moment.year:>5}"
    date = f"{_MONTHS[moment.month - 1]} {moment.day:2} {when}"
    return f"{_mode_text(entry)}   1 ftp      ftp      {entry.size:>12} {date} {entry.name}"


def _mode_text(entry: Entry) -> str:
    bits = "".join(letter if entry.mode >> (8 - index) & 1 else "-" for index, letter in enumerate("rwxrwxrwx"))
    return ("d" if entry.is_folder else "-") + bits


def facts(entry: Entry, wanted: Iterable[str], permissions: Permissions, *, kind: str = "") -> str:
    """``type=file;size=1234;modify=…; name`` (RFC 3659 7.2). ``kind`` overrides the type (``cdir``, ``pdir``)."""
    values = []
    for fact in wanted:
        value = _fact(fact, entry, permissions, kind)
        if value:
            values.append(f"{fact}={value};")
    return f"{''.join(values)} {entry.name}"


def _fact(fact: str, entry: Entry, permissions: Permissions, kind: str) -> str:
    if fact == "type":
        return kind or ("dir" if entry.is_folder else "file")
    if fact == "size":
        return "" if entry.is_folder else str(entry.size)
    if fact == "modify":
        return time_value(entry.modified_ns)
    if fact == "perm":
        return _perm(entry, permissions)
    if fact == "unique":
        return entry.unique
    return f"0{entry.mode & 0o7777:03o}"


_FILE_PERM = (("a", "a"), ("d", "d"), ("f", "f"), ("r", "r"), ("w", "w"))
_FOLDER_PERM = (("w", "c"), ("d", "d"), ("e", "e"), ("f", "f"), ("l", "l"), ("m", "m"), ("d", "p"))


def _perm(entry: Entry, permissions: Permissions) -> str:
    """The ``perm`` fact (RFC 3659 7.5.5): what this user may try with this entry."""
    table = _FOLDER_PERM if entry.is_folder else _FILE_PERM
    return "".join(fact for letter, fact in table if letter in permissions)


def printable(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries whose names can stand in a line; one with CR or LF would forge another line, NUL ends it for many."""
    return (entry for entry in entries if not _LINE_END.search(entry.name))
