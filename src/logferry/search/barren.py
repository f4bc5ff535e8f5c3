"""Generations in which no line matches a query, as earlier searches found: nobody looks there for it again.

A generation's bytes only grow, so this stays true until it is longer. It is told for all of them at once: to ask each
of ten thousand live files what is known of it would take a third of a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logferry.archive.shared_blocks import SharedBlocks
from logferry.limits import BARREN_BYTES_MAX
from logferry.search.query import Node
from logferry.search.query.nodes import held_bytes
from logferry.search.snapshot import Snapshot

I64 = npt.NDArray[np.int64]
_OWN_BYTES = 300
"""What Python's own objects take beside arrays and the query."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Generations, each once, and how long each was. ``nbytes``: the memory that all of it takes."""

    ids: I64
    sizes: I64
    nbytes: int


class Barren:
    """Of one archive, of the queries that were asked lately: of bytes as they stand, not of what they unpack to.

    Thread-safe; of two searches for the same that end at the same moment it may learn what one of them found.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As if nobody had looked at anything."""
        self._known = SharedBlocks(BARREN_BYTES_MAX)

    def among(self, snapshot: Snapshot, node: Node, *, exact_case: bool) -> I64:
        """The ranks of those of which it is known that no line matches."""
        known: _Known | None = self._known.known((node, exact_case))
        if known is None:
            return np.zeros(0, np.int64)
        ranks = snapshot.ranks(known.ids)
        is_there = ranks >= 0
        ranks, sizes = ranks[is_there], known.sizes[is_there]
        same: I64 = ranks[snapshot.sizes[ranks] == sizes]
        return same

    def learn(self, snapshot: Snapshot, node: Node, ranks: I64, *, exact_case: bool) -> None:
        """No line of these matches."""
        key = node, exact_case
        ids, sizes = snapshot.ids[ranks], snapshot.sizes[ranks]
        before: _Known | None = self._known.known(key)
        if before is not None:
            still = (snapshot.ranks(before.ids) >= 0) & ~np.isin(before.ids, ids)
            ids, sizes = np.concatenate((before.ids[still], ids)), np.concatenate((before.sizes[still], sizes))
        self._known.keep(key, _Known(ids, sizes, ids.nbytes + sizes.nbytes + held_bytes(node) + _OWN_BYTES))
