"""Compiling what searches run natively, before somebody waits for it: a search of everything in a tiny archive.

What is compiled is kept for all processes to come (``archive.index.compiled``), so this takes half a minute once after
an installation or an upgrade, and two seconds at every other start. A process that searches then only has to load it
(``load``), and that, too, before somebody waits for it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading

from logferry.archive import Archive, Catalog
from logferry.archive.catalog import sqlite_url
from logferry.archive.index.compiled import identity
from logferry.archive.index_making import MakerHere
from logferry.clock import ManualClock
from logferry.limits import WARMING_QUESTION_S
from logferry.search.request import SearchRequest
from logferry.search.service import SearchService
from logferry.search.tally import Buckets, Tally

_AGENT = "warming"
_NOW_NS = 1_760_000_000_000_000_000  # 9 October 2025
_LINES = b"".join(
    b"2025-10-08T08:%02d:%02dZ INFO user-%d logged in from 10.0.0.%d\n" % (n // 60, n % 60, n, n % 250)
    for n in range(2000)
)
_QUERIES = (
    "logged IN",
    "logged",
    "user-7",
    "level:>=info time:>=2025-10-08T08:10",
    "/log+ed/ -user-9",
    "/[0-9]*7 l/",
)

_LOADING = (f"{_AGENT}-{_NOW_NS}", "e 1", "/[a-z]+[0-9]/ -e", "/[0-9]7/", "level:>=warn")
"""The first is nowhere, so it opens all segments and reads none of their text; the others read some."""


class _Everything:
    def sees(self, agent: str, path: str) -> bool:  # noqa: ARG002
        return True

    def may_hold(self, agent: str, folder: str) -> bool:  # noqa: ARG002
        return True

    def covers(self, agent: str, folder: str) -> bool:  # noqa: ARG002
        return True


def warm() -> int:
    """Make and ask the archive; returns how many lines were found."""
    clock, found = ManualClock(_NOW_NS), 0
    with (
        tempfile.TemporaryDirectory(prefix="logferry-warming-") as folder,
        Catalog.open(sqlite_url(f"{folder}/catalog.db"), clock) as catalog,
        Archive(folder, catalog, clock=clock) as archive,
    ):
        catalog.agents.add(_AGENT)
        _put(archive, "sealed.log")
        clock.advance(1)
        for _ in archive.sealer(maker=MakerHere()).seal(clock.now_ns()):
            pass
        _put(archive, "live.log")
        service = SearchService(archive, catalog, clock=clock)
        for query in _QUERIES:
            request = SearchRequest(query, _Everything(), limit=10)
            for _ in service.run(request):
                pass
            for event in service.tally(request, histogram=Buckets(), facets=("agent", "file", "level")):
                lines = event.lines if isinstance(event, Tally) else 0
            found += lines
    return found


def load(service: SearchService, stop: threading.Event) -> None:
    """Ask a few questions of the archive itself, for a moment each: what is compiled is loaded, and the newest segments
    are open, when somebody asks the first. Ends soon after ``stop`` is set.
    """
    for query in _LOADING:
        request = SearchRequest(query, _Everything(), limit=1, deadline_s=WARMING_QUESTION_S, cancel=stop)
        for _ in service.run(request):
            pass
        for _ in service.tally(request, histogram=Buckets(), facets=("agent", "path", "level")):
            pass


def _put(archive: Archive, path: str) -> None:
    incoming = archive.begin(_AGENT, path)
    incoming.write(_LINES)
    incoming.commit()


def _end_with_starter() -> None:
    while os.read(sys.stdin.fileno(), 64):
        pass
    os._exit(1)


if __name__ == "__main__":
    if sys.argv[1:] == ["--held"]:  # whoever started this holds the other end of its input until it is over
        threading.Thread(target=_end_with_starter, daemon=True).start()
    warm()
    sys.stdout.write(f"{identity()}\n")  # for whoever waits for it
