"""Small duties beside the traffic: forgetting what expired, watching the disk."""

from __future__ import annotations

import threading

import structlog

from logferry.archive import Catalog
from logferry.archive.catalog.counting import HOUR_NS
from logferry.archive.catalog.disk_days import DAY_NS, DiskDay
from logferry.errors import LogferryError
from logferry.limits import CLEANUP_S, DISK_CHECK_S, USUAL_DAYS
from logferry.server.audit import Audit
from logferry.server.config import ServerConfig
from logferry.server.disk import disk_room
from logferry.server.people import People

log = structlog.get_logger("logferry.server")


class Chores:
    """One thread that does them all, each in its own rhythm. A duty that fails is said and tried again."""

    def __init__(self, config: ServerConfig, catalog: Catalog, people: People, audit: Audit) -> None:
        self._config = config
        self._catalog = catalog
        self._people = people
        self._audit = audit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)
        self._was_full = False
        self._noted_day = -1
        """The last day of which the catalog knows how full the disk was."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a duty under way is finished."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look_at_disk(self) -> None:
        """Say it once when the disk gets full, and once when there is room again."""
        room = disk_room(self._config)
        if room.full and not self._was_full:
            log.error(room.message, free=room.free, floor=room.floor)
        elif self._was_full and not room.full:
            log.info("there is room again, uploads are taken", free=room.free, floor=room.floor)
        self._was_full = room.full
        now_ns = self._catalog.clock.now_ns()
        if now_ns // DAY_NS != self._noted_day:
            self._catalog.disk_days.note(DiskDay(now_ns, room.total - room.free, room.total))
            self._noted_day = now_ns // DAY_NS

    def forget_expired(self) -> None:
        """Remove sessions, tokens and codes that are over, audit entries and hours of arrivals that are too old."""
        count = self._people.forget_expired()
        if count:
            log.info("expired sessions, tokens and codes removed", count=count)
        gone = self._audit.forget_old(self._config.audit.keep)
        if gone:
            log.info("old audit entries removed", count=gone)
        # Days begin at other hours elsewhere, so some more are kept than are looked at.
        self._catalog.intake.forget(self._catalog.clock.now_ns() // HOUR_NS - 24 * (USUAL_DAYS + 2))

    def _run(self) -> None:
        until_cleanup_s = 0.0
        while not self._stop.wait(DISK_CHECK_S):
            try:
                self.look_at_disk()
                until_cleanup_s -= DISK_CHECK_S
                if until_cleanup_s <= 0:
                    until_cleanup_s = CLEANUP_S
                    self.forget_expired()
            except (LogferryError, OSError) as error:
                log.warning("a chore failed and is tried again", error=str(error))
