"""One upload as its caller sees it: bytes in order, then all or nothing confirmed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from logferry.archive.catalog.quotas import spent
from logferry.archive.durable import Data, translated
from logferry.archive.records import Received
from logferry.archive.rooms import Rooms
from logferry.archive.sinks import Sink
from logferry.errors import Conflict, LogferryError
from logferry.limits import DISK_CHECK_BYTES


class Incoming:
    """One upload. ``write`` in order, then ``commit`` or ``abandon``. Safe against being superseded meanwhile.

    ``position`` is where the next byte lands.
    """

    def __init__(
        self,
        rooms: Rooms,
        agent: str,
        path: str,
        sink: Sink,
        released: Callable[[Incoming], None],
        *,
        room: Callable[[], int | None] = lambda: None,
    ) -> None:
        """``room`` tells how many bytes more the agent may hold; None: any number."""
        self.agent = agent
        self.path = path
        self._rooms = rooms
        self._sink = sink
        self._released = released
        self._lock = threading.Lock()
        self._open = True
        self._failed: LogferryError | None = None
        self._unchecked_bytes = 0
        self._look = room
        self._room = room()

    @property
    def position(self) -> int:
        """Where the next byte lands."""
        return self._sink.position

    def write(self, data: Data) -> None:
        """Take all of ``data``.

        Raises:
            Full: no room for it, on the disk or in the agent's quota.
            Conflict: it differs from what is stored there, or another connection took the upload over.
            Later: the disk refused it.
        """
        with self._lock:
            self._check_open()
            try:
                self._unchecked_bytes += len(data)
                if self._unchecked_bytes >= DISK_CHECK_BYTES:
                    self._unchecked_bytes = 0
                    self._rooms.check_room()
                if self._room is not None and self._sink.adds(len(data)) > self._room:
                    self._check_quota(self._sink.adds(len(data)))
                self._sink.write(data)
            except OSError as error:
                self._failed = translated(error, self.path)
                raise self._failed from error
            except LogferryError as error:
                self._failed = error
                raise

    def commit(self) -> Received:
        """Return when bytes, name and catalog entry are on disk. Only then may anybody be told so.

        Raises:
            Full, Later, Conflict: nothing was confirmed; what can be continued is kept.
        """
        with self._lock:
            self._check_open()
            self._open = False
            try:
                return self._sink.finish()
            except OSError as error:
                raise translated(error, self.path) from error
            finally:
                self._release()

    def abandon(self) -> None:
        """The transfer broke off. What arrived is kept where it can be continued. Nothing happens when it is over."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            try:
                self._sink.stop()
            except OSError as error:
                raise translated(error, self.path) from error
            finally:
                self._release()

    def _check_quota(self, more: int) -> None:
        self._room = self._look()  # something may have been deleted, or the quota raised
        if self._room is not None and more > self._room:
            usage = self._rooms.catalog.quotas.usage(self.agent)
            raise spent(self.agent, f"{usage.bytes:,} of {usage.quota.bytes:,} bytes")

    def _check_open(self) -> None:
        if self._failed is not None:
            raise self._failed
        if not self._open:
            raise Conflict(f"the upload of {self.path} is over", hint="another connection may have taken it over")

    def _release(self) -> None:
        self._sink.close()
        self._released(self)
