"""One search or tally while it runs: its plan, when it has to stop, what could not be read, how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from logferry.archive import Archive, Catalog
from logferry.clock import Clock
from logferry.compressed import form_by_name
from logferry.errors import LogferryError, NotFound
from logferry.limits import COPIES_TRIED_MAX, PROGRESS_S, SEARCH_ERRORS_LISTED_MAX
from logferry.search.copies import without_copies
from logferry.search.events import Progress, Reason
from logferry.search.plan import Planner, Unit, file_units, units
from logferry.search.query import Node
from logferry.search.request import SearchRequest
from logferry.search.scan import Marker, Scanner

T = TypeVar("T")


class Stop(Exception):
    """It is time to end."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Running:
    """What hits and tallies have in common."""

    def __init__(
        self, archive: Archive, catalog: Catalog, clock: Clock, request: SearchRequest, planner: Planner
    ) -> None:
        self.archive = archive
        self.catalog = catalog
        self.clock = clock
        self.request = request
        self.planner = planner
        self.started_s = clock.monotonic_s()
        self.found = 0
        """Matching lines so far."""
        self.scanned_bytes = 0
        self.total_bytes = 0
        self.files_done = 0
        self.files_total = 0
        self.left_out = 0
        """Compressed copies of what is searched anyway."""
        self._told_s = self.started_s
        self._errors: list[str] = []
        self._failed = 0
        self._copies: dict[int, list[Unit]] = {}
        """Copies left out, by the id of their original."""
        self._scanners: dict[Node, tuple[Scanner, Marker]] = {}

    # What there is to do ---------------------------------------------------------------------------------------------

    def plan(self) -> list[Unit]:
        """The units to look at, in order."""
        found = self._without_copies(self._units())
        self.files_total = len(found)
        self.total_bytes = sum(unit.file.size for unit in found)
        return found

    def _units(self) -> list[Unit]:
        request = self.request
        if request.file_id is None:
            return units(self.catalog, self.planner, request.scope, newest_first=request.newest_first, check=self.check)
        file = self.catalog.files.get(request.file_id)
        if file is None or not request.scope.sees(file.agent, file.path):
            return []
        return file_units(self.catalog, self.planner, file, request.generation)

    def _without_copies(self, found: list[Unit]) -> list[Unit]:
        """What is left when compressed copies of files that are searched anyway are left out; all of one named file."""
        packed = [unit.file.generation_id for unit in found if form_by_name(unit.file.name)]
        if self.request.file_id is not None or not packed:
            return found
        links = self.catalog.copies.links(packed)
        kept, self._copies = without_copies(found, links, self.planner.chosen)
        self.left_out = len(found) - len(kept)
        return kept

    def each(self, unit: Unit, work: Callable[[Unit], Iterator[T]]) -> Iterator[T]:
        """Do the work of one unit; what cannot be read is noted and left. Then a copy of it is read in its place."""
        before, found = self.scanned_bytes, self.found
        try:
            yield from work(unit)
        except NotFound:
            self.total_bytes -= unit.file.size  # removed since it was planned: nothing to look at
        except (LogferryError, OSError) as error:
            self.note(f"{named(unit)}: {error}")
        else:
            self.scanned_bytes = before + unit.file.size
            return
        instead = self._copies.pop(unit.file.generation_id, [])
        if instead and self.found == found:  # else some of its lines were told already
            self._copies[instead[0].file.generation_id] = instead[1:COPIES_TRIED_MAX]
            self.left_out -= 1
            self.files_total += 1
            self.total_bytes += instead[0].file.size
            yield from self.each(instead[0], work)
            self.files_done += 1

    def scanner(self, node: Node) -> tuple[Scanner, Marker]:
        """What finds and marks the lines of a query; one for all units."""
        found = self._scanners.get(node)
        if found is None:
            exact = self.request.exact_case
            found = Scanner(node, exact_case=exact), Marker(node, exact_case=exact)
            self._scanners[node] = found
        return found

    # When to stop ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises ``Stop`` when it is time to."""
        if self.request.cancel.is_set():
            raise Stop("cancelled")
        if self.clock.monotonic_s() - self.started_s > self.request.deadline_s:
            raise Stop("time")

    def go_on(self) -> bool:
        """Whether it is not yet time to stop."""
        return (
            not self.request.cancel.is_set() and self.clock.monotonic_s() - self.started_s <= self.request.deadline_s
        )

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
        self._failed += 1
        if len(self._errors) < SEARCH_ERRORS_LISTED_MAX:
            self._errors.append(text)

    @property
    def has_failed(self) -> bool:
        """Whether something could not be read."""
        return self._failed > 0

    def account(self) -> tuple[str, ...]:
        """What could not be read."""
        more = self._failed - len(self._errors)
        return (*self._errors, f"and {more:,} more files could not be read") if more else tuple(self._errors)


def named(unit: Unit) -> str:
    """A unit as errors name it."""
    return f"{unit.file.agent}/{unit.file.path} generation {unit.file.number}"
