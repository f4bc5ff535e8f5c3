"""Sizes, counts and times as people read them. Pure: values in, text out. Clock times are of the zone that is given."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

from logferry.clock import rfc3339
from logferry.names import shown
from logferry.server.disk import shown_bytes
from logferry.server.health import duration

__all__ = [
    "address",
    "ago",
    "both_stamps",
    "coded",
    "counted",
    "day_time",
    "duration",
    "iso",
    "sentence",
    "shown",
    "shown_bytes",
    "size_range",
    "span",
    "stamp",
    "time_range",
]


def counted(number: int, one: str = "", many: str = "") -> str:
    """``1,204`` or, with a noun, ``1 file`` and ``1,204 files``."""
    text = f"{number:,}"
    if not one:
        return text
    return f"{text} {one if number == 1 else many or one + 's'}"


def iso(ns: int) -> str:
    """For ``<time datetime=…>``."""
    return rfc3339(ns)


def stamp(ns: int, zone: tzinfo = UTC) -> str:
    """``2026-11-23 08:14:01 UTC``: the whole truth, for facts."""
    return f"{_at(ns, zone):%Y-%m-%d %H:%M:%S %Z}"


def both_stamps(ns: int, zone: tzinfo = UTC) -> str:
    """``2026-11-23 09:14:01 CET · 2026-11-23 08:14:01 UTC``, for tool tips; once where both are the same."""
    here, there = stamp(ns, zone), stamp(ns)
    return here if here == there else f"{here} · {there}"


def day_time(ns: int, now_ns: int, zone: tzinfo = UTC) -> str:
    """As short as it can be and still be clear: ``08:14:01`` today, ``Nov 21 08:14`` this year, else the date."""
    then, now = _at(ns, zone), _at(now_ns, zone)
    if then.date() == now.date():
        return f"{then:%H:%M:%S}"
    if then.year == now.year:
        return f"{then:%b} {then.day} {then:%H:%M}"
    return f"{then:%Y-%m-%d}"


def time_range(first_ns: int, last_ns: int, now_ns: int, zone: tzinfo = UTC) -> str:
    """``11:13–13:41`` today, ``Nov 21 11:13–13:41`` this year, else with the year; both days where they differ."""
    first, last, now = _at(first_ns, zone), _at(last_ns, zone), _at(now_ns, zone)
    if first.date() == last.date():
        day = "" if first.date() == now.date() else f"{_day(first, now)} "
        minute = f"{first:%H:%M}"
        return f"{day}{minute}" if minute == f"{last:%H:%M}" else f"{day}{minute}–{last:%H:%M}"
    return f"{_day(first, now)} {first:%H:%M} – {_day(last, now)} {last:%H:%M}"


def _day(then: datetime, now: datetime) -> str:
    return f"{then:%b} {then.day}" if then.year == now.year else f"{then:%Y-%m-%d}"


def ago(ns: int, now_ns: int) -> str:
    """``12 s ago``, ``5 h 19 m ago``; a time in the future (a clock that ran backwards) is ``just now``."""
    seconds = (now_ns - ns) / 1e9
    return "just now" if seconds < 1 else f"{duration(seconds)} ago"


def size_range(least: int, most: int) -> str:
    """``17.0–21.0 GB``, ``812 MB – 1.2 GB``; once where both read the same."""
    low, high = shown_bytes(least), shown_bytes(most)
    if low == high:
        return high
    number, _, unit = low.partition(" ")
    return f"{number}–{high}" if high.endswith(f" {unit}") else f"{low} – {high}"


def span(seconds: float) -> str:
    """A duration as settings and forms take it back: ``90m``, ``1d``, exact."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"


def sentence(text: str) -> str:
    """``text`` with a capital first and a full stop: errors are written as fragments."""
    if not text:
        return ""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "`", ":")) else ".")


def coded(text: str) -> Markup:
    """Plain text for a page, in which what stands between backticks is a command or a name as it is typed."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    marks = (escape(piece) if i % 2 == 0 else Markup("<code>{}</code>").format(piece) for i, piece in enumerate(pieces))
    return Markup("").join(marks)


def address(root: str, path: str, **query: object) -> str:
    """A link inside the program: ``root`` (the sub-path behind a proxy), a path in clear text, parameters.

    Parameters that are None or empty are left out.
    """
    kept = {key: str(value) for key, value in query.items() if value not in (None, "")}
    tail = f"?{urlencode(kept)}" if kept else ""
    return f"{root}{quote(path, safe='/')}{tail}"


def _at(ns: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000_000, zone)
