"""``logferry agents``: who ships, and how it is doing."""

from __future__ import annotations

import click

from logferry.cli import failures, text
from logferry.cli.api import Api, Row

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


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--state", "states", multiple=True, help="Only agents in this state; may be repeated.")
def agents(as_json: bool, states: tuple[str, ...]) -> int:
    """List the agents with their state, computed from what the server heard."""
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
