"""Generations in which no line matches a query, as earlier searches found: nobody looks there for it again.

A generation's bytes only grow, so this stays true until it is longer. It is told for all of them at once: to ask each
of ten thousand live files what is known of it would take a third of a second.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logferry.archive.shared_blocks import SharedBlocks
from logferry.limits import BARREN_BYTES_MAX
from logferry.search.query import Node
from logferry.search.snapshot import Snapshot

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_OWN_BYTES = 500
"""What the query and Python's own objects take beside arrays."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Generations, each once, and how long each was."""

    ids: I64
    sizes: I64

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self.ids.nbytes + self.sizes.nbytes + _OWN_BYTES


class Barren:
    """Of one archive, of the queries that were asked lately. Thread-safe."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As if nobody had looked at anything."""
        self._known = SharedBlocks(BARREN_BYTES_MAX)

    def among(self, snapshot: Snapshot, node: Node, *, exact_case: bool) -> Bools | None:
        """By rank: whether it is known that no line matches; None: of none is anything known."""
        known: _Known | None = self._known.known(_key(node, exact_case))
        if known is None:
            return None
        ranks = snapshot.ranks(known.ids)
        found = np.zeros(len(snapshot.files), np.bool_)
        found[ranks[(ranks >= 0) & (snapshot.sizes[ranks] == known.sizes)]] = True
        return found

    def learn(self, snapshot: Snapshot, node: Node, sizes: Mapping[int, int], *, exact_case: bool) -> None:
        """No line matches in the first so many bytes of these generations, by id, which are all they had."""
        key = _key(node, exact_case)
        ids, lengths = np.array(list(sizes), np.int64), np.array(list(sizes.values()), np.int64)
        before: _Known | None = self._known.known(key)
        if before is not None:
            still = (snapshot.ranks(before.ids) >= 0) & ~np.isin(before.ids, ids)
            ids = np.concatenate((before.ids[still], ids))
            lengths = np.concatenate((before.sizes[still], lengths))
        self._known.keep(key, _Known(ids, lengths))


def _key(node: Node, exact_case: bool) -> Hashable:
    return node, exact_case
