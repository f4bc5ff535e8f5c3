"""The query language: text in, a tree of frozen values out, and back to one canonical text. No input or output here."""

from logferry.search.query.canonical import canonical
from logferry.search.query.chips import Chip, chips
from logferry.search.query.nodes import (
    And,
    Everything,
    Filter,
    Glob,
    Hint,
    Leaf,
    Literal,
    Node,
    Not,
    Or,
    Query,
    Regex,
    Text,
    Value,
    Wild,
    all_of,
    leaves,
)
from logferry.search.query.parser import FIELDS, parse

__all__ = [
    "FIELDS",
    "And",
    "Chip",
    "Everything",
    "Filter",
    "Glob",
    "Hint",
    "Leaf",
    "Literal",
    "Node",
    "Not",
    "Or",
    "Query",
    "Regex",
    "Text",
    "Value",
    "Wild",
    "all_of",
    "canonical",
    "chips",
    "leaves",
    "parse",
]
