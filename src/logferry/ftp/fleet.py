"""The parent's side of a server with several processes: starts them, asks them, hears of what they do."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from logferry.ftp.events import Event, LoggedIn, SessionEnded
from logferry.ftp.keeper import BIRTH, STOP, Keeper, run_keeper
from logferry.ftp.listeners import Listeners
from logferry.ftp.member import Handover, Member
from logferry.ftp.session import SessionInfo
from logferry.ftp.users import FollowedStore, User
from logferry.limits import FTP_CALL_S_MAX, FTP_START_S_MAX

if TYPE_CHECKING:
    from logferry.ftp.server import FtpServer

log = logging.getLogger("logferry.ftp")

_LOOK_S = 0.005
_STOP_GRACE_S = 3.0
"""What a process may take to go beyond the time it was granted for its transfers."""

Serve = Callable[[int, Handover, Listeners], contextlib.AbstractContextManager[None]]


def reserve_port(address: tuple[str, int]) -> socket.socket:
    """Hold ``address`` (port 0: a free one) for processes that will listen on it with SO_REUSEPORT.

    Raises:
        OSError: somebody listens there already, be it another server of the same user.
    """
    from logferry.ftp.server import open_listener

    if address[1]:
        open_listener(address).close()
    held = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address[0] == "::" and socket.has_dualstack_ipv6():
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        held.bind(address)
    except BaseException:
        held.close()
        raise
    return held


class Link:
    """The two channels to one process. ``dead`` is set when it is gone."""

    def __init__(self, slot: int, pid: int, control: Connection, events: Connection) -> None:
        self.slot = slot
        self.pid = pid
        self.dead = threading.Event()
        self._control = control
        self._events = events
        self._lock = threading.Lock()
        self._begun = threading.Event()
        self._number = 0

    def begin(self, users: dict[str, User] | None, heard: bool) -> None:
        """Tell it who may log in, and whether to send events; then it starts to listen."""
        self._control.send((users, heard))

    def wait_begun(self) -> str:
        """Empty when it listens, else why it cannot."""
        try:
            if not self._control.poll(FTP_START_S_MAX):
                return "it did not start in time"
            return str(self._control.recv())
        except (EOFError, OSError):
            return "it died while starting"
        finally:
            self._begun.set()

    def ask(self, name: str, *arguments: Any) -> Any:
        """Have it call ``name``. None when it is dead or does not answer."""
        # Until it has begun, what it says is for ``wait_begun``.
        self._begun.wait(FTP_START_S_MAX)
        with self._lock:
            self._number += 1
            until = time.monotonic() + FTP_CALL_S_MAX
            try:
                self._control.send((self._number, name, *arguments))
                while self._control.poll(max(0.0, until - time.monotonic())):
                    number, answer = self._control.recv()
                    if number == self._number:
                        return answer
            except (EOFError, OSError):
                return None
        log.error("process %d of the FTP server (pid %d) does not answer", self.slot, self.pid)
        return None

    def stop(self, timeout_s: float) -> None:
        """Ask it to stop; does not wait."""
        with self._lock, contextlib.suppress(OSError):
            self._control.send((0, "stop", timeout_s))

    def hear(self, listeners: Listeners) -> None:
        """Hand on its events until it is gone; then its sessions are over."""
        alive: dict[int, Event] = {}
        try:
            while True:
                for event in self._events.recv():
                    if isinstance(event, LoggedIn):
                        alive[event.session] = event
                    elif isinstance(event, SessionEnded):
                        alive.pop(event.session, None)
                    listeners.tell(event)
        except (EOFError, OSError):
            self.dead.set()
        for last in alive.values():
            listeners.tell(
                SessionEnded(last.session, last.user, last.address, reason="the process that served it died")
            )

    def kill(self) -> None:
        """End it. Its process id is its own as long as its channel has not ended."""
        if not self.dead.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Forget the channels."""
        self._control.close()
        self._events.close()


