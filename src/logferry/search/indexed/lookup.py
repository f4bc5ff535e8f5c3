"""The index's answers to the queries of one search, segment by segment; what is damaged is told and done without."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial

import numpy as np
import numpy.typing as npt

from logferry.archive import Archive
from logferry.archive.index import MAYBE, NO, YES, Candidates, SegmentIndex
from logferry.errors import Damaged, LogferryError, NotFound
from logferry.limits import SEARCH_LEARNED_BYTES_MAX, TIMES_TRUSTED_FROM_BYTES
from logferry.search.counters import CountedTimes
from logferry.search.filters import Candidate
from logferry.search.indexed.answers import NOTHING, Answer, Nothing, candidates
from logferry.search.indexed.timing import since
from logferry.search.indexed.trust import agree
from logferry.search.indexed.view import View
from logferry.search.indexed.views import Views
from logferry.search.query import Filter, Leaf, Node, leaves
from logferry.search.query.nodes import held_bytes
from logferry.search.query.values import bounds
from logferry.search.scan.pruning import needed_texts
from logferry.search.selection import Selection
from logferry.search.tally import Buckets

Bools = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
_NO_RUNS: I64 = np.zeros(0, np.int64)
_ROWS_FROM = 4
"""From so many runs in a granule on it is worth while to ask the index for each row which runs have to be read."""

_RUN_BYTES = 200
"""What Python's own objects take beside the bits of a run."""

UNREADABLE = (LogferryError, OSError)
"""What reading an index may raise: it is damaged, or its store does not answer."""


