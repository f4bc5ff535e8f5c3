"""Name patterns of listings: ``*``, ``?``, ``[a-z]``, ``[!a-z]``. No pattern makes matching slow.

A pattern is cut at its stars; each piece becomes a regular expression without any repetition, and the pieces are looked
for from left to right, each as early as possible. That finds a match whenever there is one and never goes back, so the
work is at most length of name x length of pattern, whatever somebody writes (``*a*a*a*a*b``).
"""

from __future__ import annotations

import re

_WILD = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Whether ``text`` holds anything that stands for more than itself."""
    return _WILD.search(text) is not None


class Pattern:
    """One component of a path as a pattern; upper and lower case differ. Never raises."""

    __slots__ = ("_first", "_last", "_middle")

    def __init__(self, text: str) -> None:
        pieces = [re.compile(piece, re.DOTALL) for piece in _pieces(text)]
        self._first = pieces[0]
        self._middle = pieces[1:-1]
        self._last: tuple[re.Pattern[str], int] | None = None
        if len(pieces) > 1:
            self._last = (pieces[-1], _length(text))

    def fits(self, name: str) -> bool:
        """Whether the whole of ``name`` matches."""
        if self._last is None:
            return self._first.fullmatch(name) is not None
        found = self._first.match(name)
        if not found:
            return False
        position = found.end()
        for piece in self._middle:
            found = piece.search(name, position)
            if not found:
                return False
            position = found.end()
        last, length = self._last
        start = len(name) - length
        return start >= position and last.fullmatch(name, start) is not None


def _pieces(text: str) -> list[str]:
    """The pieces between the stars as regular expressions, each of as many characters as it has parts."""
    pieces = [""]
    for part in _parts(text):
        if part == "*":
            pieces.append("")
        elif part == "?":
            pieces[-1] += "."
        elif part.startswith("[") and len(part) > 1:
            pieces[-1] += _class(part[1:-1])
        else:
            pieces[-1] += re.escape(part)
    # Stars in a row are one.
    return [piece for index, piece in enumerate(pieces) if piece or index in (0, len(pieces) - 1)]


def _length(text: str) -> int:
    """Characters that what stands behind the last star takes."""
    parts = _parts(text)
    return parts[::-1].index("*")


def _parts(text: str) -> list[str]:
    """Single characters and whole ``[…]``; a bracket that is never closed is a character like any other."""
    parts = []
    position = 0
    closing = text.rfind("]")
    while position < len(text):
        end = position + 1
        if text[position] == "[" and closing > position:
            # A ] right behind [ or [! belongs to the set.
            start = position + 2 if text[position + 1 : position + 2] in ("!", "^") else position + 1
            found = text.find("]", start + 1)
            if found > 0:
                end = found + 1
        parts.append(text[position:end])
        position = end
    return parts


def _class(inside: str) -> str:
    """What stands between brackets as a regular expression for one character."""
    negated = inside[:1] in ("!", "^")
    inside = inside[1:] if negated else inside
    found = []
    position = 0
    while position < len(inside):
        low = high = inside[position]
        position += 1
        if position + 1 < len(inside) and inside[position] == "-":
            high = inside[position + 1]
            position += 2
        if low <= high:
            found.append(re.escape(low) if low == high else f"{re.escape(low)}-{re.escape(high)}")
    if not found:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{''.join(found)}]"
