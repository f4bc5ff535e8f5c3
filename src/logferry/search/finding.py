"""The hits of a search, in order, as far as its limit.

Generations are looked at one after the other, the newest (or oldest) first. The indexes of segments tell which of them
have lines that may match, and where; a segment is asked when the first generation that has bytes in it is due, so a
search that soon has enough asks few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import heapify, heappop, heappush

import numpy as np
import numpy.typing as npt

from logferry.compressed import form_by_name
from logferry.encodings import UTF_8
from logferry.limits import SCAN_BLOCK_BYTES, SEARCH_RUNS_AHEAD
from logferry.search.events import Done, Event, Hit, Reason
from logferry.search.hits import HitMaker
from logferry.search.indexed.ahead import ahead
from logferry.search.indexed.lookup import UNREADABLE, Lookup
from logferry.search.indexed.pieces import Opened, RunLines, RunSource
from logferry.search.indexed.text_only import is_text_only
from logferry.search.indexed.view import View
from logferry.search.plan import Unit
from logferry.search.running import Running, Stop, named
from logferry.search.scan import Encoding, Match, Source
from logferry.search.scan.lines import Lines
from logferry.search.snapshot import gaps

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a generation to look at: those of a run of a segment, or (``view`` None) others."""

    start: int
    end: int
    view: View | None = None
    run: int = -1