class Lookup:
    """Of one search. Not thread-safe."""

    def __init__(
        self,
        archive: Archive,
        views: Views,
        selection: Selection,
        *,
        exact_case: bool,
        now_ns: int,
        note: Callable[[str], None],
    ) -> None:
        """``note`` is told of an index that is damaged."""
        self._archive = archive
        self._views = views
        self._now_ns = now_ns
        self._selection = selection
        self._exact_case = exact_case
        self._note = note
        self._opened: dict[int, View | None] = {}
        self._asked: dict[int, _Asked] = {}
        """By the identity of a node: the selection holds them as long as this lives."""
        self._trust: dict[int, Bools] = {}
        self._zones: dict[str, str] | None = None
        self._learned: dict[tuple[int, Node], Learned] = {}
        self.learned_bytes = 0
        """The memory of what was learned and is not kept yet."""

    def view(self, segment_id: int) -> View | None:
        """A segment; None where its index cannot be used: then its bytes have to be read."""
        if segment_id not in self._opened:
            try:
                found = self._views.of(self._selection.snapshot, segment_id)
            except UNREADABLE as error:
                self._note(f"{error}; searched without it")
                found = None
            self._opened[segment_id] = found
        return self._opened[segment_id]

    def lost(self, view: View, error: Exception) -> None:
        """An index cannot be read, or is damaged: its segment's bytes have to be read. It is said once.

        One that only cannot be read now, as where the store does not answer, stays trusted.
        """
        if self._opened.get(view.id) is not view:
            return
        self._opened[view.id] = None
        self._note(f"{error}; searched without it")
        if isinstance(error, (Damaged, NotFound)):
            self._views.forget(view.id)
            try:
                view.segment.distrust(error)
            except UNREADABLE as other:  # the catalog does not take it now; whoever asks next finds out again
                self._note(f"that could not be noted: {other}")

    def answer(self, view: View, node: Node) -> Answer:
        """What the index says. Raises Damaged, NotFound."""
        asked = self._asked.get(id(node))
        if asked is None:
            asked = self._asked[id(node)] = _Asked(node, self._exact_case, self._now_ns)
        key = self._key(view, asked)
        known: Answer | Nothing | None = view.peek(key)
        if isinstance(known, Answer):
            return known
        with view.lock:
            if known is not None:
                return view.nothing
            found = candidates(view.index, node, exact_case=self._exact_case, of_filter=partial(self._of_filter, view))
            is_nothing = found.types is not None and not len(found.types)
            made = view.nothing if is_nothing else Answer(view.index, found)
        view.keep(key, NOTHING if is_nothing else made, asked.bytes)
        return made

    def _trusted(self, view: View) -> Bools:
        """The granules whose times are surely those of their text. Raises Damaged."""
        if view.id not in self._trust:
            snapshot = self._selection.snapshot
            ranks = view.ranks(snapshot)
            chosen = np.unique(ranks[ranks >= 0])
            is_large = snapshot.sizes[chosen] >= TIMES_TRUSTED_FROM_BYTES
            chosen = chosen[is_large & (self._selection.node_of[chosen] >= 0)]
            same = [rank for rank in chosen.tolist() if self._agree(view, snapshot.files[rank])]
            trusted = view.granule[np.isin(ranks, same)]
            self._trust[view.id] = np.bincount(trusted, minlength=len(view.runs_in)) == view.runs_in
        return self._trust[view.id]

    def _agree(self, view: View, file: Candidate) -> bool:
        return agree(self._archive, view, file, self._zone_of(file.agent))

    def _zone_of(self, agent: str) -> str:
        zones = self._archive.catalog.zones
        if self._zones is None:
            self._zones = zones.own()
        return self._zones.get(agent, zones.default)

    def timely(self, view: View) -> Bools:
        """The runs that are searched and whose times in the index are those of their text today.

        A generation that lies in this segment whole has not grown since; of others a sample decides. Raises Damaged.
        """
        snapshot = self._selection.snapshot
        ranks = view.ranks(snapshot)
        held = np.bincount(ranks[ranks >= 0], view.length[ranks >= 0], len(snapshot.files)).astype(np.int64)
        known: list[int] = []
        for rank in np.unique(ranks[ranks >= 0]).tolist():
            file = snapshot.files[rank]
            if self._selection.node_of[rank] < 0 or view.segment.zone != self._zone_of(file.agent):
                continue
            if held[rank] == file.size or self._agree(view, file):
                known.append(rank)
        return np.isin(ranks, known)

    def _of_filter(self, view: View, index: SegmentIndex, wanted: Filter) -> Candidates:
        """All lines may match. Of times it is sure, in granules that lie inside or outside of what is asked for."""
        if wanted.name != "time":
            texts = needed_texts(wanted)
            if texts is None:
                return index.everything().maybe()
            of_filter = partial(self._of_filter, view)
            return candidates(index, texts, exact_case=self._exact_case, of_filter=of_filter).maybe()
        low, end = bounds(wanted, self._now_ns)
        spans = index.spans
        states = np.full(len(view.runs_in), MAYBE, np.uint8)
        sure = self._trust[view.id] & (spans.untimed == 0)
        inside = sure.copy()
        outside = np.zeros(len(states), np.bool_)
        # The index knows single lines to the second: the spans are exact.
        if low is not None:
            inside &= spans.first_ns >= low
            outside |= spans.last_ns < low
        if end is not None:
            inside &= spans.last_ns < end
            outside |= spans.first_ns >= end
        states[inside] = YES
        states[sure & outside] = NO
        return Candidates(index.shape, None, states[index.shape.pairs.granules])

    def settle(self, view: View, node: Node, learned: Learned) -> None:
        """Keep what was learned for the next search."""
        try:
            found = self.answer(view, node)
            known = learned.whole(found)
        except UNREADABLE as error:
            self.lost(view, error)
            return
        if known:
            asked = self._asked[id(node)]
            view.keep(self._key(view, asked), found.settled(known), asked.bytes)

    def _key(self, view: View, asked: _Asked) -> Hashable:
        return (asked, self._trusted(view).tobytes()) if asked.times else asked

    def levels(self, view: View, node: Node, mine: Bools) -> I64 | None:
        """How many of the lines that match in runs ``mine`` have which level; None where nobody counted them yet."""
        found: I64 | None = view.peek(self._levels_key(view, node, mine))
        return found

    def keep_levels(self, view: View, node: Node, mine: Bools, counts: I64) -> None:
        """Keep them for the next search."""
        view.keep(self._levels_key(view, node, mine), counts, self._asked[id(node)].bytes + len(mine) // 8)

    def times_counted(self, view: View, node: Node, granules: Bools, wanted: Buckets) -> CountedTimes | None:
        """When lines were written that match in these granules; None where nobody counted them yet."""
        found: CountedTimes | None = view.peek(self._times_key(view, node, granules, wanted))
        return found

    def keep_times_counted(self, view: View, node: Node, granules: Bools, found: CountedTimes) -> None:
        """Keep it for the next search."""
        key = self._times_key(view, node, granules, found.wanted)
        view.keep(key, found, self._asked[id(node)].bytes + len(granules) // 8)

    def _times_key(self, view: View, node: Node, granules: Bools, wanted: Buckets) -> Hashable:
        return "times", wanted, self._key(view, self._asked[id(node)]), np.packbits(granules).tobytes()

    def _levels_key(self, view: View, node: Node, mine: Bools) -> Hashable:
        return "levels", self._key(view, self._asked[id(node)]), np.packbits(mine).tobytes()

    def learn(self, view: View, node: Node, run: int, marks: npt.NDArray[np.bool_]) -> None:
        """The text of a run was read: these of its lines match. It is kept by ``remember``."""
        try:
            is_news = self.answer(view, node).maybe[view.granule[run]]
        except UNREADABLE as error:
            self.lost(view, error)
            return
        if is_news:
            key = (view.id, node)
            if key not in self._learned:
                mine = self._node_of(view) == self._selection.nodes.index(node)
                self._learned[key] = Learned(view, mine)
            self.learned_bytes += self._learned[key].add(run, marks)
            if self.learned_bytes > SEARCH_LEARNED_BYTES_MAX:
                self.remember()

    def remember(self) -> None:
        """Keep what was learned for the next search: of granules of which all is known."""
        for (_, node), learned in self._learned.items():
            self.settle(learned.view, node, learned)
        self._learned.clear()
        self.learned_bytes = 0

    def known(self, view: View, node: Node, run: int) -> npt.NDArray[np.bool_] | None:
        """Which lines of a run match, where that is known without its text."""
        granule = int(view.granule[run])
        try:
            found = self.answer(view, node)
            if found.maybe[granule]:
                return None
            states = row_states(view, found, granule)
        except UNREADABLE as error:
            self.lost(view, error)
            return None
        first = view.runs.rows[run] - view.runs.rows[view.runs.granules[granule]]
        marks: npt.NDArray[np.bool_] = states[first : first + view.rows[run]] == YES
        return marks

    def times(self, view: View, node: Node, run: int) -> dict[Leaf, Bools] | None:
        """Of each term that asks for a time, which lines of a run it takes, as the index has their times.

        None where it does not know that surely, or the query asks for other fields, too. In any thread.
        """
        asked = self._asked.get(id(node))
        granule = int(view.granule[run])
        if asked is None or not asked.is_of_times or not self._trust[view.id][granule]:
            return None
        try:
            with view.lock:
                if view.index.spans.untimed[granule]:  # such lines have the time of one before
                    return None
                seconds = view.index.row_seconds(granule)
        except UNREADABLE:
            return None  # whoever asks the index next says so
        before = view.runs.rows[view.runs.granules[granule]]
        seconds = seconds[view.runs.rows[run] - before : view.runs.rows[run + 1] - before]
        found: dict[Leaf, Bools] = {}
        for leaf, (low, end) in zip(asked.filters, asked.times, strict=True):
            from_low, from_end = since(seconds, low), since(seconds, end)
            if from_low is None or from_end is None:
                return None
            found[leaf] = from_low & ~from_end if end is not None else from_low
        return found

    def hot_runs(self, view: View) -> tuple[I64, I64]:
        """The runs that hold lines which match or may, and their ranks. Raises Damaged, NotFound."""
        answers = [(number, self.answer(view, self._selection.nodes[number])) for number in self.numbers(view)]
        answers = [(number, found) for number, found in answers if not found.is_nothing]
        if not answers:
            return _NO_RUNS, _NO_RUNS
        node_of = self._node_of(view)
        hot = np.zeros(view.count, np.bool_)
        for number, found in answers:
            mine = node_of == number
            hot |= mine & found.hot[view.granule]
            self._narrow(view, found, hot, mine)
        runs = np.flatnonzero(hot)
        return runs, view.ranks(self._selection.snapshot)[runs]

    def numbers(self, view: View) -> list[int]:
        """The nodes of the selection that the segment is searched for, by number."""
        node_of = self._selection.node_of[self._selection.snapshot.ranks_in[view.id]]
        first = int(node_of[0]) if len(node_of) else -1
        if len(node_of) < 2 or (node_of == first).all():
            return [first] if first >= 0 else []
        return [int(number) for number in np.unique(node_of[node_of >= 0])]

    def _node_of(self, view: View) -> npt.NDArray[np.int32]:
        """Which of the selection's nodes each run is searched for, -1: none."""
        ranks = view.ranks(self._selection.snapshot)
        return np.where(ranks >= 0, self._selection.node_of[ranks], -1)

    def covered(self, generation_id: int) -> list[tuple[int, int]]:
        """The bytes of a generation that the indexes tell of: (from, to), in order."""
        snapshot = self._selection.snapshot
        found: list[tuple[int, int]] = []
        for offset, length, segment, _ in snapshot.places.get(generation_id, ()):
            if segment in snapshot.held and self.view(segment) is not None:
                found.append((offset, offset + length))
        return found

    def line_number(self, view: View, run: int) -> int | None:
        """The number of the first line of a run, counted from 1, where the indexes tell of all before it."""
        snapshot = self._selection.snapshot
        at = ends = 0
        for offset, length, segment, raw_offset in snapshot.places.get(int(view.generation[run]), ()):
            here = self.view(segment) if segment in snapshot.held else None
            if here is None or offset != at:
                return None
            first = int(here.runs.at.searchsorted(raw_offset))
            if here is view and raw_offset <= view.runs.at[run] < raw_offset + length:
                return ends + int(view.line_ends[run] - view.line_ends[first]) + 1
            last = int(here.runs.at.searchsorted(raw_offset + length))
            ends += int(here.line_ends[last] - here.line_ends[first])
            at = offset + length
        return None

    def _narrow(self, view: View, found: Answer, hot: npt.NDArray[np.bool_], mine: npt.NDArray[np.bool_]) -> None:
        """Of granules with many small files only those are hot that have a line of their own which may match."""
        if found.matches_all:
            return
        counts = np.bincount(view.granule[hot & mine], minlength=len(view.runs.granules) - 1)
        for granule in np.flatnonzero(counts >= _ROWS_FROM).tolist():
            first, last = int(view.runs.granules[granule]), int(view.runs.granules[granule + 1])
            hot[first:last] &= ~mine[first:last] | (run_counts(view, found, granule, least=MAYBE) > 0)


class _Asked:
    """What answers depend on, its hash at hand: of times, on what ``now`` means, too."""

    __slots__ = ("_hash", "bytes", "exact_case", "filters", "is_of_times", "node", "times")

    def __init__(self, node: Node, exact_case: bool, now_ns: int) -> None:
        self.node = node
        self.exact_case = exact_case
        fields = [leaf for leaf in leaves(node) if isinstance(leaf, Filter)]
        self.filters = tuple(leaf for leaf in fields if leaf.name == "time")
        self.times = tuple(bounds(leaf, now_ns) for leaf in self.filters)
        self.bytes = held_bytes(node)
        """That it takes of whoever remembers it."""
        self.is_of_times = len(fields) == len(self.filters) > 0
        """Whether times are all that it asks for beside text."""
        self._hash = hash((node, exact_case, self.times))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Asked)
            and self._hash == other._hash
            and (self.exact_case, self.times, self.node) == (other.exact_case, other.times, other.node)
        )


