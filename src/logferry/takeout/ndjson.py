"""Rows as NDJSON: one object per line, exact bytes as ``text`` where they are UTF-8, else as ``base64``."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from logferry.errors import Damaged
from logferry.limits import PIECE_BYTES
from logferry.takeout.rows import Fault, LineRow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ndjson(rows: Iterable[LineRow | Fault]) -> Iterator[bytes]:
    """Lines of JSON, many in a piece. A ``Fault`` is an object with ``error`` and without ``line``."""
    waiting: list[str] = []
    size = 0
    head, of = "", ("", "", 0)
    for row in rows:
        if (row.agent, row.path, row.generation) != of:
            of = (row.agent, row.path, row.generation)
            head = json.dumps({"agent": row.agent, "path": row.path, "generation": row.generation})[:-1]
        text = f'{head}, "error": {json.dumps(row.error)}}}\n' if isinstance(row, Fault) else _line(head, row)
        waiting.append(text)
        size += len(text)
        if size >= PIECE_BYTES:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting).encode()


def _line(head: str, row: LineRow) -> str:
    try:
        content = f'"text": {json.dumps(row.raw.decode())}'
    except UnicodeDecodeError:
        content = f'"base64": "{base64.b64encode(row.raw).decode()}"'
    time = "null" if row.time_ns is None else f'"{time_text(row.time_ns)}"'
    more = ', "more": true' if row.more else ""
    return f'{head}, "line": {row.line}, "offset": {row.offset}, "time": {time}, {content}{more}}}\n'


def from_ndjson(lines: Iterable[bytes]) -> Iterator[LineRow | Fault]:
    """The rows that ``to_ndjson`` wrote. Raises Damaged for a line that is none of its own."""
    for line in lines:
        if not line:
            continue
        try:
            yield _row(json.loads(line))
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise Damaged(f"not a row of an export: {line[:80]!r}", where="export", hint="export it again") from error


def _row(values: dict[str, Any]) -> LineRow | Fault:
    agent, path, generation = str(values["agent"]), str(values["path"]), int(values["generation"])
    if "error" in values:
        return Fault(agent, path, generation, str(values["error"]))
    raw = values["text"].encode() if "text" in values else base64.b64decode(values["base64"], validate=True)
    time_ns = None if values["time"] is None else time_from(values["time"])
    more = bool(values.get("more", False))
    return LineRow(agent, path, generation, int(values["line"]), int(values["offset"]), time_ns, raw, more)


def time_text(ns: int) -> str:
    """``2026-11-23T08:14:01.882Z``: RFC 3339 in UTC, with as many digits as there are."""
    second, fraction = divmod(ns, 10**9)
    whole = (_EPOCH + timedelta(seconds=second)).isoformat()[:19]
    return f"{whole}{f'.{fraction:09d}'.rstrip('0') if fraction else ''}Z"


def time_from(text: str) -> int:
    """The nanoseconds that ``time_text`` was given."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    second = (datetime.fromisoformat(whole).replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
    return second * 10**9 + int(fraction.ljust(9, "0") or 0)
