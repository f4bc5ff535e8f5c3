"""What the commands that search have in common: options that narrow a query, times as people write them, accounts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from logferry.cli import failures, text
from logferry.cli.api import Api, Row
from logferry.cli.place import parse
from logferry.errors import Unreachable

Command = TypeVar("Command", bound=Callable[..., Any])
_PROGRESS_AFTER_S = 0.4
_AGO = re.compile(r"[0-9]{1,9}[smhdw]")

_STOPPED = {
    "limit": "stopped at {hits:,} hits; -m shows more",
    "time": "stopped at the time limit; narrow the query, or its time with --since",
    "cancelled": "cancelled",
}


def narrowing(command: Command) -> Command:
    """The options that every searching command has; they arrive as ``where`` (see ``where_of``)."""
    for option in reversed(
        (
            click.option(
                "--since", metavar="TIME", default="", help="Lines of this time or later: 24h, now-2h, today."
            ),
            click.option("--until", metavar="TIME", default="", help="Lines up to the end of this: 2026-11-23, 08:15."),
            click.option("--agent", metavar="GLOB", default="", help="Only agents that match this glob."),
            click.option("--path", default="", help="Only paths that contain this (with wildcards: match)."),
            click.option("-i", "--ignore-case", "folded", is_flag=True, help="a and A are the same (the default)."),
            click.option("-s", "--case", is_flag=True, help="Exact case; without it a and A are the same."),
            click.option("--entries", is_flag=True, help="Entries of several lines, as stack traces, count as one."),
        )
    ):
        command = option(command)
    return command


def where_of(query: str, place: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the API for a query and the options of ``narrowing``."""
    if options["folded"] and options["case"]:
        raise click.UsageError("-i and -s exclude one another")
    agent, path = _narrowed(place, options["agent"], options["path"])
    return {
        "q": query,
        "agent": agent,
        "path": path,
        "from": moment(options["since"]),
        "to": moment(options["until"]),
        "case": options["case"] or None,
        "entries": options["entries"] or None,
    }


def moment(text_: str) -> str:
    """A time for the server, which knows what time it is: ``24h`` is ``now-24h``, all else goes as it is."""
    return f"now-{text_}" if _AGO.fullmatch(text_) else text_


def _narrowed(place: str | None, agent: str, path: str) -> tuple[str, str]:
    """``--agent`` and ``--path``, or what a place says instead. Raises BadName where it is none."""
    if not place:
        return agent, path
    where = parse(place)
    if (agent and where.agent) or (path and where.path):
        raise click.UsageError(f"{place} says where to search, and so does --agent or --path; leave one of them out")
    return agent or where.agent, path or where.path


class Searching:
    """The progress line of a search: only for one that takes a while, so that quick answers do not flicker."""

    def __init__(self) -> None:
        self._line = text.Progress()
        self._shown_s = time.monotonic() + _PROGRESS_AFTER_S

    def show(self, row: Row) -> None:
        """The newest ``progress`` event."""
        if time.monotonic() < self._shown_s:
            return
        done, total = text.size(row["scanned_bytes"]), text.size(row["total_bytes"])
        files = f"{row['files_done']:,} of {row['files_total']:,} files"
        self._line.show(f"{row['hits']:,} hits, {files}, {done} of {total}")

    def clear(self) -> None:
        """Take it away."""
        self._line.clear()


def tally(api: Api, kind: str, **asked: Any) -> Row:
    """What ``/search/count``, ``/histogram`` or ``/facets`` counted; how far it is is shown on a terminal meanwhile.

    Raises:
        Unreachable: the connection broke off before all was counted.
    """
    last: Row | None = None
    line = Searching()
    try:
        for row in api.tally(kind, **asked):
            if row["type"] == "tally":
                last = row
            else:
                line.show(row)
    finally:
        line.clear()
    if last is None or last["reason"] == "running":
        raise Unreachable("the counting broke off", hint="try again")
    return last


def scanned(done: Row) -> str:
    """``scanned 12.4 GB of 80.1 GB (file filter)``; the words where terms of the query left whole files out."""
    whole, total = done.get("whole_bytes"), done["total_bytes"]
    of = text.size(total)
    if whole and total < whole and done["files_total"] < done["whole_files"] and not done.get("copies"):
        of = f"{text.size(whole)} (file filter)"
    return f"scanned {text.size(done['scanned_bytes'])} of {of}"


def account(begin: str, done: Row, seconds: float) -> str:
    """``1,204 hits in 17 files, scanned 12.4 GB of 80.1 GB, 9.8 s``; behind it what is missing, if anything is."""
    told = f"{begin}, {scanned(done)}, {seconds:.1f} s"
    if copies := done.get("copies", 0):
        told += f"; {text.counted(copies, 'compressed copy', 'compressed copies')} not searched twice"
    stopped = _STOPPED.get(done["reason"], "").format(hits=done.get("hits", 0))
    return f"{told}; {stopped}" if stopped else told


def tell_errors(done: Row) -> None:
    """Name what could not be searched, and what else is wrong, on standard error."""
    for problem in done.get("errors", ()):
        text.note(f"not searched: {problem}")
    for remark in done.get("remarks", ()):
        text.note(f"remark: {remark}")


def code(done: Row, found: int) -> int:
    """The exit code: as grep, 0 found, 1 none; above them trouble."""
    if done.get("errors") or done["reason"] in ("time", "cancelled"):
        return failures.PARTIAL
    return failures.OK if found else failures.NOTHING
