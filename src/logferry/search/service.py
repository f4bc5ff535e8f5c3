"""Searching the archive: plan, scan, tell. One search is a generator of events; it holds one file open at a time.

It ends at the limit, at the deadline, when told to stop, or when everything was looked at, and says which. A file
that cannot be read is named in the account and the search goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from logferry.archive import Archive, Catalog, GenerationReader
from logferry.archive.records import FilePage, FileRecord
from logferry.clock import SYSTEM, Clock
from logferry.compressed import form_by_name
from logferry.errors import LogferryError, NotFound
from logferry.limits import (
    CATALOG_PAGE_ROWS,
    COPIES_TRIED_MAX,
    FIND_PAGE_ROWS_MAX,
    PROGRESS_S,
    SCAN_BLOCK_BYTES,
    SEARCH_ERRORS_LISTED_MAX,
    SEARCH_HITS_DEFAULT,
    SEARCH_S_MAX,
)
from logferry.search.copies import without_copies
from logferry.search.events import Done, Event, Progress, Reason
from logferry.search.filters import candidate_of
from logferry.search.hits import HitMaker
from logferry.search.linefacts import facts_of
from logferry.search.plan import Planner, Seen, Unit, file_units, units
from logferry.search.query import Node
from logferry.search.scan import Encoding, FileFacts, Marker, Match, Scanner, scan_utf16, utf16_of


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to look for and where.

    ``agent`` is a glob, ``path`` a part of the path (with wildcards: the whole path). ``file_id`` (and
    ``generation``) narrow the search to one file. ``newest_first``: the file that changed last first, and in it the
    last line first; else the opposite. ``from_ns <= x < until_ns`` bounds the times of lines, as ``time:`` does.
    ``entries``: the query is matched against whole entries, and each hit is one: a line and those that continue it.
    """

    query: str
    scope: Seen
    agent: str = ""
    path: str = ""
    exact_case: bool = False
    limit: int = SEARCH_HITS_DEFAULT
    context: int = 0
    deadline_s: float = SEARCH_S_MAX
    newest_first: bool = True
    file_id: int | None = None
    generation: int | None = None
    from_ns: int | None = None
    until_ns: int | None = None
    entries: bool = False
    cancel: threading.Event = field(default_factory=threading.Event)


