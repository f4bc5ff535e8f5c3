"""``logferry audit``: who did what, and whether the record of it was altered; on the server's own machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from logferry.cli import failures, text
from logferry.cli.asking import moment
from logferry.cli.desk import desk_of
from logferry.cli.premises import config_option
from logferry.clock import rfc3339
from logferry.errors import Refused

if TYPE_CHECKING:
    from logferry.archive.records import AuditRecord


@click.group()
def audit() -> None:
    """The record of who read, searched, downloaded and changed what. Each entry is chained to the one before it."""


@audit.command()
@config_option
@click.option(
    "--head", metavar="ID:HASH", help="A head that was noted elsewhere: the chain must have passed through it."
)
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def verify(file: str | None, head: str | None, as_json: bool) -> int:
    """Read the whole chain and compare it with its hashes; says where it is broken. Exit code 4: it is.

    The head it prints is worth keeping elsewhere: entries that are cut off at the end, or a chain that was made anew,
    show by it alone.
    """
    with desk_of(file) as desk:
        from logferry.server.audit import parse_head

        known = parse_head(head) if head else None
        if head and known is None:
            raise Refused(f"{head!r} is no head of the audit", hint="ID:HASH, as this command prints it")
        check = desk.audit.verify(known)
    if as_json:
        text.out_json(
            {"ok": not check.problem, "entries": check.entries, "head": str(check.head), "start": str(check.start),
             "at": check.at or None, "problem": check.problem}
        )  # fmt: skip
    elif check.problem:
        text.note(f"broken at entry {check.at:,}: {check.problem}; {check.entries:,} entries before it are as written")
    else:
        text.out(f"{check.entries:,} entries, each as it was written")
        text.out(f"head {check.head}")
    return failures.PARTIAL if check.problem else failures.OK


@audit.command("list")
@config_option
@click.option("--who", default="", help="Of this person alone.")
@click.option("--kind", default="", help="sign-in, read, search, download, change or audit.")
@click.option("--since", metavar="TIME", default="", help="Entries of this time or later: 24h, today, 2026-11-23.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.argument("words", nargs=-1)
def show(file: str | None, who: str, kind: str, since: str, limit: int, as_json: bool, words: tuple[str, ...]) -> int:
    """Entries, the newest first; WORDS narrow to those that hold each of them. Exit code 1: there are none."""
    with desk_of(file) as desk:
        from logferry.search import moments
        from logferry.server.audit import KINDS, AuditFilter

        if kind and kind not in KINDS:
            raise Refused(f"{kind!r} is no kind of entry", hint=", ".join(KINDS))
        now_ns = desk.catalog.clock.now_ns()
        since_ns = moments.moment(moment(since), "since", now_ns).low if since else None
        chosen = AuditFilter(who=who, kind=kind, text=" ".join(words), since_ns=since_ns)
        rows = desk.catalog.auditing.page(chosen, limit=limit)
    if as_json:
        for row in rows:
            text.out_json(
                {"id": row.id, "at": rfc3339(row.time_ns), "who": row.who, "role": row.role, "via": row.via,
                 "address": row.address, "kind": row.kind, "action": row.action, "target": row.target,
                 "detail": json.loads(row.detail), "request_id": row.request_id, "hash": row.hash}
            )  # fmt: skip
    elif rows:
        text.out(text.table(("ENTRY", "WHEN", "WHO", "DID", "ON", "FROM"), _cells(rows), right="ENTRY"))
    return failures.OK if rows else failures.NOTHING


def _cells(rows: list[AuditRecord]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        refused = " (refused)" if "refused" in json.loads(row.detail) else ""
        where = " ".join(part for part in (row.address, row.via) if part) or "-"
        at = f"{rfc3339(row.time_ns)[:19]}Z"
        yield (str(row.id), at, row.who or "-", row.action + refused, row.target, where)
