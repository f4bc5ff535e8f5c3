"""What every match of a value has in it: literals, combined by and and or. Pure. What is not understood needs nothing.

Of a regular expression the literals are taken that no part of it makes optional. It is read as RE2 reads it, and
whatever is not plain is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from logferry.limits import INDEX_SOUGHT_KEPT, QUERY_DEPTH_MAX
from logferry.search.query import Glob, Literal, Regex, Value
from logferry.search.scan.patterns import letter_forms, pattern_token, runs_over_bytes


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes that occur in the line, in any case or as they are. ``is_all``: wherever they occur the value matches."""

    text: bytes
    exact_case: bool
    is_all: bool = False


@dataclass(frozen=True, slots=True)
class All:
    """Every one of these; of none: nothing is known."""

    of: tuple[Needed, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one of these."""

    of: tuple[Needed, ...]


Needed: TypeAlias = "Part | All | Any"
UNKNOWN = All(())


@lru_cache(maxsize=INDEX_SOUGHT_KEPT)
def needed(value: Value, *, exact_case: bool) -> Needed:
    """What a line has in it that matches ``value``."""
    if isinstance(value, Literal):
        return _literal(value.text, exact_case)
    if isinstance(value, Glob):
        parts = [_literal(part, exact_case) for part in value.parts if isinstance(part, str)]
        return _without_all(All(tuple(parts)))
    exact = ("c" in value.flags or exact_case) and "i" not in value.flags
    return _Reader(value, exact).read()


def _literal(text: str, exact_case: bool) -> Needed:
    """A text that stands for itself. Letters beyond ASCII that have another case are not looked up."""
    if exact_case:
        return Part(_bytes(text), True, is_all=True)
    parts, at = [], 0
    for i, c in enumerate(text + "\0"):
        if i == len(text) or (not c.isascii() and len(letter_forms(c)) > 1):
            if i > at:
                parts.append(text[at:i])
            at = i + 1
    if parts == [text]:
        return Part(_bytes(text), False, is_all=True)
    return All(tuple(Part(_bytes(part), False) for part in parts))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _without_all(found: Needed) -> Needed:
    """The same, of which no part is all there is to it."""
    if isinstance(found, Part):
        return Part(found.text, found.exact_case)
    return type(found)(tuple(_without_all(part) for part in found.of))


class _Unknown(Exception):
    """The pattern has something in it that is not understood: nothing is known of any of its matches."""


_QUANTIFIERS = ("*", "+", "?", "{")
_NAMED_CHARACTERS = {"\\t": "\t", "\\f": "\f", "\\v": "\v", "\\a": "\a"}
_ZERO_WIDTH = ("^", "$", "\\b", "\\B", "\\A", "\\z")
_KELVIN_AND_LONG_S = "kKsS"
"""ASCII letters that RE2 takes for others beyond ASCII, too, where it knows those."""


class _Reader:
    """Recursive descent over RE2's syntax."""

    def __init__(self, regex: Regex, exact_case: bool) -> None:
        self._pattern = regex.pattern
        self._at = 0
        self._exact = exact_case
        self._over_bytes = runs_over_bytes(regex.pattern)
        self._depth = 0

    def read(self) -> Needed:
        # A flag inside may turn case on and off: then any case is looked up, which finds more.
        self._exact = self._exact and "(?" not in self._pattern
        try:
            found = self._alternatives()
        except _Unknown:
            return UNKNOWN
        return found if self._at == len(self._pattern) else UNKNOWN

    def _alternatives(self) -> Needed:
        branches = [self._sequence()]
        while self._pattern.startswith("|", self._at):
            self._at += 1
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        if UNKNOWN in branches:
            return UNKNOWN
        return Any(tuple(branches))

    def _sequence(self) -> Needed:
        found: list[Needed] = []
        run = ""

        def end_run() -> None:
            nonlocal run
            if run:
                found.append(Part(_bytes(run), self._exact))
            run = ""

        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            atom = self._atom()
            least, most = self._repetition()
            if isinstance(atom, str):
                if least == most == 1:
                    run += atom
                elif least:
                    run += atom
                    end_run()
                    run = atom if len(atom) == 1 else ""
                else:
                    end_run()
                continue
            if atom == _ZERO:
                continue
            end_run()
            if least and atom != UNKNOWN:
                found.append(atom)
        end_run()
        flat = [part for one in found for part in (one.of if isinstance(one, All) else (one,))]
        return flat[0] if len(flat) == 1 else All(tuple(flat))

    def _atom(self) -> str | Needed:
        """A text that stands for itself, or what is needed of another atom."""
        c = self._pattern[self._at]
        if c == "(":
            return self._group()
        is_quoted = self._pattern.startswith("\\Q", self._at)
        token, self._at = pattern_token(self._pattern, self._at)
        if is_quoted:  # a run, its signs escaped
            if not token:
                raise _Unknown  # a repetition behind it is that of the atom before
            return UNKNOWN
        if token in _ZERO_WIDTH:
            return _ZERO
        if token.startswith((".", "[")):
            return UNKNOWN
        if token.startswith("\\"):
            return self._escape(token)
        if c in _QUANTIFIERS and c != "{":
            raise _Unknown
        return self._character(token)

    def _escape(self, token: str) -> str | Needed:
        named = _NAMED_CHARACTERS.get(token)
        if named is not None:
            return named
        c = token[1:]
        if c.isascii() and c.isalnum():
            if c in "pPx01234567":  # arguments follow, which are no text
                raise _Unknown
            if c not in "dDwWsSCnr":
                raise _Unknown
            return UNKNOWN
        return self._character(c)

    def _character(self, c: str) -> str | Needed:
        if not c or c == "\n":
            raise _Unknown
        if self._exact:
            return c
        if not c.isascii() or (not self._over_bytes and any(letter in _KELVIN_AND_LONG_S for letter in c)):
            return UNKNOWN
        return c

    def _group(self) -> str | Needed:
        pattern = self._pattern
        self._at += 1
        if pattern.startswith("?", self._at):
            if pattern.startswith(("?P<", "?<"), self._at):
                self._at = pattern.find(">", self._at) + 1
                if not self._at:
                    raise _Unknown
            else:
                end = self._at + 1
                while end < len(pattern) and (pattern[end].isalpha() or pattern[end] == "-"):
                    end += 1
                flags, closing = pattern[self._at + 1 : end], pattern[end : end + 1]
                if closing not in (":", ")") or not set(flags) <= set("imsU-"):
                    raise _Unknown
                self._at = end + 1
                if closing == ")":
                    if pattern[self._at : self._at + 1] in ("*", "+", "?", "{"):
                        raise _Unknown  # it is the atom before the flags that is repeated
                    return _ZERO
        self._depth += 1
        if self._depth > QUERY_DEPTH_MAX:
            raise _Unknown
        found = self._alternatives()
        self._depth -= 1
        if not pattern.startswith(")", self._at):
            raise _Unknown
        self._at += 1
        return found

    def _repetition(self) -> tuple[int, int]:
        """How often the atom before it occurs, at least and at most (2: more than once)."""
        least, most = 1, 1
        while self._at < len(self._pattern) and self._pattern[self._at] in _QUANTIFIERS:
            c = self._pattern[self._at]
            if c == "{":
                found = self._counted()
                if found is None:
                    break
                low, high = found
            else:
                self._at += 1
                low, high = {"*": (0, 2), "+": (1, 2), "?": (0, 1)}[c]
            least, most = min(least, low), 2 if (least, most) != (1, 1) else high
            if self._pattern.startswith("?", self._at):  # as few as possible
                self._at += 1
        return least, most

    def _counted(self) -> tuple[int, int] | None:
        """What ``{2,5}`` says; None where the brace is a character."""
        end = self._pattern.find("}", self._at)
        inside = self._pattern[self._at + 1 : end] if end > 0 else ""
        low, comma, high = inside.partition(",")
        if not (low.isascii() and low.isdigit()) or (high and not (high.isascii() and high.isdigit())):
            return None
        if any(len(number) > 1 and number[0] == "0" for number in (low, high)):  # for RE2, such a brace is a character
            return None
        self._at = end + 1
        most = (2 if not high else int(high)) if comma else int(low)
        return min(int(low), 1), min(2, most)


_ZERO = Any(())
"""Takes no room: what stands before and behind it is side by side."""
