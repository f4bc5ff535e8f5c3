"""One thread that waits for everybody who is quiet: new connections, idle sessions, deadlines."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger("logferry.ftp")

_REST_S_MAX = 3600.0
_ACCEPTS_MAX = 64
"""Connections taken in a row before others get their turn."""
_ACCEPT_PAUSE_S = 0.2
"""After "too many open files": accepting again at once would spin."""


_ALARMS_SPARE = 1024


class Guest(Protocol):
    """What can be parked."""

    deadline_s: float
    """Monotonic seconds after which it is woken in any case."""

    def fileno(self) -> int:
        """Its socket's descriptor."""
        ...


class ParkingLot:
    """Calls ``wake(guest)`` once for each guest: when its socket has something to read, or its deadline has passed.

    ``arrive(connection, address)`` is called for each new connection. ``entrance`` is a second socket to wait for, and
    what to call when there is something to read. All of them run on the lot's thread and must be quick.
    """

    def __init__(
        self,
        listener: socket.socket,
        arrive: Callable[[socket.socket, str], None],
        wake: Callable[[Guest], None],
        entrance: tuple[socket.socket, Callable[[], None]] | None = None,
    ) -> None:
        self._listener = listener
        self._arrive = arrive
        self._wake = wake
        self._entrance = entrance
        self._selector = selectors.DefaultSelector()
        self._inbox: deque[tuple[Guest, bool]] = deque()
        self._called: deque[Guest] = deque()
        self._parked: set[Guest] = set()
        self._clockwork: list[tuple[float, int]] = []
        self._alarms: dict[Guest, tuple[float, int]] = {}
        self._alarmed: dict[int, Guest] = {}
        self._serial = itertools.count()
        self._stopping = False
        self._closed = False
        self._asleep = False
        self._bell_in, self._bell_out = socket.socketpair()
        self._bell_in.setblocking(False)
        self._bell_out.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="logferry-ftp-loop", daemon=True)

    def start(self) -> None:
        """Begin to accept connections."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._bell_out, selectors.EVENT_READ)
        if self._entrance is not None:
            self._selector.register(self._entrance[0], selectors.EVENT_READ)
        self._thread.start()

    def park(self, guest: Guest, *, listen: bool = True) -> None:
        """Wait for ``guest``; without ``listen`` for its deadline only. From any thread."""
        self._inbox.append((guest, listen))
        if self._closed:
            self._send_home()
        else:
            self._ring()

    def forget(self, guest: Guest) -> None:
        """``guest`` is gone for good: do not hold it until its deadline. From any thread, while it is not parked."""
        alarm = self._alarms.pop(guest, None)
        if alarm is not None:
            self._alarmed.pop(alarm[1], None)

    def call(self, guest: Guest) -> None:
        """Wake ``guest`` now if it is parked. From any thread."""
        self._called.append(guest)
        self._ring()

    def stop(self) -> None:
        """Accept nobody any more and wake everybody."""
        self._stopping = True
        self._ring(force=True)
        self._thread.join()
        self._selector.close()
        for guest in self._parked:
            self._wake(guest)
        self._parked.clear()
        self._closed = True
        self._send_home()
        self._bell_in.close()
        self._bell_out.close()

    def _send_home(self) -> None:
        """Wake everybody in the inbox; whoever takes a guest out of it, the lot or its parker, wakes it: once."""
        with contextlib.suppress(IndexError):
            while True:
                self._wake(self._inbox.popleft()[0])

    def _ring(self, *, force: bool = False) -> None:
        if self._asleep or force:
            try:
                self._bell_in.send(b"!")
            except OSError:
                return  # it rings already, or nobody is there any more

    def _run(self) -> None:
        while not self._stopping:
            self._asleep = True
            # Whoever parks from here on rings; whoever did before is in the inbox, which is looked at now.
            rest = 0.0 if self._inbox or self._called else self._rest()
            ready = self._selector.select(rest)
            self._asleep = False
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._bell_out:
                    self._bell_out.recv(4096)
                elif self._entrance is not None and key.fileobj is self._entrance[0]:
                    self._entrance[1]()
                else:
                    self._release(key.data)
            while self._inbox:
                self._admit(*self._inbox.popleft())
            while self._called:
                guest = self._called.popleft()
                if guest in self._parked:
                    self._release(guest)
            self._ring_alarms()

    def _rest(self) -> float:
        if not self._clockwork:
            return _REST_S_MAX
        return min(max(self._clockwork[0][0] - time.monotonic(), 0.0), _REST_S_MAX)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_MAX):
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log.warning("a connection could not be accepted: %s", error)
                time.sleep(_ACCEPT_PAUSE_S)
                return
            try:
                self._arrive(connection, address[0])
            except OSError as error:
                log.info("%s went away at once: %s", address[0], error)
                connection.close()

    def _admit(self, guest: Guest, listen: bool) -> None:
        self._parked.add(guest)
        if listen:
            self._selector.register(guest.fileno(), selectors.EVENT_READ, guest)
        before = self._alarms.get(guest)
        if before is None or guest.deadline_s < before[0]:
            if before is not None:
                self._alarmed.pop(before[1], None)
            self._set_alarm(guest)

    def _set_alarm(self, guest: Guest) -> None:
        alarm = (guest.deadline_s, next(self._serial))
        self._alarms[guest] = alarm
        self._alarmed[alarm[1]] = guest
        if len(self._clockwork) > 2 * len(self._alarmed) + _ALARMS_SPARE:
            # Most are of guests who are gone: whoever connects and hangs up in a loop must not fill the memory.
            self._clockwork = [one for one in self._clockwork if one[1] in self._alarmed]
            heapq.heapify(self._clockwork)
        heapq.heappush(self._clockwork, alarm)

    def _release(self, guest: Guest) -> None:
        self._parked.discard(guest)
        fd = guest.fileno()
        if fd in self._selector.get_map():
            self._selector.unregister(fd)
        self._wake(guest)

    def _ring_alarms(self) -> None:
        """Wake those whose time is up. A guest has one entry; it may be older than its deadline, then it is renewed."""
        now = time.monotonic()
        while self._clockwork and self._clockwork[0][0] <= now:
            _, serial = heapq.heappop(self._clockwork)
            guest = self._alarmed.pop(serial, None)
            if guest is None:
                continue
            self._alarms.pop(guest, None)
            if guest not in self._parked:
                continue
            if guest.deadline_s <= now:
                self._release(guest)
            else:
                self._set_alarm(guest)
