"""Regular expressions on RE2: linear time, bounded memory. Whatever RE2 refuses becomes a BadQuery with its column."""

from __future__ import annotations

import re2

from logferry.errors import BadQuery
from logferry.limits import REGEX_MEMORY_BYTES_MAX, REGEX_PROGRAM_BYTES_MAX
from logferry.search.query.nodes import Regex

_HINTS = {
    "invalid perl operator": "look-around and back-references are not possible; combine terms with space or NOT",
    "invalid escape sequence": "back-references are not possible; write \\\\ for a backslash",
    "missing )": "close it, or write \\( to search for it",
    "missing ]": "close it, or write \\[ to search for it",
    "unexpected )": "remove it, or write \\) to search for it",
    "no argument for repetition operator": "write \\ before it to search for the character itself",
    "bad repetition operator": "write one repetition after a term",
    "invalid repetition size": "repeat at most 1,000 times",
    "pattern too large": "make it shorter or repeat less",
}


def options(*, exact_case: bool) -> re2.Options:
    """How patterns are compiled: a match never crosses a line end, ``^`` and ``$`` are those of the line."""
    chosen = re2.Options()
    chosen.max_mem = REGEX_MEMORY_BYTES_MAX
    chosen.never_nl = True
    chosen.never_capture = True
    chosen.case_sensitive = exact_case
    chosen.log_errors = False
    return chosen


def _checking() -> re2.Options:
    chosen = options(exact_case=True)
    chosen.max_mem = REGEX_PROGRAM_BYTES_MAX
    return chosen


def checked_regex(regex: Regex, column: int) -> Regex:
    """``regex`` itself if RE2 can run it; ``column`` is that of its opening slash.

    Raises:
        BadQuery: RE2 cannot; the column is that of the offending part where RE2 names it.
    """
    try:
        re2.compile(regex.pattern.encode("utf-8"), _checking())
    except UnicodeEncodeError as error:
        raise BadQuery(
            "half a character (lone surrogate) cannot be searched for", column=column + 1 + error.start
        ) from error
    except re2.error as error:
        raise _refusal(regex, column, _reason(error)) from error
    return regex


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _refusal(regex: Regex, column: int, reason: str) -> BadQuery:
    kind, _, fragment = reason.partition(": ")
    at = regex.pattern.find(fragment) if fragment else -1
    hint = next((text for start, text in _HINTS.items() if kind.startswith(start)), "see the RE2 syntax")
    return BadQuery(f"the regular expression is not possible: {reason}", column=column + 1 + max(at, 0), hint=hint)
