"""``logferry admin``: what an administrator does on the server's own machine, with or without a running server."""

from __future__ import annotations

from collections.abc import Callable

import click

from logferry import settings
from logferry.cli import failures, text
from logferry.cli.admin_delivers import delivers
from logferry.cli.admin_people import token, user
from logferry.cli.desk import desk_of, web_url
from logferry.clock import rfc3339
from logferry.errors import NotFound, Refused


@click.group()
@click.option("--config", "file", type=click.Path(dir_okay=False), help="Settings; default: server.toml, if there.")
@click.pass_context
def admin(context: click.Context, file: str | None) -> None:
    """Set-up links, users, tokens. Works on the archive itself, so only on the server's machine."""
    context.obj = file


@admin.command(short_help="A new one-time link for the first administrator.")
@click.pass_obj
def setup_link(file: str | None) -> int:
    """A new one-time link that makes the first administrator; older links become worthless."""
    with desk_of(file) as desk:
        code = desk.enrolment.new_setup_code()
        desk.note("setup-link.add")
        text.out(f"{web_url(desk.config)}/setup?code={code}")
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

    with desk_of(file) as desk:
        token = desk.enrolment.new_join_token(
            uses=uses or JOIN_TOKEN_USES, ttl_s=settings.duration_s(ttl) if ttl else JOIN_TOKEN_S_MAX, group=group
        )
        desk.note("join-token.add", uses=token.uses, group=token.group)
        address = web_url(desk.config).partition("//")[2]
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
    with desk_of(file) as desk:
        if size is not None or files is not None:
            if agent is None:
                raise Refused("which agent's quota?", hint="logferry admin quota web-01 --bytes 200GB")
            bounds = {} if size is None else {"quota_bytes": size_bound(size)}
            bounds |= {} if files is None else {"quota_files": file_bound(files)}
            desk.catalog.agents.change(agent, **bounds)
            desk.note("agent.change", agent, **bounds)
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


admin.add_command(delivers)
admin.add_command(user)
admin.add_command(token)
