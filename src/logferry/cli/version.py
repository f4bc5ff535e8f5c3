"""``logferry version``."""

from __future__ import annotations

import platform

import click

from logferry import __version__
from logferry.cli import failures, text
from logferry.cli.api import Api, Row
from logferry.errors import LogferryError


def _server() -> Row | str:
    """What the server says of itself, or why it says nothing."""
    try:
        with Api(timeout_s=5.0) as api:
            return {"url": api.connection.url, **api.get("/version")}
    except LogferryError as error:
        return error.message


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def version(as_json: bool) -> int:
    """Versions of this program and of the server it talks to."""
    server = _server()
    if as_json:
        known = server if isinstance(server, dict) else None
        text.out_json({"version": __version__, "python": platform.python_version(), "server": known})
    else:
        text.out(f"logferry {__version__}  (Python {platform.python_version()})")
        if isinstance(server, dict):
            text.out(text.line(f"server   {server['version']}  ({server['url']})"))
        else:
            text.out(text.line(f"server   - ({server})"))
    return failures.OK
