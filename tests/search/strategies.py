"""Random queries and random logs that have something to do with one another."""

from __future__ import annotations

from hypothesis import strategies as st

from logferry.search.query import Glob, Literal, Node, Not, Regex, Text, Wild
from logferry.search.query.nodes import all_of, any_of, negated

WORDS = [
    "error",
    "Error",
    "ERR",
    "get",
    "GET",
    "a",
    "ab",
    "b",
    "10.0.0.1",
    "é",
    "É",
    "naïve",
    "x y",
    "\r",
    "7",
    "-",
    "ß",
]
NOISE = ["\x00", "\t", "日本", "k", "S"]
REGEXES = [
    "e.r", "e.*r", "^a", "b$", "^$", "[0-9]+", "(?:get|err)", "a|b", "x?", "[^a]", "\\d\\.\\d", ".b.", "^.$", "é",
    "\\S+$", "a.+b", "\\bget\\b", "(a+)+$", "[[:alpha:]]{3}", "^[^ ]+ ",
]  # fmt: skip

values = st.one_of(
    st.sampled_from(WORDS).map(Literal),
    st.lists(
        st.one_of(st.sampled_from(["a", "b", "er", "r", "é"]), st.sampled_from(list(Wild))), min_size=2, max_size=4
    )
    .filter(lambda parts: any(isinstance(p, Wild) for p in parts))
    .map(lambda parts: Glob(_joined(parts))),
    st.builds(Regex, st.sampled_from(REGEXES), st.sampled_from(["", "c", "i"])),
)
leaves = values.map(Text)


def _joined(parts: list[str | Wild]) -> tuple[str | Wild, ...]:
    """As the parser makes them: texts joined, no run beside a run."""
    made: list[str | Wild] = []
    for part in parts:
        last = made[-1] if made else None
        if isinstance(part, str) and isinstance(last, str):
            made[-1] = last + part
        elif not (part is Wild.RUN and last is Wild.RUN):
            made.append(part)
    return tuple(made)


def _not(node: Node) -> Node:
    return negated(node)


nodes: st.SearchStrategy[Node] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(_not),
        st.lists(inner, min_size=2, max_size=3).map(all_of),
        st.lists(inner, min_size=2, max_size=3).map(any_of),
    ),
    max_leaves=5,
)

_pieces = st.one_of(
    st.sampled_from(WORDS + NOISE).map(lambda word: word.encode()),
    st.sampled_from(
        [b" ", b" ", b"\xff", b"\xc3", b"\xe9", b"\xed\xa0\x80", b"\xf0\x80\x80\x80", b"\r", b"bad \xfe\xff"]
    ),
)
lines = st.lists(_pieces, max_size=6).map(b"".join)
logs = st.tuples(st.lists(lines, max_size=30), st.sampled_from([b"\n", b"\n", b"\r\n"]), st.booleans()).map(
    lambda made: made[1].join(made[0]) + (made[1] if made[2] else b"")
)

__all__ = ["Not", "leaves", "lines", "logs", "nodes", "values"]
