"""``FtpServer``: an FTP server beside your own program. ``start`` returns at once, ``stop`` drains."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from logferry.clock import SYSTEM, Clock
from logferry.errors import BadConfig
from logferry.ftp.commons import Commons
from logferry.ftp.control import Control
from logferry.ftp.defender import Ban, DefenderRules, Offence
from logferry.ftp.events import Event
from logferry.ftp.filesystem import Filesystem
from logferry.ftp.hashing import HashCache
from logferry.ftp.hooks import LoginRequest, UploadRequest
from logferry.ftp.listeners import EventStream, Kinds, Listeners
from logferry.ftp.local import LocalFilesystem
from logferry.ftp.parking import Guest, ParkingLot
from logferry.ftp.passive import same_host
from logferry.ftp.protocol.expand import formats
from logferry.ftp.protocol.state import Terms, TlsPolicy
from logferry.ftp.quota import Ledgers
from logferry.ftp.quota_files import with_quotas
from logferry.ftp.session import Session, SessionInfo
from logferry.ftp.shared import ServerLimits, Shared
from logferry.ftp.tls import ServerContexts, TlsIdentity
from logferry.ftp.users import User, UserStore
from logferry.ftp.workers import Workers
from logferry.limits import FTP_BACKLOG, FTP_EVENTS_WAITING_MAX, FTP_PASSIVE_PORT_MIN, FTP_PROCESSES_MAX

if TYPE_CHECKING:
    from logferry.ftp.fleet import Fleet
    from logferry.ftp.member import Handover

log = logging.getLogger("logferry.ftp")

_DRAIN_STEP_S = 0.02


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What each process of a server makes for itself after the fork; None: what the server was made with is used.

    ``on_event`` is called in the process that serves the session, on its thread, instead of in the parent.
    """

    users: UserStore | None = None
    filesystem: Callable[[User], Filesystem] | None = None
    on_event: Callable[[Event], None] | None = None

    def replacements(self) -> dict[str, Any]:
        """By name, those that were made."""
        named = {"users": self.users, "filesystem": self.filesystem, "on_event": self.on_event}
        return {name: part for name, part in named.items() if part is not None}


def _home(user: User) -> Filesystem:
    return LocalFilesystem(user.home)


