"""Which bytes a search has to look at, and for what: the catalog's facts decide before any byte is read.

For every agent, then for every file, the leaves that are known become true or false and the query shrinks. What comes
out false is skipped unread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from logferry.errors import BadQuery
from logferry.search.filters import Candidate, Tags, Test, filter_test, path_test, too_old_test
from logferry.search.query import (
    And,
    Everything,
    Filter,
    Glob,
    Literal,
    Node,
    Or,
    Text,
    Value,
    Wild,
    all_of,
    leaves,
    parse,
)
from logferry.search.query.values import time_text
from logferry.search.simplify import Known, simplify


class Seen(Protocol):
    """What the asking person may see."""

    def sees(self, agent: str, path: str) -> bool:
        """Whether this file may be seen."""
        ...

    def may_hold(self, agent: str, folder: str) -> bool:
        """Whether anything in or below this folder may be seen."""
        ...

    def covers(self, agent: str, folder: str) -> bool:
        """Whether everything in or below this folder is surely seen; False when in doubt."""
        ...


@dataclass(frozen=True, slots=True)
class Unit:
    """One generation to scan, for what is left of the query."""

    file: Candidate
    node: Node


class Planner:
    """A query against the catalog. ``in_files``: bare text means the path, and lines cannot be asked for."""

    def __init__(
        self,
        query: str,
        *,
        agent: str,
        path: str,
        exact_case: bool,
        now_ns: int,
        in_files: bool = False,
        from_ns: int | None = None,
        until_ns: int | None = None,
        tags: Tags = dict,
    ) -> None:
        self.now_ns = now_ns
        """What ``now`` means in the query."""
        self.root = _restricted(parse(query).root, agent, path, from_ns, until_ns)
        self.needed = _needed(self.root) if in_files else ()
        """Texts that ``agent/path`` of every file found has in it, in any case."""
        self._asks_of_agents = any(map(_is_of_agent, leaves(self.root)))
        self._for_any = simplify(self.root, lambda _: None)
        self._tests: dict[Text | Filter, Test] = {}
        self._too_old: dict[Filter, Test] = {}
        for leaf in leaves(self.root):
            if isinstance(leaf, Text):
                if in_files:
                    self._tests[leaf] = path_test(leaf, exact_case=exact_case)
            elif in_files and not leaf.is_file_level:
                raise BadQuery(
                    f"{leaf.name}: is decided line by line", column=leaf.column, hint="use it where lines are searched"
                )
            elif leaf.is_file_level:
                self._tests[leaf] = filter_test(leaf, exact_case=exact_case, now_ns=now_ns, tags=tags)
            elif leaf.name == "time":
                self._too_old[leaf] = too_old_test(leaf, now_ns)

    @property
    def asks_of_facts(self) -> bool:
        """Whether it asks of facts of files that may be corrected when nothing else changes."""
        return any(isinstance(leaf, Filter) and leaf.name in ("modified", "sha256") for leaf in leaves(self.root))

    @property
    def asks_of_agents(self) -> bool:
        """Whether it has a filter of agents, or of their tags."""
        return self._asks_of_agents

    def for_agent(self, agent: str) -> Node | bool:
        """What remains of the query for any file of ``agent``."""
        if not self._asks_of_agents:
            return self._for_any
        nobody = Candidate(agent, "", 0, 0, 0, 0, 0, 0, 0, None)
        return simplify(
            self.root,
            lambda leaf: self._tests[leaf](nobody) if _is_of_agent(leaf) else None,
        )

    def for_file(self, node: Node | bool, file: Candidate) -> Node | bool:
        """What remains of ``node`` for one file."""
        return node if isinstance(node, bool) else simplify(node, self._known(file))

    def chosen(self, copy: Candidate, original: Candidate) -> bool:
        """Whether a term of the query, not negated, names the copy and not its original."""
        return any(self._tests[leaf](copy) and not self._tests[leaf](original) for leaf in _naming(self.root))

    def _known(self, file: Candidate) -> Known:
        def known(leaf: Text | Filter) -> bool | None:
            test = self._tests.get(leaf)
            if test is not None:
                return test(file)
            too_old = self._too_old.get(leaf) if isinstance(leaf, Filter) else None
            return False if too_old is not None and too_old(file) else None

        return known


def _is_of_agent(leaf: Text | Filter) -> bool:
    """Whether all files of an agent answer it alike."""
    return isinstance(leaf, Filter) and leaf.name in ("agent", "tag")


def _naming(node: Node) -> Iterator[Filter]:
    """The filters by name, path or content that are not negated."""
    if isinstance(node, Filter) and node.name in ("path", "file", "ext", "sha256"):
        yield node
    elif isinstance(node, (And, Or)):
        for child in node.children:
            yield from _naming(child)


def _needed(node: Node) -> tuple[str, ...]:
    """What must occur in ``agent/path``, as far as it is plain to see."""
    if isinstance(node, And):
        return tuple(text for child in node.children for text in _needed(child))
    if isinstance(node, Text) or (isinstance(node, Filter) and node.name in ("agent", "path", "file", "ext")):
        if isinstance(node.value, Literal):
            return (node.value.text,)
        if isinstance(node.value, Glob):
            return tuple(part for part in node.value.parts if isinstance(part, str))
    return ()


def _restricted(root: Node, agent: str, path: str, from_ns: int | None, until_ns: int | None) -> Node:
    """The query and what was asked for beside it: a glob over agents, a part of (or with wildcards, a whole) path, and
    times of lines, ``from_ns <= x < until_ns``.
    """
    nodes: list[Node] = [] if isinstance(root, Everything) else [root]
    if agent:
        nodes.append(Filter("agent", "", _pattern(agent)))
    path = path.strip("/")
    if path:
        value = _pattern(path, before="*/" if any(c in path for c in "*?") else "")
        nodes.append(Filter("path", "=" if isinstance(value, Glob) else "", value))
    if from_ns is not None:
        nodes.append(Filter("time", ">=", Literal(time_text(from_ns))))
    if until_ns is not None:
        nodes.append(Filter("time", "<", Literal(time_text(until_ns))))
    return all_of(nodes) if nodes else Everything()


def _pattern(text: str, *, before: str = "") -> Value:
    """Text in which only ``*`` and ``?`` mean something, as a value."""
    parts: list[str | Wild] = []
    for c in before + text:
        if c in "*?":
            parts.append(Wild(c))
        elif parts and isinstance(parts[-1], str):
            parts[-1] += c
        else:
            parts.append(c)
    return Glob(tuple(parts)) if any(isinstance(part, Wild) for part in parts) else Literal(text)
