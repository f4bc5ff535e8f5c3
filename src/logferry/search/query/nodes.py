"""What a query says, as a tree of frozen values. Columns are 1-based and do not count when two trees are compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Literal as Choice
from typing import TypeAlias


class Wild(Enum):
    """A wildcard inside a word."""

    RUN = "*"
    """Any run of characters, none included."""
    ONE = "?"
    """Exactly one character."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stands for itself: a word without wildcards or a phrase. Never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Glob:
    """A word with wildcards: non-empty texts and wildcards in order, at least one wildcard."""

    parts: tuple[str | Wild, ...]


@dataclass(frozen=True, slots=True)
class Regex:
    """An RE2 regular expression. ``flags`` is a sorted subset of ``cims``."""

    pattern: str
    flags: str = ""


Value: TypeAlias = Literal | Glob | Regex
Comparison: TypeAlias = Choice["", "=", ">", ">=", "<", "<=", ".."]

FILE_FIELDS = ("agent", "path", "file", "ext", "size", "modified", "received", "tag", "sha256")
"""Fields that choose files without reading them."""
LINE_FIELDS = ("level", "time")
"""Fields that are decided line by line; ``@name`` is one, too."""
ORDERED_FIELDS = ("size", "modified", "received", "time", "level")
"""Fields that know more and less; so does ``@name``."""


@dataclass(frozen=True, slots=True)
class Everything:
    """The empty query: every line of every file."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text anywhere in the line (in the path, where files are searched)."""

    value: Value
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Filter:
    """``name:value``, ``name:>=value`` or ``name:low..high``.

    For a range ``comparison`` is ``..``; one of ``value`` (the low end) and ``high`` may be None.
    Otherwise ``value`` is set.
    """

    name: str
    comparison: Comparison
    value: Value | None
    high: Value | None = None
    column: int = field(default=1, compare=False)

    def __post_init__(self) -> None:
        if self.comparison == "..":
            assert self.value is not None or self.high is not None
        else:
            assert self.value is not None
            assert self.high is None

    @property
    def is_file_level(self) -> bool:
        """Whether a file can be chosen or skipped by this without being read."""
        return self.name in FILE_FIELDS


@dataclass(frozen=True, slots=True)
class Not:
    """What must not match. Its child is never a ``Not``."""

    child: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more; no child is an ``And``."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more; no child is an ``Or``."""

    children: tuple[Node, ...]


Leaf: TypeAlias = Text | Filter
Node: TypeAlias = Everything | Text | Filter | Not | And | Or


@dataclass(frozen=True, slots=True)
class Hint:
    """A remark on a query that is valid but may not mean what was meant."""

    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: its tree, and remarks for the person who wrote it."""

    root: Node
    hints: tuple[Hint, ...] = ()


def all_of(nodes: list[Node]) -> Node:
    """The conjunction, flattened; of one node the node itself."""
    flat: list[Node] = []
    for node in nodes:
        flat.extend(node.children if isinstance(node, And) else (node,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(nodes: list[Node]) -> Node:
    """The disjunction, flattened; of one node the node itself."""
    flat: list[Node] = []
    for node in nodes:
        flat.extend(node.children if isinstance(node, Or) else (node,))
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def negated(node: Node) -> Node:
    """The opposite; two negations cancel."""
    return node.child if isinstance(node, Not) else Not(node)


def leaves(node: Node) -> Iterator[Leaf]:
    """Every text and filter of the tree, left to right."""
    if isinstance(node, (Text, Filter)):
        yield node
    elif isinstance(node, Not):
        yield from leaves(node.child)
    elif isinstance(node, (And, Or)):
        for child in node.children:
            yield from leaves(child)


_TERM_BYTES = 400
"""Of a term and its value, without the text."""


@lru_cache(maxsize=16)
def held_bytes(node: Node) -> int:
    """About the memory that a query takes of whoever remembers it."""
    return sum(_TERM_BYTES + len(repr(leaf.value)) for leaf in leaves(node))
