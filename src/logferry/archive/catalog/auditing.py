"""The rows of the audit: who did what, each entry bound to the one before it by a hash.

``hash`` is the SHA-256 of a JSON array: the hash before, then the entry's values in the order of ``AuditRecord``.
Ids are one more than the id before. So an entry that is changed, removed or put between others shows. Entries that
are too old go from the beginning; where the rest begins is a fact, and an entry of its own says so. What was cut off at
the end shows by a head (id and hash) that somebody wrote down elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select
from sqlalchemy.engine import Connection, Engine

from logferry.archive.catalog.facts import get_fact, put_fact
from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.tables import audit
from logferry.archive.catalog.writer import Change, Rows, Transaction, Writer
from logferry.archive.records import AuditRecord
from logferry.limits import AUDIT_PAGE_ROWS

_COLUMNS = tuple(audit.c[name] for name in AuditRecord.__slots__)
_A = audit.c
ANCHOR = "audit_anchor"
"""The fact: id and hash of the last entry that went."""
NO_HASH = "0" * 64
"""What stands before the first entry."""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of the chain, or the place before its beginning: an entry's id and hash."""

    id: int = 0
    hash: str = NO_HASH

    def __str__(self) -> str:
        return f"{self.id}:{self.hash}"


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are asked for; what is empty or None does not narrow."""

    who: str = ""
    kind: str = ""
    text: str = ""
    """Part of action, target, detail or address, in any case of its letters."""
    since_ns: int | None = None
    until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What reading the whole chain told. ``problem`` is empty where it holds; else ``at`` is the id it is about."""

    entries: int
    start: AuditHead
    head: AuditHead
    at: int = 0
    problem: str = ""