class Fleet:
    """All processes of ``server``. ``listeners`` hear of each event, by one thread per process."""

    def __init__(self, server: FtpServer, processes: int, listeners: Listeners) -> None:
        self._server = server
        self._processes = processes
        self._listeners = listeners
        self._changed = threading.Condition()
        self._links: dict[int, Link] = {}
        self._failures: dict[int, str] = {}
        self._begun: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._channel: socket.socket | None = None
        self._keeper_pid = 0
        self._stopping = False

    # Life ------------------------------------------------------------------------------------------------------------

    def start(self, serve: Serve) -> None:
        """Fork; return when all processes listen.

        Raises:
            OSError: one of them cannot.
        """
        ours, theirs = socket.socketpair()
        handover = Handover(self._processes)
        pid = os.fork()
        if pid == 0:
            ours.close()
            run_keeper(lambda: self._keeper(theirs, handover, serve))
        theirs.close()
        handover.close()
        self._keeper_pid = pid
        self._channel = ours
        store = self._server.users
        if isinstance(store, FollowedStore):
            store.follow(self._user_changed)
        self._start_thread(self._hear_births, "logferry-ftp-births")
        until = time.monotonic() + FTP_START_S_MAX
        with self._changed:
            self._changed.wait_for(lambda: self._failures or len(self._begun) == self._processes, FTP_START_S_MAX)
            if self._failures:
                raise OSError(f"a process of the FTP server cannot start: {next(iter(self._failures.values()))}")
        if time.monotonic() > until:
            raise TimeoutError("the processes of the FTP server did not start in time")

    def _keeper(self, channel: socket.socket, handover: Handover, serve: Serve) -> Keeper:
        """In the forked process."""

        def work(slot: int, control: socket.socket, events: socket.socket) -> None:
            member = Member(self._server, slot, control, events)
            member.run(lambda listeners: serve(slot, handover, listeners))

        return Keeper(self._processes, channel, work, self._server.bury)

    def _start_thread(self, run: Callable[[], None], name: str) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _hear_births(self) -> None:
        assert self._channel is not None
        while True:
            message, fds, _, _ = socket.recv_fds(self._channel, BIRTH.size, 2)
            if not message:
                break
            slot, pid = BIRTH.unpack(message)
            if not pid:
                continue
            self._welcome(Link(slot, pid, Connection(fds[0]), Connection(fds[1])))
        if not self._stopping:
            log.critical("the keeper of the FTP server's processes is gone: one that dies is not replaced any more")

    def _welcome(self, link: Link) -> None:
        store = self._server.users
        with self._changed:
            # From here on it hears of changes; none can come in between.
            old = self._links.get(link.slot)
            self._links[link.slot] = link
            with contextlib.suppress(OSError):
                users = store.snapshot() if isinstance(store, FollowedStore) else None
                link.begin(users, self._listeners.present())
            stopping = self._stopping
        if old is not None:
            old.dead.wait(FTP_CALL_S_MAX)
            old.close()
        self._start_thread(lambda: link.hear(self._listeners), f"logferry-ftp-process-{link.slot}")
        reason = link.wait_begun()
        with self._changed:
            if reason:
                self._failures[link.slot] = reason
            else:
                self._begun.add(link.slot)
                self._failures.pop(link.slot, None)
            self._changed.notify_all()
        if stopping:
            link.stop(0.0)
            link.dead.wait(_STOP_GRACE_S)
            link.close()

    def stop(self, timeout_s: float) -> None:
        """Stop all processes; those that do not end in time are killed. All their events have been told then."""
        if not self._keeper_pid:
            return
        assert self._channel is not None
        store = self._server.users
        if isinstance(store, FollowedStore):
            store.unfollow(self._user_changed)
        with self._changed:
            self._stopping = True
            links = list(self._links.values())
        with contextlib.suppress(OSError):
            self._channel.sendall(STOP)
        for link in links:
            link.stop(timeout_s)
        until = time.monotonic() + timeout_s + _STOP_GRACE_S
        for link in links:
            if not link.dead.wait(max(0.0, until - time.monotonic())):
                log.error("process %d of the FTP server (pid %d) did not stop and is killed", link.slot, link.pid)
                link.kill()
        self._end_keeper()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(FTP_CALL_S_MAX)
        self._channel.close()
        for link in links:
            link.close()

    def _end_keeper(self) -> None:
        """It goes when its last process has gone; the last look is for one that was born while we stopped."""
        if not self._keeper_gone(_STOP_GRACE_S):
            for link in self._all():
                link.kill()
            if not self._keeper_gone(_STOP_GRACE_S):
                os.kill(self._keeper_pid, signal.SIGKILL)
                os.waitpid(self._keeper_pid, 0)
        self._keeper_pid = 0

    def _keeper_gone(self, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        while not os.waitpid(self._keeper_pid, os.WNOHANG)[0]:
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_S)
        return True

    # One view of all -------------------------------------------------------------------------------------------------

    def _all(self) -> Iterable[Link]:
        with self._changed:
            return [link for link in self._links.values() if not link.dead.is_set()]

    def sessions(self) -> list[SessionInfo]:
        """Those of all processes, oldest first."""
        found = [info for link in self._all() for info in link.ask("sessions") or ()]
        return sorted(found, key=lambda info: info.id)

    def end(self, session_id: int) -> bool:
        """End a session, wherever it is."""
        return any(link.ask("end", session_id) for link in self._all())

    def threads(self) -> int:
        """Threads that serve sessions."""
        return sum(link.ask("threads") or 0 for link in self._all())

    def pids(self) -> dict[int, int]:
        """The process ids by slot."""
        return {link.slot: link.pid for link in self._all()}

    def listen(self) -> None:
        """From here on all processes send their events."""
        for link in self._all():
            link.ask("listen")

    def _user_changed(self, name: str, user: User | None) -> None:
        for link in self._all():
            link.ask("user", name, user)
