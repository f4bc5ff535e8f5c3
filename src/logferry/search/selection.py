"""What a search has to look at: for each generation what is left of the query, decided by the catalog's facts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from logferry.archive import Catalog
from logferry.search.copies import without_copies
from logferry.search.plan import Planner, Seen, Unit
from logferry.search.query import Everything, Filter, Node, leaves
from logferry.search.snapshot import Snapshot

I32 = npt.NDArray[np.int32]


class Selection:
    """``node_of[rank]``: which of ``nodes`` the generation is searched for, -1: it is not."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.nodes: list[Node] = []
        self.node_of: I32 = np.full(len(snapshot.files), -1, np.int32)
        self.copies: dict[int, list[Unit]] = {}
        """Compressed copies that are left out, by the id of their original."""
        self.beginnings: set[int] = set()
        """Ids of those that are only the beginning of their original, which has grown."""
        self.left_out = 0
        self._numbers: dict[Node, int] = {}
        self._last: tuple[Node | bool, int] = False, -1
        """What was added last: mostly that comes again."""

    def add(self, ranks: int | npt.NDArray[np.int64], node: Node | bool) -> None:
        """Search these for ``node``; of no use if it is False."""
        if node is False:
            return
        if node is not self._last[0]:
            wanted: Node = Everything() if node is True else node
            number = self._numbers.get(wanted)
            if number is None:
                number = self._numbers[wanted] = len(self.nodes)
                self.nodes.append(wanted)
            self._last = node, number
        self.node_of[ranks] = self._last[1]

    @property
    def files(self) -> int:
        """How many generations."""
        return int(np.count_nonzero(self.node_of >= 0))

    @property
    def bytes(self) -> int:
        """How many bytes they have."""
        return int(self.snapshot.sizes[self.node_of >= 0].sum())

    def unit(self, rank: int) -> Unit:
        """What is to be done with a generation that is selected."""
        return Unit(self.snapshot.files[rank], self.nodes[self.node_of[rank]])

    def leave_out_copies(self, catalog: Catalog, planner: Planner) -> None:
        """Leave out compressed copies of files that are searched anyway."""
        packed = [rank for rank in self.snapshot.packed if self.node_of[rank] >= 0]
        if not packed:
            return
        links = catalog.copies.links([self.snapshot.files[rank].generation_id for rank in packed])
        if not links:
            return
        units = [self.unit(rank) for rank in np.flatnonzero(self.node_of >= 0).tolist()]
        kept, self.copies, self.beginnings = without_copies(units, links, planner.chosen)
        left = {unit.file.generation_id for unit in kept}
        for rank in packed:
            if self.snapshot.files[rank].generation_id not in left:
                self.node_of[rank] = -1
        self.left_out = len(units) - len(kept)


def select(snapshot: Snapshot, planner: Planner, scope: Seen, check: Callable[[], None]) -> Selection:
    """All that the query and the scope leave. ``check`` is called now and then."""
    made = Selection(snapshot)
    last: Node | bool = True
    asks_of_files = False
    for agent, ranks in snapshot.by_agent.items():
        check()
        node = planner.for_agent(agent)
        if node is False or not scope.may_hold(agent, ""):
            continue
        if node is not last:
            last, asks_of_files = node, _asks_of_files(node)
        if scope.covers(agent, "") and not asks_of_files:
            made.add(ranks, node)
            continue
        for i, rank in enumerate(ranks.tolist()):
            if i % 256 == 0:
                check()
            file = snapshot.files[rank]
            if scope.sees(agent, file.path):
                made.add(rank, planner.for_file(node, file))
    return made


def select_generations(snapshot: Snapshot, planner: Planner, scope: Seen, generation_ids: Iterable[int]) -> Selection:
    """Some generations, as far as the query leaves them and they may be seen under the names they have there."""
    made = Selection(snapshot)
    for rank in snapshot.ranks(np.array(list(generation_ids), np.int64)).tolist():
        if rank >= 0:
            file = snapshot.files[rank]
            if scope.sees(file.agent, file.path):
                made.add(rank, planner.for_file(planner.for_agent(file.agent), file))
    return made


def _asks_of_files(node: Node | bool) -> bool:
    return not isinstance(node, bool) and any(isinstance(leaf, Filter) for leaf in leaves(node))
