"""A query for one file: what is known of it replaces leaves, and the tree shrinks to what is left to scan for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from logferry.search.query import And, Everything, Filter, Node, Not, Or, Text

Known: TypeAlias = Callable[[Text | Filter], bool | None]
"""Whether a leaf holds; None: not known here, it stays."""


def simplify(node: Node, known: Known) -> Node | bool:
    """What remains of ``node``; True: every line matches, False: none does."""
    if isinstance(node, Everything):
        return True
    if isinstance(node, (Text, Filter)):
        holds = known(node)
        return node if holds is None else holds
    if isinstance(node, Not):
        inner = simplify(node.child, known)
        if isinstance(inner, bool):
            return not inner
        return inner.child if isinstance(inner, Not) else Not(inner)
    stops = isinstance(node, Or)  # a True decides an OR, a False decides an AND
    kept: list[Node] = []
    for child in node.children:
        inner = simplify(child, known)
        if inner is stops:
            return stops
        if not isinstance(inner, bool):
            kept.extend(inner.children if isinstance(inner, type(node)) else (inner,))
    if not kept:
        return not stops
    if len(kept) == 1:
        return kept[0]
    return Or(tuple(kept)) if stops else And(tuple(kept))
