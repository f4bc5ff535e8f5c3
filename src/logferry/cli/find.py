"""``logferry find``: files by name, size and time, over the whole catalog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import click

from logferry.cli import failures, text
from logferry.cli.api import PAGE_ITEMS, Api, Row
from logferry.cli.place import Place

_ALIGNED_AT_ONCE = 100
"""Rows whose columns are made as wide as the widest of them: as many as one looks at, and the first come soon."""
_PLACE_CHARS = 72
"""One longer place does not push the columns of all others away."""


@click.command()
@click.argument("query", nargs=-1)
@click.option("-m", "--limit", "limit", type=click.IntRange(min=1), help="Stop after this many.")
@click.option("-l", "--long", "long", is_flag=True, help="Also when it changed last, its state, older generations.")
@click.option("-0", "--print0", "nul", is_flag=True, help="Places alone, a NUL behind each: for xargs -0.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def find(query: tuple[str, ...], limit: int | None, long: bool, nul: bool, as_json: bool) -> int:
    """Find files. Bare words match the path; agent: path: file: ext: size: modified: received: narrow it.

    \b
    logferry find access
    logferry find 'agent:web-* ext:log size:>1GB modified:>=now-7d'
    logferry find -0 'ext:log' | xargs -0 -n1 logferry cat
    """
    if nul and (as_json or long):
        raise click.UsageError("-0 gives places alone: leave out --json and -l")
    found = 0
    with Api() as api:
        rows = islice(api.files(" ".join(query)), limit)
        for row in rows if as_json or nul else []:
            found += 1
            if nul:
                click.echo(f"{Place(row['agent'], row['path'])}\0", nl=False)
            else:
                text.out_json(row)
        if not as_json and not nul:
            for line in table(rows, long=long):
                found += 1
                text.out(line)
    if not found:
        text.note("no file matches")
    elif not nul and not as_json and found > _ALIGNED_AT_ONCE:
        text.note(text.counted(found, "file"))
    return failures.OK if found else failures.NOTHING


def table(rows: Iterable[Row], *, long: bool) -> Iterator[str]:
    """Place, size and with ``long`` time and state, in columns that fit the rows that are printed together."""
    waiting = iter(rows)
    while batch := list(islice(waiting, _ALIGNED_AT_ONCE)):
        places = [text.line(str(Place(row["agent"], row["path"]))) for row in batch]
        sizes = [text.size(row["size"]) for row in batch]
        wide = min(max(map(len, places)), _PLACE_CHARS)
        size_wide = max(map(len, sizes))
        for row, place, size in zip(batch, places, sizes, strict=True):
            yield _row(row, place.ljust(wide), size.rjust(size_wide), long=long)


def _row(row: Row, place: str, size: str, *, long: bool) -> str:
    if not long:
        return f"{place}   {text.paint(size, dim=True)}"
    older = row["generations"] - 1
    state = text.line(row["state"]) + (f" +{older} older" if older > 0 else "")
    return f"{place}   {text.paint(size, dim=True)}   {text.minute(row['changed_at'])}   {state}"


assert PAGE_ITEMS >= _ALIGNED_AT_ONCE
