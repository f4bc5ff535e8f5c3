"""How the command line writes things: sizes, ages, tables, colours. Whatever came from a server passes ``names.shown``.

Results go to standard output, everything about the run (progress, summaries, warnings) to standard error, so a
pipe carries results alone. Colours appear on a terminal only, and never when ``NO_COLOR`` is set.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import IO, Any

import click

from logferry.names import shown

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def size(count: int) -> str:
    """``812 MB``, ``6.1 GB``, ``48 KB``: decimal units; one decimal below ten and from GB on."""
    value, unit = float(count), 0
    while unit + 1 < len(_UNITS) and round(value) >= 1000:
        value, unit = value / 1000, unit + 1
    digits = 0 if unit == 0 or (unit < 3 and round(value, 1) >= 10) else 1
    return f"{value:.{digits}f} {_UNITS[unit]}"


def counted(number: int, one: str, many: str = "") -> str:
    """``1 hit``, ``1,204 hits``; ``many`` where an s does not make it."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """``4s``, ``12m``, ``5h 19m``, ``3d 4h``; ``-`` for None."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def seconds_since(stamp: str | None, now: datetime | None = None) -> float | None:
    """Seconds since an RFC 3339 time, None for None or a text that is no time."""
    if not stamp:
        return None
    try:
        return ((now or datetime.now(UTC)) - datetime.fromisoformat(stamp)).total_seconds()
    except ValueError:
        return None


def ago(stamp: str | None, now: datetime | None = None) -> str:
    """``12s ago``; ``never`` for None."""
    seconds = seconds_since(stamp, now)
    return "never" if seconds is None else f"{duration(seconds)} ago"


def minute(stamp: str | None) -> str:
    """``2026-11-23 08:31`` (UTC) of an RFC 3339 time; ``-`` for None."""
    return "-" if not stamp else shown(stamp)[:16].replace("T", " ")


def minutes(first: str | None, last: str | None) -> str:
    """``2026-11-23 00:00–08:31`` (UTC) of two RFC 3339 times, both days where they differ; ``-`` without them."""
    if not first or not last:
        return "-"
    begin, end = minute(first), minute(last)
    if begin == end:
        return begin
    return f"{begin}–{end[11:]}" if begin[:10] == end[:10] else f"{begin} – {end}"


def line(text: str) -> str:
    """A log line or any text of the server for a terminal: tabs stay, every other control character is a mark."""
    return "\t".join(shown(part) for part in text.split("\t"))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: str = "") -> str:
    """Columns two spaces apart under ``head``; the columns named in ``right`` (space-separated) are right-aligned."""
    body = [[line(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *body]) for i in range(len(head))]
    aligned = set(right.split())

    def one(row: Sequence[str]) -> str:
        cells = [c.rjust(w) if h in aligned else c.ljust(w) for c, w, h in zip(row, widths, head, strict=True)]
        return "  ".join(cells).rstrip()

    return "\n".join(one(row) for row in [head, *body])


def coloured(stream: IO[Any] | None = None) -> bool:
    """Whether ``stream`` (standard output) shall carry colours."""
    return (stream or sys.stdout).isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def paint(text: str, **style: Any) -> str:
    """``text`` in a style of ``click.style``, or as it is where colours are off."""
    return click.style(text, **style) if coloured() else text


def out(text: str = "") -> None:
    """One line of result."""
    click.echo(text, color=coloured())


def out_json(value: Any) -> None:
    """One JSON document on a line of its own. ASCII, so no terminal is ever steered by what is in it."""
    click.echo(json.dumps(value, ensure_ascii=True, separators=(",", ":")))


def note(text: str) -> None:
    """One line about the run, to standard error."""
    click.echo(line(text), err=True)


class Progress:
    """A single line on standard error that is written over; silent where that is no terminal."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._on:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # some terminals tell 0
            click.echo(f"\r\x1b[K{line(text)[: columns - 1]}", nl=False, err=True)
            self._shown = True

    def clear(self) -> None:
        """Take the line away, before anything else is written."""
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._shown = False
