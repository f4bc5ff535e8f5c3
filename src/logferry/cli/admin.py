"""``logferry admin``: what an administrator does on the server's own machine, with or without a running server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import click

from logferry import settings
from logferry.cli import failures, text
from logferry.cli.environment import for_server
from logferry.cli.serve import need_server
from logferry.clock import rfc3339
from logferry.errors import NotFound, Refused

if TYPE_CHECKING:
    from logferry.archive import Catalog
    from logferry.archive.records import UserRecord
    from logferry.server.config import ServerConfig
    from logferry.server.enrolment import Enrolment
    from logferry.server.people import People


@dataclass(frozen=True, slots=True)
class Desk:
    """An open catalog and the rules over it."""

    config: ServerConfig
    catalog: Catalog
    people: People
    enrolment: Enrolment


@contextmanager
def _desk(file: str | None) -> Iterator[Desk]:
    need_server()
    from logferry.errors import NotFound
    from logferry.server.catalogs import has_catalog, open_catalog
    from logferry.server.config import load_config
    from logferry.server.enrolment import Enrolment
    from logferry.server.people import People

    config = load_config(file, for_server())
    if not has_catalog(config):
        raise NotFound(f"no archive in {config.data_dir}", hint="name its settings with --config, or start it first")
    with open_catalog(config) as catalog:
        people = People(catalog)
        yield Desk(config, catalog, people, Enrolment(catalog, people))


@click.group()
@click.option("--config", "file", type=click.Path(dir_okay=False), help="Settings; default: server.toml, if there.")
@click.pass_context
def admin(context: click.Context, file: str | None) -> None:
    """Set-up links, users and join tokens. Works on the archive itself, so only on the server's machine."""
    context.obj = file


@admin.command(short_help="A new one-time link for the first administrator.")
@click.pass_obj
def setup_link(file: str | None) -> int:
    """A new one-time link that makes the first administrator; older links become worthless."""
    with _desk(file) as desk:
        code = desk.enrolment.new_setup_code()
        text.out(f"{_web_url(desk.config)}/setup?code={code}")
    return failures.OK


