"""What all sessions of one server have in common, assembled once in ``FtpServer``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from logferry import limits as bounds
from logferry.clock import Clock
from logferry.errors import BadConfig
from logferry.ftp.commons import Commons
from logferry.ftp.defender import Offence
from logferry.ftp.events import Banned, Event
from logferry.ftp.filesystem import Filesystem
from logferry.ftp.hashing import HashCache
from logferry.ftp.hooks import LoginRequest, UploadRequest
from logferry.ftp.listeners import Listeners
from logferry.ftp.protocol.state import Terms
from logferry.ftp.quota import Ledgers
from logferry.ftp.timetable import Rate, check_rates
from logferry.ftp.tls import ServerContexts, TlsOwners
from logferry.ftp.users import User, UserStore

log = logging.getLogger("logferry.ftp")


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of one server, over all its processes; times in seconds. The defaults are those of ``logferry.limits``.

    ``sessions`` in all, from one address, and of one user (``sessions_per_user`` holds for users who have no limit of
    their own). ``threads`` of each process: how many clients are served at the same moment, not how many may be there.

    ``idle_s``: a client that sends nothing for so long gets 421. ``login_s``: the time to log in. ``line_s``: the time
    from the first byte of a command to its last. ``data_connect_s``: the time to come to a passive port.
    ``data_stall_s``: a transfer that moves nothing for so long ends. ``login_failures`` end a connection; each is
    answered after ``login_delay_s``.

    ``upload_rate`` limits what all clients together send to us, ``download_rate`` what we send them, the ``transfer_``
    ones each single transfer: bytes per second, or a timetable such as
    ``08:00-18:00 1 MiB/s, else 10 MiB/s``; 0 is no limit.
    """

    sessions: int = bounds.FTP_SESSIONS_MAX
    sessions_per_address: int = bounds.FTP_SESSIONS_PER_ADDRESS_MAX
    threads: int = bounds.FTP_THREADS_MAX
    idle_s: float = bounds.FTP_IDLE_S_MAX
    login_s: float = bounds.FTP_LOGIN_S_MAX
    line_s: float = bounds.FTP_LINE_S_MAX
    data_connect_s: float = bounds.FTP_DATA_CONNECT_S_MAX
    data_stall_s: float = bounds.FTP_DATA_STALL_S_MAX
    login_failures: int = bounds.FTP_LOGIN_FAILURES_MAX
    login_delay_s: float = bounds.FTP_LOGIN_DELAY_S
    sessions_per_user: int = bounds.FTP_SESSIONS_MAX
    upload_rate: Rate = 0
    download_rate: Rate = 0
    transfer_upload_rate: Rate = 0
    transfer_download_rate: Rate = 0

    def __post_init__(self) -> None:
        rates = {name: getattr(self, name) for name in self.__slots__ if name.endswith("_rate")}
        check_rates(**rates)
        for name in self.__slots__:
            if name not in rates and getattr(self, name) <= 0 and name != "login_delay_s":
                raise BadConfig(f"{name} is {getattr(self, name)}", hint="it must be greater than 0")


@dataclass(frozen=True, slots=True)
class Shared:
    """One server's terms, users and hooks."""

    terms: Terms
    users: UserStore
    filesystem: Callable[[User], Filesystem]
    ledgers: Ledgers
    contexts: ServerContexts | None
    commons: Commons
    limits: ServerLimits
    passive_ports: range | None
    public_address: str
    require_data_reuse: bool
    active_port: int
    """Source port of active data connections; 0: any."""
    hashes: HashCache
    listeners: Listeners
    before_upload: Callable[[UploadRequest], None] | None
    before_login: Callable[[LoginRequest], None] | None
    clock: Clock

    @property
    def owners(self) -> TlsOwners:
        """Whose TLS sessions are whose."""
        return self.commons.owners

    def tls_required(self, user: User | None) -> bool:
        """Whether ``user`` may not do without TLS."""
        if user is not None and user.require_tls is not None and self.terms.tls != "off":
            return user.require_tls
        return self.terms.tls in ("required", "implicit")

    def offend(
        self, session: int, user: str, address: str, offence: Offence, tried: tuple[str, str] | None = None
    ) -> None:
        """``address`` did something wrong; when that was once too often it is banned, and everybody is told."""
        seconds = self.commons.offend(address, offence, tried)
        if seconds:
            log.warning("%s is banned for %.0f s: %s", address, seconds, offence.words)
            self.tell(Banned(session, user, address, seconds=seconds, reason=offence.words))

    def tell(self, event: Event) -> None:
        """Hand an event to the program around us. What it does wrong does not hurt the session."""
        self.listeners.tell(event)
