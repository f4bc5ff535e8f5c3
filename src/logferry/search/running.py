"""One search or tally while it runs: its plan, when it has to stop, what could not be read, how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from logferry.archive import Archive, Catalog
from logferry.clock import Clock
from logferry.compressed import form_by_name
from logferry.encodings import UTF_8
from logferry.encodings import Encoding as Charset
from logferry.errors import LogferryError, NotFound
from logferry.limits import BARREN_NODES_MAX, COPIES_TRIED_MAX, PROGRESS_S, SEARCH_ERRORS_LISTED_MAX
from logferry.search.barren import Barren
from logferry.search.events import Progress, Reason
from logferry.search.executor import Crew
from logferry.search.indexed.lookup import Lookup
from logferry.search.indexed.pieces import Opened
from logferry.search.indexed.text_only import is_text_only
from logferry.search.indexed.views import Views
from logferry.search.plan import Planner, Unit
from logferry.search.precedence import Precedence
from logferry.search.query import Filter, Node, Text, leaves
from logferry.search.query import Literal as Plain
from logferry.search.request import SearchRequest
from logferry.search.scan import Encoding, Marker, Match, Scanner, scan_encoded, scan_utf16, utf16_of
from logferry.search.scan.lines import Matching
from logferry.search.selection import Selection, select, select_generations
from logferry.search.snapshot import Snapshot
from logferry.search.snapshots import Snapshots
from logferry.search.unsealed import Seen, Unsealed

I64 = npt.NDArray[np.int64]
T = TypeVar("T")
_MARK_BYTES = 4
"""At the beginning of a file, by which UTF-16 is told."""
_Why: TypeAlias = Reason | Literal["running"]


class Stop(Exception):
    """It is time to end."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Equipment:
    """What all searches of one service work with; each of it may be used from many threads."""

    archive: Archive
    catalog: Catalog
    clock: Clock
    snapshots: Snapshots
    views: Views
    crew: Crew | None
    """Who looks through much text."""
    pool: Executor
    """Where text is looked through by searches that have just begun."""
    patient_pool: Executor
    """The same, by those that go on for long: nobody else waits behind them."""
    precedence: Precedence
    unsealed: Unsealed
    barren: Barren


