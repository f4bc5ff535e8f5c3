"""``logferry alerts``: what is wrong, who is told, by which rules, and whether it came."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import click

from logferry import settings
from logferry.cli import failures, text
from logferry.cli.api import Api, Row
from logferry.errors import Refused

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_TEST_S_MAX = 60.0
_TEST_LOOK_S = 0.5
_OUTCOMES = {"sent": "it came", "failed": "it did not come"}
SERVER = {"disk": ":disk", "integrity": ":archive", "audit": ":audit"}


@click.group(invoke_without_command=True)
@_JSON
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@click.pass_context
def alerts(context: click.Context, as_json: bool, everything: bool) -> int:
    """What is wrong now, the latest first. Exit code 1: nothing. For operators."""
    if context.invoked_subcommand is not None:
        return failures.OK
    return _list(as_json=as_json, everything=everything)


@alerts.command("list")
@_JSON
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
def show(as_json: bool, everything: bool) -> int:
    """What is wrong now, the latest first. Exit code 1: nothing."""
    return _list(as_json=as_json, everything=everything)


def _list(*, as_json: bool, everything: bool) -> int:
    with Api() as api:
        rows = list(api.items("/alerts/events") if everything else api.get("/alerts")["items"])
    head = ("STATE", "SINCE", "WHAT", "TOLD", "WHY")
    return _out(
        rows, head, _alert_cells, as_json=as_json, none="nothing is wrong" if not everything else "no alert yet"
    )


def _alert_cells(row: Row) -> tuple[str, ...]:
    state = "over" if row["resolved_at"] else "muted" if row["muted_until"] else "open"
    return state, text.ago(row["raised_at"]), row["title"], ",".join(row["told"]) or "-", row["reason"]


def _out(rows: list[Row], head: tuple[str, ...], cells: Any, *, as_json: bool, none: str) -> int:
    if as_json:
        for row in rows:
            text.out_json(row)
    elif rows:
        text.out(text.table(head, map(cells, rows)))
    else:
        text.note(none)
    return failures.OK if rows else failures.NOTHING


def _subject(kind: str, subject: str) -> tuple[str, str]:
    """Kind and subject as the API has them; ``disk`` and the like stand for the server's own."""
    if subject in SERVER:
        return ("disk" if subject == "disk" else "integrity"), SERVER[subject]
    return kind, subject


@alerts.command()
@click.argument("agent")
@click.option("--kind", default="silence", show_default=True, help="silence, failing or quota.")
@click.option("--for", "duration", default="24h", show_default=True, help="How long, for example 90m or 7d.")
@click.option("--reason", default="", help="Why, for others.")
def mute(agent: str, kind: str, duration: str, reason: str) -> int:
    """Tell nobody of AGENT for a while (or of the server: disk, integrity, audit); it need not be wrong yet."""
    kind, subject = _subject(kind, agent)
    with Api() as api:
        made = api.post(
            "/alerts/mutes",
            {"kind": kind, "subject": subject, "for_s": settings.duration_s(duration), "reason": reason},
        )
    text.note(f"nobody is told of {kind} of {agent} until {text.minute(made['until'])} UTC")
    return failures.OK


@alerts.command()
@click.argument("agent")
@click.option("--kind", default="silence", show_default=True, help="silence, failing or quota.")
def unmute(agent: str, kind: str) -> int:
    """Tell of it again."""
    kind, subject = _subject(kind, agent)
    with Api() as api:
        api.delete(f"/alerts/mutes/{quote(kind, safe='')}/{quote(subject, safe='')}")
    text.note(f"{kind} of {agent} is told again")
    return failures.OK


@alerts.command()
@_JSON
def mutes(as_json: bool) -> int:
    """Of what nobody is told now."""
    with Api() as api:
        rows = list(api.get("/alerts/mutes")["items"])
    head = ("KIND", "OF", "UNTIL (UTC)", "BY", "REASON")
    return _out(rows, head, _mute_cells, as_json=as_json, none="nothing is muted")


def _mute_cells(row: Row) -> tuple[str, ...]:
    return row["kind"], row["subject"], text.minute(row["until"]), row["by"], row["reason"]


@alerts.command()
@_JSON
def channels(as_json: bool) -> int:
    """Who is told, and what became of the last message to each. Channels stand in the server's settings."""
    with Api() as api:
        rows = list(api.get("/alerts/channels")["items"])
    head = ("CHANNEL", "KIND", "TO", "LAST", "REPLY")
    return _out(rows, head, _channel_cells, as_json=as_json, none="there are no channels: write [channels.ops] first")


def _channel_cells(row: Row) -> tuple[str, ...]:
    return row["name"], row["kind"], row["where"], row["last_state"] or "-", row["last_reply"] or ""


@alerts.command()
@_JSON
@click.option("--failed", is_flag=True, help="Only those that could not be sent (yet).")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
def messages(as_json: bool, failed: bool, limit: int) -> int:
    """What was sent, and what the receivers said; the latest first."""
    with Api() as api:
        rows = list(api.get("/alerts/messages", failed=failed or None, limit=limit)["items"])
    head = ("ID", "MADE", "CHANNEL", "STATE", "TRIES", "WHAT", "REPLY")
    return _out(rows, head, _message_cells, as_json=as_json, none="no message")


