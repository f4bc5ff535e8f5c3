"""``logferry admin delivers``: users of the older kind, whom several agents share to deliver by plain FTP."""

from __future__ import annotations

from typing import TextIO

import click

from logferry.cli import failures, text
from logferry.cli.desk import desk_of


@click.command()
@click.argument("user", required=False)
@click.option(
    "--agent", "more", multiple=True, metavar="ID", help="Let it deliver for this agent too; made if missing."
)
@click.option("--without", "less", multiple=True, metavar="ID", help="Not for this agent any more.")
@click.option("--password-file", type=click.File(), help="Give it the password on the first line of a file or '-'.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def delivers(
    file: str | None, user: str | None, more: tuple[str, ...], less: tuple[str, ...], password_file: TextIO | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Users that several older agents share: for whom they deliver; with options: change USER.

    Each such agent stores below /<AGENT_ID>/. Agents of Logferry need none of this: they join.
    """
    from logferry.server.seeding import Delivering

    with desk_of(file) as desk:
        delivering = Delivering(desk.catalog)
        if more or less or password_file:
            if user is None:
                raise click.UsageError("which user's?")
            password = password_file.readline().rstrip("\r\n") if password_file else None
            delivering.change(user, more=more, less=less, password=password)
            desk.note("user.change", user, delivers=list(more), without=list(less), new_password=bool(password) or None)
        found = [one for one in delivering.all() if user is None or one[0].casefold() == user.casefold()]
    if as_json:
        for name, agents, may in found:
            text.out_json({"user": name, "agents": list(agents), "may_log_in": may})
    elif found:
        rows = ((name, "may log in" if may else "blocked: no password", ", ".join(agents) or "-")
                for name, agents, may in found)  # fmt: skip
        text.out(text.table(("USER", "STATE", "AGENTS"), rows))
    else:
        text.note("no user is shared by agents")
    return failures.OK if found else failures.NOTHING