class FtpServer:
    """Serves ``users`` on ``address`` (host, port; port 0 takes a free one) until stopped.

    ``filesystem`` makes each logged-in user's file system, by default their home folder. ``tls`` is ``required``
    (nobody logs in without), ``explicit`` (offered), ``implicit`` (TLS from the first byte on, as on port 990) or
    ``off``; all but the last need an ``identity``. ``passive_ports`` and ``public_address`` (dotted IPv4) are for
    servers behind NAT. ``require_data_reuse`` makes data connections resume the control connection's TLS session, so
    that nobody else can take them. ``hosts`` are the names HOST takes; empty: any.

    ``active`` offers PORT and EPRT, in which the server connects to the client: only to the address it comes from and
    to no port below 1024 (RFC 2577), from ``active_port`` (0: any).

    ``on_event`` hears of everything (``logferry.ftp.events``), on the session's thread; ``on`` and ``events`` give more
    ways to listen. ``before_login`` and ``before_upload`` are asked first and may refuse (``logferry.ftp.hooks``).
    ``defender`` bans addresses that guess passwords (None: never).

    With ``processes`` above 1 the server forks that many when it starts; they listen on the one port, and limits, bans
    and ``sessions()`` hold for all of them together. Start it before your program has threads of its own. A process
    that dies is replaced; its clients connect again. Then listeners are called in this process, shortly after things
    happened and by one thread per process; changes of ``MemoryUsers`` reach all processes before they return.
    ``in_worker`` is entered in each process after the fork, for what must not cross it, such as a database.

    ``bundles`` unpacks archives stored into ``/.bundles`` (docs/reference/bundle.md).

    Raises:
        BadConfig: settings that do not go together.
    """

    def __init__(
        self,
        address: tuple[str, int] = ("127.0.0.1", 2121),
        *,
        users: UserStore,
        filesystem: Callable[[User], Filesystem] = _home,
        tls: TlsPolicy = "required",
        identity: TlsIdentity | None = None,
        passive_ports: range | None = None,
        public_address: str = "",
        require_data_reuse: bool = True,
        active: bool = False,
        active_port: int = 0,
        hosts: Iterable[str] = (),
        on_event: Callable[[Event], None] | None = None,
        before_upload: Callable[[UploadRequest], None] | None = None,
        before_login: Callable[[LoginRequest], None] | None = None,
        banner: str = "Logferry FTP ready.",
        limits: ServerLimits | None = None,
        defender: DefenderRules | None = DefenderRules(),  # noqa: B008  # frozen
        processes: int = 1,
        in_worker: Callable[[], contextlib.AbstractContextManager[WorkerParts]] | None = None,
        clock: Clock = SYSTEM,
        bundles: bool = True,
    ) -> None:
        if tls not in ("required", "explicit", "implicit", "off"):
            raise BadConfig(f"tls is {tls!r}", hint="required, explicit, implicit or off")
        if tls != "off" and identity is None:
            raise BadConfig("TLS needs a certificate", hint="pass identity=TlsIdentity.ensure(folder), or tls='off'")
        if passive_ports is not None and (not passive_ports or min(passive_ports) < FTP_PASSIVE_PORT_MIN):
            raise BadConfig(
                f"passive_ports is {passive_ports}", hint=f"a range of ports from {FTP_PASSIVE_PORT_MIN} upwards"
            )
        if not 0 <= active_port < 65536:
            raise BadConfig(f"active_port is {active_port}", hint="0 for any, or a port")
        _check_public(public_address)
        if not 1 <= processes <= FTP_PROCESSES_MAX:
            raise BadConfig(f"processes is {processes}", hint=f"1 to {FTP_PROCESSES_MAX}")
        if in_worker is not None and processes == 1:
            raise BadConfig("in_worker goes with several processes", hint="pass processes=2 or more, or leave it out")
        limits = limits or ServerLimits()
        self._wanted = address
        self._commons = Commons(processes=processes, sessions_max=limits.sessions, defender=defender, clock=clock)
        self._limits = limits
        self._listeners = Listeners()
        if on_event is not None:
            self._listeners.on(Event, on_event)
        ledgers = Ledgers(clock=clock)
        self._shared = Shared(
            terms=Terms(
                tls=tls,
                banner=banner,
                login_failures_max=limits.login_failures,
                login_delay_s=limits.login_delay_s,
                now_ns=clock.now_ns,
                active=active,
                hosts=tuple(host.lower().rstrip(".") for host in hosts),
                bundles=formats() if bundles else (),
            ),
            users=users,
            filesystem=with_quotas(filesystem, ledgers),
            ledgers=ledgers,
            contexts=ServerContexts(identity) if identity is not None and tls != "off" else None,
            commons=self._commons,
            limits=limits,
            passive_ports=passive_ports,
            public_address=public_address,
            require_data_reuse=require_data_reuse,
            active_port=active_port,
            hashes=HashCache(),
            listeners=self._listeners,
            before_upload=before_upload,
            before_login=before_login,
            clock=clock,
        )
        self._lock = threading.Lock()
        self._sessions: dict[int, Session] = {}
        self._workers = Workers(limits.threads, "logferry-ftp")
        self._processes = processes
        self._in_worker = in_worker
        self._fleet: Fleet | None = None
        self._handover: Handover | None = None
        self._listener: socket.socket | None = None
        self._lot: ParkingLot | None = None
        self._stopping = False

    # Life ----------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen and serve in the background; returns when connections are taken.

        Raises:
            OSError: the address cannot be listened on.
        """
        assert self._listener is None, "a server is started once"
        if self._processes == 1:
            self._listen(open_listener(self._wanted))
            return self
        from logferry.ftp.fleet import Fleet, reserve_port

        self._listener = reserve_port(self._wanted)
        self._fleet = Fleet(self, self._processes, self._listeners)
        try:
            self._fleet.start(self._serve_as)
        except BaseException:
            self.stop(0.0)
            raise
        return self

    def _listen(self, listener: socket.socket) -> None:
        self._listener = listener
        slot, handover = self._commons.slot, self._handover
        entrance = None if handover is None else (handover.entrance(slot), self._take_handed)
        self._lot = ParkingLot(listener, self._arrive, self._wake, entrance)
        self._commons.tally.serve(slot, os.getpid())
        self._lot.start()

    @contextlib.contextmanager
    def _serve_as(self, slot: int, handover: Handover, listeners: Listeners) -> Iterator[None]:
        """In a worker process: be its number ``slot`` while entered, and stopped at the end."""
        address = self.address
        assert self._listener is not None
        self._listener.close()
        self._fleet = None
        self._commons.slot = slot
        self._handover = handover
        with contextlib.ExitStack() as stack:
            changes: dict[str, Any] = {"listeners": listeners}
            if self._in_worker is not None:
                parts = stack.enter_context(self._in_worker())
                changes |= parts.replacements()
                if parts.filesystem is not None:
                    changes["filesystem"] = with_quotas(parts.filesystem, self._shared.ledgers)
                if (on_event := changes.pop("on_event", None)) is not None:
                    changes["listeners"] = own = Listeners()
                    own.on(Event, on_event)
            self._shared = replace(self._shared, **changes)
            self._listen(open_listener(address, shared=True))
            yield

    def bury(self, slot: int) -> None:
        """The process ``slot`` is dead: forget its sessions. Called where processes are kept."""
        self._commons.tally.wipe(slot)

    @property
    def users(self) -> UserStore:
        """The store it was made with."""
        return self._shared.users

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) really listened on."""
        assert self._listener is not None, "the server is not started"
        host, port = self._listener.getsockname()[:2]
        return host, port

    def stop(self, timeout_s: float = 5.0) -> None:
        """Take no more connections, let transfers under way finish for ``timeout_s``, then cut what is left.

        Idle clients get 421. May be called twice.
        """
        fleet, self._fleet = self._fleet, None
        if fleet is not None:
            fleet.stop(timeout_s)
            assert self._listener is not None
            self._listener.close()
            self._listeners.close()
            return
        lot, self._lot = self._lot, None
        if lot is None:
            return
        self._commons.tally.retire(self._commons.slot)
        until = time.monotonic() + timeout_s
        self._stopping = True
        for session in self._living():
            session.stopping = True
        lot.stop()
        assert self._listener is not None
        self._listener.close()
        self._drain(until)
        for session in self._living():
            session.cut()
        self._drain(time.monotonic() + 1.0)
        self._workers.stop(1.0)
        self._listeners.close()

    def _drain(self, until: float) -> None:
        while self._living() and time.monotonic() < until:
            time.sleep(_DRAIN_STEP_S)

    def _living(self) -> list[Session]:
        with self._lock:
            return list(self._sessions.values())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def sessions(self) -> list[SessionInfo]:
        """Who is connected, to whichever process, and what they do, oldest first."""
        if self._fleet is not None:
            return self._fleet.sessions()
        return [session.info() for session in self._living()]

    def on(self, kinds: Kinds, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Have ``callback`` called with each event of ``kinds``: a class of events, or a tuple of several.

        It runs on the session's thread before the reply goes out: what it does has happened when the client reads on,
        and takes that client's time. An exception in it is logged and hurts nobody. Call what is returned to end it.
        """
        off = self._listeners.on(kinds, callback)
        self._hear_all()
        return off

    def events(self, kinds: Kinds = Event, *, waiting_max: int = FTP_EVENTS_WAITING_MAX) -> EventStream:
        """The events of ``kinds`` from now until the server has stopped, to be read at leisure::

            for event in server.events():
                print(event)
            async for event in server.events((Received, Deleted)):
                print(event)

        Any number may be open, each gets all. Of a listener more than ``waiting_max`` events behind, later ones are
        dropped; a ``Missed`` stands in their place. Raises BadConfig when ``waiting_max`` is below 1.
        """
        stream = self._listeners.stream(kinds, waiting_max)
        self._hear_all()
        return stream

    def _hear_all(self) -> None:
        """Somebody listens now: other processes send what happens there from here on."""
        if self._fleet is not None:
            self._fleet.listen()

    def end(self, session_id: int) -> bool:
        """End a session: its client gets 421, a transfer under way is cut (and told as Incomplete).

        Returns at once; whether there was such a session.
        """
        if self._fleet is not None:
            return self._fleet.end(session_id)
        with self._lock:
            session = self._sessions.get(session_id)
        if session is None:
            return False
        session.dismiss("Your session was ended by the administrator.", "ended by the administrator")
        lot = self._lot
        if lot is not None:
            lot.call(session)
        return True

    @property
    def process_ids(self) -> list[int]:
        """The processes that serve sessions; of a server with one process, this one."""
        if self._processes == 1 or self._handover is not None:
            return [os.getpid()]
        return sorted(self._fleet.pids().values()) if self._fleet is not None else []

    def bans(self) -> list[Ban]:
        """Which addresses are banned now, those whose ban ends first coming first."""
        return self._commons.defender.bans() if self._commons.defender is not None else []

    def unban(self, address: str) -> bool:
        """Lift the ban of ``address`` and forget its record; whether it was banned. Raises BadConfig: no address."""
        return self._commons.defender.unban(address) if self._commons.defender is not None else False

    @property
    def threads(self) -> int:
        """Threads that serve sessions now, in all processes."""
        if self._fleet is not None:
            return self._fleet.threads()
        return self._workers.count

    # The loop's thread -----------------------------------------------------------------------------------------------

    def _arrive(self, connection: socket.socket, address: str) -> None:
        """A new connection: greet it and wait for its first command; nothing here takes time."""
        host = same_host(address)
        commons = self._commons
        if commons.banned_s(host):
            _turn_away(connection, "Your address is banned for a while.")
            return
        place = commons.tally.enter(
            commons.slot,
            host,
            sessions_max=self._limits.sessions,
            per_address_max=self._limits.sessions_per_address,
        )
        if place.refused:
            log.warning("%s refused: %s", host, place.refused)
            _turn_away(connection, place.refused)
            if place.over_address:
                self._shared.offend(0, "", host, Offence.OVER_LIMIT)
            return
        if place.slot != commons.slot:
            assert self._handover is not None, "only processes of one server share a tally"
            if self._handover.give(connection, host, place):
                return
            commons.tally.move(place.slot, commons.slot, host)
        self._greet(connection, place.number, host)

    def _take_handed(self) -> None:
        """Connections that another process has handed over; they are counted already."""
        assert self._handover is not None
        while handed := self._handover.take(self._commons.slot):
            connection, number, host = handed
            try:
                self._greet(connection, number, host)
            except OSError as error:
                log.info("%s went away at once: %s", host, error)
                connection.close()

    def _greet(self, connection: socket.socket, number: int, host: str) -> None:
        try:
            session = Session(number, Control(connection), host, connection.getsockname()[0], self._shared)
        except OSError:
            self._commons.tally.leave(self._commons.slot, host)
            raise
        with self._lock:
            self._sessions[session.id] = session
            session.stopping = self._stopping
        try:
            session.greet()
        except OSError:
            self._end(session)
            return
        self._park(session)

    def _wake(self, guest: Guest) -> None:
        assert isinstance(guest, Session)
        self._workers.submit(functools.partial(self._serve, guest))

    # Workers ---------------------------------------------------------------------------------------------------------

    def _serve(self, session: Session, buffer: memoryview, crowded: bool) -> None:
        if session.serve(buffer, crowded):
            if session.next_turn:
                session.next_turn = False
                self._wake(session)
            else:
                self._park(session)
        else:
            self._end(session)

    def _park(self, session: Session) -> None:
        lot = self._lot
        if lot is None:
            # The server stops: one more turn, in which the session says goodbye.
            session.stopping = True
            self._wake(session)
        else:
            lot.park(session, listen=not session.paused)
            if session.stopping:
                # It was dismissed while it was on its way here.
                lot.call(session)

    def _end(self, session: Session) -> None:
        # Whoever is not listed any more is not counted any more: its place is free when ``sessions`` says so.
        session.count_out()
        self._commons.tally.leave(self._commons.slot, session.address)
        with self._lock:
            del self._sessions[session.id]
        lot = self._lot
        if lot is not None:
            lot.forget(session)
        session.close()


def open_listener(address: tuple[str, int], *, shared: bool = False) -> socket.socket:
    """Listen on ``address``; ``shared`` with other processes of this user."""
    host = address[0]
    return socket.create_server(
        address,
        family=socket.AF_INET6 if ":" in host else socket.AF_INET,
        backlog=FTP_BACKLOG,
        reuse_port=shared,
        dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
    )


def _turn_away(connection: socket.socket, text: str) -> None:
    """One line, without waiting for anything, and gone."""
    with contextlib.suppress(OSError):
        connection.setblocking(False)
        connection.send(f"421 {text}\r\n".encode())
    connection.close()


def _check_public(address: str) -> None:
    if not address:
        return
    try:
        socket.inet_pton(socket.AF_INET, address)
    except OSError as error:
        raise BadConfig(f"public_address is {address!r}", hint="a dotted IPv4 address, or empty") from error
