"""One of several processes of a server: does what the parent asks, sends it what happens, hands on connections."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import struct
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from logferry.errors import LogferryError
from logferry.ftp.events import Event
from logferry.ftp.listeners import Listeners
from logferry.ftp.tally import Place
from logferry.ftp.users import FollowedStore
from logferry.limits import FTP_EVENTS_BATCH_MAX, FTP_EVENTS_TO_PARENT_MAX

if TYPE_CHECKING:
    from logferry.ftp.server import FtpServer

log = logging.getLogger("logferry.ftp")

_ORPHAN_STOP_S = 1.0
_FLUSH_S_MAX = 5.0
_HANDED = struct.Struct("=QI")
_HANDED_BYTES = 128


class EventSender:
    """Sends events to the parent in order, from a thread of its own: a session waits only when very many are behind."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._waiting: queue.Queue[Event | None] = queue.Queue(FTP_EVENTS_TO_PARENT_MAX)
        self._thread = threading.Thread(target=self._run, name="logferry-ftp-events", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Send it soon."""
        self._waiting.put(event)

    def close(self) -> None:
        """Send what waits."""
        self._waiting.put(None)
        self._thread.join(_FLUSH_S_MAX)

    def _run(self) -> None:
        ended = False
        gone = False
        while not ended:
            batch = [self._waiting.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < FTP_EVENTS_BATCH_MAX:
                    batch.append(self._waiting.get_nowait())
            ended = None in batch
            events = [event for event in batch if event is not None]
            if not events or gone:
                continue
            try:
                self._channel.send(events)
            except OSError:
                # The parent is gone, and so is everybody who wanted to know; this process ends too.
                gone = True


class Handover:
    """Connections handed from the process that accepted them to the one that has least to do.

    The kernel deals connections out by a hash of the addresses, so of four clients three may meet the same process.
    The sockets belong to the slots and outlive the processes; what was meant for one that died is closed.
    """

    def __init__(self, processes: int) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(processes)]
        for pair in pairs:
            for end in pair:
                end.setblocking(False)
        self._in = [pair[0] for pair in pairs]
        self._out = [pair[1] for pair in pairs]

    def entrance(self, slot: int) -> socket.socket:
        """What to wait for."""
        return self._in[slot]

    def give(self, connection: socket.socket, host: str, place: Place) -> bool:
        """Hand the ``connection`` of ``host`` to the process of ``place``; False: it takes no more just now."""
        message = _HANDED.pack(place.number, place.pid) + host.encode()
        try:
            socket.send_fds(self._out[place.slot], [message], [connection.fileno()])
        except OSError:
            return False
        connection.close()
        return True

    def take(self, slot: int) -> tuple[socket.socket, int, str] | None:
        """(Connection, session number, host) that was handed to this process; None: there is none."""
        while True:
            try:
                message, fds, _, _ = socket.recv_fds(self._in[slot], _HANDED_BYTES, 1)
            except BlockingIOError:
                return None
            if not fds:
                continue
            connection = socket.socket(fileno=fds[0])
            number, pid = _HANDED.unpack_from(message)
            if pid == os.getpid():
                return connection, number, message[_HANDED.size :].decode()
            connection.close()

    def close(self) -> None:
        """In the parent, which takes no part in it."""
        for end in (*self._in, *self._out):
            end.close()


class Member:
    """The life of one worker process."""

    def __init__(self, server: FtpServer, slot: int, control: socket.socket, events: socket.socket) -> None:
        self._server = server
        self._slot = slot
        self._control = Connection(control.detach())
        self._events = Connection(events.detach())
        self._calls: dict[str, Callable[..., Any]] = {
            "sessions": server.sessions,
            "end": server.end,
            "threads": lambda: server.threads,
            "user": self._user,
            "listen": self._listen,
        }
        self._listeners = Listeners()
        self._sender: EventSender | None = None

    def run(self, serve: Callable[[Listeners], contextlib.AbstractContextManager[None]]) -> None:
        """Serve until the parent says stop or is gone. ``serve(listeners)`` takes connections while it is entered."""
        try:
            users, heard = self._control.recv()
        except (EOFError, OSError):
            return
        store = self._server.users
        if users is not None and isinstance(store, FollowedStore):
            store.put_all(users)
        if heard:
            self._listen()
        try:
            with serve(self._listeners):
                self._control.send("")
                self._server.stop(self._obey())
        except (LogferryError, OSError) as error:
            log.error("process %d of the FTP server cannot serve: %s", self._slot, error)  # noqa: TRY400
            with contextlib.suppress(OSError):
                self._control.send(str(error) or type(error).__name__)
            raise SystemExit(2) from error
        finally:
            if self._sender is not None:
                self._sender.close()

    def _obey(self) -> float:
        """Answer what the parent asks until it says stop; the seconds it grants for that."""
        while True:
            try:
                number, name, *arguments = self._control.recv()
            except (EOFError, OSError):
                return _ORPHAN_STOP_S
            if name == "stop":
                return float(arguments[0])
            answer = self._calls[name](*arguments)
            try:
                self._control.send((number, answer))
            except OSError:
                return _ORPHAN_STOP_S

    def _listen(self) -> None:
        """Somebody in the parent listens: send events. Until then they need not even be made."""
        if self._sender is None:
            self._sender = EventSender(self._events)
            self._listeners.on(Event, self._sender.put)

    def _user(self, name: str, user: Any) -> None:
        store = self._server.users
        if isinstance(store, FollowedStore):
            store.put(name, user)
