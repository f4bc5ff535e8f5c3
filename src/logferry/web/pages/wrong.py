"""Where a query is wrong, cut so that a caret can stand under the place. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from logferry.errors import BadQuery
from logferry.web.pages import words

_CHARS_AROUND = 60


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a query does not parse: ``at`` is the character it is about, between what stands before and after."""

    message: str
    hint: str
    before: str
    at: str
    after: str


def wrong(query: str, error: BadQuery) -> Wrong:
    """The error with the text around its column, both sides shortened."""
    at = min(max(error.column - 1, 0), len(query))
    before, after = query[:at], query[at + 1 :]
    return Wrong(
        message=words.sentence(error.message),
        hint=words.sentence(error.hint),
        before=f"…{before[-_CHARS_AROUND:]}" if len(before) > _CHARS_AROUND else before,
        at=query[at : at + 1] or " ",
        after=f"{after[:_CHARS_AROUND]}…" if len(after) > _CHARS_AROUND else after,
    )