class _Stop(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class SearchService:
    """Searches over an archive. Safe from many threads: every search has its own state."""

    def __init__(self, archive: Archive, catalog: Catalog, *, clock: Clock = SYSTEM) -> None:
        self._archive = archive
        self._catalog = catalog
        self._clock = clock

    def run(self, request: SearchRequest) -> Iterator[Event]:
        """The events of a search: hits and progress, at last ``Done``. Close it to stop early.

        Raises:
            BadQuery: at once, not when the first event is asked for.
        """
        planner = Planner(
            request.query,
            agent=request.agent,
            path=request.path,
            exact_case=request.exact_case,
            now_ns=self._clock.now_ns(),
            from_ns=request.from_ns,
            until_ns=request.until_ns,
        )
        return _Search(self._archive, self._catalog, self._clock, request, planner).events()

    def find_files(
        self, query: str, *, agent: str = "", scope: Seen, exact_case: bool = False, cursor: str | None, limit: int
    ) -> FilePage:
        """One page of the files that a query finds; bare words match ``agent/path``.

        Raises:
            BadQuery: also for fields of lines.
            Refused: the cursor is not one of ours.
        """
        planner = Planner(
            query, agent=agent, path="", exact_case=exact_case, now_ns=self._clock.now_ns(), in_files=True
        )
        files = self._catalog.files
        found: list[FileRecord] = []
        rows = limit if planner.needed else CATALOG_PAGE_ROWS
        while True:
            page = files.find(needed=planner.needed, cursor=cursor, limit=rows)
            for file in page.files:
                if not scope.sees(file.agent, file.path):
                    continue
                if planner.for_file(planner.root, candidate_of(file)) is not True:
                    continue
                found.append(file)
                if len(found) == limit:
                    is_last = page.next is None and file is page.files[-1]
                    return FilePage(tuple(found), None if is_last else files.cursor_behind(file))
            if page.next is None:
                return FilePage(tuple(found), None)
            cursor = page.next
            rows = min(2 * rows, FIND_PAGE_ROWS_MAX)


class _Search:
    """One running search."""

    def __init__(
        self, archive: Archive, catalog: Catalog, clock: Clock, request: SearchRequest, planner: Planner
    ) -> None:
        self._archive = archive
        self._catalog = catalog
        self._clock = clock
        self._request = request
        self._planner = planner
        self._started_s = clock.monotonic_s()
        self._told_s = self._started_s
        self._hits = 0
        self._scanned_bytes = 0
        self._total_bytes = 0
        self._files_done = 0
        self._files_total = 0
        self._errors: list[str] = []
        self._failed = 0
        self._copies: dict[int, list[Unit]] = {}
        """Copies left out, by the id of their original."""
        self._left_out = 0
        self._scanners: dict[Node, tuple[Scanner, Marker]] = {}

    def events(self) -> Iterator[Event]:
        reason: Reason = "complete"
        try:
            found = self._without_copies(self._plan())
            self._files_total = len(found)
            self._total_bytes = sum(unit.file.size for unit in found)
            yield self._progress()
            for unit in found:
                yield from self._unit(unit)
                self._files_done += 1
        except _Stop as stop:
            reason = stop.reason
        yield Done(
            reason,
            self._hits,
            self._scanned_bytes,
            self._total_bytes,
            self._files_done,
            self._files_total,
            self._clock.monotonic_s() - self._started_s,
            self._account(),
            self._left_out,
        )

    def _plan(self) -> list[Unit]:
        request = self._request
        if request.file_id is None:
            return units(
                self._catalog, self._planner, request.scope, newest_first=request.newest_first, check=self._check
            )
        file = self._catalog.files.get(request.file_id)
        if file is None or not request.scope.sees(file.agent, file.path):
            return []
        return file_units(self._catalog, self._planner, file, request.generation)

    def _without_copies(self, found: list[Unit]) -> list[Unit]:
        """What is left when compressed copies of files that are searched anyway are left out; all of one named file."""
        packed = [unit.file.generation_id for unit in found if form_by_name(unit.file.name)]
        if self._request.file_id is not None or not packed:
            return found
        links = self._catalog.copies.links(packed)
        kept, self._copies = without_copies(found, links, self._planner.chosen)
        self._left_out = len(found) - len(kept)
        return kept

    def _unit(self, unit: Unit) -> Iterator[Event]:
        """Scan one generation; what cannot be read is noted and left. Then a copy of it is read in its place."""
        before, hits = self._scanned_bytes, self._hits
        try:
            yield from self._scan(unit)
        except NotFound:
            self._total_bytes -= unit.file.size  # removed since it was planned: nothing to look at
        except (LogferryError, OSError) as error:
            self._note(f"{self._named(unit)}: {error}")
        else:
            self._scanned_bytes = before + unit.file.size
            return
        instead = self._copies.pop(unit.file.generation_id, [])
        if instead and self._hits == hits:  # else some of its lines were told already
            self._copies[instead[0].file.generation_id] = instead[1:COPIES_TRIED_MAX]
            self._left_out -= 1
            self._files_total += 1
            self._total_bytes += instead[0].file.size
            yield from self._unit(instead[0])
            self._files_done += 1

    @staticmethod
    def _named(unit: Unit) -> str:
        return f"{unit.file.agent}/{unit.file.path} generation {unit.file.number}"

    def _scan(self, unit: Unit) -> Iterator[Event]:
        before = self._scanned_bytes
        text = self._archive.text(unit.file.generation_id, self._check)
        with text.reader as reader, self._archive.lines(unit.file.generation_id) as lines:
            if text.why:
                self._note(f"{self._named(unit)}: {text.why}")
            size = reader.size if text.form else unit.file.size
            encoding = utf16_of(reader.read_at(0, 4))
            scanner, marker = self._scanner(unit.node)
            maker = HitMaker(
                unit.file,
                reader,
                lines,
                marker,
                context=self._request.context,
                encoding=encoding,
                go_on=self._go_on,
                entries=self._request.entries,
            )
            facts = facts_of(unit.file, reader, encoding)
            starts = range(0, size, SCAN_BLOCK_BYTES)
            for done, start in enumerate(reversed(starts) if self._request.newest_first else starts, start=1):
                end = min(start + SCAN_BLOCK_BYTES, size)
                for match in self._matches(scanner, reader, start, end, encoding, facts):
                    if self._hits >= self._request.limit:
                        raise _Stop("limit")
                    self._hits += 1
                    yield maker.hit(match, start)
                if text.form:  # the share of its text that is done, in bytes as they are stored
                    self._scanned_bytes = before + unit.file.size * done // len(starts)
                else:
                    self._scanned_bytes += end - start
                self._check()
                if self._clock.monotonic_s() - self._told_s >= PROGRESS_S:
                    yield self._progress()

    def _matches(
        self,
        scanner: Scanner,
        reader: GenerationReader,
        start: int,
        end: int,
        encoding: Encoding | None,
        facts: FileFacts,
    ) -> Iterator[Match]:
        newest_first, check = self._request.newest_first, self._check
        if encoding is None:
            return scanner.scan(reader, start, end, newest_first=newest_first, check=check, facts=facts)
        return scan_utf16(scanner, reader, start, end, encoding, newest_first=newest_first, check=check, facts=facts)

    def _scanner(self, node: Node) -> tuple[Scanner, Marker]:
        found = self._scanners.get(node)
        if found is None:
            exact = self._request.exact_case
            found = (
                Scanner(node, exact_case=exact, now_ns=self._planner.now_ns, entries=self._request.entries),
                Marker(node, exact_case=exact),
            )
            self._scanners[node] = found
        return found

    def _check(self) -> None:
        """Raises when it is time to stop."""
        if self._request.cancel.is_set():
            raise _Stop("cancelled")
        if self._clock.monotonic_s() - self._started_s > self._request.deadline_s:
            raise _Stop("time")

    def _go_on(self) -> bool:
        return (
            not self._request.cancel.is_set()
            and self._clock.monotonic_s() - self._started_s <= self._request.deadline_s
        )

    def _progress(self) -> Progress:
        self._told_s = self._clock.monotonic_s()
        return Progress(self._scanned_bytes, self._total_bytes, self._files_done, self._files_total, self._hits)

    def _note(self, text: str) -> None:
        self._failed += 1
        if len(self._errors) < SEARCH_ERRORS_LISTED_MAX:
            self._errors.append(text)

    def _account(self) -> tuple[str, ...]:
        more = self._failed - len(self._errors)
        return (*self._errors, f"and {more:,} more files could not be read") if more else tuple(self._errors)
