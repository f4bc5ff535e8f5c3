"""A query as a row of chips for people: one per term that must hold, with its canonical text to edit or remove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as Choice

from logferry.search.query.canonical import canonical
from logferry.search.query.nodes import And, Everything, Filter, Glob, Leaf, Literal, Node, Not, Or, Regex, Text, leaves

Kind = Choice["text", "regex", "field", "group"]
_SIGNS = {"": "=", "=": "=", ">=": "≥", "<=": "≤", ">": ">", "<": "<"}


@dataclass(frozen=True, slots=True)
class Chip:
    """One term. ``label`` is for reading (``agent=web*``), ``text`` is its canonical form, ``column`` where it is."""

    kind: Kind
    negated: bool
    label: str
    text: str
    field: str
    column: int


def chips(root: Node) -> tuple[Chip, ...]:
    """The chips of a query, in its order; none for the empty query."""
    if isinstance(root, Everything):
        return ()
    return tuple(_chip(node) for node in (root.children if isinstance(root, And) else (root,)))


def _chip(node: Node) -> Chip:
    inner = node.child if isinstance(node, Not) else node
    negated = isinstance(node, Not)
    label = ("not " if negated else "") + _label(inner)
    first: Leaf = next(leaves(inner))
    if isinstance(inner, Filter):
        return Chip("field", negated, label, canonical(node), inner.name, inner.column)
    kind: Kind = "group"
    if isinstance(inner, Text):
        kind = "regex" if isinstance(inner.value, Regex) else "text"
    return Chip(kind, negated, label, canonical(node), "", first.column)


def _label(node: Node) -> str:
    if isinstance(node, Text):
        return f'"{node.value.text}"' if isinstance(node.value, Literal) else canonical(node)
    if isinstance(node, Filter):
        return _filter_label(node)
    if isinstance(node, Not):
        return f"not {_label(node.child)}"
    if isinstance(node, (And, Or)):
        word = " and " if isinstance(node, And) else " or "
        return word.join(f"({_label(c)})" if isinstance(c, (And, Or)) else _label(c) for c in node.children)
    return ""


def _filter_label(node: Filter) -> str:
    def shown(value: Literal | Glob | Regex | None) -> str:
        if value is None:
            return "…"
        return value.text if isinstance(value, Literal) else canonical(Text(value))

    if node.comparison == "..":
        return f"{node.name}={shown(node.value)} to {shown(node.high)}"
    return f"{node.name}{_SIGNS[node.comparison]}{shown(node.value)}"
