"""The audit: who read, searched, downloaded and changed what. The one place where entries are made.

An entry is in the catalog, durable and bound to the one before it (``catalog.auditing``), before its answer goes out.
Reading on in a file that somebody reads already is no entry of its own. An entry that cannot be written (no room, no
database) is a line of the log with all of it, and the next one that can be written says how many are missing.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from logferry.archive.catalog import Catalog
from logferry.archive.catalog.auditing import AuditCheck, AuditFilter, AuditHead, parse_head
from logferry.archive.records import AuditRecord
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError
from logferry.limits import (
    AUDIT_AGAIN_S,
    AUDIT_KEEP_S,
    AUDIT_KNOWN_MAX,
    AUDIT_LIST_MAX,
    AUDIT_PAGE_ROWS,
    AUDIT_ROWS_MAX,
    AUDIT_TEXT_CHARS_MAX,
)
from logferry.names import shown

__all__ = ["KINDS", "Audit", "AuditCheck", "AuditFilter", "AuditHead", "Deed", "Kind", "parse_head"]

log = structlog.get_logger("logferry.audit")

Kind = Literal["sign-in", "read", "search", "download", "change", "audit"]
KINDS: tuple[Kind, ...] = ("sign-in", "read", "search", "download", "change", "audit")
"""``audit``: of the audit itself, where something is missing or has gone."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did. Texts may be anything; they are shortened and made harmless."""

    kind: Kind
    action: str
    """Which action, in few words that are always the same: ``file.download``."""
    target: str = ""
    """On what."""
    who: str = ""
    role: str = ""
    via: str = ""
    """``session``, ``token 7``, ``ftp``, ``command line``; empty: nobody who was known."""
    address: str = ""
    request_id: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    again: str = ""
    """Where this was noted within ``AUDIT_AGAIN_S`` for the same person, it is not noted again; empty: always."""


class Audit:
    """Takes deeds down. Safe from many threads; several processes write one chain."""

    def __init__(self, catalog: Catalog, *, clock: Clock = SYSTEM) -> None:
        self._rows = catalog.auditing
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._missed = 0

    def note(self, deed: Deed) -> AuditRecord | None:
        """Make it an entry. None: it was noted a moment ago, or it cannot be written now (which the log tells)."""
        key = (deed.who, deed.via, deed.address if not deed.who else "", deed.action, deed.again)
        if deed.again and self._is_known(key):
            return None
        try:
            self._tell_missed()
            record = self._rows.add(**_fields(deed, self._clock.now_ns()))
        except LogferryError as error:
            with self._lock:
                self._missed += 1
                self._known.pop(key, None)
            log.error("an audit entry could not be written", error=str(error), **_fields(deed, self._clock.now_ns()))  # noqa: TRY400
            return None
        if deed.kind != "read":
            # Outside the catalog, too: with this a chain that was made anew does not agree.
            log.info("audit", id=record.id, hash=record.hash, who=record.who, action=record.action, on=record.target)
        return record

    def _is_known(self, key: tuple[str, ...]) -> bool:
        now_s = self._clock.monotonic_s()
        with self._lock:
            since_s = self._known.pop(key, None)
            is_known = since_s is not None and now_s - since_s < AUDIT_AGAIN_S
            self._known[key] = since_s if is_known and since_s is not None else now_s
            while len(self._known) > AUDIT_KNOWN_MAX:
                self._known.popitem(last=False)
        return is_known

    def _tell_missed(self) -> None:
        with self._lock:  # taken, so that no other thread tells the same ones
            missed, self._missed = self._missed, 0
        if not missed:
            return
        told = Deed("audit", "audit.gap", detail={"missing": missed, "why": "they could not be written; see the log"})
        is_told = False
        try:
            self._rows.add(**_fields(told, self._clock.now_ns()))
            is_told = True
        finally:
            if not is_told:
                with self._lock:
                    self._missed += missed

    # Reading ---------------------------------------------------------------------------------------------------------

    def verify(self, known: AuditHead | None = None) -> AuditCheck:
        """See ``catalog.auditing``."""
        return self._rows.verify(known)

    def forget_old(self, keep_s: float = AUDIT_KEEP_S, *, rows_max: int = AUDIT_ROWS_MAX) -> int:
        """Let entries go that are too old or too many, and note it; how many went."""
        before_ns = self._clock.now_ns() - int(keep_s * 1e9)
        total = 0

        def told(count: int, through: AuditHead) -> dict[str, Any]:
            detail = {"entries": count, "through": str(through)}
            return _fields(Deed("audit", "audit.forget", detail=detail), self._clock.now_ns())

        while record := self._rows.forget(before_ns=before_ns, rows_max=rows_max, told=told):
            log.info("audit", id=record.id, hash=record.hash, who="", action=record.action, on=record.detail)
            count = int(json.loads(record.detail)["entries"])
            total += count
            if count < AUDIT_PAGE_ROWS:  # else its own entry would be one too many
                break
        return total


def _fields(deed: Deed, now_ns: int) -> dict[str, Any]:
    detail = {name: _short(value) for name, value in deed.detail.items() if value not in (None, "", [], ())}
    return {
        "time_ns": now_ns,
        "who": _text(deed.who),
        "role": deed.role,
        "via": deed.via,
        "address": _text(deed.address),
        "kind": deed.kind,
        "action": _text(deed.action),
        "target": _text(deed.target),
        # Nothing but ASCII: a lone surrogate of a name must not keep the entry out of the catalog.
        "detail": json.dumps(detail, ensure_ascii=True, sort_keys=True),
        "request_id": deed.request_id,
    }


def _text(text: str) -> str:
    """Harmless, and short: what was cut off is bound by the SHA-256 of the whole."""
    told = shown(text[:AUDIT_TEXT_CHARS_MAX])
    if len(text) <= AUDIT_TEXT_CHARS_MAX and len(told) <= AUDIT_TEXT_CHARS_MAX:
        return told
    rest = f"… sha256 {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return told[: AUDIT_TEXT_CHARS_MAX - len(rest)] + rest


def _short(value: Any) -> Any:
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        texts = [str(one) for one in value]
        told = [_text(one) for one in texts[:AUDIT_LIST_MAX]]
        if len(texts) > AUDIT_LIST_MAX:
            told.append(f"… {len(texts)} in all, sha256 {list_digest(texts)}")
        return told
    return _text(str(value))


def list_digest(texts: Sequence[str]) -> str:
    """What binds a list of which an entry has the beginning: SHA-256 of it as a JSON array of ASCII. Pure."""
    return hashlib.sha256(json.dumps(list(texts), separators=(",", ":")).encode("ascii")).hexdigest()
