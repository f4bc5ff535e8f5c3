"""What a search means, in plain Python over whole files: slow, obvious, and used to judge the fast one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from logferry.search.query import And, Everything, Glob, Literal, Node, Not, Or, Regex, Text, Value, Wild

ANY_CHARACTER = "[^\n\udc80-\udcff]"
"""One character; a byte that is not UTF-8 (here a lone surrogate) is none."""


@dataclass(frozen=True)
class Line:
    """A line of a file: its number from 1, its first byte, its bytes without the line end."""

    number: int
    byte: int
    data: bytes


def lines_of(data: bytes) -> list[Line]:
    """The lines of a file; what follows the last line end is a line too."""
    found, at = [], 0
    for number, part in enumerate(data.split(b"\n"), 1):
        found.append(Line(number, at, part))
        at += len(part) + 1
    if found and not found[-1].data:
        found.pop()  # nothing follows the last line end
    return found


def matches(node: Node, line: bytes, *, exact_case: bool = False) -> bool:
    """Whether a line matches a query that is made of texts."""
    if isinstance(node, Everything):
        return True
    if isinstance(node, Not):
        return not matches(node.child, line, exact_case=exact_case)
    if isinstance(node, And):
        return all(matches(child, line, exact_case=exact_case) for child in node.children)
    if isinstance(node, Or):
        return any(matches(child, line, exact_case=exact_case) for child in node.children)
    assert isinstance(node, Text)
    return _holds(node.value, line.decode("utf-8", "surrogateescape"), exact_case)


def found_in(node: Node, data: bytes, *, exact_case: bool = False) -> list[Line]:
    """The lines of a file that match."""
    return [line for line in lines_of(data) if matches(node, line.data, exact_case=exact_case)]


def _holds(value: Value, text: str, exact_case: bool) -> bool:
    if isinstance(value, Literal):
        wanted = value.text
        return wanted in text if exact_case else _folded(wanted) in _folded(text)
    if isinstance(value, Glob):
        pattern = "".join(
            "(?:.|\n)*" if p is Wild.RUN else ANY_CHARACTER if p is Wild.ONE else re.escape(str(p)) for p in value.parts
        )
        flags = 0 if exact_case else re.IGNORECASE
        return re.search(pattern, text, flags) is not None
    assert isinstance(value, Regex)
    exact = ("c" in value.flags or exact_case) and "i" not in value.flags
    return _search(value.pattern, text, exact)


def _search(pattern: str, text: str, exact: bool) -> bool:
    flags = (re.ASCII if pattern.isascii() else 0) | (0 if exact else re.IGNORECASE)
    return re.search(in_python(pattern), text, flags) is not None


def in_python(pattern: str) -> str:
    """A pattern of the tests for Python: one ``.`` or ``[^x]`` is a character, ``$`` may precede a CR."""
    pattern = pattern.replace("[[:alpha:]]", "[A-Za-z]")
    pattern = re.sub(r"(?<!\\)\.(?![*+])", lambda _: ANY_CHARACTER, pattern)
    pattern = re.sub(r"\[\^([^\]]*)\](?![*+])", lambda m: f"[^{m[1]}\n\udc80-\udcff]", pattern)
    return re.sub(r"(?<!\\)\$", lambda _: r"(?:\r?\Z)", pattern)


@lru_cache(maxsize=20_000)
def _folded(text: str) -> str:
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
