"""The server's look into compressed files, beside the traffic: one thread, slow on purpose, restarted where it was.

What is to be done stands in the catalog, so nothing is forgotten; what was broken off is begun again.
"""

from __future__ import annotations

import threading

import structlog

from logferry.archive import Archive, Catalog
from logferry.clock import Clock
from logferry.errors import LogferryError
from logferry.limits import COPIES_BYTES_PER_S, COPIES_LOOK_S

log = structlog.get_logger("logferry.server")


class _Stopped(Exception):
    """The server is stopping."""


class CopyFinder:
    """Finds compressed copies of archived files. ``start`` it, ``stop`` it; stopping takes a moment only."""

    def __init__(
        self, archive: Archive, catalog: Catalog, clock: Clock, *, bytes_per_s: float = COPIES_BYTES_PER_S
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._bytes_per_s = bytes_per_s
        self._siblings = archive.siblings(self._pace)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compressed-copies", daemon=True)
        self._failing = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a file that is being looked into is begun again next time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> int:
        """Look into what is due now; how many files that were.

        Raises:
            Later, Full: the catalog does not work just now.
        """
        due = self._catalog.copies.due(self._clock.now_ns())
        for count, seen in enumerate(due):
            try:
                original = self._siblings.look_into(seen)
            except _Stopped:
                return count
            except (LogferryError, OSError) as error:
                self._siblings.put_off(seen, str(error))
                log.warning("a compressed file is looked into later", agent=seen.agent, path=seen.path, why=str(error))
                continue
            if original is not None:
                log.info("a compressed copy", agent=seen.agent, path=seen.path, generation=seen.generation_id)
        return len(due)

    def _run(self) -> None:
        while not self._stop.wait(COPIES_LOOK_S):
            try:
                while self.look() and not self._stop.is_set():
                    continue
                self._failing = ""
            except (LogferryError, OSError) as error:
                if self._failing != str(error):
                    self._failing = str(error)
                    log.warning("compressed files are looked into later", error=str(error))

    def _pace(self, count: int) -> None:
        if self._stop.wait(count / self._bytes_per_s):
            raise _Stopped
