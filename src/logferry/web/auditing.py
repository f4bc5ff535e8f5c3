"""The audit as the web reads it: pages that take a bounded time, and one look at the whole chain at a time."""

from __future__ import annotations

from dataclasses import dataclass

from logferry.archive.records import AuditRecord
from logferry.errors import Busy, Refused
from logferry.limits import AUDIT_LOOK_ROWS, AUDIT_LOOK_S_MAX, AUDIT_VERIFY_AGAIN_S
from logferry.server.audit import AuditCheck, AuditFilter, parse_head
from logferry.web.context import WebContext


@dataclass(frozen=True, slots=True)
class Looked:
    """Entries, the newest first. ``next``: before which id the older ones are, None when there are none.

    ``complete`` False: time ran out before the page was full, and ``next`` goes on where that was.
    """

    rows: list[AuditRecord]
    next: int | None
    complete: bool = True


def look(context: WebContext, chosen: AuditFilter, before: int | None, limit: int) -> Looked:
    """Up to ``limit`` entries with smaller ids than ``before`` (None: the latest).

    Where a filter leaves most out, it takes ``AUDIT_LOOK_ROWS`` ids at a time, for ``AUDIT_LOOK_S_MAX`` at most.
    """
    entries = context.catalog.auditing
    if chosen == AuditFilter():
        rows = entries.page(chosen, before=before, limit=limit + 1)
        return Looked(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)
    until_s = context.clock.monotonic_s() + AUDIT_LOOK_S_MAX
    last, first = entries.head().id + 1, entries.anchor().id + 1
    at = last if before is None else min(before, last)
    rows = []
    while at > first:
        since = max(at - AUDIT_LOOK_ROWS, first)
        rows += entries.page(chosen, before=at, since=since, limit=limit + 1 - len(rows))
        if len(rows) > limit:
            return Looked(rows[:limit], rows[limit - 1].id)
        at = since
        if context.clock.monotonic_s() >= until_s:
            break
    return Looked(rows, at if at > first else None, at <= first)


def verify(context: WebContext, head: str) -> AuditCheck:
    """Read the whole chain; ``head`` is one that was noted elsewhere, empty for none.

    Raises:
        Busy: somebody has it read already; that is minutes for millions of entries.
        Refused: it is no head.
    """
    known = parse_head(head) if head else None
    if head and known is None:
        raise Refused("that is no head of the audit", hint="a head is a number, a colon and 64 hexadecimal digits")
    if not context.verifying.acquire(blocking=False):
        raise Busy("the audit is being verified", retry_after_s=AUDIT_VERIFY_AGAIN_S, hint="try again in a minute")
    try:
        return context.audit.verify(known)
    finally:
        context.verifying.release()
