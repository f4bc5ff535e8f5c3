"""``logferry admin user`` and ``logferry admin token``: people, and what scripts sign in with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

import click

from logferry import settings
from logferry.cli import failures, text
from logferry.cli.desk import desk_of, web_url
from logferry.clock import rfc3339

if TYPE_CHECKING:
    from logferry.archive.records import UserRecord


@click.group()
def user() -> None:
    """People who may read: add, change, list, remove; links, sessions, second factors."""


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
    with desk_of(file) as desk:
        rows = desk.people.all()
    if as_json:
        for row in rows:
            text.out_json(
                {"name": row.name, "role": row.role, "scope": list(row.scope), "enabled": row.enabled,
                 "second_factor": bool(row.totp), "provider": row.issuer}
            )  # fmt: skip
    elif rows:
        text.out(text.table(("NAME", "ROLE", "STATE", "SCOPE"), map(_cells, rows)))
    else:
        text.note("nobody yet; make the first administrator: logferry admin setup-link")
    return failures.OK if rows else failures.NOTHING


def _cells(row: UserRecord) -> tuple[str, ...]:
    state = ("enabled" if row.enabled else "disabled") + (", second factor" if row.totp else "")
    state += f", by {row.issuer}" if row.issuer else ""
    return (row.name, row.role, state, " ".join(row.scope) or "everything")


@user.command()
@click.argument("name")
@_ROLE
@_SCOPE
@_PASSWORD
@click.pass_obj
def add(file: str | None, name: str, role: str | None, scope: tuple[str, ...], password_file: TextIO | None) -> int:
    """Add a person; asks for the password."""
    with desk_of(file) as desk:
        row = desk.people.create(name, _password(password_file), role=role or "viewer", scope=scope)
        desk.note("user.add", row.name, role=row.role, scope=row.scope)
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
    with desk_of(file) as desk:
        row = desk.people.change(name, role=role, scope=scope or None, password=password, enabled=enabled)
        desk.note("user.change", row.name, role=role, scope=scope, enabled=enabled, new_password=bool(password) or None)
    text.note(f"{row.name}: {row.role}, {'enabled' if row.enabled else 'disabled'}, sees {_cells(row)[-1]}")
    return failures.OK


@user.command()
@click.argument("name")
@click.pass_obj
def remove(file: str | None, name: str) -> int:
    """Remove a person, with all sessions and tokens."""
    with desk_of(file) as desk:
        desk.people.remove(name)
        desk.note("user.remove", name)
    text.note(f"{name} is removed")
    return failures.OK


@user.command()
@click.argument("name")
@click.pass_obj
def reset(file: str | None, name: str) -> int:
    """A link with which a person sets a new password, once, within a day. Older links become worthless."""
    with desk_of(file) as desk:
        code = desk.people.new_reset_code(name)
        desk.note("user.reset-link", name)
        text.out(f"{web_url(desk.config)}/reset?code={code}")
    return failures.OK


@user.command()
@click.argument("name")
@click.pass_obj
def sign_out(file: str | None, name: str) -> int:
    """End all sessions of a person, at once."""
    with desk_of(file) as desk:
        ended = desk.people.sign_out_everywhere(name)
        desk.note("session.end-all", name, ended=ended)
    text.note(f"{name}: {ended} session{'' if ended == 1 else 's'} ended")
    return failures.OK


@user.command(short_help="Let a person in by password alone again.")
@click.argument("name")
@click.pass_obj
def drop_second_factor(file: str | None, name: str) -> int:
    """Let a person in by password alone again: the phone is gone, and so are the recovery codes."""
    with desk_of(file) as desk:
        desk.people.second.remove(desk.people.get(name))
        desk.note("second-factor.remove", name)
    text.note(f"{name} signs in by password alone")
    return failures.OK


@click.group()
def token() -> None:
    """API tokens of people: add, list, revoke."""


@token.command("add")
@click.argument("name")
@click.option("--label", default="", help="What it is for.")
@click.option("--role", type=click.Choice(("viewer", "operator", "admin")), help="What it may at most.")
@click.option("--scope", multiple=True, metavar="GLOB", help="What it sees of what the person sees; ! excepts.")
@click.option("--ttl", help="How long it works: 90d, or never (the default is 90d).")
@click.pass_obj
def add_token(
    file: str | None, name: str, label: str, role: str | None, scope: tuple[str, ...], ttl: str | None
) -> int:
    """A token of a person, written once to standard output. Scripts send it instead of a password."""
    ttl_s = None if ttl == "never" else settings.duration_s(ttl or "90d")
    with desk_of(file) as desk:
        secret, row = desk.people.new_token(name, label=label, scope=scope, role=role or "", ttl_s=ttl_s)
        desk.note("token.add", name, token=row.id, name=row.name, role=row.role, scope=row.scope, ttl_s=ttl_s)
    text.out(secret)
    return failures.OK


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_tokens(file: str | None, as_json: bool) -> int:
    """The tokens of everybody, without their secrets. Exit code 1: there are none."""
    with desk_of(file) as desk:
        names = {row.id: row.name for row in desk.people.all()}
        rows: list[dict[str, Any]] = [
            {"id": row.id, "user": names.get(row.user_id, ""), "name": row.name, "role": row.role or None,
             "scope": list(row.scope), "expires_at": rfc3339(row.expires_ns) if row.expires_ns else None,
             "used_at": rfc3339(row.used_ns) if row.used_ns else None, "used_address": row.used_address}
            for row in desk.people.tokens()
        ]  # fmt: skip
    if as_json:
        for row in rows:
            text.out_json(row)
    elif rows:
        head = ("TOKEN", "USER", "FOR", "MAY", "SEES", "ENDS", "USED")
        cells = (
            (str(r["id"]), str(r["user"]), str(r["name"]), str(r["role"] or "as the user"),
             " ".join(map(str, r["scope"] or ())) or "everything", str(r["expires_at"] or "never")[:10],
             str(r["used_at"] or "never")[:16])
            for r in rows
        )  # fmt: skip
        text.out(text.table(head, cells))
    else:
        text.note("there are no tokens; make one: logferry admin token add NAME")
    return failures.OK if rows else failures.NOTHING


@token.command()
@click.argument("number", type=int)
@click.pass_obj
def revoke(file: str | None, number: int) -> int:
    """Make token NUMBER worthless, at once."""
    with desk_of(file) as desk:
        row = desk.people.revoke_token(number)
        desk.note("token.revoke", "", token=row.id, name=row.name)
    text.note(f"token {number} is revoked")
    return failures.OK
