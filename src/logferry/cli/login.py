"""``logferry login`` and ``logout``: a session on a server, kept for the commands that follow."""

from __future__ import annotations

from typing import TextIO

import click

from logferry.cli import connection, failures, text
from logferry.cli.api import Api
from logferry.cli.connection import Connection
from logferry.errors import SecondFactorNeeded


@click.command()
@click.argument("url", metavar="https://HOST:PORT")
@click.option("--name", help="Your user name; asked for when missing.")
@click.option("--password-file", type=click.File(), help="Read the password's line from a file ('-': standard input).")
@click.option("--token", help="An API token instead of name and password.")
@click.option("--pin", default="", help="The server's certificate: sha256/…, as the server prints it at its start.")
def login(url: str, name: str | None, password_file: TextIO | None, token: str | None, pin: str) -> int:
    """Sign in to a server. The session ends by itself, or with `logferry logout`."""
    address = Connection(url.rstrip("/"), pin=pin.lower(), token=token or "")
    with Api(address) as api:
        session = ""
        if not token:
            session = _session(api, name, password_file)
    kept = Connection(address.url, token=token or "", session=session, pin=address.pin)
    with Api(kept) as api:
        me = api.get("/me")
    path = connection.remember(kept)
    text.note(f"signed in to {kept.url} as {me['name']} ({me['role']}), kept in {path}")
    return failures.OK


def _session(api: Api, name: str | None, password_file: TextIO | None) -> str:
    who = name or str(click.prompt("name", err=True))
    if password_file:
        password = password_file.readline().rstrip("\r\n")
    else:
        password = str(click.prompt("password", hide_input=True, err=True))
    try:
        return api.sign_in(who, password)
    except SecondFactorNeeded:
        return api.sign_in(who, password, str(click.prompt("code of your app, or a recovery code", err=True)))


@click.command()
def logout() -> int:
    """Forget the sign-in of this user on this machine."""
    text.note("signed out" if connection.forget() else "nobody was signed in")
    return failures.OK
