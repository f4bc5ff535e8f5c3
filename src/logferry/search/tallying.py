"""Counting what matches: how many lines, when, where. What the indexes of segments tell exactly is never read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from logferry.archive import GenerationReader
from logferry.archive.index import MAYBE, YES
from logferry.archive.index.timecolumn import seconds_of
from logferry.compressed import form_by_name
from logferry.errors import LogferryError, NotFound
from logferry.limits import (
    COPIES_TRIED_MAX,
    LINE_HEAD_BYTES,
    SCAN_BLOCK_BYTES,
    SEARCH_RUNS_AHEAD,
    SEARCH_SPREAD_BYTES,
    TALLY_SO_FAR_S,
)
from logferry.search.counters import TimeCounter, facet_counters
from logferry.search.events import Progress, Reason
from logferry.search.executor import Found, Task
from logferry.search.filters import Candidate
from logferry.search.indexed.ahead import ahead
from logferry.search.indexed.answers import Answer
from logferry.search.indexed.levelcounts import count_levels, counts_of, untold
from logferry.search.indexed.lookup import UNREADABLE, Learned, Lookup, row_states, run_counts
from logferry.search.indexed.pieces import Opened
from logferry.search.indexed.text_only import is_text_only
from logferry.search.indexed.timing import count_times, expect_times
from logferry.search.indexed.view import View
from logferry.search.plan import Planner, Unit
from logferry.search.query.values import LEVELS
from logferry.search.request import SearchRequest
from logferry.search.running import Equipment, Running, Stop, named
from logferry.search.scan import Encoding, Match, utf16_text
from logferry.search.scan.levels import levels_of
from logferry.search.scan.lines import Lines
from logferry.search.snapshot import gaps
from logferry.search.tally import Buckets, FacetField, Tally, TallyEvent

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_MANY_RUNS = 4


class Tallying(Running):
    """One running tally."""

    done_with_copies = "counted"

    def __init__(
        self,
        equipment: Equipment,
        request: SearchRequest,
        planner: Planner,
        *,
        histogram: Buckets | None,
        facets: Sequence[FacetField],
    ) -> None:
        super().__init__(equipment, request, planner)
        self._crew = equipment.crew
        self._wanted = histogram, facets
        self._failed: dict[int, str] = {}
        """Ranks that could not be read and of which there is a copy, and why."""
        self._standing_in: dict[int, tuple[str, ...]] = {}
        """Ranks of copies that are counted in the place of others, and why those could not be read."""
        self._before: Tally | None = None
        """What was counted before it was begun anew."""
        self._begin_anew()

    def _begin_anew(self) -> None:
        histogram, facets = self._wanted
        self.found = self.scanned_bytes = self.files_done = 0
        self._times = None if histogram is None else TimeCounter(histogram)
        self._facets = facet_counters(facets)
        self._levels: Counter[str] | None = None
        """Lines of each level, where anybody asks for them: they are in the text alone."""
        for counter in self._facets:
            if counter.field == "level":
                self._levels = counter.counts
        self._lines_of: I64 | None = None
        """Lines of each rank, where anybody asks for them."""
        self._unread: dict[int, list[tuple[int, int]]] = defaultdict(list)
        """Bytes to be read that the indexes tell nothing of, by rank."""

    def events(self) -> Iterator[TallyEvent]:
        """Progress and what was counted so far, at last the ``Tally``."""
        reason: Reason = "complete"
        told_s = self.started_s
        try:
            self.plan()
            is_over = False
            while not is_over:
                if self._facets:
                    self._lines_of = np.zeros(len(self.selection.snapshot.files), np.int64)
                yield self.progress()
                for progress in self._all():
                    yield progress
                    if self.clock.monotonic_s() - told_s >= TALLY_SO_FAR_S:
                        yield self._told("running")
                        told_s = self.clock.monotonic_s()
                is_over = not self._stand_in()
        except Stop as stop:
            reason = stop.reason
            self._note_failed()
        yield self._told(reason)

    def _stand_in(self) -> bool:
        """Begin anew with copies in the place of what could not be read, if there is any: in the counts nobody can tell
        any more which lines were its."""
        if not self._failed:
            return False
        selection, failed = self.selection, self._failed
        self._note_failed()
        self._before = self._told("running")
        self.forget_notes()
        for rank, lost in self._standing_in.items():
            self.stands_no_more(selection.unit(rank), lost)
        for rank, why in failed.items():
            copies = selection.copies.pop(selection.snapshot.files[rank].generation_id)
            copy_id = copies[0].file.generation_id
            selection.copies[copy_id] = copies[1:COPIES_TRIED_MAX]
            other = int(selection.snapshot.ranks(np.array([copy_id]))[0])
            self._standing_in[other] = (*self._standing_in.pop(rank, ()), why)
            selection.node_of[other] = selection.node_of[rank]
            selection.node_of[rank] = -1
        for rank, lost in self._standing_in.items():
            self.stands(selection.unit(rank), lost)
        self.left_out -= len(failed)
        self.total_bytes = selection.bytes
        self._begin_anew()
        return True

    def _note_failed(self) -> None:
        for why in self._failed.values():
            self.note(why)
        self._failed = {}

    def _told(self, reason: Reason | Literal["running"]) -> Tally:
        facets = deepcopy(self._facets)  # more may come
        if self._lines_of is not None:
            files = self.selection.snapshot.files
            for rank in np.flatnonzero(self._lines_of).tolist():
                for counter in facets:
                    if counter.field == "level":
                        continue
                    counter.counts[value_of(counter.field, files[rank])] += int(self._lines_of[rank])
        told = Tally(
            *self.account(reason),
            lines=self.found,
            exact=reason == "complete" and not self.has_failed,
            histogram=None if self._times is None else self._times.told(),
            facets=tuple(counter.told() for counter in facets),
        )
        before = self._before
        if before is None or told.exact or self.found >= before.lines:
            return told
        # Not so far yet as it was, or its copy cannot be read either.
        errors = tuple(dict.fromkeys((*before.errors, *told.errors)))
        return replace(before, reason=reason, seconds=self.seconds, errors=errors)

    # What there is ---------------------------------------------------------------------------------------------------

    def _all(self) -> Iterator[Progress]:
        selection = self.selection
        snapshot = selection.snapshot
        lookup = self.lookup()
        chosen = selection.node_of >= 0
        asked: list[_Asked] = []
        direct = chosen & snapshot.is_in_part
        for segment, ranks in snapshot.ranks_in.items():
            if not len(ranks) or not (self.takes_all or chosen[ranks].any()):
                continue
            found = self._ask(lookup, segment)
            if found is None:
                direct[ranks] |= chosen[ranks]
            else:
                asked += found
            if self.is_due:
                yield self.progress()
        barren = direct & self.known_barren()
        passed = barren & (snapshot.covered == 0)
        self.scanned_bytes += int(snapshot.sizes[passed].sum())
        for rank in np.flatnonzero(direct & ~passed).tolist():
            file = snapshot.files[rank]
            covered = [] if form_by_name(file.name) else lookup.covered(file.generation_id)
            pieces = gaps(covered, file.size)
            if barren[rank]:
                self.scanned_bytes += sum(end - start for start, end in pieces)
            else:
                self._unread[rank] += pieces
        to_read: list[tuple[_Asked, I64]] = []
        for one in asked:
            its_runs = self._begin(lookup, one)
            if its_runs is not None:
                to_read.append((one, its_runs))
            if self.is_due:
                yield self.progress()
        spread: list[tuple[_Asked, I64]] = []
        if self._crew is not None and self._levels is None:
            spread = [(one, runs) for one, runs in to_read if one.is_text_only and len(runs)]
            if sum(int(one.view.length[runs].sum()) for one, runs in spread) < SEARCH_SPREAD_BYTES:
                spread = []
        yield from self._spread(lookup, spread)
        for one, runs in to_read:
            if not spread or not one.is_text_only:
                yield from self._segment(lookup, one, runs)
        try:
            for rank in sorted(self._unread):
                yield from self._generation(selection.unit(rank), rank, sorted(self._unread[rank]))
        finally:
            self.learn_barren()
        self.files_done = self.files_total

    def _ask(self, lookup: Lookup, segment: int) -> list[_Asked] | None:
        """What the index of a segment says; None: it is of no use."""
        self.check()
        view = lookup.view(segment)
        if view is None:
            return None
        selection = self.selection
        try:
            if self._summed(lookup, view):
                return []
        except UNREADABLE as error:
            lookup.lost(view, error)
            return None
        ranks = view.ranks(selection.snapshot)
        node_of = np.where(ranks >= 0, selection.node_of[ranks], -1)
        packed = selection.snapshot.packed
        if packed:
            node_of[np.isin(ranks, packed)] = -1  # it is their text that is searched
        found: list[_Asked] = []
        odd = np.zeros(view.count, np.bool_)
        """Runs that may hold what is counted, but whose times the index does not know: they are read."""
        try:
            timely = None if self._times is None else lookup.timely(view)
            for number in np.unique(node_of[node_of >= 0]).tolist():
                node = selection.nodes[number]
                mine, answer = node_of == number, lookup.answer(view, node)
                if timely is not None:
                    odd |= mine & ~timely & answer.hot[view.granule]
                    mine &= timely | ~answer.hot[view.granule]
                one = _Asked(view, number, is_text_only(node), mine, answer)
                found.append(one)
                if self._times is not None:
                    expect_times(self._times, view, one.answer, one.full)
        except UNREADABLE as error:
            lookup.lost(view, error)
            return None
        self._read_runs(view, odd)
        return found

    def _summed(self, lookup: Lookup, view: View) -> bool:
        """Count a segment of which all lines are searched for the same, if no line of it has to be told apart from
        others. Whether that is so. Raises Damaged."""
        selection = self.selection
        numbers = lookup.numbers(view)
        if len(numbers) != 1 or not view.is_all_of(selection.snapshot):
            return False
        ranks = selection.snapshot.ranks_in[view.id]
        packed = selection.snapshot.packed
        if (selection.node_of[ranks] < 0).any() or (packed and np.isin(ranks, packed).any()):
            return False
        answer = lookup.answer(view, selection.nodes[numbers[0]])
        if not answer.is_nothing:
            asks_more = self._times is not None or self._levels is not None or self._lines_of is not None
            if asks_more or answer.maybe.any():
                return False
            self.found += int(answer.sure.sum())
        self.scanned_bytes += view.bytes
        return True

    # One segment -----------------------------------------------------------------------------------------------------

    def _begin(self, lookup: Lookup, asked: _Asked) -> I64 | None:
        """Count what the index tells. The runs whose text has to be read; None: all of it has to be."""
        view, answer = asked.view, asked.answer
        in_text = asked.some & answer.maybe
        try:
            levels = None
            if self._levels is not None:
                levels = None if in_text.any() else lookup.levels(view, self.selection.nodes[asked.node], asked.mine)
            if self._levels is None or levels is not None:
                runs = self._to_read(asked, in_text)
            else:
                known = view.levels  # of now: it may be let go of at any time
                in_text |= untold(view, answer, known, asked.some & answer.hot & ~in_text)
                runs = self._to_read(asked, in_text)
                asked.levels = levels = count_levels(view, answer, known, asked.mine, asked.some & ~in_text)
            counted = self._known(lookup, asked, ~in_text)
        except UNREADABLE as error:
            lookup.lost(view, error)
            self._read_runs(asked.view, asked.mine)
            return None
        if levels is not None:
            self._add_levels(levels)
        self.found += counted
        self.scanned_bytes += int(view.length[asked.mine].sum()) - int(view.length[runs].sum())
        return runs

    def _segment(self, lookup: Lookup, asked: _Asked, runs: I64) -> Iterator[Progress]:
        """Look through runs, here."""
        learned = Learned(asked.view, asked.mine)
        is_all = True
        look, frame = partial(self._look, lookup, asked), asked.view.frame
        for run, found in ahead(lambda: self.pool, look, runs.tolist(), SEARCH_RUNS_AHEAD, together=frame):
            marks = None
            if found is not None:
                marks, levels = found
                marks = self._count_run(asked, run, marks)
            if marks is not None and levels is not None:
                self._add_levels(levels)
                if asked.levels is not None:
                    asked.levels += levels
            is_all &= marks is not None
            self._done(asked, run, marks, learned)
            self.check()
            if self.is_due:
                yield self.progress()
        node = self.selection.nodes[asked.node]
        lookup.settle(asked.view, node, learned)
        if asked.levels is not None and is_all:
            lookup.keep_levels(asked.view, node, asked.mine, asked.levels)

    def _spread(self, lookup: Lookup, jobs: Sequence[tuple[_Asked, I64]]) -> Iterator[Progress]:
        """Have runs looked through by workers elsewhere."""
        if self._crew is None or not jobs:
            return
        tasks: dict[Task, tuple[_Asked, list[int]]] = {}
        for asked, runs in jobs:
            plain = asked.view.is_plain[runs]
            for run in runs[~plain].tolist():
                self._done(asked, run, None, None)
            if plain.any():
                chosen = runs[plain].tolist()
                tasks[self._task(asked, chosen)] = (asked, chosen)
        left_s = self.request.deadline_s - self.seconds
        done: set[Task] = set()
        try:
            for told in self._crew.look(tasks, seconds=left_s, check=self.check):
                if told is not None:
                    task, found = told
                    done.add(task)
                    self._told_of(lookup, task, *tasks[task], found)
                if self.is_due:
                    yield self.progress()
        except OSError as error:
            self.remark(f"no worker of the search answers ({error}); it was done here")
            for task in tasks.keys() - done:
                asked, chosen = tasks[task]
                yield from self._segment(lookup, asked, np.array(chosen))

    def _told_of(
        self, lookup: Lookup, task: Task, asked: _Asked, chosen: Sequence[int], found: Sequence[Found]
    ) -> None:
        """A worker has looked through runs."""
        learned = Learned(asked.view, asked.mine)
        for run, one in zip(chosen, found, strict=True):
            if one.is_unreadable:
                self._done(asked, run, None, None)  # whoever reads the generation says what is wrong
                continue
            if one.why:
                self.note(f"a part of store/{task.segment} was not looked through: {one.why}")
                continue
            marks = self._count_run(asked, run, one.marks(int(asked.view.rows[run])))
            self._done(asked, run, marks, learned)
        lookup.settle(asked.view, self.selection.nodes[asked.node], learned)

    def _task(self, asked: _Asked, runs: Sequence[int]) -> Task:
        view, node = asked.view, self.selection.nodes[asked.node]
        record = view.segment.record
        places = tuple((int(view.runs.at[run]), int(view.length[run])) for run in runs)
        return Task(record.name, record.bytes, places, node, self.request.exact_case)

    def _done(self, asked: _Asked, run: int, marks: Bools | None, learned: Learned | None) -> None:
        """A run was counted, or (None) the generation's reader has to be asked."""
        view = asked.view
        if marks is None:
            start = int(view.offset[run])
            self._unread[self._rank(view, run)].append((start, start + int(view.length[run])))
            return
        if learned is not None:
            learned.add(run, marks)
        self.scanned_bytes += int(view.length[run])

    def _read_runs(self, view: View, runs: Bools) -> None:
        for run in np.flatnonzero(runs).tolist():
            start = int(view.offset[run])
            self._unread[self._rank(view, run)].append((start, start + int(view.length[run])))

    def _rank(self, view: View, run: int) -> int:
        return int(view.ranks(self.selection.snapshot)[run])

    def _known(self, lookup: Lookup, asked: _Asked, granules: Bools) -> int:
        """Count what the index tells of granules that are not read. Raises Damaged before anything is counted."""
        view, answer = asked.view, asked.answer
        sure = (answer.sure > 0) & granules
        full, part = sure & asked.full, sure & asked.some & ~asked.full
        counts = np.zeros(view.count, np.int64) if self._lines_of is not None else None
        total = int(answer.sure[full].sum())
        by_run = part if counts is None else part | (full & (view.runs_in > 1))
        if counts is not None:
            single = full & (view.runs_in == 1)
            counts[view.runs.granules[:-1][single]] = answer.sure[single]
        for granule in np.flatnonzero(by_run).tolist():
            first, last = int(view.runs.granules[granule]), int(view.runs.granules[granule + 1])
            found = np.where(asked.mine[first:last], run_counts(view, answer, granule, least=YES), 0)
            if counts is not None:
                counts[first:last] = found
            if part[granule]:
                total += int(found.sum())
        times = self._times_of(asked, part) if self._times is not None else None
        if self._times is not None:
            self._count_times(self._times, lookup, asked, full)
            assert times is not None
            self._times.add_seconds(times)
        if counts is not None:
            assert self._lines_of is not None
            held = np.flatnonzero(counts)
            np.add.at(self._lines_of, view.ranks(self.selection.snapshot)[held], counts[held])
        return total

    def _count_times(self, counter: TimeCounter, lookup: Lookup, asked: _Asked, granules: Bools) -> None:
        """Count the lines that surely match in these granules, of which all lines are wanted, or take what is known of
        that. Raises Damaged before anything is counted."""
        node = self.selection.nodes[asked.node]
        found = lookup.times_counted(asked.view, node, granules, counter.wanted)
        if found is None or not counter.may_join(found):
            apart = counter.apart()
            count_times(apart, asked.view, asked.answer, granules)
            found = apart.counted(counter.step_s)
            lookup.keep_times_counted(asked.view, node, granules, found)
        counter.join(found)

    def _times_of(self, asked: _Asked, granules: Bools) -> I64:
        """The seconds of matching lines in granules of which not all lines are wanted."""
        view = asked.view
        found: list[I64] = [np.zeros(0, np.int64)]
        for granule in np.flatnonzero(granules).tolist():
            with view.lock:
                seconds = view.index.row_seconds(granule)
            wanted = np.repeat(
                asked.mine[view.runs.granules[granule] : view.runs.granules[granule + 1]],
                view.rows[view.runs.granules[granule] : view.runs.granules[granule + 1]],
            )
            found.append(seconds[wanted & (row_states(view, asked.answer, granule) == YES)])
        return np.concatenate(found)

    def _to_read(self, asked: _Asked, granules: Bools) -> I64:
        """The runs whose text has to be read."""
        view = asked.view
        wanted = asked.mine & granules[view.granule]
        for granule in np.flatnonzero(granules & (view.runs_in >= _MANY_RUNS)).tolist():
            first, last = int(view.runs.granules[granule]), int(view.runs.granules[granule + 1])
            wanted[first:last] &= run_counts(view, asked.answer, granule, least=MAYBE) > 0
        return np.flatnonzero(wanted)

    def _look(self, lookup: Lookup, asked: _Asked, run: int) -> tuple[Bools, I64 | None] | None:
        """Which lines of a run match, by its text, and how many of them are which level, if anybody asks; None: the
        generation's reader has to be asked. In any thread."""
        self.check()
        view, node = asked.view, self.selection.nodes[asked.node]
        if not view.is_plain[run]:
            return None
        times = None if asked.is_text_only else lookup.times(view, node, run)
        if not asked.is_text_only and times is None:
            return None
        try:
            lines = Lines(view.content(run), times)
        except UNREADABLE:
            return None  # it may lie elsewhere by now, or else the reader says what is wrong
        if any(len(marks) != len(lines) for marks in lines.known.values()):
            return None
        marks = self.matching(node)(lines, self.check)
        if self._levels is None:
            return marks, None
        ranks = levels_of(lines.data, lines.starts, lines.ends)
        view.learn_levels(run, ranks)
        return marks, counts_of(ranks[marks])

    def _count_run(self, asked: _Asked, run: int, marks: Bools) -> Bools | None:
        """Count the lines of a run that match. None: the generation's reader has to be asked for their times."""
        try:
            seconds = self._seconds(asked.view, run)
        except UNREADABLE:
            return None
        self._count(self._rank(asked.view, run), int(np.count_nonzero(marks)))
        if seconds is not None and self._times is not None:
            self._times.add_seconds(seconds[marks])
        return marks

    def _seconds(self, view: View, run: int) -> I64 | None:
        if self._times is None:
            return None
        granule = int(view.granule[run])
        before = int(view.runs.rows[view.runs.granules[granule]])
        with view.lock:
            found: I64 = view.index.row_seconds(granule)
        return found[int(view.runs.rows[run]) - before : int(view.runs.rows[run + 1]) - before]

    def _add_levels(self, counts: I64) -> None:
        assert self._levels is not None
        for rank in np.flatnonzero(counts).tolist():
            self._levels["" if rank == len(LEVELS) else LEVELS[rank]] += int(counts[rank])

    def _count(self, rank: int, lines: int) -> None:
        self.found += lines
        if self._lines_of is not None:
            self._lines_of[rank] += lines

    # One generation --------------------------------------------------------------------------------------------------

    def _generation(self, unit: Unit, rank: int, pieces: Sequence[tuple[int, int]]) -> Iterator[Progress]:
        """Read bytes of a generation; what cannot be read is noted and left, or has a copy that can be counted."""
        try:
            yield from self._read(unit, rank, pieces)
        except (LogferryError, OSError) as error:
            if self.selection.copies.get(unit.file.generation_id):
                self._failed[rank] = f"{named(unit)}: {error}"
                return
            lost = self._standing_in.pop(rank, ())
            self.stands_no_more(unit, lost)
            for why in lost:
                self.note(why)
            if isinstance(error, NotFound):
                self.total_bytes -= sum(end - start for start, end in pieces)
            else:
                self.note(f"{named(unit)}: {error}")

    def _read(self, unit: Unit, rank: int, pieces: Sequence[tuple[int, int]]) -> Iterator[Progress]:
        before, found_before = self.scanned_bytes, self.found
        with Opened(self.archive, unit.file.generation_id, self.check) as opened:
            is_packed = False
            if form_by_name(unit.file.name):
                text = opened.text
                is_packed = bool(text.form)
                if text.why:
                    self.note(f"{named(unit)}: {text.why}")
                if is_packed:
                    pieces = [(0, text.reader.size)]
            encoding = self.encoding_of(unit, opened)
            whole = sum(end - start for start, end in pieces)
            done = 0
            for start, end in pieces:
                if encoding is not None:  # a line that begins in the middle of a character belongs to the bytes before
                    start, end = start + start % 2, end + end % 2
                for at in range(start, end, SCAN_BLOCK_BYTES):
                    until = min(at + SCAN_BLOCK_BYTES, end)
                    self._block(unit, rank, opened, (at, until), encoding)
                    done += until - at
                    self.scanned_bytes = before + (unit.file.size * done // whole if is_packed else done)
                    self.check()
                    if self.is_due:
                        yield self.progress()
            if self.found == found_before and whole == unit.file.size:  # pieces never overlap: that is all of it
                self.found_nothing(unit)

    def _block(self, unit: Unit, rank: int, opened: Opened, block: tuple[int, int], encoding: Encoding | None) -> None:
        at, until = block
        lines = list(self.matches(unit, opened, at, until, encoding, newest_first=False))
        self._count(rank, len(lines))
        if lines and (self._times is not None or self._levels is not None):
            heads = _heads(opened.reader, at, until, lines, encoding)
            data = b"".join(heads)
            ends = np.cumsum([len(head) for head in heads], dtype=np.int64)
            starts = ends - [len(head) for head in heads]
            if self._levels is not None:
                self._add_levels(counts_of(levels_of(data, starts, ends)))
            if self._times is not None:
                self._times.add_seconds(seconds_of(opened.facts(unit.file).times(data, starts, ends).times))


class _Asked:
    """What the index of a segment says of one of the queries."""

    def __init__(self, view: View, node: int, is_text_only: bool, mine: Bools, answer: Answer) -> None:
        """``mine``: the runs that are searched for it."""
        self.view = view
        self.node = node
        self.is_text_only = is_text_only
        self.mine = mine
        self.answer = answer
        self.levels: I64 | None = None
        """How many lines are which level, where that is counted anew."""
        counts = np.bincount(view.granule[mine], minlength=len(view.runs_in))
        self.some: Bools = counts > 0
        """Granules with runs that are searched."""
        self.full: Bools = counts == view.runs_in
        """Granules of which all are."""


def _heads(
    reader: GenerationReader, at: int, until: int, lines: Sequence[Match], encoding: Encoding | None
) -> list[bytes]:
    """The beginnings of lines, as UTF-8."""
    data = reader.read_at(at, until - at)
    heads = []
    for line in lines:
        end = min(line.end, line.start + LINE_HEAD_BYTES)
        head = data[line.start - at : end - at] if end <= until else reader.read_at(line.start, end - line.start)
        heads.append(head if encoding is None else utf16_text(head, encoding).encode("utf-8", "replace"))
    return heads


def value_of(field: FacetField, file: Candidate) -> str:
    """What lines of a file count as in a facet."""
    if field == "agent":
        return file.agent
    if field == "path":
        return f"{file.agent}/{file.path}"
    return file.name if field == "file" else file.extension
