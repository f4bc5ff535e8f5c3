"""``logferry agents``: who ships, and how it is doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from logferry import settings
from logferry.cli import failures, text
from logferry.cli.admin import file_bound, size_bound
from logferry.cli.api import Api, Row
from logferry.errors import Refused

STATES = ("failing", "silent", "late", "new", "paused", "gone", "ok")
"""As the server has them, which not everybody who asks it has installed."""
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


def _asked(command: Callable[..., int]) -> Callable[..., int]:
    """The options that say which agents, and how."""
    for option in (
        click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only agents with this tag; repeated: all."),
        click.option("--group", "groups", multiple=True, metavar="GROUP", help="Only agents of this group."),
        click.option(
            "--state",
            "states",
            multiple=True,
            type=click.Choice(STATES),
            help="Only agents in this state; may be repeated.",
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a line."),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@_asked
@click.pass_context
def agents(context: click.Context, /, as_json: bool, **asked: tuple[str, ...]) -> int:
    """List the agents with their state, computed from what the server heard."""
    if context.invoked_subcommand is not None:
        return failures.OK
    return _list(as_json=as_json, **asked)


@agents.command("list")
@_asked
def show(as_json: bool, **asked: tuple[str, ...]) -> int:
    """List the agents with their state. Exit code 1: there is none like that."""
    return _list(as_json=as_json, **asked)


def _list(*, as_json: bool, states: tuple[str, ...], groups: tuple[str, ...], tags: tuple[str, ...]) -> int:
    with Api() as api:
        found = list(api.agents(state=states, group=groups, tag=tags))
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
        is_any = not (states or groups or tags)
        text.note("no agent; add one: logferry admin join-token" if is_any else "no agent is like that")
    return failures.OK if found else failures.NOTHING


@agents.command("set")
@click.argument("agent")
@click.option("--group", help="Agents of one group are listed together; an empty one is none.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Its tags from now on, all of them; '' for none.")
@click.option("--bytes", "size", metavar="SIZE", help="What it may hold, older files too: 200 GB, none, or default.")
@click.option("--files", metavar="N", help="How many files, each generation counted: 100000, none, or default.")
@click.option("--zone", metavar="ZONE", help="Of times in its logs that name none: Europe/Berlin, UTC, or default.")
@click.option("--upload-rate", metavar="RATE", help="5 MiB/s, a timetable, or none.")
@click.option("--expect-every", metavar="DURATION", help="How often it is to be heard: 1d; default is as usual.")
@click.option("--json", "as_json", is_flag=True, help="The agent as a JSON object.")
def change(agent: str, as_json: bool, **given: Any) -> int:
    """Change settings of AGENT; default is what the server's settings say. For operators.

    Quotas hold at once, speed within seconds. A zone holds for what is indexed from now on; logferry reindex, on the
    server, reads older times anew.
    """
    values = _values(given)
    if not values:
        raise Refused("nothing is to be changed", hint="give --bytes, --files, --zone or another; see --help")
    now = _changed(agent, values)
    if as_json:
        text.out_json(now)
    else:
        text.note("; ".join(_told(now)))
    return failures.OK


def _values(given: Row) -> Row:
    """From options, as the API takes them."""
    values: Row = {}
    if given["group"] is not None:
        values["group"] = given["group"]
    if given["tags"]:
        values["tags"] = [tag for tag in given["tags"] if tag]
    if given["size"] is not None:
        values["quota_bytes"] = size_bound(given["size"])
    if given["files"] is not None:
        values["quota_files"] = file_bound(given["files"])
    if given["zone"] is not None:
        values["zone"] = None if given["zone"] == "default" else given["zone"]
    if given["upload_rate"] is not None:
        values["upload_rate"] = "" if given["upload_rate"] == "none" else given["upload_rate"]
    if given["expect_every"] is not None:
        every = given["expect_every"]
        values["expect_every_s"] = None if every == "default" else settings.duration_s(every)
    return values


def _told(now: Row) -> list[str]:
    bounds = (text.size(now["quota_bytes"]) if now["quota_bytes"] else "any size", _files(now["quota_files"]))
    told = [f"{now['id']} may hold {bounds[0]} in {bounds[1]}", f"times without a zone are in {now['zone']}"]
    if now["group"] or now["tags"]:
        told.append(f"group {now['group'] or 'none'}, tags {' '.join(now['tags']) or 'none'}")
    if now["upload_rate"]:
        told.append(f"it sends at most {now['upload_rate']}")
    if now["expect_every_s"]:
        told.append(f"it is to be heard every {text.duration(now['expect_every_s'])}")
    return told


def _changed(agent: str, values: Row) -> Row:
    with Api() as api:
        return api.patch(f"/agents/{quote(agent, safe='')}", values)


@agents.command()
@click.argument("agent")
def pause(agent: str) -> int:
    """Let AGENT wait: its uploads are refused with 450, nobody is told that it is silent, and nothing is lost."""
    _changed(agent, {"paused": True})
    text.note(f"{agent} is paused; let it go on with: logferry agents resume {agent}")
    return failures.OK


@agents.command()
@click.argument("agent")
def resume(agent: str) -> int:
    """Let AGENT go on."""
    _changed(agent, {"paused": False})
    text.note(f"{agent} goes on; it sends what has gathered when it tries again")
    return failures.OK


@agents.command()
@click.argument("agent")
def revoke(agent: str) -> int:
    """Lock AGENT out: it cannot log in, and its connections end. Its files stay."""
    _changed(agent, {"revoked": True})
    text.note(f"{agent} cannot log in any more; let it in again with: logferry agents admit {agent}")
    return failures.OK


@agents.command()
@click.argument("agent")
def admit(agent: str) -> int:
    """Let AGENT log in again."""
    _changed(agent, {"revoked": False})
    text.note(f"{agent} may log in again")
    return failures.OK


@agents.command()
@click.argument("agent")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def password(agent: str, as_json: bool) -> int:
    """Give AGENT a new password and print it, this once; the old one is worthless at once.

    Write it on the first line of agent.secret on the node: a running agent takes it within seconds.
    """
    with Api() as api:
        made = api.post(f"/agents/{quote(agent, safe='')}/rotate", {})
    if as_json:
        text.out_json(made)
    else:
        text.out(made["password"])
        text.note(f"write it on the first line of agent.secret on the node of {agent}; it is taken within seconds")
    return failures.OK


@agents.command()
@click.argument("agent")
def remove(agent: str) -> int:
    """Remove AGENT, if it never delivered anything. One with files is revoked instead."""
    with Api() as api:
        api.delete(f"/agents/{quote(agent, safe='')}")
    text.note(f"{agent} is gone")
    return failures.OK


def _files(bound: int) -> str:
    return f"{bound:,} files" if bound else "any number of files"