@admin.command()
@click.option("--uses", type=click.IntRange(min=1), help="How many nodes may join with it.")
@click.option("--ttl", help="How long it works, for example 2h.")
@click.option("--group", default="", help="The group its agents belong to.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
@click.pass_obj
def join_token(file: str | None, uses: int | None, ttl: str | None, group: str, as_json: bool) -> int:
    """A token for new agents, with the command to paste on a node."""
    from logferry.limits import JOIN_TOKEN_S_MAX, JOIN_TOKEN_USES
    from logferry.server.first_run import identity, join_command

    with _desk(file) as desk:
        token = desk.enrolment.new_join_token(
            uses=uses or JOIN_TOKEN_USES, ttl_s=settings.duration_s(ttl) if ttl else JOIN_TOKEN_S_MAX, group=group
        )
        address = _web_url(desk.config).partition("//")[2]
        command = join_command(address, token.secret, identity(desk.config).pin, desk.config)
    if as_json:
        text.out_json({"token": token.secret, "command": command, "expires_at": rfc3339(token.expires_ns)})
    else:
        text.out(command)
    return failures.OK


@admin.command()
@click.argument("agent", required=False)
@click.option("--bytes", "size", metavar="SIZE", help="Of all its files, older ones too: 200 GB, none, or default.")
@click.option("--files", metavar="N", help="How many files, each generation counted: 100000, none, or default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def quota(file: str | None, agent: str | None, size: str | None, files: str | None, as_json: bool) -> int:
    """What agents hold and may hold; with --bytes or --files: what AGENT may hold from now on.

    default is what the settings say under [quota]. An agent with a spent quota is answered 552 and waits.
    """
    with _desk(file) as desk:
        if size is not None or files is not None:
            if agent is None:
                raise Refused("which agent's quota?", hint="logferry admin quota web-01 --bytes 200GB")
            bounds = {} if size is None else {"quota_bytes": size_bound(size)}
            bounds |= {} if files is None else {"quota_files": file_bound(files)}
            desk.catalog.agents.change(agent, **bounds)
        found = [one for one in desk.catalog.agents.list() if agent in (None, one.id)]
    if agent is not None and not found:
        raise NotFound(f"there is no agent {agent}")
    rows = [
        {"agent": a.id, "bytes": a.held_bytes, "quota_bytes": a.quota_bytes, "files": a.held_files,
         "quota_files": a.quota_files}
        for a in found
    ]  # fmt: skip
    if as_json:
        for row in rows:
            text.out_json(row)
    elif rows:
        head = ("AGENT", "HOLDS", "OF", "FILES", "OF FILES")
        cells = (
            (a.id, text.size(a.held_bytes), text.size(a.quota_bytes) if a.quota_bytes else "-", f"{a.held_files:,}",
             f"{a.quota_files:,}" if a.quota_files else "-")
            for a in found
        )  # fmt: skip
        text.out(text.table(head, cells, right="HOLDS OF FILES"))
    return failures.OK if rows else failures.NOTHING


def size_bound(told: str) -> int | None:
    """Bytes as told on the command line. None: those of the settings, 0: no bound. Raises Refused."""
    return _bound(told, settings.size_bytes)


def file_bound(told: str) -> int | None:
    """A number of files; otherwise as ``size_bound``."""
    return _bound(told, _count)


def _bound(told: str, read: Callable[[str], int]) -> int | None:
    return None if told == "default" else 0 if told == "none" else read(told)


def _count(told: str) -> int:
    if not told.isascii() or not told.replace(",", "").isdigit():
        raise Refused(f"{told!r} is no number of files", hint="for example 100000, none or default")
    return int(told.replace(",", ""))


@admin.group()
def user() -> None:
    """People who may read: add, change, list, remove."""


_ROLE = click.option("--role", type=click.Choice(("viewer", "operator", "admin")), help="What they may do.")
_SCOPE = click.option("--scope", multiple=True, metavar="GLOB", help="What they may see: agent/path, ! excepts.")
_PASSWORD = click.option("--password-file", type=click.File(), help="Read the password's line from a file or '-'.")


def _password(given: TextIO | None) -> str:
    if given:
        return given.readline().rstrip("\r\n")
    return str(click.prompt("password", hide_input=True, confirmation_prompt=True, err=True))


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_users(file: str | None, as_json: bool) -> int:
    """Everybody who may sign in."""
    with _desk(file) as desk:
        rows = desk.people.all()
    if as_json:
        for row in rows:
            text.out_json({"name": row.name, "role": row.role, "scope": list(row.scope), "enabled": row.enabled})
    elif rows:
        text.out(text.table(("NAME", "ROLE", "STATE", "SCOPE"), map(_cells, rows)))
    else:
        text.note("nobody yet; make the first administrator: logferry admin setup-link")
    return failures.OK if rows else failures.NOTHING


def _cells(row: UserRecord) -> tuple[str, ...]:
    return (row.name, row.role, "enabled" if row.enabled else "disabled", " ".join(row.scope) or "everything")


@user.command()
@click.argument("name")
@_ROLE
@_SCOPE
@_PASSWORD
@click.pass_obj
def add(file: str | None, name: str, role: str | None, scope: tuple[str, ...], password_file: TextIO | None) -> int:
    """Add a person; asks for the password."""
    with _desk(file) as desk:
        row = desk.people.create(name, _password(password_file), role=role or "viewer", scope=scope)
    text.note(f"{row.name} may sign in as {row.role}")
    return failures.OK


@user.command()
@click.argument("name")
@_ROLE
@_SCOPE
@click.option("--new-password", is_flag=True, help="Ask for a new password; ends all sessions.")
@_PASSWORD
@click.option("--enable/--disable", "enabled", default=None, help="Let in, or keep out.")
@click.pass_obj
def change(
    file: str | None,
    name: str,
    role: str | None,
    scope: tuple[str, ...],
    new_password: bool,
    password_file: TextIO | None,
    enabled: bool | None,
) -> int:
    """Change role, scope, password or state of a person."""
    password = _password(password_file) if new_password or password_file else None
    with _desk(file) as desk:
        row = desk.people.change(name, role=role, scope=scope or None, password=password, enabled=enabled)
    text.note(f"{row.name}: {row.role}, {'enabled' if row.enabled else 'disabled'}, sees {_cells(row)[-1]}")
    return failures.OK


@user.command()
@click.argument("name")
@click.pass_obj
def remove(file: str | None, name: str) -> int:
    """Remove a person, with all sessions and tokens."""
    with _desk(file) as desk:
        desk.people.remove(name)
    text.note(f"{name} is removed")
    return failures.OK


def _web_url(config: ServerConfig) -> str:
    """Where the web part listens, or would: what the running one announced, else the settings."""
    from logferry.server import runfiles
    from logferry.server.config import join_address
    from logferry.server.first_run import shown_host

    told = runfiles.read_json(runfiles.part_file(config.data_dir, "web"))
    host, port = (str(told["host"]), int(told["port"])) if told else config.web.address
    scheme = "https" if config.web.secure else "http"
    return f"{scheme}://{join_address(shown_host(host), port)}{config.web.root_path}"