def _message_cells(row: Row) -> tuple[str, ...]:
    tries = str(row["attempts"])
    return str(row["id"]), text.ago(row["made_at"]), row["channel"], row["state"], tries, row["title"], row["reply"]


@alerts.command()
@click.argument("channel")
@_JSON
def test(channel: str, as_json: bool) -> int:
    """Have the server send a test to CHANNEL, and wait for what becomes of it. Exit code 4: it did not come."""
    with Api() as api:
        return _awaited(api, api.post(f"/alerts/channels/{quote(channel, safe='')}/test", {}), as_json=as_json)


@alerts.command()
@click.argument("message", type=click.IntRange(min=1))
@_JSON
def again(message: int, as_json: bool) -> int:
    """Have MESSAGE, which failed, sent once more, and wait for what becomes of it. Exit code 4: it did not come.

    Its number stands first in logferry alerts messages --failed.
    """
    with Api() as api:
        return _awaited(api, api.post(f"/alerts/messages/{message}/again", {}), as_json=as_json)


def _awaited(api: Api, made: Row, *, as_json: bool) -> int:
    """Wait for the next attempt of a message, and tell its outcome."""
    before, until_s = made["attempts"], time.monotonic() + _TEST_S_MAX
    while _is_under_way(made, before) and time.monotonic() < until_s:
        time.sleep(_TEST_LOOK_S)
        made = api.get(f"/alerts/messages/{made['id']}")
    if as_json:
        text.out_json(made)
    else:
        told = _OUTCOMES.get(made["state"], "it is still on its way")
        if made["state"] == "waiting" and not _is_under_way(made, before):
            told = "it did not come and is tried again"
        reply = f": {made['reply']}" if made["reply"] else ""
        text.note(text.line(f"{made['channel']}: {told}{reply}"))
    return failures.OK if made["state"] == "sent" else failures.PARTIAL


def _is_under_way(row: Row, before: int) -> bool:
    return bool(row["state"] == "sending" or (row["state"] == "waiting" and row["attempts"] <= before))


@alerts.group(invoke_without_command=True)
@_JSON
@click.pass_context
def rules(context: click.Context, as_json: bool) -> int:
    """The rules in their order: of each kind, the first that takes in an agent counts."""
    if context.invoked_subcommand is not None:
        return failures.OK
    with Api() as api:
        rows = list(api.get("/alerts/rules")["items"])
    return _out(rows, ("FROM", "KIND", "AGENTS", "GROUPS", "WHEN", "TELLS"), _rule_cells, as_json=as_json, none="")


def _rule_cells(row: Row) -> tuple[str, ...]:
    when = [f"{row['above']:.0%} used"] if row["above"] else []
    when += [f"for {text.duration(row['after_s'])}"] if row["after_s"] else []
    tells = "every channel" if row["channels"] is None else ",".join(row["channels"]) or "the page alone"
    return (
        f"page {row['id']}" if row["id"] else row["origin"], row["kind"], " ".join(row["agents"]),
        " ".join(row["groups"]) or "-", ", ".join(when) or "as usual", tells if row["enabled"] else "nobody: off",
    )  # fmt: skip


@rules.command("add")
@click.argument("kind")
@click.option("--agents", multiple=True, metavar="GLOB", help="Of which agents; '!web-test-*' is an exception.")
@click.option("--groups", multiple=True, metavar="GLOB", help="Of which groups.")
@click.option("--channel", "told", multiple=True, metavar="NAME", help="Who is told; '' is the page alone.")
@click.option("--above", metavar="SHARE", help="Of disk and quota: 90%.")
@click.option("--after", metavar="DURATION", help="How long it must last; of silence, how long is too long.")
@click.option("--off", is_flag=True, help="Nobody watches these.")
@_JSON
def add(
    kind: str,
    agents: tuple[str, ...],
    groups: tuple[str, ...],
    told: tuple[str, ...],
    above: str | None,
    after: str | None,
    off: bool,
    as_json: bool,
) -> int:
    """Make a rule for KIND: silence, failing, quota, disk or integrity."""
    body: Row = {"kind": kind, "enabled": not off}
    body |= {"agents": list(agents)} if agents else {}
    body |= {"groups": list(groups)} if groups else {}
    body |= {"channels": [name for name in told if name]} if told else {}
    body |= {"above": _share(above)} if above else {}
    body |= {"after_s": settings.duration_s(after)} if after else {}
    with Api() as api:
        made = api.post("/alerts/rules", body)
    if as_json:
        text.out_json(made)
    else:
        text.note(f"rule {made['id']} counts from the next look on; logferry alerts rules shows where it stands")
    return failures.OK


def _share(told: str) -> float:
    try:
        return float(told.strip().removesuffix("%")) / 100
    except ValueError:
        raise Refused(f"{told!r} is no share", hint="for example 90%") from None


@rules.command("remove")
@click.argument("number", type=click.IntRange(min=1))
def remove(number: int) -> int:
    """Remove a rule that was made on the page or here."""
    with Api() as api:
        api.delete(f"/alerts/rules/{number}")
    text.note(f"rule {number} is gone")
    return failures.OK
