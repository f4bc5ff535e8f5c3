"""Compressed copies of files that are searched anyway: their lines are the same lines, so they are left out. Pure.

A copy is left out only while its original is searched for the very same thing, and no term of the query chooses the
copy and not the original (``file:app.log.1.gz``, ``ext:gz``, a path that only the copy has).

An original may have grown since it was compressed: then a copy is only its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from logferry.archive.records import CopyRecord
from logferry.search.filters import Candidate
from logferry.search.plan import Unit


def without_copies(
    units: Iterable[Unit], links: Mapping[int, CopyRecord], chosen: Callable[[Candidate, Candidate], bool]
) -> tuple[list[Unit], dict[int, list[Unit]], set[int]]:
    """Units that are to be searched, in order; the copies left out by the id of their original, whole ones first; and
    the ids of those that are only its beginning.

    Args:
        units: all that the query leaves.
        links: the copies among them, by generation id.
        chosen: whether the query chooses a copy and not its original.
    """
    units = list(units)
    by_id = {unit.file.generation_id: unit for unit in units}
    kept: list[Unit] = []
    left_out: dict[int, list[Unit]] = {}
    beginnings: set[int] = set()
    first_of_text: dict[tuple[str, str], Unit] = {}
    for unit in units:
        link = links.get(unit.file.generation_id)
        if link is None:
            kept.append(unit)
            continue
        original = by_id.get(link.original_id)
        if original is None:
            # Two copies whose original is not there (any more), or not asked for: one of them will do.
            original = first_of_text.setdefault((unit.file.agent, link.text_sha256), unit)
        if original is unit or original.node != unit.node or chosen(unit.file, original.file):
            kept.append(unit)
        else:
            left_out.setdefault(original.file.generation_id, []).append(unit)
            if link.original_id == original.file.generation_id and link.text_size < original.file.size:
                beginnings.add(unit.file.generation_id)
    for copies in left_out.values():
        copies.sort(key=lambda unit: unit.file.generation_id in beginnings)
    return kept, left_out, beginnings
