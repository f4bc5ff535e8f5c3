"""``logferry grep``: lines of all files, newest first, printed while the search is still running."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import click

from logferry.cli import failures, text
from logferry.cli.api import Api, Row
from logferry.cli.place import parse
from logferry.errors import BadName, Unreachable
from logferry.limits import SEARCH_HITS_DEFAULT, SEARCH_HITS_MAX

_WORDS = {
    "limit": "stopped at {hits:,} hits; --limit shows more",
    "time": "stopped at the time limit; narrow the query, or search again for the rest",
    "cancelled": "cancelled",
}


@dataclass(slots=True)
class Printer:
    """Writes hits as ``agent:path:line:text``, context with ``-`` instead, ``--`` between what is not adjacent."""

    context: int = 0
    files: set[tuple[str, str]] = field(default_factory=set)
    hits: int = 0
    _last: tuple[str, str, int] | None = None

    def hit(self, row: Row) -> None:
        """One hit with its context."""
        place = (row["agent"], row["path"])
        number = row.get("n")
        self.files.add(place)
        self.hits += 1
        if self.context:
            self._gap(place, number, row)
        if number is None:
            text.out(self._line(place, f"@{row['b']}", excerpt(row), ":"))
            return
        for shift, before in enumerate(row.get("before", ()), start=number - len(row.get("before", ()))):
            self._context(place, shift, before)
        text.out(self._line(place, str(number), excerpt(row), ":"))
        for shift, after in enumerate(row.get("after", ()), start=number + 1):
            self._context(place, shift, after)

    def _context(self, place: tuple[str, str], number: int, row: str | Row) -> None:
        content = row if isinstance(row, str) else str(row["s"]) + "…" * bool(row.get("cut"))
        text.out(self._line(place, str(number), text.line(content), "-"))

    def _gap(self, place: tuple[str, str], number: int | None, row: Row) -> None:
        first = (number or 0) - len(row.get("before", ()))
        if self._last is not None and self._last != (*place, first - 1):
            text.out(text.paint("--", fg="cyan"))
        self._last = (*place, (number or 0) + len(row.get("after", ())))

    @staticmethod
    def _line(place: tuple[str, str], number: str, content: str, sign: str) -> str:
        where = text.paint(f"{text.line(place[0])}:/{text.line(place[1])}", fg="magenta")
        return f"{where}{sign}{text.paint(number, fg='green')}{sign}{content}"


def marked(content: str, spans: Iterable[Iterable[int]]) -> str:
    """A line with its matches painted; ``spans`` are [from, to) in characters."""
    done, at = [], 0
    for first, last in spans:
        if first >= at:
            done += [text.line(content[at:first]), text.paint(text.line(content[first:last]), fg="red", bold=True)]
            at = last
    return "".join(done) + text.line(content[at:])


def excerpt(row: Row) -> str:
    """The text of a hit with its matches painted; ``…`` where a long line goes on before or behind it."""
    ends_early = row.get("cut") and row.get("s_from", 0) + len(row["s"].encode("utf-8", "replace")) < row["len"] - 2
    return "…" * bool(row.get("s_from")) + marked(row["s"], row.get("spans", ())) + "…" * bool(ends_early)


def summary(done: Row, files: int, seconds: float) -> str:
    """``1,204 hits in 17 files, scanned 12.4 GB of 80.1 GB, 9.8 s``."""
    hits = done["hits"]
    scanned = f"scanned {text.size(done['scanned_bytes'])} of {text.size(done['total_bytes'])}"
    stopped = _WORDS.get(done["reason"], "").format(hits=hits)
    told = f"{hits:,} hit{'s' * (hits != 1)} in {files} file{'s' * (files != 1)}, {scanned}, {seconds:.1f} s"
    if copies := done.get("copies", 0):
        told += f"; {copies:,} compressed {'copies' if copies != 1 else 'copy'} not searched twice"
    return f"{told}; {stopped}" if stopped else told


def narrowed(place: str | None, agent: str, path: str) -> tuple[str, str]:
    """``--agent`` and ``--path`` with what a place says filled in."""
    if not place:
        return agent, path
    try:
        where = parse(place)
    except BadName:
        return agent, path
    return agent or where.agent, path or where.path


def with_progress(rows: Iterator[Row]) -> Iterator[Row]:
    """The events of a search but for ``progress``, which is shown on the terminal meanwhile."""
    line = text.Progress()
    try:
        for row in rows:
            if row["type"] == "progress":
                done, total = text.size(row["scanned_bytes"]), text.size(row["total_bytes"])
                line.show(f"{row['hits']:,} hits, {row['files_done']} of {row['files_total']} files, {done} of {total}")
                continue
            line.clear()
            yield row
    finally:
        line.clear()


@click.command()
@click.argument("query")
@click.argument("place", required=False, metavar="[AGENT:/PATH]")
@click.option("-C", "--context", type=click.IntRange(0, 50), default=0, help="Lines before and after each hit.")
@click.option("-s", "--case", is_flag=True, help="Exact case; without it a and A are the same.")
@click.option("--agent", default="", help="Only agents that match this glob.")
@click.option("--path", default="", help="Only paths that contain this (with wildcards: match).")
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"Most hits.  [default: {SEARCH_HITS_DEFAULT}; with -c and -l all]"
)
@click.option("--oldest", is_flag=True, help="Oldest first; without it the newest.")
@click.option("-l", "--files", "only_files", is_flag=True, help="Only the names of files with hits.")
@click.option("-c", "--count", "only_count", is_flag=True, help="Only the number of hits.")
@click.option("--json", "as_json", is_flag=True, help="Hits and the closing account as JSON lines.")
def grep(
    query: str,
    place: str | None,
    context: int,
    case: bool,
    agent: str,
    path: str,
    limit: int | None,
    oldest: bool,
    only_files: bool,
    only_count: bool,
    as_json: bool,
) -> int:
    """Search the lines of all files. Words must all occur; "phrases", /regex/, OR, -not and fields narrow it.

    \b
    logferry grep error
    logferry grep -C2 'agent:web-* "connection refused" -healthz'
    logferry grep '/5[0-9]{2} .* rt=[1-9]/' web-01:/nginx
    """
    agent, path = narrowed(place, agent, path)
    started = time.monotonic()
    printer = Printer(context)
    done: Row | None = None
    most = SEARCH_HITS_MAX if only_files or only_count else SEARCH_HITS_DEFAULT  # a count of some says nothing
    asked = {"q": query, "agent": agent, "path": path, "limit": limit or most, "context": context}
    asked |= {"case": case or None, "order": "oldest" if oldest else None}
    with Api() as api:
        for row in with_progress(api.search(**asked)):
            if as_json:
                text.out_json(row)
            if row["type"] == "done":
                done = row
            elif as_json:
                printer.hits += 1
            elif only_files or only_count:
                _note_file(printer, row, print_it=only_files)
            else:
                printer.hit(row)
    if done is None:
        raise Unreachable("the search broke off", hint="its last lines may be missing; search again")
    if only_count and not as_json:
        text.out(str(done["hits"]))
    if not as_json:
        text.note(summary(done, len(printer.files), time.monotonic() - started))
    for problem in done.get("errors", ()):
        text.note(f"not searched: {problem}")
    return _code(done)


def _note_file(printer: Printer, row: Row, *, print_it: bool) -> None:
    place = (row["agent"], row["path"])
    printer.hits += 1
    if place not in printer.files and print_it:
        text.out(text.line(f"{place[0]}:/{place[1]}"))
    printer.files.add(place)


def _code(done: Row) -> int:
    if done.get("errors") or done["reason"] in ("time", "cancelled"):
        return failures.PARTIAL
    return failures.OK if done["hits"] else failures.NOTHING
