"""The process that forks the workers of a server with several processes, and forks them anew when they die.

A process of its own, because forking is safe only where nothing else runs: it is made before the program has threads of
ours, has none itself, and keeps the state of that moment. The parent hears of each worker over a socket, with the ends
of the two channels to it: control and events.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence

from logferry.ftp.waiting import readable
from logferry.limits import FTP_RESTART_S_MAX, FTP_RESTARTS_MAX, FTP_RESTARTS_WINDOW_S

log = logging.getLogger("logferry.ftp")

BIRTH = struct.Struct("=Ii")
"""A message to the parent: slot, process id (0: this slot is given up)."""
STOP = b"s"
_RESTART_S_MIN = 0.05
_REST_S_MAX = 3600.0
_ORPHANS_S_MAX = 10.0
"""When the parent is gone, workers end by themselves; this is how long they may take."""


class Keeper:
    """Runs in the forked process. ``work(slot, control, events)`` is what a worker does; it must not return."""

    def __init__(
        self,
        processes: int,
        channel: socket.socket,
        work: Callable[[int, socket.socket, socket.socket], None],
        buried: Callable[[int], None],
    ) -> None:
        self._channel = channel
        self._work = work
        self._buried = buried
        self._pids: dict[int, int] = {}
        # A pipe whose other end only the worker has: at its end the worker is dead, however it died.
        self._lives: dict[int, int] = {}
        self._deaths: list[deque[float]] = [deque(maxlen=FTP_RESTARTS_MAX) for _ in range(processes)]
        self._due: dict[int, float] = dict.fromkeys(range(processes), 0.0)

    def run(self) -> None:
        """Keep the workers until the parent says stop or is gone."""
        gc.collect()
        gc.freeze()  # what is shared with the workers stays shared
        orphaned = False
        until = float("inf")
        while self._lives or self._due:
            now = time.monotonic()
            for slot in [slot for slot, at in self._due.items() if at <= now]:
                del self._due[slot]
                self._fork(slot)
            rest = min([until, *self._due.values()]) - time.monotonic()
            watched = [*self._lives.values()]
            if until == float("inf"):
                watched.append(self._channel.fileno())
            ready = readable(*watched, timeout_s=min(max(0.0, rest), _REST_S_MAX))
            if self._channel.fileno() in ready:
                orphaned = self._channel.recv(16) != STOP
                self._due.clear()
                until = time.monotonic() + _ORPHANS_S_MAX if orphaned else float("inf")
                if not orphaned:
                    self._wait_for_all()
                    return
            for slot in [slot for slot, life in self._lives.items() if life in ready]:
                self._bury(slot, restart=not orphaned)
            if time.monotonic() >= until:
                self._kill()
                return

    def _fork(self, slot: int) -> None:
        ours, control = socket.socketpair()
        theirs, events = socket.socketpair()
        life, breath = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._become_worker(slot, (ours, theirs), control, events, life)
        control.close()
        events.close()
        os.close(breath)
        self._pids[slot] = pid
        self._lives[slot] = life
        with contextlib.suppress(OSError):  # the parent is gone: the next look at the channel tells
            socket.send_fds(self._channel, [BIRTH.pack(slot, pid)], [ours.fileno(), theirs.fileno()])
        ours.close()
        theirs.close()

    def _become_worker(
        self, slot: int, others: Sequence[socket.socket], control: socket.socket, events: socket.socket, life: int
    ) -> None:
        status = 1
        try:
            self._channel.close()
            for one in others:
                one.close()
            for fd in (life, *self._lives.values()):
                os.close(fd)
            self._work(slot, control, events)
            status = 0
        except BaseException:
            log.exception("process %d of the FTP server failed", slot)
        finally:
            os._exit(status)

    def _bury(self, slot: int, *, restart: bool) -> None:
        os.close(self._lives.pop(slot))
        pid = self._pids.pop(slot)
        _, status = os.waitpid(pid, 0)
        # Its sessions are gone from all counts before anybody takes its place.
        self._buried(slot)
        if not restart:
            return
        log.error("process %d of the FTP server (pid %d) died: %s", slot, pid, _cause(status))
        now = time.monotonic()
        deaths = self._deaths[slot]
        deaths.append(now)
        recent = sum(1 for at in deaths if now - at < FTP_RESTARTS_WINDOW_S)
        if recent >= FTP_RESTARTS_MAX:
            log.critical("process %d of the FTP server died %d times in a row and is given up", slot, recent)
            with contextlib.suppress(OSError):
                self._channel.sendall(BIRTH.pack(slot, 0))
            return
        self._due[slot] = now + min(_RESTART_S_MIN * 2 ** (recent - 1), FTP_RESTART_S_MAX)

    def _wait_for_all(self) -> None:
        """They have been told to stop; the parent kills those that do not."""
        for slot in list(self._lives):
            self._bury(slot, restart=False)

    def _kill(self) -> None:
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)
        self._wait_for_all()


def run_keeper(keeper: Callable[[], Keeper]) -> None:
    """The whole life of the forked process; does not return."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        # Ctrl-C reaches every process of the terminal, a service manager's SIGTERM every one of the service: the
        # parent decides what it means. When the parent dies, its processes notice by themselves.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        keeper().run()
        status = 0
    except BaseException:
        log.exception("the keeper of the FTP server's processes failed")
    finally:
        os._exit(status)


def _cause(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit status {os.WEXITSTATUS(status)}"
