"""``logferry grep``: lines of all files, newest first, printed while the search is still running."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from logferry.cli import text
from logferry.cli.api import Api, Row
from logferry.cli.asking import Searching, account, code, narrowing, tally, tell_errors, where_of
from logferry.contexts import Block, Blocks, Placed
from logferry.errors import Unreachable
from logferry.limits import SEARCH_CONTEXT_LINES_MAX, SEARCH_HITS_DEFAULT, SEARCH_HITS_MAX


class Printer:
    """Writes hits as ``agent:path:line:text``, context with ``-`` instead, ``--`` between what is not adjacent."""

    def __init__(self, before: int = 0, after: int = 0, *, backwards: bool = True) -> None:
        """``backwards``: hits of a file come against the order of its lines."""
        self._backwards = backwards
        self.before = before
        self.after = after
        self.files: set[tuple[str, str]] = set()
        self.hits = 0
        self._blocks = Blocks[str]()
        self._has_blocks = False

    def hit(self, row: Row) -> None:
        """One hit with its context. It may wait for the next one, whose context may touch it."""
        place = (row["agent"], row["path"])
        self.files.add(place)
        self.hits += 1
        if not self.before and not self.after:
            text.out(_hit(place, row))
            return
        self._print(self._blocks.add((row["fid"], row["gen"]), _placed(place, self.trimmed(row))))

    def rest(self) -> None:
        """Print what waited."""
        self._print(self._blocks.rest())

    def so_far(self) -> None:
        """Print what nothing that comes can change."""
        self._print(self._blocks.so_far(backwards=self._backwards))

    def _print(self, blocks: Iterator[Block[str]]) -> None:
        for block in blocks:
            if self._has_blocks and not block.follows:
                text.out(text.paint("--", fg="cyan"))
            self._has_blocks = True
            for line in block.lines:
                text.out(line.row)

    def trimmed(self, row: Row) -> Row:
        """The hit with so many lines around it as were asked for: the server gives as many before as behind."""
        before, after = row.get("before", []), row.get("after", [])
        return {**row, "before": before[len(before) - min(self.before, len(before)) :], "after": after[: self.after]}


def _placed(place: tuple[str, str], row: Row) -> Iterator[Placed[str]]:
    """A hit and its neighbours as they are printed, each where it stands."""
    for around in row["before"]:
        yield Placed(around["b"], around["b"] + around["len"], False, _line(place, around, _around(around), "-"))
    yield Placed(row["b"], row["b"] + row["len"], True, _hit(place, row))
    for around in row["after"]:
        yield Placed(around["b"], around["b"] + around["len"], False, _line(place, around, _around(around), "-"))


def _hit(place: tuple[str, str], row: Row) -> str:
    """A hit as it is printed: a line, or all lines of an entry, numbered as they are in the file."""
    parts = list(lines_of(row["s"], row.get("spans", ())))
    printed = []
    for shift, (content, spans) in enumerate(parts):
        number = row["n"] if row["n"] is None or row.get("s_from") else row["n"] + shift
        before = "…" * bool(row.get("s_from") and shift == 0)
        after = "…" * (shift == len(parts) - 1 and _ends_early(row))
        printed.append(_line(place, {**row, "n": number}, f"{before}{marked(content, spans)}{after}", ":"))
    return "\n".join(printed)


def lines_of(content: str, spans: Iterable[Iterable[int]]) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """The lines of an entry, each with its part of the spans; a text without line ends is one."""
    whole = [(first, last) for first, last in spans]
    at = 0
    for line in content.split("\n"):
        end = at + len(line)
        yield line.removesuffix("\r"), [(max(a, at) - at, min(b, end) - at) for a, b in whole if a < end and b > at]
        at = end + 1


def _around(row: Row) -> str:
    return text.line(row["s"]) + "…" * bool(row.get("cut"))


def _line(place: tuple[str, str], row: Row, content: str, sign: str) -> str:
    number = f"@{row['b']}" if row["n"] is None else str(row["n"])
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


def _ends_early(row: Row) -> bool:
    """Whether a long line goes on behind what is shown of it."""
    shown = row.get("s_from", 0) + len(row["s"].encode("utf-8", "replace"))
    return bool(row.get("cut") and shown < row["len"] - 2)


def with_progress(rows: Iterator[Row], quiet: Callable[[], None]) -> Iterator[Row]:
    """The events of a search but for ``progress``, which is shown on the terminal meanwhile.

    ``quiet`` is called when nothing was found in a while.
    """
    line = Searching()
    hits = 0
    try:
        for row in rows:
            if row["type"] == "progress":
                if row["hits"] == hits:
                    line.clear()
                    quiet()
                hits = row["hits"]
                line.show(row)
                continue
            line.clear()
            yield row
    finally:
        line.clear()


_Lines = click.IntRange(0, SEARCH_CONTEXT_LINES_MAX)


@click.command()
@click.argument("query")
@click.argument("place", required=False, metavar="[AGENT:/PATH]")
@click.option("-C", "--context", type=_Lines, help="Lines before and after each hit.")
@click.option("-B", "--before-context", "before", type=_Lines, help="Lines before each hit.")
@click.option("-A", "--after-context", "after", type=_Lines, help="Lines after each hit.")
@narrowing
@click.option(
    "-m", "--max-count", "--limit", "limit", type=click.IntRange(0, SEARCH_HITS_MAX),
    help=f"Most hits in all; 0: every one.  [default: {SEARCH_HITS_DEFAULT}; with -c and -l every one]",
)  # fmt: skip
@click.option("--oldest", is_flag=True, help="Oldest first; without it the newest.")
@click.option(
    "-l", "--files-with-matches", "--files", "only_files", is_flag=True, help="Only names of files with hits."
)
@click.option("-c", "--count", "only_count", is_flag=True, help="Only the number of hits.")
@click.option("--json", "as_json", is_flag=True, help="Hits and the closing account as JSON lines.")
def grep(
    query: str,
    place: str | None,
    context: int | None,
    before: int | None,
    after: int | None,
    limit: int | None,
    oldest: bool,
    only_files: bool,
    only_count: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Search the lines of all files. Words must all occur; "phrases", /regex/, OR, -not and fields narrow it.

    AGENT:/PATH narrows it to paths that contain PATH; with wildcards PATH is the whole path.

    Exit code as with grep: 0 found, 1 nothing found, above it trouble (2 wrong use, 3 refused, 4 not all was searched).

    \b
    logferry grep error
    logferry grep -C2 'agent:web* level:>=error "connection refused" -healthz' --since 24h
    logferry grep '/5[0-9]{2} .* rt=[1-9]/' web-01:/nginx
    """
    if only_count and only_files:
        raise click.UsageError("-c and -l exclude one another")
    where = where_of(query, place, options)
    printer = Printer(_first(before, context), _first(after, context), backwards=not oldest)
    most = (0 if only_files or only_count else SEARCH_HITS_DEFAULT) if limit is None else limit
    asked = {
        **where,
        "limit": most,
        "context": max(printer.before, printer.after) if not only_files else 0,
        "order": "oldest" if oldest else None,
    }
    started = time.monotonic()
    with Api() as api:
        if only_count and not most:
            done = tally(api, "count", **where)
            found, files = int(done["total"]), None
            if as_json:
                text.out_json(done)
            else:
                text.out(str(found))
        else:
            done = _printed(api.search(**asked), printer, files=only_files, count=only_count, as_json=as_json)
            found, files = int(done["hits"]), len(printer.files)
            if only_count and not as_json:
                text.out(str(found))
    if not as_json:
        begin = text.counted(found, "hit") + (f" in {text.counted(files, 'file')}" if files is not None else "")
        text.note(account(begin, done, time.monotonic() - started))
    tell_errors(done)
    return code(done, found)


def _first(own: int | None, common: int | None) -> int:
    return next((value for value in (own, common) if value is not None), 0)


def _printed(rows: Iterator[Row], printer: Printer, *, files: bool, count: bool, as_json: bool) -> Row:
    """Print hits as they come; the closing account. Raises Unreachable when it does not come."""
    for row in with_progress(rows, printer.so_far):
        if row["type"] == "done":
            printer.rest()
            if as_json:
                text.out_json(row)
            return row
        if as_json and not files and not count:
            printer.hits += 1
            text.out_json(printer.trimmed(row))
        elif files or count:
            _note_file(printer, row, print_it=files, as_json=as_json)
        else:
            printer.hit(row)
    raise Unreachable("the search broke off", hint="its last lines may be missing; search again")


def _note_file(printer: Printer, row: Row, *, print_it: bool, as_json: bool) -> None:
    place = (row["agent"], row["path"])
    printer.hits += 1
    if place not in printer.files and print_it:
        if as_json:
            text.out_json({"type": "file", "agent": place[0], "path": place[1], "fid": row["fid"]})
        else:
            text.out(text.paint(text.line(f"{place[0]}:/{place[1]}"), fg="magenta"))
    printer.files.add(place)