class Running:
    """What hits and tallies have in common."""

    done_with_copies = "read"
    """What is done with a copy in the place of what cannot be read, for people."""

    def __init__(self, equipment: Equipment, request: SearchRequest, planner: Planner) -> None:
        self.archive = equipment.archive
        self.catalog = equipment.catalog
        self.clock = equipment.clock
        self.request = request
        self.planner = planner
        self.views = equipment.views
        self._unsealed = equipment.unsealed
        self._barren = equipment.barren
        self._in_vain: dict[Node, list[int]] = {}
        """By query: generations in which this search found nothing."""
        self._precedence = equipment.precedence
        self._pools = equipment.pool, equipment.patient_pool
        self.started_s = self.clock.monotonic_s()
        self._deadline_s = self.started_s + request.deadline_s
        self.found = 0
        """Matching lines so far."""
        self.scanned_bytes = 0
        self.total_bytes = 0
        self.files_done = 0
        self.files_total = 0
        self.left_out = 0
        """Compressed copies of what is searched anyway."""
        self.takes_all = False
        """Whether every generation is selected."""
        self.selection: Selection
        self.reads_as: Charset | None = None
        """The encoding of the one file that is searched, where it was named and is not what it is read in anyway."""
        self.is_raw = True
        """Whether its bytes are looked through as they are."""
        self._snapshots = equipment.snapshots
        self._told_s = self.started_s
        self._errors = Noted()
        self._remarks = Noted()
        self._lost_bytes = 0
        """Of those that could not be read."""
        self._more_files = 0
        """Copies that were read in the place of others."""
        self._scanners: dict[Node, Scanner] = {}
        self._markers: dict[Node, Marker] = {}
        self._matchings: dict[tuple[int, Node], Matching] = {}
        self._sums: tuple[I64, I64] | None = None

    @property
    def pool(self) -> Executor:
        """Where text is looked through."""
        return self._pools[self.request.patient.is_set()]

    # What there is to do ---------------------------------------------------------------------------------------------

    def plan(self) -> None:
        """Find out what there is to look at."""
        self.reads_as = self._read_as()
        self.selection = self._selected()
        self.files_total, self.total_bytes = self.selection.files, self.selection.bytes
        self.left_out = self.selection.left_out
        self.takes_all = self.files_total == len(self.selection.snapshot.files)

    def _snapshot(self) -> Snapshot:
        found = self._snapshots.now(exact_facts=self.planner.asks_of_facts)
        # An entry may match of which no line alone does: the indexes tell of lines.
        return found.unindexed if self.request.entries or not self.is_raw else found

    def _read_as(self) -> Charset | None:
        request = self.request
        wanted = request.encoding
        if wanted is None or wanted is UTF_8 or request.file_id is None:
            return wanted
        self.is_raw = not wanted.is_wide and all(_is_in_ascii(leaf, wanted) for leaf in leaves(self.planner.root))
        if not wanted.is_wide:
            return wanted
        for of in self.catalog.files.generations(request.file_id):
            if request.generation in (None, of.number):
                with self.archive.text(of.id, self.check).reader as reader:
                    if utf16_of(reader.read_at(0, 4)) != wanted.name:
                        return wanted
        self.is_raw = True  # its mark says so: its index knows, too
        return None

    def _selected(self) -> Selection:
        request = self.request
        if request.file_id is None:
            snapshot = self._snapshot()
            found = select(snapshot, self.planner, request.scope, self.check)
            found.leave_out_copies(self.catalog, self.planner)
            return found
        file = self.catalog.files.get(request.file_id)
        held = [] if file is None else self.catalog.files.generations(request.file_id)
        snapshot = self._snapshot()
        if file is None or not request.scope.sees(file.agent, file.path):
            return Selection(snapshot)
        wanted = [of.id for of in held if request.generation in (None, of.number)]
        return select_generations(snapshot, self.planner, request.scope, wanted)

    def reached(self, rank: int | None) -> None:
        """All generations before this one, in the order asked for, are done; None: all are."""
        if self._sums is None:
            chosen = self.selection.node_of >= 0
            sizes = np.where(chosen, self.selection.snapshot.sizes, 0)
            self._sums = np.cumsum(chosen), np.cumsum(sizes)
        files, sizes = self._sums
        if not len(files):
            return
        if rank is None:
            self.files_done, done = int(files[-1]), int(sizes[-1])
        elif self.request.newest_first:
            self.files_done, done = int(files[-1] - files[rank]), int(sizes[-1] - sizes[rank])
        else:
            self.files_done = int(files[rank - 1]) if rank else 0
            done = int(sizes[rank - 1]) if rank else 0
        self.files_done += self._more_files
        self.scanned_bytes = done - self._lost_bytes

    def each(self, unit: Unit, work: Callable[[Unit], Iterator[T]], lost: tuple[str, ...] = ()) -> Iterator[T]:
        """Do the work of one unit; what cannot be read is noted and left. Then a copy of it is read in its place.

        Args:
            lost: why those in whose place it stands could not be read.
        """
        before, found = self.scanned_bytes, self.found
        try:
            yield from work(unit)
        except NotFound:
            self.stands_no_more(unit, lost)
            self.total_bytes -= unit.file.size  # removed since it was planned: nothing to look at
        except (LogferryError, OSError) as error:
            self.stands_no_more(unit, lost)
            lost = (*lost, f"{named(unit)}: {error}")
        else:
            self.scanned_bytes = before + unit.file.size
            return
        self._lost_bytes += unit.file.size
        copies = self.selection.copies
        instead = copies.pop(unit.file.generation_id, [])
        if self.found > found:  # some of its lines were told already
            instead = []
        if not instead:
            for why in lost:
                self.note(why)
        else:
            self.stands(instead[0], lost)
            copies[instead[0].file.generation_id] = instead[1:COPIES_TRIED_MAX]
            self.left_out -= 1
            self.files_total += 1
            self.total_bytes += instead[0].file.size
            self._lost_bytes -= instead[0].file.size
            yield from self.each(instead[0], work, lost)
            self._more_files += 1

    def stands(self, copy: Unit, lost: Sequence[str]) -> None:
        """A copy is read in the place of what could not be; ``lost`` says why. If it is only the beginning, something
        is missing."""
        if lost:
            self.remark(self._standing(copy, lost))
        if copy.file.generation_id in self.selection.beginnings:
            for why in lost:
                self.note(why)

    def stands_no_more(self, copy: Unit, lost: Sequence[str]) -> None:
        """It could not be read either."""
        if lost:
            self._remarks.drop(self._standing(copy, lost))

    def _standing(self, copy: Unit, lost: Sequence[str]) -> str:
        which = f"{'; '.join(lost)}; its copy {named(copy)}"
        if copy.file.generation_id in self.selection.beginnings:
            return f"{which} was {self.done_with_copies} instead: it is only the beginning, the file has grown since"
        return f"{which} was {self.done_with_copies} instead"

    def known_barren(self) -> npt.NDArray[np.bool_]:
        """By rank: generations in which an earlier search looked for the same, and found nothing."""
        selection, snapshot = self.selection, self.selection.snapshot
        found = np.zeros(len(selection.node_of), np.bool_)
        if self._asks_of_plain_lines:
            for number, node in enumerate(selection.nodes):
                self.check()
                ranks = self._barren.among(snapshot, node, exact_case=self.request.exact_case)
                found[ranks[selection.node_of[ranks] == number]] = True
            found[snapshot.packed] = False  # it has another name now, and is looked at unpacked
        return found

    def found_nothing(self, unit: Unit) -> None:
        """All lines of a generation were looked at, as far as an index did not tell, and none matches."""
        if self._asks_of_plain_lines and is_text_only(unit.node) and not form_by_name(unit.file.name):
            self._in_vain.setdefault(unit.node, []).append(unit.file.generation_id)

    def learn_barren(self) -> None:
        """The next search for the same does not look there."""
        snapshot = self.selection.snapshot
        for node, ids in self._in_vain.items():
            ranks = snapshot.ranks(np.array(ids, np.int64))
            ranks = ranks[snapshot.is_in_part[ranks]]  # the others are not looked at but where an index says so
            if len(ranks):
                self._barren.learn(snapshot, node, ranks, exact_case=self.request.exact_case)
        self._in_vain.clear()

    @property
    def _asks_of_plain_lines(self) -> bool:
        """Whether lines are looked at one by one, as they stand, and for few queries: each takes a moment by itself."""
        is_few = len(self.selection.nodes) <= BARREN_NODES_MAX
        return is_few and not self.request.entries and self.reads_as is None

    def lookup(self) -> Lookup:
        """What asks the indexes."""
        return Lookup(
            self.archive,
            self.views,
            self.selection,
            exact_case=self.request.exact_case,
            now_ns=self.planner.now_ns,
            note=self.remark,
        )

    # How lines are found ---------------------------------------------------------------------------------------------

    def matching(self, node: Node) -> Matching:
        """What tells which of many lines match; one for each thread. The query asks for text alone."""
        key = (threading.get_ident(), node)
        found = self._matchings.get(key)
        if found is None:
            found = self._matchings[key] = Matching(node, exact_case=self.request.exact_case)
        return found

    def encoding_of(self, unit: Unit, opened: Opened) -> Encoding | None:
        """Whether what is not sealed of a generation is UTF-16. It is not opened for that where it is known already."""
        if self._is_plain(unit):
            return None
        encoding = opened.encoding
        is_marked = unit.file.size >= _MARK_BYTES
        if self.reads_as is None and encoding is None and is_marked and not form_by_name(unit.file.name):
            self._unsealed.is_now_plain(unit.file.generation_id)
        return encoding

    def _is_plain(self, unit: Unit) -> bool:
        """Whether it is known that a generation is text as it stands. It may be named as a compressed one meanwhile."""
        if self.reads_as is not None or form_by_name(unit.file.name):
            return False
        return self._unsealed.is_plain(unit.file.generation_id)

    def matches(
        self, unit: Unit, opened: Opened, start: int, end: int, encoding: Encoding | None, *, newest_first: bool
    ) -> Iterator[Match]:
        """The matching lines that start in ``start <= x < end`` of a generation."""
        seen = self._seen(unit, opened, start, end) if encoding is None else None
        if seen is None:
            yield from self._scanned(unit, opened, start, end, encoding, newest_first=newest_first)
            return
        if not newest_first:
            yield from seen.matches(newest_first=False)
        if seen.until < end:  # it has no end yet, or goes on in the next block
            for match in self._scanned(unit, opened, seen.until, end, encoding, newest_first=newest_first):
                yield replace(match, newlines=match.newlines + seen.row_count)
        if newest_first:
            yield from seen.matches(newest_first=True)

    def _seen(self, unit: Unit, opened: Opened, start: int, end: int) -> Seen | None:
        """What is known of text that has no index, and is read now; None: it is to be scanned."""
        request = self.request
        if request.entries or not is_text_only(unit.node) or not self._is_plain(unit):
            return None
        return self._unsealed.seen(
            unit.file.generation_id,
            unit.node,
            self.matching(unit.node),
            (start, end),
            lambda: opened.reader,
            self.check,
            exact_case=request.exact_case,
        )

    def _scanned(
        self, unit: Unit, opened: Opened, start: int, end: int, encoding: Encoding | None, *, newest_first: bool
    ) -> Iterator[Match]:
        scanner, facts = self._scanner(unit.node), opened.facts(unit.file)
        reader = opened.reader
        if encoding is None and self.reads_as is not None and not self.is_raw:
            return scan_encoded(
                scanner, reader, start, end, self.reads_as, newest_first=newest_first, check=self.check, facts=facts
            )
        if encoding is None:
            return scanner.scan(reader, start, end, newest_first=newest_first, check=self.check, facts=facts)
        return scan_utf16(
            scanner, reader, start, end, encoding, newest_first=newest_first, check=self.check, facts=facts
        )

    def _scanner(self, node: Node) -> Scanner:
        """What finds the lines of a query; one for all units."""
        found = self._scanners.get(node)
        if found is None:
            found = self._scanners[node] = Scanner(
                node, exact_case=self.request.exact_case, now_ns=self.planner.now_ns, entries=self.request.entries
            )
        return found

    def marker(self, node: Node) -> Marker:
        """What marks the lines of a query; one for all units."""
        found = self._markers.get(node)
        if found is None:
            found = self._markers[node] = Marker(node, exact_case=self.request.exact_case)
        return found

    # When to stop ----------------------------------------------------------------------------------------------------

    def check(self, *, in_python: bool = False) -> None:
        """Raises ``Stop`` when it is time to. Lets others go first, where it goes on for long.

        ``in_python``: what it does next holds Python's lock.
        """
        self._stop_in_time()
        if self.request.patient.is_set():
            self._precedence.give_way(self._deadline_s, in_python=in_python)
            self._stop_in_time()

    def _stop_in_time(self) -> None:
        """Raises ``Stop`` when it is time to."""
        if self.request.cancel.is_set():
            raise Stop("cancelled")
        if self.clock.monotonic_s() > self._deadline_s:
            raise Stop("time")

    def go_on(self) -> bool:
        """Whether it is not yet time to stop."""
        return not self.request.cancel.is_set() and self.clock.monotonic_s() <= self._deadline_s

    # What is told ----------------------------------------------------------------------------------------------------

    def progress(self) -> Progress:
        """How far it is."""
        self._told_s = self.clock.monotonic_s()
        return Progress(self.scanned_bytes, self.total_bytes, self.files_done, self.files_total, self.found)

    @property
    def is_due(self) -> bool:
        """Whether it is time to say how far it is."""
        return self.clock.monotonic_s() - self._told_s >= PROGRESS_S

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self.clock.monotonic_s() - self.started_s

    def note(self, text: str) -> None:
        """Something could not be read."""
        self._errors.add(text)

    def forget_notes(self) -> None:
        """It begins anew."""
        self._errors = Noted()

    def remark(self, text: str) -> None:
        """Something is wrong, but everything is found."""
        self._remarks.add(text)

    @property
    def has_failed(self) -> bool:
        """Whether something could not be read."""
        return self._errors.count > 0

    def account(self, reason: _Why) -> tuple[_Why, int, int, int, int, float, tuple[str, ...], int, tuple[str, ...]]:
        """The values of an ``Account``, in order."""
        return (
            reason,
            self.scanned_bytes,
            self.total_bytes,
            self.files_done,
            self.files_total,
            self.seconds,
            self._errors.told("and {more:,} more files could not be read"),
            self.left_out,
            self._remarks.told("and {more:,} more remarks"),
        )


class Noted:
    """What is told in the end, the first ``SEARCH_ERRORS_LISTED_MAX`` one by one."""

    def __init__(self) -> None:
        self.count = 0
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """One more, unless it is told already."""
        if text in self._texts:
            return
        self.count += 1
        if len(self._texts) < SEARCH_ERRORS_LISTED_MAX:
            self._texts.append(text)

    def drop(self, text: str) -> None:
        """It was added, and is not so."""
        self.count -= 1
        if text in self._texts:
            self._texts.remove(text)

    def told(self, rest: str) -> tuple[str, ...]:
        """They, and how many there are ``more`` than those."""
        more = self.count - len(self._texts)
        return (*self._texts, rest.format(more=more)) if more else tuple(self._texts)


def _is_in_ascii(leaf: Text | Filter, encoding: Charset) -> bool:
    """Whether its bytes are the same in UTF-8, and are found nowhere else."""
    if isinstance(leaf, Filter):
        return not leaf.name.startswith("@")
    return encoding.is_single and isinstance(leaf.value, Plain) and leaf.value.text.isascii()


def named(unit: Unit) -> str:
    """A unit as errors name it."""
    return f"{unit.file.agent}/{unit.file.path} generation {unit.file.number}"
