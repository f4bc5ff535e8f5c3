"""``logferry histogram``: when lines were written that match, drawn with blocks as wide as the terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from logferry.cli import text
from logferry.cli.api import Api, Row
from logferry.cli.asking import account, code, narrowing, tally, tell_errors, where_of

BARS_AUTO = 24
"""Bars that ``--by auto`` draws at most: they fit a screen with what stands around them."""
_BLOCKS = " ▏▎▍▌▋▊▉█"
_GAP_BARS = 3
"""More empty bars than these behind each other are drawn as one line."""


@click.command()
@click.argument("query", default="")
@click.argument("place", required=False, metavar="[AGENT:/PATH]")
@click.option(
    "--by", type=click.Choice(("auto", "second", "minute", "hour", "day")), default="auto", show_default=True,
    help="How much time a bar stands for.",
)  # fmt: skip
@narrowing
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def histogram(query: str, place: str | None, by: str, as_json: bool, **options: Any) -> int:
    """Draw how many lines match over time. Times are UTC, as the lines tell them.

    \b
    logferry histogram error --since 24h
    logferry histogram 'agent:web-* /5[0-9]{2}/' --by day
    """
    started = time.monotonic()
    where = where_of(query, place, options)
    with Api() as api:
        done = tally(api, "histogram", **where, by=by, buckets=BARS_AUTO if by == "auto" else None)
    found = done["histogram"]
    if as_json:
        text.out_json(done)
    else:
        width = shutil.get_terminal_size((80, 24)).columns
        for line in drawn(found, width, blocks=_has_blocks()):
            text.out(line)
        text.note(account(_begin(done), done, time.monotonic() - started))
    tell_errors(done)
    return code(done, done["total"])


def _begin(done: Row) -> str:
    found = done["histogram"]
    begin = ("" if done["exact"] else "at least ") + text.counted(done["total"], "hit")
    if found["buckets"]:
        begin += f", a bar is {width_words(found['step_s'])}"
    if found["untimed"]:
        begin += f", {found['untimed']:,} without a time"
    if found["outside"]:
        begin += f", {found['outside']:,} of another time"
    return begin


def width_words(step_s: int) -> str:
    """``an hour``, ``15 minutes``, ``a day``."""
    for unit_s, one, many in ((86400, "a day", "days"), (3600, "an hour", "hours"), (60, "a minute", "minutes")):
        if step_s % unit_s == 0 and step_s >= unit_s:
            return one if step_s == unit_s else f"{step_s // unit_s:,} {many}"
    return "a second" if step_s == 1 else f"{step_s} seconds"


def drawn(found: Row, width: int, *, blocks: bool = True) -> Iterator[str]:
    """A line for every bucket: its beginning, a bar, how many; the longest bar fills ``width`` columns."""
    step_s = int(found["step_s"])
    counts = {datetime.fromisoformat(b["at"]): int(b["count"]) for b in found["buckets"]}
    if not counts:
        return
    form = "%Y-%m-%d" if step_s >= 86400 else "%Y-%m-%d %H:%M" if step_s >= 60 else "%Y-%m-%d %H:%M:%S"
    most = max(counts.values())
    number_wide = len(f"{most:,}")
    label_wide = len(datetime(2000, 1, 1, tzinfo=UTC).strftime(form))
    room = max(1, width - label_wide - number_wide - 4)
    at: datetime | None = None
    for start, lines in sorted(counts.items()):
        yield from _empty(at, start, step_s, form, number_wide)
        bar = _bar(lines, most, room, blocks=blocks)
        label = text.paint(start.astimezone(UTC).strftime(form), dim=True)
        yield f"{label}  {f'{lines:,}'.rjust(number_wide)}  {text.paint(bar, fg='cyan')}".rstrip()
        at = start + timedelta(seconds=step_s)


def _empty(at: datetime | None, until: datetime, step_s: int, form: str, number_wide: int) -> Iterator[str]:
    """The buckets from ``at`` to ``until``, in which nothing is."""
    if at is None or at >= until:
        return
    missing = int((until - at).total_seconds()) // step_s
    if missing > _GAP_BARS:
        yield text.paint(f"{'⋮' if _has_blocks() else ':'} {text.counted(missing, 'bar')} without a hit", dim=True)
        return
    for number in range(missing):
        label = (at + timedelta(seconds=number * step_s)).astimezone(UTC).strftime(form)
        yield f"{text.paint(label, dim=True)}  {'0'.rjust(number_wide)}"


def _bar(lines: int, most: int, room: int, *, blocks: bool) -> str:
    if not blocks:
        return "#" * max(1, lines * room // most)
    eighths = max(1, lines * room * 8 // most)
    return _BLOCKS[8] * (eighths // 8) + _BLOCKS[eighths % 8].strip()


def _has_blocks() -> bool:
    """Whether standard output can carry them."""
    try:
        (_BLOCKS + "⋮").encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
