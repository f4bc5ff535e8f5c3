"""``logferry count``: how many lines match, and where."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from logferry.cli import text
from logferry.cli.api import Api, Row
from logferry.cli.asking import account, code, narrowing, tally, tell_errors, where_of

FIELDS = ("agent", "path", "file", "ext", "level")


@click.command()
@click.argument("query", default="")
@click.argument("place", required=False, metavar="[AGENT:/PATH]")
@click.option("--by", "by", type=click.Choice(FIELDS), multiple=True, help="Also by this; may be repeated.")
@narrowing
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def count(query: str, place: str | None, by: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Count the lines that match, without printing them. An empty query counts all lines.

    \b
    logferry count error --since 24h
    logferry count 'agent:web-* error' --by agent --by file
    """
    started = time.monotonic()
    where = where_of(query, place, options)
    with Api() as api:
        done = tally(api, "facets" if by else "count", **where, fields=",".join(by) or None)
    if as_json:
        text.out_json(done)
    elif not by:
        text.out(str(done["total"]))
    else:
        for facet in done["facets"]:
            for line in facet_lines(facet):
                text.out(line)
    if not as_json:
        begin = text.counted(done["total"], "hit")
        text.note(account(begin if done["exact"] else f"at least {begin}", done, time.monotonic() - started))
    tell_errors(done)
    return code(done, done["total"])


def facet_lines(facet: Row) -> Iterator[str]:
    """The values of a facet, most lines first: ``  980  web-01``; the rest in one line."""
    rows = [(value["count"], text.line(value["value"]) or "(none)") for value in facet["values"]]
    more = facet["distinct"] - len(rows)
    if facet["other"]:
        rows.append((facet["other"], f"({more:,} more)"))
    wide = max(len("hits"), *(len(f"{lines:,}") for lines, _ in rows))
    yield text.paint(f"{'hits'.rjust(wide)}  {facet['field']}", dim=True)
    for lines, value in rows:
        yield f"{f'{lines:,}'.rjust(wide)}  {value}"
