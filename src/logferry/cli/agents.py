"""``logferry agents``: who ships, and how it is doing."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from logferry.cli import failures, text
from logferry.cli.admin import file_bound, size_bound
from logferry.cli.api import Api, Row
from logferry.errors import Refused

_COLOURS = {"ok": "green", "new": "cyan", "late": "yellow", "silent": "red", "failing": "red"}
HEAD = ("STATE", "AGENT", "GROUP", "HEARD", "FILES", "SIZE", "QUOTA", "REASON")


def _cells(agent: Row) -> tuple[str, ...]:
    return (
        agent["state"],
        agent["id"],
        agent.get("group") or "-",
        text.ago(agent.get("heard_at")),
        f"{agent['files']:,}",
        text.size(agent["bytes"]),
        _quota(agent),
        "" if agent["state"] == "ok" else agent.get("reason") or "",
    )


def _quota(agent: Row) -> str:
    """How much of its quota an agent has used, of bytes or of files, whichever is nearer to its end."""
    shares = [
        agent[f"held_{what}"] / agent[f"quota_{what}"] for what in ("bytes", "files") if agent.get(f"quota_{what}")
    ]
    return f"{int(100 * max(shares))} %" if shares else "-"


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--state", "states", multiple=True, help="Only agents in this state; may be repeated.")
@click.pass_context
def agents(context: click.Context, as_json: bool, states: tuple[str, ...]) -> int:
    """List the agents with their state, computed from what the server heard."""
    if context.invoked_subcommand is not None:
        return failures.OK
    with Api() as api:
        found = [a for a in api.agents() if not states or a["state"] in states]
    if as_json:
        for agent in found:
            text.out_json(agent)
    elif found:
        head, *rows = text.table(HEAD, map(_cells, found), right="FILES SIZE QUOTA").splitlines()
        text.out(text.paint(head, bold=True))
        for agent, row in zip(found, rows, strict=True):
            state = row[: len(agent["state"])]
            text.out(text.paint(state, fg=_COLOURS.get(agent["state"], "white")) + row[len(state) :])
    else:
        text.note("no agent" + " in that state" * bool(states) + "; add one: logferry admin join-token")
    return failures.OK if found else failures.NOTHING


@agents.command("set")
@click.argument("agent")
@click.option("--bytes", "size", metavar="SIZE", help="What it may hold, older files too: 200 GB, none, or default.")
@click.option("--files", metavar="N", help="How many files, each generation counted: 100000, none, or default.")
@click.option("--zone", metavar="ZONE", help="Of times in its logs that name none: Europe/Berlin, UTC, or default.")
@click.option("--json", "as_json", is_flag=True, help="The agent as a JSON object.")
def change(agent: str, size: str | None, files: str | None, zone: str | None, as_json: bool) -> int:
    """Change quotas or zone of AGENT; default is what the server's settings say. For operators.

    A zone holds for what is indexed from now on; logferry reindex, on the server, reads older times anew.
    """
    values: dict[str, Any] = {}
    if size is not None:
        values["quota_bytes"] = size_bound(size)
    if files is not None:
        values["quota_files"] = file_bound(files)
    if zone is not None:
        values["zone"] = None if zone == "default" else zone
    if not values:
        raise Refused("nothing is to be changed", hint="give --bytes, --files or --zone")
    with Api() as api:
        now = api.patch(f"/agents/{quote(agent, safe='')}", values)
    if as_json:
        text.out_json(now)
    else:
        bounds = (text.size(now["quota_bytes"]) if now["quota_bytes"] else "any size", _files(now["quota_files"]))
        text.note(f"{agent} may hold {bounds[0]} in {bounds[1]}; times without a zone are in {now['zone']}")
    return failures.OK


def _files(bound: int) -> str:
    return f"{bound:,} files" if bound else "any number of files"
