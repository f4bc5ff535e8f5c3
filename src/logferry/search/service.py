"""Searching the archive: plan, look, tell. A search or tally is a generator of events.

It ends at the limit, at the deadline, when told to stop, or when everything was looked at, and says which. A file
that cannot be read is named in the account and the search goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from logferry.archive import Archive, Catalog
from logferry.archive.records import FilePage, FileRecord
from logferry.clock import SYSTEM, Clock
from logferry.errors import BadQuery
from logferry.limits import CATALOG_PAGE_ROWS, FIND_PAGE_ROWS_MAX
from logferry.search.barren import Barren
from logferry.search.events import Event
from logferry.search.executor import Crew
from logferry.search.filters import candidate_of
from logferry.search.finding import Finding
from logferry.search.indexed.views import Views
from logferry.search.niceness import be_nice
from logferry.search.plan import Planner, Seen
from logferry.search.precedence import Precedence
from logferry.search.request import SearchRequest
from logferry.search.running import Equipment
from logferry.search.snapshots import Snapshots
from logferry.search.tally import FACETS, Buckets, FacetField, TallyEvent
from logferry.search.tallying import Tallying
from logferry.search.unsealed import Unsealed

__all__ = ["SearchRequest", "SearchService"]


class SearchService:
    """Searches over an archive. Safe from many threads: every search has its own state."""

    def __init__(
        self,
        archive: Archive,
        catalog: Catalog,
        *,
        clock: Clock = SYSTEM,
        indexed: bool = True,
        crew: Crew | None = None,
    ) -> None:
        """``indexed`` False: everything is read. ``crew`` looks through much text. The answers are the same."""
        self._catalog = catalog
        self._clock = clock
        self._views = Views(archive)
        self._unsealed = Unsealed()
        self._barren = Barren()
        self.precedence = Precedence(clock)
        """To what patient searches give way, and lines that are counted in the background."""
        archive.count_behind(self.precedence.stand_back)
        threads = os.cpu_count() or 1
        self._equipment = Equipment(
            archive,
            catalog,
            clock,
            Snapshots(catalog, clock, indexed=indexed),
            self._views,
            crew,
            ThreadPoolExecutor(threads, thread_name_prefix="search"),
            ThreadPoolExecutor(threads, thread_name_prefix="patient", initializer=be_nice),
            self.precedence,
            self._unsealed,
            self._barren,
        )

    def run(self, request: SearchRequest) -> Iterator[Event]:
        """The events of a search: hits and progress, at last ``Done``. Close it to stop early.

        Raises:
            BadQuery: at once, not when the first event is asked for.
        """
        return Finding(self._equipment, request, self._planner(request)).events()

    def tally(
        self, request: SearchRequest, *, histogram: Buckets | None = None, facets: Sequence[FacetField] = ()
    ) -> Iterator[TallyEvent]:
        """How many lines match: progress, at last one ``Tally``. Close it to stop early.

        Args:
            histogram: count them by their time, too.
            facets: count them by these fields, too.

        Raises:
            BadQuery: at once; also for a facet that there is not.
        """
        for facet in facets:
            if facet not in FACETS:
                raise BadQuery(f"lines cannot be counted by {facet}", column=1, hint=f"one of {', '.join(FACETS)}")
        planner = self._planner(request)
        return Tallying(self._equipment, request, planner, histogram=histogram, facets=facets).events()

    def forget_answers(self) -> None:
        """Open indexes stay, but nothing is remembered of what was found: as if all queries were new."""
        self._views.forget_answers()
        self._unsealed.forget()
        self._barren.forget()

    def _planner(self, request: SearchRequest) -> Planner:
        return Planner(
            request.query,
            agent=request.agent,
            path=request.path,
            exact_case=request.exact_case,
            now_ns=self._clock.now_ns(),
            from_ns=request.from_ns,
            until_ns=request.until_ns,
            tags=self._catalog.agents.tags,
        )

    def find_files(
        self, query: str, *, agent: str = "", scope: Seen, exact_case: bool = False, cursor: str | None, limit: int
    ) -> FilePage:
        """One page of the files that a query finds; bare words match ``agent/path``.

        Raises:
            BadQuery: also for fields of lines.
            Refused: the cursor is not one of ours.
        """
        planner = Planner(
            query, agent=agent, path="", exact_case=exact_case, now_ns=self._clock.now_ns(), in_files=True,
            tags=self._catalog.agents.tags,
        )  # fmt: skip
        files = self._catalog.files
        agents = None
        if planner.asks_of_agents:
            agents = [known for known in self._catalog.agents.ids() if planner.for_agent(known) is not False]
        found: list[FileRecord] = []
        rows = limit if planner.needed else CATALOG_PAGE_ROWS
        while True:
            page = files.find(needed=planner.needed, agents=agents, cursor=cursor, limit=rows)
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
