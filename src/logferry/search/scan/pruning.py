"""What an index can be asked about terms that are decided line by line.

Nothing here decides that a line matches: what is left has to be read.
"""

from __future__ import annotations

from logferry.search.query.nodes import Filter, Glob, Literal, Node, Text, all_of, any_of
from logferry.search.scan.fieldtest import number_of


def needed_texts(wanted: Filter) -> Node | None:
    """Texts that every line has which matches a filter on ``@name``; None where nothing is known, as for other filters.

    They are to be asked with the same case as the filter.
    """
    if not wanted.name.startswith("@"):
        return None
    needed: list[Node] = [Text(Literal(wanted.name.removeprefix("@").rpartition(".")[2]))]
    value = wanted.value
    if wanted.comparison in ("", "="):
        parts: list[str] = []
        if isinstance(value, Literal) and number_of(value.text) is None:
            parts = [value.text]
        elif isinstance(value, Glob):
            parts = [part for part in value.parts if isinstance(part, str)]
        if parts:  # or they are written with a backslash, as JSON does
            needed.append(any_of([all_of([Text(Literal(part)) for part in parts]), Text(Literal("\\"))]))
    return all_of(needed)
