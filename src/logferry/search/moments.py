"""``from`` and ``to`` of a search: RFC 3339, or a time as the query language has it. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from logferry.errors import BadQuery, Refused
from logferry.search.query.nodes import Literal
from logferry.search.query.values import Span, span

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_PLUS_LOST = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+) ([0-9]{2}:[0-9]{2})")
"""A ``+`` that was not escaped in an address arrives as a space."""
_FINER = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,9}")


def moment(text: str, name: str, now_ns: int, zone: tzinfo = UTC) -> Span:
    """The time that ``text`` stands for, in nanoseconds: ``2026-11-23`` is the whole day, ``now-2h`` a moment.

    ``zone`` is that of times which name none.

    Raises:
        Refused: it is no time; ``name`` is the parameter that the message names.
    """
    text = _PLUS_LOST.sub(r"\1+\2", text.strip())
    if _RFC3339.fullmatch(text) or (zone is UTC and _FINER.fullmatch(text)):
        found = _exact(text)
        if found is not None:
            return found
    try:
        return span("time", Literal(text.replace(" ", "T", 1)), now_ns, 1, zone)
    except BadQuery as error:
        raise Refused(f"{name}: {error.message}", hint=f"{error.hint}, or RFC 3339: 2026-11-23T08:15:00Z") from error


def _exact(text: str) -> Span | None:
    """A full time with its zone. It means the second, or the part of it, that it names."""
    fraction = re.search(r"\.([0-9]+)", text)
    whole = text.replace(fraction[0], "") if fraction else text
    try:
        found = datetime.fromisoformat(whole.upper().replace(" ", "T"))
        since_s = int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
    if fraction:
        digits = fraction[1]
        step_ns = int(10 ** (9 - len(digits)))
        low = since_s * 1_000_000_000 + int(digits) * step_ns
        return Span(low, low + step_ns)
    seconds = 1 if whole[16:17] == ":" else 60
    low = since_s * 1_000_000_000
    return Span(low, low + seconds * 1_000_000_000)
