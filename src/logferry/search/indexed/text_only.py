"""Which queries the lines themselves decide, whatever file they are in."""

from __future__ import annotations

from logferry.search.query import Node, Text, leaves


def is_text_only(node: Node) -> bool:
    """Whether all terms are texts: then lines can be matched in bulk."""
    return all(isinstance(leaf, Text) for leaf in leaves(node))