def chained(before: str, values: Sequence[object]) -> str:
    """The hash of an entry. ``values``: those of ``AuditRecord`` without ``hash``. Pure."""
    text = json.dumps([before, *values], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class Auditing:
    """Adds entries, reads them, verifies the chain. Thread-safe; several processes add to one chain."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer
        # Every search and every change waits for these two.
        self._last = Prepared(select(_A.id, _A.hash).order_by(_A.id.desc()).limit(1), engine.dialect)
        self._insert = Prepared(insert(audit), engine.dialect, columns=AuditRecord.__slots__)

    def add(self, **values: Any) -> AuditRecord:
        """Add an entry with all fields of ``AuditRecord`` but ``id`` and ``hash``; durable when this returns.

        Raises:
            Later, Full: it could not be written.
        """

        return self._writer.run(_Entry(self._added, values))

    def head(self) -> AuditHead:
        """The last entry's id and hash."""
        with self._engine.connect() as connection:
            return head_now(connection)

    def page(self, chosen: AuditFilter, *, before: int | None = None, since: int = 0, limit: int) -> list[AuditRecord]:
        """Entries, the newest first; of ids from ``since`` on and below ``before``."""
        query = select(*_COLUMNS).where(*_where(chosen)).order_by(_A.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_A.id < before)
        if since:
            query = query.where(_A.id >= since)
        with self._engine.connect() as connection:
            return [AuditRecord(*row) for row in connection.execute(query)]

    def each(self, chosen: AuditFilter) -> Iterator[AuditRecord]:
        """All entries that are there when this begins, the newest first. Reads on as it is consumed."""
        before: int | None = None
        while True:
            page = self.page(chosen, before=before, limit=AUDIT_PAGE_ROWS)
            yield from page
            if len(page) < AUDIT_PAGE_ROWS:
                return
            before = page[-1].id

    def verify(self, known: AuditHead | None = None) -> AuditCheck:
        """Read the whole chain and compare it with its hashes; memory does not grow with it.

        Args:
            known: a head that was noted elsewhere; the chain must have passed through it.
        """
        while True:
            start = self.anchor()
            check = self._verified(start, known)
            # Entries that went while this read the chain are no gap: then it is read again from where it begins now.
            if not check.problem or self.anchor() == start:
                return check

    def _verified(self, start: AuditHead, known: AuditHead | None) -> AuditCheck:
        last, entries = start, 0
        met = known is None or known == start
        while True:
            query = select(*_COLUMNS).where(_A.id > last.id).order_by(_A.id).limit(AUDIT_PAGE_ROWS)
            with self._engine.connect() as connection:
                rows = [AuditRecord(*row) for row in connection.execute(query)]
            for row in rows:
                problem = _problem(last, row)
                if problem:
                    return AuditCheck(entries, start, last, row.id, problem)
                last, entries = AuditHead(row.id, row.hash), entries + 1
                met = met or last == known
            if len(rows) < AUDIT_PAGE_ROWS:
                break
        if met or known is None:
            return AuditCheck(entries, start, last)
        return AuditCheck(entries, start, last, known.id, _not_met(known, start, last))

    def forget(
        self, *, before_ns: int, rows_max: int, told: Callable[[int, AuditHead], Mapping[str, Any]]
    ) -> AuditRecord | None:
        """Let entries from the beginning go that are older than ``before_ns``, and the oldest beyond ``rows_max``.

        A few thousand at a time: ask again until it is None. It stops at the first entry that is younger, so one that
        was written by a wrong clock takes no others with it.

        Args:
            told: from how many went and the last of them, the fields of the entry that says so. It is in the same
                transaction.
        """
        with self._engine.connect() as connection:  # not in the transaction: all writing would wait for that
            through = _forgettable(connection, before_ns, rows_max)

        def work(connection: Connection) -> AuditRecord | None:
            row = connection.execute(select(_A.id, _A.hash).where(_A.id == through)).first()
            if row is None:  # another process was quicker
                return None
            gone = AuditHead(*row)
            count = int(connection.execute(delete(audit).where(_A.id <= through)).rowcount)
            put_fact(connection, ANCHOR, str(gone))
            return self._added(connection, connection.connection.cursor(), told(count, gone))

        return self._writer.run(Rows(work)) if through else None

    def anchor(self) -> AuditHead:
        """The last entry that went."""
        with self._engine.connect() as connection:
            return _anchor(connection)

    def _added(self, connection: Connection, cursor: Any, values: Mapping[str, Any]) -> AuditRecord:
        # Only one process writes at a time, so nobody comes between the last entry and this one.
        row = self._last.one(cursor)
        last = AuditHead(*row) if row is not None else _anchor(connection)
        fields = {"id": last.id + 1, **values}
        ordered = [fields[name] for name in AuditRecord.__slots__ if name != "hash"]
        fields["hash"] = chained(last.hash, ordered)
        self._insert.run(cursor, **fields)
        return AuditRecord(**fields)


class _Entry(Change[AuditRecord]):
    """An entry that is added."""

    def __init__(
        self, add: Callable[[Connection, Any, Mapping[str, Any]], AuditRecord], values: Mapping[str, Any]
    ) -> None:
        self._add = add
        self._values = values

    def apply(self, transaction: Transaction) -> AuditRecord:
        return self._add(transaction.connection, transaction.cursor, self._values)


def head_now(connection: Connection) -> AuditHead:
    """The end of the chain, inside a transaction."""
    row = connection.execute(select(_A.id, _A.hash).order_by(_A.id.desc()).limit(1)).first()
    return AuditHead(*row) if row is not None else _anchor(connection)


def _forgettable(connection: Connection, before_ns: int, rows_max: int) -> int:
    """The last entry that may go now, 0 for none; the very last one stays."""
    last = head_now(connection).id
    first = connection.execute(select(func.min(_A.id))).scalar() or 0
    most = min(first + AUDIT_PAGE_ROWS, last) - 1
    young = connection.execute(
        select(_A.id).where(_A.id <= most, _A.time_ns >= before_ns).order_by(_A.id).limit(1)
    ).scalar()
    through = most if young is None else min(max(young - 1, last - rows_max), most)
    return through if 0 < first <= through else 0


def parse_head(text: str) -> AuditHead | None:
    """``id:hash`` as ``str(AuditHead)`` writes it; None for anything else."""
    number, _, digest = text.strip().partition(":")
    is_hash = len(digest) == 64 and all(c in "0123456789abcdef" for c in digest)
    return AuditHead(int(number), digest) if number.isascii() and number.isdigit() and is_hash else None


def _anchor(connection: Connection) -> AuditHead:
    return parse_head(get_fact(connection, ANCHOR)) or AuditHead()


def _problem(last: AuditHead, row: AuditRecord) -> str:
    if row.id != last.id + 1:
        return f"entries {last.id + 1} to {row.id - 1} are missing"
    if row.hash != chained(last.hash, astuple(row)[:-1]):
        return "the entry is not what was written, or the one before it was exchanged"
    return ""


def _not_met(known: AuditHead, start: AuditHead, last: AuditHead) -> str:
    if known.id <= start.id:
        return f"the chain begins behind entry {known.id}, which was too old to be kept"
    if known.id > last.id:
        return f"the chain ends at entry {last.id}: later ones were removed"
    return "the chain holds together, but it is not the one whose head was noted"


def _where(chosen: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if chosen.who:
        found.append(_A.who == chosen.who)
    if chosen.kind:
        found.append(_A.kind == chosen.kind)
    if chosen.since_ns is not None:
        found.append(_A.time_ns >= chosen.since_ns)
    if chosen.until_ns is not None:
        found.append(_A.time_ns < chosen.until_ns)
    for word in chosen.text.split():
        searched = (_A.action, _A.target, _A.detail)
        hits = [func.lower(column).contains(word.lower(), autoescape=True) for column in searched]
        found.append(or_(*hits, _A.address == word))
    return [and_(*found)] if found else []