class Learned:
    """Which rows of a segment match, as they are found by reading runs; what is whole can be remembered."""

    def __init__(self, view: View, mine: npt.NDArray[np.bool_]) -> None:
        """``mine``: the runs that are searched."""
        self.view = view
        self._mine = mine
        self._bits: dict[int, U8] = {}

    def add(self, run: int, marks: npt.NDArray[np.bool_]) -> int:
        """Of a run it is known which of its rows match. Gives the memory that this takes."""
        bits = self._bits[run] = np.packbits(marks)
        return bits.nbytes + _RUN_BYTES

    def _marks(self, run: int) -> npt.NDArray[np.bool_]:
        """Of a run that was not read: none."""
        rows = int(self.view.rows[run])
        bits = self._bits.get(run)
        return np.zeros(rows, np.bool_) if bits is None else np.unpackbits(bits, count=rows).astype(np.bool_)

    def whole(self, answer: Answer) -> dict[int, npt.NDArray[np.bool_]]:
        """The granules of which each run was read, or has no row that may match."""
        view, found = self.view, {}
        for granule in {int(view.granule[run]) for run in self._bits}:
            runs = range(int(view.runs.granules[granule]), int(view.runs.granules[granule + 1]))
            if (
                answer.is_known[granule]
                or not (self._mine[runs.start : runs.stop] & view.is_plain[runs.start : runs.stop]).all()
            ):
                continue
            missing = [run for run in runs if run not in self._bits]
            if missing:
                counts = run_counts(view, answer, granule, least=MAYBE)
                if any(counts[run - runs.start] for run in missing):
                    continue
            found[granule] = np.concatenate([self._marks(run) for run in runs])
        return found


def row_states(view: View, found: Answer, granule: int) -> U8:
    """NO, MAYBE or YES for each row of a granule. Raises Damaged."""
    with view.lock:
        types = view.index.row_types(granule)
    return found.rows(granule, types)


def run_counts(view: View, found: Answer, granule: int, *, least: int) -> I64:
    """How many rows of each run of a granule have at least this state. Raises Damaged."""
    states = row_states(view, found, granule) >= least
    runs = view.runs
    first, last = int(runs.granules[granule]), int(runs.granules[granule + 1])
    sums = np.zeros(len(states) + 1, np.int64)
    np.cumsum(states, out=sums[1:])
    bounds = runs.rows[first : last + 1] - runs.rows[first]
    counts: I64 = np.diff(sums[bounds])
    return counts
