"""One line too long to hold: searched window by window, every term on its own, then the query is decided once.

Exact for literals. A regular expression is found when its match lies within one window, for sure if it is not
longer than ``SCAN_OVERLAP_BYTES``. Level and time stand at the beginning of a line; so long a line has no fields. It is
an entry of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from logferry.limits import LINE_HEAD_BYTES, SCAN_BLOCK_BYTES, SCAN_OVERLAP_BYTES
from logferry.search.query.nodes import And, Everything, Filter, Leaf, Node, Not, Or, Text, leaves
from logferry.search.scan.block import Block
from logferry.search.scan.cursors import Cursor, filter_cursor
from logferry.search.scan.facts import FileFacts
from logferry.search.scan.patterns import Matcher, Program, matcher
from logferry.search.scan.source import Source, preceding_lines


@dataclass(frozen=True, slots=True)
class Found:
    """Whether the line ``start <= x < end`` matches, and where a term was first seen."""

    matches: bool
    start: int
    end: int
    first_seen: int | None


class GiantLine:
    """A query made ready for lines of any length."""

    def __init__(self, node: Node, *, exact_case: bool, now_ns: int = 0) -> None:
        self._node = node
        self._exact_case = exact_case
        self._cursors: dict[Filter, Cursor] = {
            leaf: filter_cursor(leaf, exact_case=exact_case, now_ns=now_ns)
            for leaf in leaves(node)
            if isinstance(leaf, Filter) and not leaf.name.startswith("@")
        }

    @cached_property
    def _matchers(self) -> dict[Text, Matcher]:
        """Made for the first such line: hardly any log has one."""
        found = (leaf for leaf in leaves(self._node) if isinstance(leaf, Text))
        return {leaf: matcher(leaf.value, exact_case=self._exact_case) for leaf in found}

    def find(self, source: Source, start: int, check: Callable[[], None], facts: FileFacts | None = None) -> Found:
        """Decide about the line that starts at ``start``; reads to its end."""
        missing = dict(self._matchers)
        seen: set[Leaf] = self._by_head(source, start, check, facts)
        first_seen: int | None = None
        at = start
        while True:
            check()
            # One byte on either side tells a pattern whether the line really begins or ends here.
            left = 1 if at else 0
            data = source.read_at(at - left, SCAN_BLOCK_BYTES + left + 1)
            newline = data.find(b"\n", left)
            is_last = newline >= 0 or at - left + len(data) >= source.size
            end = newline if newline >= 0 else (len(data) if is_last else len(data) - 1)
            for leaf, wanted in list(missing.items()):
                found = _search(wanted, data, left, end)
                if found >= 0:
                    seen.add(leaf)
                    del missing[leaf]
                    there = at - left + found
                    first_seen = there if first_seen is None else min(first_seen, there)
            if is_last:
                return Found(_holds(self._node, seen), start, at - left + end, first_seen)
            at = at - left + end - SCAN_OVERLAP_BYTES

    def _by_head(self, source: Source, start: int, check: Callable[[], None], facts: FileFacts | None) -> set[Leaf]:
        """The filters that hold for what the line begins with."""
        if not self._cursors:
            return set()
        head = source.read_at(start, LINE_HEAD_BYTES)

        block = Block(
            head,
            first=0,
            limit=len(head),
            check=check,
            behind=lambda count: preceding_lines(source, start, count),
            facts=facts,
        )
        held: set[Leaf] = set()
        for leaf, cursor in self._cursors.items():
            cursor.enter(block)
            if cursor.seek(0) == 0:
                held.add(leaf)
        return held


def _search(wanted: Matcher, data: bytes, start: int, end: int) -> int:
    if wanted is None:
        return start
    if isinstance(wanted, Program):
        return wanted.search(data, start, end)[0]
    if wanted.program is not None:
        return wanted.program.search(data, start, end)[0]
    return data.find(wanted.exact, start, end)


def _holds(node: Node, seen: set[Leaf]) -> bool:
    if isinstance(node, Not):
        return not _holds(node.child, seen)
    if isinstance(node, And):
        return all(_holds(child, seen) for child in node.children)
    if isinstance(node, Or):
        return any(_holds(child, seen) for child in node.children)
    if isinstance(node, Everything):
        return True
    return node in seen