class Finding(Running):
    """One running search."""

    def events(self) -> Iterator[Event]:
        """Hits and progress, at last ``Done``."""
        reason: Reason = "complete"
        try:
            self.plan()
            yield self.progress()
            yield from self._all()
        except Stop as stop:
            reason = stop.reason
        yield Done(*self.account(reason), hits=self.found)

    # Which generation is next ----------------------------------------------------------------------------------------

    def _all(self) -> Iterator[Event]:
        selection = self.selection
        snapshot = selection.snapshot
        lookup = self.lookup()
        sign = -1 if self.request.newest_first else 1
        runs_of: dict[int, list[Piece]] = {}
        """Runs to look at, by rank."""
        waiting: dict[int, list[int]] = {}
        """Segments, by the first rank that has bytes there."""
        whole = selection.node_of >= 0
        due = set(np.flatnonzero(whole & snapshot.is_in_part & ~self.known_barren()).tolist())
        for segment, ranks in snapshot.ranks_in.items():
            mine = ranks if self.takes_all else ranks[whole[ranks]]
            if len(mine):
                waiting.setdefault(int(mine[-1] if sign < 0 else mine[0]), []).append(segment)
        heap = [sign * rank for rank in due | waiting.keys()]
        heapify(heap)
        try:
            while heap:
                rank = sign * heappop(heap)
                while heap and sign * heap[0] == rank:
                    heappop(heap)
                for segment in waiting.pop(rank, ()):
                    for found in self._ask(lookup, segment, runs_of):
                        due.add(found)
                        if sign * found > sign * rank:
                            heappush(heap, sign * found)
                    if self.is_due:
                        yield self.progress()
                if rank in due:
                    self.reached(rank)
                    runs = runs_of.pop(rank, [])
                    yield from self.each(selection.unit(rank), partial(self._unit, lookup=lookup, runs=runs))
        finally:
            self.learn_barren()
            lookup.remember()
        self.reached(None)

    def _ask(self, lookup: Lookup, segment: int, runs_of: dict[int, list[Piece]]) -> Iterator[int]:
        """Ask a segment; gives the ranks that have bytes to look at."""
        self.check()
        view = lookup.view(segment)
        if view is not None:
            try:
                runs, ranks = lookup.hot_runs(view)
            except UNREADABLE as error:
                lookup.lost(view, error)
                view = None
        if view is None:
            ranks = self.selection.snapshot.ranks_in[segment]
            yield from ranks[self.selection.node_of[ranks] >= 0].tolist()
            return
        starts = view.offset[runs].tolist()
        ends = (view.offset[runs] + view.length[runs]).tolist()
        for run, rank, start, end in zip(runs.tolist(), ranks.tolist(), starts, ends, strict=True):
            pieces = runs_of.get(rank)
            if pieces is None:
                pieces = runs_of[rank] = []
                yield rank
            pieces.append(Piece(start, end, view, run))

    # One generation --------------------------------------------------------------------------------------------------

    def _unit(self, unit: Unit, lookup: Lookup, runs: list[Piece]) -> Iterator[Event]:
        generation_id = unit.file.generation_id
        with Opened(self.archive, generation_id, self.check, self.reads_as) as opened:
            if form_by_name(unit.file.name):
                yield from self._text(unit, opened)
                return
            unread = (Piece(*gap) for gap in gaps(lookup.covered(generation_id), unit.file.size))
            pieces = sorted((*runs, *unread), key=_start, reverse=self.request.newest_first)
            pieces = [piece for piece in pieces if self._is_asked(piece.start, piece.end)]
            found_before = self.found
            done = self.scanned_bytes + unit.file.size - sum(piece.end - piece.start for piece in pieces)
            source, lines = RunSource(opened, unit.file.size), RunLines(opened)
            maker = self._maker(unit, source, lines, None)
            hold = partial(self._held, unit, lookup)
            for piece, held in ahead(lambda: self.pool, hold, pieces, SEARCH_RUNS_AHEAD, together=_frame):
                view = piece.view
                if view is not None and held is not None:
                    lookup.learn(view, unit.node, piece.run, held[1])
                if view is None or held is None:
                    yield from self._stretch(unit, opened, piece, maker)
                elif held[0] is not None:
                    source.hold(piece.start, held[0].data)
                    lines.learn(piece.start, lookup.line_number(view, piece.run))
                    yield from self._run(held[0], held[1], piece, maker)
                done += piece.end - piece.start
                self.scanned_bytes = done
                self.check()
                if self.is_due:
                    yield self.progress()
            if self.found == found_before and self._is_asked_of_all:
                self.found_nothing(unit)

    def _held(self, unit: Unit, lookup: Lookup, piece: Piece) -> tuple[Lines | None, Bools] | None:
        """The lines of a run, if any of them matches (others wait for nothing in memory), and which do; None: the
        generation's reader is to be asked. In any thread."""
        self.check()
        view, run = piece.view, piece.run
        if view is None or not view.is_plain[run]:
            return None
        known = lookup.known(view, unit.node, run)
        times = None
        if known is None and not is_text_only(unit.node):
            times = lookup.times(view, unit.node, run)
            if times is None:
                return None
        try:
            lines = Lines(view.content(run), times)
        except UNREADABLE:
            return None  # it may lie elsewhere by now, or else the reader says what is wrong
        if known is not None:
            return (lines if known.any() else None, known) if len(known) == len(lines) else None
        if any(len(marks) != len(lines) for marks in lines.known.values()):
            return None
        marks = self.matching(unit.node)(lines, self.check)
        return lines if marks.any() else None, marks

    def _run(self, lines: Lines, marks: Bools, piece: Piece, maker: HitMaker) -> Iterator[Hit]:
        rows = np.flatnonzero(marks)
        if self.request.newest_first:
            rows = rows[::-1]
        starts, ends = (lines.starts[rows] + piece.start).tolist(), (lines.ends[rows] + piece.start).tolist()
        for row, start, end in zip(rows.tolist(), starts, ends, strict=True):
            if not self._is_asked(start, start + 1):
                continue
            self._count()
            yield maker.hit(Match(start, end, row), piece.start)

    def _count(self) -> None:
        """One hit more, if there may be one."""
        self.check(in_python=True)  # the lines around each are read, and whoever takes them may be slow
        if self.found >= self.request.limit:
            raise Stop("limit")
        self.found += 1

    def _stretch(self, unit: Unit, opened: Opened, piece: Piece, maker: HitMaker) -> Iterator[Event]:
        """Any bytes of a generation, block by block."""
        encoding = self.encoding_of(unit, opened)
        start, end = piece.start, piece.end
        if encoding is not None:  # a line that begins in the middle of a character belongs to the bytes before
            start, end = start + start % 2, end + end % 2
            maker = self._maker(unit, opened.reader, RunLines(opened), encoding)
        before = self.scanned_bytes
        for at in self._blocks(start, end):
            until = min(at + SCAN_BLOCK_BYTES, end)
            if self._is_asked(at, until):
                yield from self._block(unit, opened, at, until, encoding, maker)
            self.scanned_bytes += until - at
            self.check()
            if self.is_due:
                yield self.progress()
        self.scanned_bytes = before

    def _text(self, unit: Unit, opened: Opened) -> Iterator[Event]:
        """The text of a compressed generation."""
        text, before = opened.text, self.scanned_bytes
        if text.why:
            self.note(f"{named(unit)}: {text.why}")
        size = text.reader.size if text.form else unit.file.size
        encoding = opened.encoding
        maker = self._maker(unit, text.reader, RunLines(opened), encoding)
        for at in self._blocks(0, size):
            until = min(at + SCAN_BLOCK_BYTES, size)
            if self._is_asked(at, until):
                yield from self._block(unit, opened, at, until, encoding, maker)
            # The share of its text that is done, in bytes as they are stored.
            done = size - at if self.request.newest_first else until
            self.scanned_bytes = before + unit.file.size * done // size
            self.check()
            if self.is_due:
                yield self.progress()

    def _blocks(self, start: int, end: int) -> Iterable[int]:
        starts = range(start, end, SCAN_BLOCK_BYTES)
        return reversed(starts) if self.request.newest_first else starts

    def _block(
        self, unit: Unit, opened: Opened, start: int, end: int, encoding: Encoding | None, maker: HitMaker
    ) -> Iterator[Hit]:
        for match in self.matches(unit, opened, start, end, encoding, newest_first=self.request.newest_first):
            if not self._is_asked(match.start, match.start + 1):
                continue
            self._count()
            yield maker.hit(match, start)

    @property
    def _is_asked_of_all(self) -> bool:
        """Whether lines are asked for wherever they begin."""
        return not self.request.after_byte and self.request.before_byte is None

    def _is_asked(self, start: int, end: int) -> bool:
        """Whether lines are asked for that begin there."""
        before = self.request.before_byte
        return end > self.request.after_byte and (before is None or start < before)

    def _maker(self, unit: Unit, reader: Source, lines: RunLines, encoding: Encoding | None) -> HitMaker:
        marker = self.marker(unit.node)
        return HitMaker(
            unit.file,
            reader,
            lines,
            marker,
            context=self.request.context,
            encoding=encoding,
            charset=self.reads_as or UTF_8,
            go_on=self.go_on,
            entries=self.request.entries,
        )


def _start(piece: Piece) -> int:
    return piece.start


def _frame(piece: Piece) -> tuple[int, int]:
    """What is read once for all pieces alike in it."""
    return (piece.view.id, piece.view.frame(piece.run)) if piece.view is not None else (-1, piece.start)
