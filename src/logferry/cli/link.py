"""``logferry link``: an address to send to somebody."""

from __future__ import annotations

import click

from logferry.cli import failures, text
from logferry.cli.api import Api
from logferry.cli.place import parse_with_line


@click.command()
@click.argument("place", metavar="AGENT:/PATH[:LINE]")
@click.option("--line", type=click.IntRange(min=1), help="A line, from 1.")
@click.option("--gen", type=click.IntRange(min=1), help="A generation; without it, the current one is pinned.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def link(place: str, line: int | None, gen: int | None, as_json: bool) -> int:
    """The web address of a file or a line, as `logferry grep` prints it.

    \b
    logferry link web-01:/var/log/nginx/error.log:118204
    """
    where, number = parse_with_line(place)
    with Api() as api:
        file = api.file(where)
        address = api.web_link(where, gen=gen or file["generation"], line=line or number)
    if as_json:
        text.out_json({"url": address, "fid": file["fid"], "generation": gen or file["generation"]})
    else:
        text.out(address)
    return failures.OK
