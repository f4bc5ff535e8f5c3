"""The characters of a query, one cursor over them: words, phrases, regular expressions and what starts or ends them."""

from __future__ import annotations

import re

from logferry.errors import BadQuery
from logferry.search.query.nodes import Glob, Literal, Regex, Value, Wild

ESCAPABLE = " \"'()*?:-!/\\"
_NAME = re.compile(r"([A-Za-z][A-Za-z0-9_]*):")
_AT_NAME = re.compile(r"(@@?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*):")
_FLAGS = "imsc"


class Reader:
    """A cursor over ``text``. Columns are 1-based characters; no method moves past the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def column(self) -> int:
        """The column of the next character."""
        return self._at + 1

    def at_end(self) -> bool:
        """Whether every character was taken."""
        return self._at >= len(self._text)

    def peek(self, ahead: int = 0) -> str:
        """The character ``ahead`` of the cursor; empty at the end."""
        return self._text[self._at + ahead : self._at + ahead + 1]

    def skip_space(self) -> None:
        """Move to the next character that is no space."""
        while self.peek().isspace():
            self._at += 1

    def take(self, wanted: str) -> bool:
        """Take ``wanted`` if it comes next."""
        if self._text.startswith(wanted, self._at):
            self._at += len(wanted)
            return True
        return False

    def ends_term(self, at: int) -> bool:
        """Whether a term that ends before index ``at`` ends cleanly: there is a space, ``)`` or nothing."""
        return at >= len(self._text) or self._text[at].isspace() or self._text[at] == ")"

    def take_keyword(self, word: str) -> bool:
        """Take ``AND``, ``OR`` or ``NOT`` if it stands alone as the next word."""
        end = self._at + len(word)
        if self._text.startswith(word, self._at) and (self.ends_term(end) or self._text[end] == "("):
            self._at = end
            return True
        return False

    def take_negation(self) -> bool:
        """Take ``-`` or ``!`` if it negates: directly before a character other than space ``)`` ``-`` ``!``."""
        after = self.peek(1)
        if self.peek() in ("-", "!") and after and not after.isspace() and after not in ")-!":
            self._at += 1
            return True
        return False

    def peek_name(self) -> str:
        """The ``name`` of a ``name:`` that comes next (``@a.b`` included); empty if none does."""
        found = _NAME.match(self._text, self._at) or _AT_NAME.match(self._text, self._at)
        return found[1] if found else ""

    def value(self, *, in_field: bool, regex: bool = True) -> Value | None:
        """Take a phrase, regular expression or word; None if no value starts here.

        In a field, ``..`` ends a word. Raises BadQuery for a quote that is never closed.
        """
        c = self.peek()
        if c in ('"', "'") and c:
            return self._phrase(c)
        if c == "/" and regex:
            found = self._regex()
            if found is not None:
                return found
        return self._word(in_field)

    def _phrase(self, quote: str) -> Literal:
        start = self.column
        at, taken = self._at + 1, []
        while at < len(self._text):
            c = self._text[at]
            if c == "\\" and self._text[at + 1 : at + 2] in (quote, "\\"):
                taken.append(self._text[at + 1])
                at += 2
            elif c == quote:
                self._at = at + 1
                if not taken:
                    raise BadQuery("there is nothing between the quotes", column=start, hint="remove them")
                return Literal("".join(taken))
            else:
                taken.append(c)
                at += 1
        raise BadQuery(
            f"this {quote} is never closed",
            column=start,
            hint=f"add {quote} at the end, or write \\{quote} to search for it",
        )

    def _regex(self) -> Regex | None:
        at = self._at + 1
        while at < len(self._text) and self._text[at] != "/":
            at += 2 if self._text[at] == "\\" else 1
        pattern, end = self._text[self._at + 1 : at], at + 1
        while end < len(self._text) and self._text[end] in _FLAGS:
            end += 1
        if at >= len(self._text) or not pattern or not self.ends_term(end):
            return None
        flags = "".join(sorted(set(self._text[at + 1 : end])))
        start, self._at = self.column, end
        if "c" in flags and "i" in flags:
            raise BadQuery("flags c (exact case) and i (any case) exclude each other", column=start, hint="keep one")
        return Regex(pattern.replace("\\/", "/"), flags)

    def _word(self, in_field: bool) -> Value | None:
        parts: list[str | Wild] = []
        at = self._at
        while at < len(self._text):
            c = self._text[at]
            if c.isspace() or c in "()" or (in_field and self._text.startswith("..", at)):
                break
            if c == "\\" and self._text[at + 1 : at + 2] and self._text[at + 1] in ESCAPABLE:
                at += 1
                _add(parts, self._text[at])
            elif c in "*?":
                _add_wild(parts, Wild(c))
            else:
                _add(parts, c)
            at += 1
        self._at = at
        if not parts:
            return None
        if len(parts) == 1 and isinstance(parts[0], str):
            return Literal(parts[0])
        return Glob(tuple(parts))


def _add(parts: list[str | Wild], c: str) -> None:
    last = parts[-1] if parts else None
    if isinstance(last, str):
        parts[-1] = last + c
    else:
        parts.append(c)


def _add_wild(parts: list[str | Wild], wild: Wild) -> None:
    if wild is Wild.RUN and parts and parts[-1] is Wild.RUN:
        return  # ** is *
    parts.append(wild)
