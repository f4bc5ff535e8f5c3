"""A byte pattern as a table that native code runs over whole lines: whether each matches, no place of a match.

RE2 tells where a match lies, one call from Python for each: where many lines match, that takes longer than reading
them. Here states are made as they are needed, like RE2's own, and shared by all threads. What is not understood, or
needs too many states, is left to RE2. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from logferry.limits import AUTOMATON_NODES_MAX, AUTOMATON_STATES_MAX, AUTOMATON_WORK_MAX, QUERY_DEPTH_MAX

I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

ACCEPT, DEAD, UNKNOWN = 0, 1, -1
"""The states in which a line matches, or does not, whatever follows; a step that nobody has taken yet."""

_ALL = (1 << 256) - 1
_HIGH = _ALL ^ ((1 << 128) - 1)
_NEWLINE = 1 << 10


def _set_of(text: bytes) -> int:
    return sum(1 << byte for byte in set(text))


def _range(first: int, last: int) -> int:
    return (1 << (last + 1)) - (1 << first)


_DIGITS, _UPPER, _LOWER = _range(48, 57), _range(65, 90), _range(97, 122)
_LETTERS = _UPPER | _LOWER
_NAMED = {"d": _DIGITS, "w": _DIGITS | _LETTERS | 1 << 95, "s": _set_of(b"\t\n\f\r ")}
_POSIX = {
    "alnum": _DIGITS | _LETTERS,
    "alpha": _LETTERS,
    "blank": _set_of(b"\t "),
    "digit": _DIGITS,
    "lower": _LOWER,
    "punct": _range(33, 47) | _range(58, 64) | _range(91, 96) | _range(123, 126),
    "space": _set_of(b"\t\n\v\f\r "),
    "upper": _UPPER,
    "word": _NAMED["w"],
    "xdigit": _DIGITS | _range(65, 70) | _range(97, 102),
}
_ESCAPES = {"t": 9, "r": 13, "f": 12, "v": 11, "a": 7}


class _Unknown(Exception):
    """Nothing that is understood here."""


# The pattern as a tree ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Set:
    """One byte out of some: bit n for byte n."""

    bytes: int


@dataclass(frozen=True, slots=True)
class _Edge:
    """The beginning or the end of the line."""

    is_end: bool


@dataclass(frozen=True, slots=True)
class _All:
    of: tuple[_Tree, ...]


@dataclass(frozen=True, slots=True)
class _Any:
    of: tuple[_Tree, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    """``most`` None: any number of times."""

    of: _Tree
    least: int
    most: int | None


_Tree: TypeAlias = "_Set | _Edge | _All | _Any | _Repeat"


def _folded(some: int) -> int:
    """With both cases of each letter. Of single bytes beyond ASCII the case means nothing to us; RE2 sees it else."""
    if some & _HIGH not in (0, _HIGH):
        raise _Unknown
    upper, lower = some & _UPPER, some & _LOWER
    return some | upper << 32 | lower >> 32


class _Reader:
    """Recursive descent over RE2's syntax, as ``patterns`` writes it: anchors are those of lines already."""

    def __init__(self, pattern: str, exact_case: bool) -> None:
        self._pattern = pattern
        self._at = 0
        self._folds = not exact_case
        self._depth = 0

    def read(self) -> _Tree:
        found = self._alternatives()
        if self._at != len(self._pattern):
            raise _Unknown
        return found

    def _alternatives(self) -> _Tree:
        branches = [self._sequence()]
        while self._next("|"):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else _Any(tuple(branches))

    def _sequence(self) -> _Tree:
        found: list[_Tree] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            atom = self._atom()
            if atom is not None:
                found.append(self._repeated(atom))
        return found[0] if len(found) == 1 else _All(tuple(found))

    def _next(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _taken(self) -> str:
        if self._at >= len(self._pattern):
            raise _Unknown
        self._at += 1
        return self._pattern[self._at - 1]

    def _atom(self) -> _Tree | None:
        """None: flags, which take no room."""
        c = self._taken()
        if c == "(":
            return self._group()
        if c == "[":
            return _Set(self._class())
        if c == ".":
            return _Set(_ALL & ~_NEWLINE)
        if c in "^$":
            return _Edge(c == "$")
        if c in "*+?" or not c.isascii():
            raise _Unknown
        if c != "\\":
            return self._byte(ord(c))
        c = self._taken()
        if c.lower() in _NAMED:
            some = _NAMED[c.lower()]
            return _Set((some if c.islower() else ~some & _ALL) & ~_NEWLINE)
        return self._byte(self._escaped(c))

    def _byte(self, byte: int) -> _Tree:
        some = 1 << byte
        return _Set((_folded(some) if self._folds else some) & ~_NEWLINE)

    def _escaped(self, c: str) -> int:
        """The byte that an escape stands for."""
        if c in _ESCAPES:
            return _ESCAPES[c]
        if c == "n":
            return 10
        if c == "x":
            digits = self._taken() + self._taken()
            if not set(digits) <= set("0123456789abcdefABCDEF"):
                raise _Unknown
            return int(digits, 16)
        if not c.isascii() or c.isalnum():
            raise _Unknown
        return ord(c)

    def _class(self) -> int:
        """What stands in brackets; the opening one is read."""
        is_negated = self._next("^")
        found, is_first = 0, True
        while is_first or not self._next("]"):
            is_first = False
            if self._next("[:"):
                end = self._pattern.find(":]", self._at)
                name = self._pattern[self._at : end]
                if end < 0 or name not in _POSIX:
                    raise _Unknown
                self._at = end + 2
                found |= _POSIX[name]
                continue
            first = self._member()
            if isinstance(first, _Set):
                found |= first.bytes
                continue
            if self._pattern.startswith("-", self._at) and not self._pattern.startswith("-]", self._at):
                self._at += 1
                last = self._member()
                if isinstance(last, _Set) or last < first:
                    raise _Unknown
                found |= _range(first, last)
            else:
                found |= 1 << first
        if self._folds:
            found = _folded(found)
        return (~found & _ALL if is_negated else found) & ~_NEWLINE

    def _member(self) -> int | _Set:
        c = self._taken()
        if not c.isascii():
            raise _Unknown
        if c != "\\":
            return ord(c)
        c = self._taken()
        return _Set(_NAMED[c]) if c in _NAMED else self._escaped(c)

    def _group(self) -> _Tree | None:
        folds = self._folds
        if self._next("?"):
            if self._next("P<") or self._next("<"):
                end = self._pattern.find(">", self._at)
                if end < 0:
                    raise _Unknown
                self._at = end + 1
            elif self._flags():
                return None
        self._depth += 1
        if self._depth > QUERY_DEPTH_MAX:
            raise _Unknown
        found = self._alternatives()
        self._depth -= 1
        if not self._next(")"):
            raise _Unknown
        self._folds = folds
        return found

    def _flags(self) -> bool:
        """Flags at the beginning of a group; whether there are only they, so that they count behind it."""
        is_on = True
        while (c := self._taken()) not in ":)":
            if c == "-" and is_on:
                is_on = False
            elif c == "i":
                self._folds = is_on
            elif c not in "msU":  # lines have no line ends; and how long a match is means nothing here
                raise _Unknown
        if c == ")" and self._pattern[self._at : self._at + 1] in ("*", "+", "?", "{"):
            raise _Unknown
        return c == ")"

    def _repeated(self, atom: _Tree) -> _Tree:
        c = self._pattern[self._at : self._at + 1]
        least, most = 0, None
        if c == "{":
            end = self._pattern.find("}", self._at)
            low, comma, high = self._pattern[self._at + 1 : max(end, 0)].partition(",")
            if not _is_number(low) or (high and not _is_number(high)):
                if low[:1].isdigit():
                    raise _Unknown
                return atom  # a character
            self._at = end + 1
            least = int(low)
            most = (int(high) if high else None) if comma else least
            if most is not None and most < least:
                raise _Unknown
        elif c in ("*", "+", "?"):
            self._at += 1
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[c]
        else:
            return atom
        self._next("?")  # as few as possible
        if self._pattern[self._at : self._at + 1] in ("*", "+", "?") or self._pattern[self._at :][:1] == "{":
            raise _Unknown
        return _Repeat(atom, least, most)


def _is_number(text: str) -> bool:
    """As RE2 has it: such a brace with leading zeros is a character."""
    return text.isascii() and text.isdigit() and (len(text) == 1 or text[0] != "0") and len(text) <= 4


# What a match has in it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes that every match holds. ``cases``: 0x20 where a letter may be a capital, too; ``text`` is small there.
    ``is_first``: each match begins with them."""

    text: bytes
    cases: bytes
    is_first: bool


def _runs(tree: _Tree) -> Iterator[Run]:
    """The runs of single bytes side by side, no part of which is optional."""
    text, cases, is_first = bytearray(), bytearray(), True
    for part in _flat(tree):
        byte = _single(part.bytes) if isinstance(part, _Set) else None
        if byte is not None:
            text.append(byte[0])
            cases.append(byte[1])
            continue
        if text:
            yield Run(bytes(text), bytes(cases), is_first)
            text, cases = bytearray(), bytearray()
        is_first = False
    if text:
        yield Run(bytes(text), bytes(cases), is_first)


def _flat(tree: _Tree) -> Iterator[_Tree]:
    if isinstance(tree, _All):
        for part in tree.of:
            yield from _flat(part)
    elif isinstance(tree, _Repeat) and tree.least:
        # What is repeated occurs once, at least; what follows it need not be beside the first time.
        yield from _flat(tree.of)
        if tree.most != 1:
            yield _Any(())
    else:
        yield tree


def _single(some: int) -> tuple[int, int] | None:
    """The byte, and 0x20 if it may be a capital as well."""
    if some.bit_count() == 1:
        return some.bit_length() - 1, 0
    if some.bit_count() == 2 and some & _LOWER and some == (some & _LOWER) | (some & _LOWER) >> 32:
        return some.bit_length() - 1, 0x20
    return None


# From the tree to nodes ---------------------------------------------------------------------------------------------

_MATCH = 0


class _Nodes:
    """The pattern as nodes: each takes a byte and goes on, or goes on to several at once."""

    def __init__(self, tree: _Tree) -> None:
        self.takes: list[int] = [0]
        """The bytes that a node takes; 0: none."""
        self.then: list[list[int]] = [[]]
        self.edge: list[bool | None] = [None]
        """Set where a node is passed at the end (True) or the beginning of the line alone."""
        self.work = 0
        """Nodes that were made, and those looked at to find the states so far, each as often as it was."""
        self.start = self._of(tree, _MATCH)

    def _add(self, takes: int, then: list[int], edge: bool | None = None) -> int:
        if len(self.takes) >= AUTOMATON_NODES_MAX:
            raise _Unknown
        self.takes.append(takes)
        self.then.append(then)
        self.edge.append(edge)
        return len(self.takes) - 1

    def _of(self, tree: _Tree, then: int) -> int:
        self.spend(1)
        if isinstance(tree, _Set):
            return self._add(tree.bytes, [then] if tree.bytes else [])
        if isinstance(tree, _Edge):
            return self._add(0, [then], tree.is_end)
        if isinstance(tree, _All):
            for part in reversed(tree.of):
                then = self._of(part, then)
            return then
        if isinstance(tree, _Any):
            return self._add(0, [self._of(part, then) for part in tree.of])
        if tree.most is None:
            loop = self._add(0, [then])
            self.then[loop].append(self._of(tree.of, loop))
            then = loop
        else:
            end = then
            for _ in range(tree.most - tree.least):
                then = self._add(0, [end, self._of(tree.of, then)])
        for _ in range(tree.least):
            then = self._of(tree.of, then)
        return then

    def spend(self, work: int) -> None:
        """Raises _Unknown when it was too much in all: whoever searches waits, and nobody can stop it meanwhile."""
        self.work += work
        if self.work > AUTOMATON_WORK_MAX:
            raise _Unknown

    def reached(self, node: int, *, at_start: bool) -> tuple[int, bool, bool]:
        """From a node without taking a byte: those that take one (bit n: node n), whether it matches, and whether it
        does at the end of the line. Raises _Unknown where that would take too long."""
        taking, matches, matches_at_end = 0, False, False
        seen: set[tuple[int, bool]] = set()
        waiting = [(node, False)]
        while waiting:
            now = waiting.pop()
            if now in seen:
                continue
            seen.add(now)
            self.spend(1)
            number, is_end = now
            if number == _MATCH:
                matches |= not is_end
                matches_at_end = True
                continue
            if self.takes[number] and not is_end:
                taking |= 1 << number
            if self.takes[number]:
                continue
            edge = self.edge[number]
            if edge is False and not at_start:
                continue
            waiting += [(other, is_end or edge is True) for other in self.then[number]]
        return taking, matches, matches_at_end


# The table ----------------------------------------------------------------------------------------------------------


class Automaton:
    """For several threads at once: what two of them find out at the same time is the same.

    ``steps[state, class_of[byte]]`` is the next state times ``width``, the length of a row, or ``UNKNOWN`` until
    ``learn`` was asked.

    ``matches_at_end``: the states in which a line that ends there matches. ``first`` is the state at the beginning of a
    line, ``idle`` the one within it, before anything of a match.
    """

    def __init__(self, tree: _Tree) -> None:
        self._nodes = nodes = _Nodes(tree)
        self.run = _best(list(_runs(tree)))
        """What all matches hold, if anything is known."""
        self.class_of, self._takers = _classes(nodes.takes)
        self._again = nodes.reached(nodes.start, at_start=False)
        self._after: dict[int, tuple[int, bool, bool]] = {}
        self.width = len(self._takers)
        self.is_full = False
        """Whether it came to too many states, or they take too long to find."""
        self._next = count(DEAD + 1)
        self._members = {ACCEPT: 0, DEAD: 0}
        self._numbers: dict[tuple[int, bool], int] = {(0, False): DEAD}
        self.steps: I32 = np.full((AUTOMATON_STATES_MAX, self.width), UNKNOWN, np.int32)
        self.steps[ACCEPT], self.steps[DEAD] = ACCEPT * self.width, DEAD * self.width
        self.matches_at_end: Bools = np.zeros(AUTOMATON_STATES_MAX, np.bool_)
        self.matches_at_end[ACCEPT] = True
        self.idle = self._state(*self._again) or ACCEPT
        self.first = self._state(*_union(self._again, nodes.reached(nodes.start, at_start=True))) or ACCEPT

    def learn(self, state: int) -> bool:
        """Find the steps from a state. False: there are too many states, or they take too long to find."""
        if self.steps[state, 0] != UNKNOWN:
            return True
        members = list(_bits(self._members[state]))
        try:
            self._nodes.spend(len(members) * self.width)
            then = [self._from(node) for node in members]
        except _Unknown:
            self.is_full = True
            return False
        row = []
        for takers in self._takers:
            found = self._again
            for node, reached in zip(members, then, strict=True):
                if takers >> node & 1:
                    found = _union(found, reached)
            number = self._state(*found)
            if number is None:
                self.is_full = True
                return False
            row.append(number * self.width)
        # Whoever looks at this meanwhile sees a step or none: the first one is written last.
        self.steps[state, 1:] = row[1:]
        self.steps[state, 0] = row[0]
        return True

    def _from(self, node: int) -> tuple[int, bool, bool]:
        """What is reached behind the byte that a node takes."""
        found = self._after.get(node)
        if found is None:
            (then,) = self._nodes.then[node]
            found = self._after[node] = self._nodes.reached(then, at_start=False)
        return found

    def _state(self, members: int, matches: bool, at_end: bool) -> int | None:
        """The number of a state; None: there are too many."""
        if matches:
            return ACCEPT
        known = self._numbers.get((members, at_end))
        if known is not None:
            return known
        number = next(self._next)
        if number >= AUTOMATON_STATES_MAX:
            return None
        # Another thread may give it a number as well: the first one counts, and all is ready when it does.
        self._members[number], self.matches_at_end[number] = members, at_end
        return self._numbers.setdefault((members, at_end), number)


def _union(one: tuple[int, bool, bool], other: tuple[int, bool, bool]) -> tuple[int, bool, bool]:
    return one[0] | other[0], one[1] or other[1], one[2] or other[2]


def _best(runs: list[Run]) -> Run | None:
    """The longest; rather the first one, if it is long enough to be rare."""
    longest = max(runs, key=lambda run: len(run.text), default=None)
    if runs and runs[0].is_first and len(runs[0].text) >= _LONG_ENOUGH:
        return runs[0]
    return longest


_LONG_ENOUGH = 4


def _bits(number: int) -> Iterator[int]:
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def _classes(takes: list[int]) -> tuple[U8, list[int]]:
    """The class of each byte, and which nodes (bit n: node n) take the bytes of each class."""
    parts = [_ALL]
    for some in set(takes) - {0}:
        parts = [part for whole in parts for part in (whole & some, whole & ~some) if part]
    nodes_of: dict[int, int] = {}
    for node, some in enumerate(takes):
        nodes_of[some] = nodes_of.get(some, 0) | 1 << node
    class_of = np.zeros(256, np.uint8)
    takers = []
    for number, part in enumerate(parts):
        class_of[list(_bits(part))] = number
        takers.append(sum(nodes for some, nodes in nodes_of.items() if some & part))
    return class_of, takers


def automaton_of(pattern: bytes, *, exact_case: bool) -> Automaton | None:
    """The automaton of a pattern over bytes, as RE2 reads it in Latin-1; None: it has to be asked.

    Args:
        pattern: a match is one within a line; its anchors are those of the line.
        exact_case: else ASCII letters stand for both cases.
    """
    try:
        return Automaton(_Reader(pattern.decode("latin-1"), exact_case).read())
    except (_Unknown, RecursionError):
        return None
