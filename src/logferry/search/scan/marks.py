"""Where in a line the terms of a query are: what a reader sees highlighted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from logferry.limits import HIT_SPANS_MAX
from logferry.search.query.nodes import And, Filter, Literal, Node, Not, Or, Text
from logferry.search.scan.patterns import Matcher, Program, matcher


class Marker:
    """The terms of a query that a matching line may show, ready to be found in it."""

    def __init__(self, node: Node, *, exact_case: bool) -> None:
        self._node = node
        self._exact_case = exact_case

    @cached_property
    def _matchers(self) -> list[Matcher]:
        """Made for the first line: most queries match in few places, and a hundred terms take a while."""
        return [matcher(leaf.value, exact_case=self._exact_case) for leaf in _shown(self._node, negated=False)]

    def spans(self, line: bytes) -> list[tuple[int, int]]:
        """(from, to) of each occurrence, in order, overlapping ones joined; at most ``HIT_SPANS_MAX``."""
        found = sorted(span for wanted in self._matchers for span in _occurrences(wanted, line))
        joined: list[tuple[int, int]] = []
        for start, end in found:
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined[:HIT_SPANS_MAX]


def _shown(node: Node, *, negated: bool) -> Iterator[Text]:
    """The texts that a match may hold: those under an even number of negations, and values of fields."""
    if isinstance(node, Text):
        if not negated:
            yield node
    elif isinstance(node, Filter):
        is_field = node.name.startswith("@") and node.comparison in ("", "=")
        if is_field and not negated and isinstance(node.value, Literal):
            yield Text(node.value)
    elif isinstance(node, Not):
        yield from _shown(node.child, negated=not negated)
    elif isinstance(node, (And, Or)):
        for child in node.children:
            yield from _shown(child, negated=negated)


def _occurrences(wanted: Matcher, line: bytes) -> Iterator[tuple[int, int]]:
    if wanted is None:
        return
    at = count = 0
    while at <= len(line) and count < HIT_SPANS_MAX:
        if isinstance(wanted, Program):
            start, end = wanted.search(line, at, len(line))
        elif wanted.program is not None:
            start, end = wanted.program.search(line, at, len(line))
        else:
            start = line.find(wanted.exact, at)
            end = start + len(wanted.exact)
        if start < 0:
            return
        if end > start:
            yield start, end
            count += 1
        at = max(end, start + 1)
