"""``logferry find``: files by name, size and time, over the whole catalog."""

from __future__ import annotations

from itertools import islice

import click

from logferry.cli import failures, text
from logferry.cli.api import Api
from logferry.cli.place import Place


@click.command()
@click.argument("query", nargs=-1)
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def find(query: tuple[str, ...], limit: int | None, as_json: bool) -> int:
    """Find files. Bare words match the path; agent: path: ext: size: modified: narrow it.

    \b
    logferry find access
    logferry find 'agent:web-* ext:log size:>1GB modified:>=now-7d'
    """
    found = 0
    with Api() as api:
        for row in islice(api.files(" ".join(query)), limit):
            found += 1
            if as_json:
                text.out_json(row)
            else:
                place = text.line(str(Place(row["agent"], row["path"])))
                text.out(f"{place}   {text.paint(text.size(row['size']), dim=True)}")
    if not found:
        text.note("no file matches")
    return failures.OK if found else failures.NOTHING
