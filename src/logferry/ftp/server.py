"""``FtpServer``: an FTP server beside your own program. ``start`` returns at once, ``stop`` drains."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from logferry.clock import SYSTEM, Clock
from logferry.errors import BadConfig
from logferry.ftp.control import Control
from logferry.ftp.events import Event
from logferry.ftp.filesystem import Filesystem
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
from logferry.ftp.tls import ServerContexts, TlsIdentity, TlsOwners
from logferry.ftp.users import User, UserStore
from logferry.ftp.workers import Workers
from logferry.limits import FTP_BACKLOG, FTP_EVENTS_WAITING_MAX, FTP_PASSIVE_PORT_MIN

log = logging.getLogger("logferry.ftp")

_DRAIN_STEP_S = 0.02


def _home(user: User) -> Filesystem:
    return LocalFilesystem(user.home)


class FtpServer:
    """Serves ``users`` on ``address`` (host, port; port 0 takes a free one) until stopped.

    ``filesystem`` makes each logged-in user's file system, by default their home folder. ``tls`` is ``required``
    (nobody logs in without), ``explicit`` (offered) or ``off``; the first two need an ``identity``. ``passive_ports``
    and ``public_address`` (dotted IPv4) are for servers behind NAT. ``require_data_reuse`` makes data connections
    resume the control connection's TLS session, so that nobody else can take them.

    ``on_event`` hears of everything (``logferry.ftp.events``), on the session's thread; ``on`` and ``events`` give more
    ways to listen. ``before_login`` and ``before_upload`` are asked first and may refuse (``logferry.ftp.hooks``).

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
        on_event: Callable[[Event], None] | None = None,
        before_upload: Callable[[UploadRequest], None] | None = None,
        before_login: Callable[[LoginRequest], None] | None = None,
        banner: str = "Logferry FTP ready.",
        limits: ServerLimits | None = None,
        clock: Clock = SYSTEM,
        bundles: bool = True,
    ) -> None:
        if tls not in ("required", "explicit", "off"):
            raise BadConfig(f"tls is {tls!r}", hint="required, explicit or off")
        if tls != "off" and identity is None:
            raise BadConfig("TLS needs a certificate", hint="pass identity=TlsIdentity.ensure(folder), or tls='off'")
        if passive_ports is not None and (not passive_ports or min(passive_ports) < FTP_PASSIVE_PORT_MIN):
            raise BadConfig(
                f"passive_ports is {passive_ports}", hint=f"a range of ports from {FTP_PASSIVE_PORT_MIN} upwards"
            )
        _check_public(public_address)
        limits = limits or ServerLimits()
        self._wanted = address
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
                bundles=formats() if bundles else (),
            ),
            users=users,
            filesystem=with_quotas(filesystem, ledgers),
            ledgers=ledgers,
            contexts=ServerContexts(identity) if identity is not None and tls != "off" else None,
            owners=TlsOwners(),
            limits=limits,
            passive_ports=passive_ports,
            public_address=public_address,
            require_data_reuse=require_data_reuse,
            listeners=self._listeners,
            before_upload=before_upload,
            before_login=before_login,
            clock=clock,
        )
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._sessions: dict[int, Session] = {}
        self._per_address: Counter[str] = Counter()
        self._workers = Workers(limits.threads, "logferry-ftp")
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
        host, port = self._wanted
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server(
            (host, port),
            family=family,
            backlog=FTP_BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
        self._lot = ParkingLot(self._listener, self._arrive, self._wake)
        self._lot.start()
        return self

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
        lot, self._lot = self._lot, None
        if lot is None:
            return
        until = time.monotonic() + timeout_s
        self._stopping = True
        with self._lock:
            for session in self._sessions.values():
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
        """Who is connected and what they do, oldest first."""
        return [session.info() for session in self._living()]

    def on(self, kinds: Kinds, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Have ``callback`` called with each event of ``kinds`` (a class of ``logferry.ftp.events``, or several).

        It runs on the session's thread before the reply goes out: what it does has happened when the client reads on,
        and takes that client's time. An exception in it is logged and hurts nobody. Call what is returned to end it.
        """
        return self._listeners.on(kinds, callback)

    def events(self, kinds: Kinds = Event, *, waiting_max: int = FTP_EVENTS_WAITING_MAX) -> EventStream:
        """The events of ``kinds`` from now until the server has stopped, to be read at leisure::

            for event in server.events(): ...
            async for event in server.events((Received, Deleted)): ...

        Any number may be open, each gets all. Of a listener more than ``waiting_max`` events behind, later ones are
        dropped; a ``Missed`` stands in their place. Raises BadConfig when ``waiting_max`` is below 1.
        """
        return self._listeners.stream(kinds, waiting_max)

    @property
    def threads(self) -> int:
        """Threads that serve sessions now."""
        return self._workers.count

    # The loop's thread -----------------------------------------------------------------------------------------------

    def _arrive(self, connection: socket.socket, address: str) -> None:
        """A new connection: greet it and wait for its first command; nothing here takes time."""
        host = same_host(address)
        with self._lock:
            refused = ""
            if len(self._sessions) >= self._limits.sessions:
                refused = "Too many connections; come back later."
            elif self._per_address[host] >= self._limits.sessions_per_address:
                refused = "Too many connections from your address."
        if refused:
            log.warning("%s refused: %s", host, refused)
            with contextlib.suppress(OSError):
                connection.setblocking(False)
                connection.send(f"421 {refused}\r\n".encode())
            connection.close()
            return
        control = Control(connection)
        session = Session(next(self._numbers), control, host, connection.getsockname()[0], self._shared)
        with self._lock:
            self._sessions[session.id] = session
            self._per_address[host] += 1
            session.stopping = self._stopping
        try:
            session.flush()
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

    def _end(self, session: Session) -> None:
        with self._lock:
            del self._sessions[session.id]
            self._per_address[session.address] -= 1
            if not self._per_address[session.address]:
                del self._per_address[session.address]
        session.close()


def _check_public(address: str) -> None:
    if not address:
        return
    try:
        socket.inet_pton(socket.AF_INET, address)
    except OSError as error:
        raise BadConfig(f"public_address is {address!r}", hint="a dotted IPv4 address, or empty") from error
