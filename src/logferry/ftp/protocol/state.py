"""What one FTP session has agreed on so far, and the terms its server offers. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from logferry.ftp.folders import FolderRules
from logferry.ftp.permissions import Permissions
from logferry.ftp.protocol.active_reader import Target
from logferry.ftp.protocol.hash_words import ALGORITHMS
from logferry.ftp.protocol.listing import FACTS
from logferry.limits import FTP_LOGIN_DELAY_S, FTP_LOGIN_FAILURES_MAX

TlsPolicy = Literal["required", "explicit", "implicit", "off"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What one server offers all its sessions. ``tls``: ``required``, ``explicit`` (offered), ``implicit`` or ``off``.

    ``active``: whether PORT and EPRT are offered. ``hosts``: the names HOST takes, lower case; empty: any.
    """

    tls: TlsPolicy = "required"
    banner: str = "Logferry FTP ready."
    login_failures_max: int = FTP_LOGIN_FAILURES_MAX
    login_delay_s: float = FTP_LOGIN_DELAY_S
    now_ns: Callable[[], int] | None = None
    """The server's clock, nanoseconds since 1970 UTC, for STAT: so that a client can tell how far its own is off."""
    active: bool = False
    hosts: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    """Formats of bundles that are unpacked; none: not offered."""


@dataclass(slots=True)
class State:
    """The memory between two commands. ``folder`` is the working folder; ``rest`` the offset REST has set."""

    terms: Terms
    ipv6: bool = False
    secure: bool = False
    peer: str = ""
    """The client's address, in canonical form: the only one active mode connects to."""
    host: str = ""
    """The virtual host it asked for (HOST)."""
    private_data: bool = False
    """PROT P is in force."""
    pbsz: bool = False
    offered_user: str = ""
    """The name of the last USER, until PASS has used it."""
    user: str = ""
    """Who is logged in; empty before."""
    client: str = ""
    """What the client calls itself (CLNT)."""
    tls_required: bool = field(default=False, init=False)
    """For this user; before login, what the server requires of everybody."""
    permissions: Permissions = field(default=Permissions(""))
    folders: FolderRules | None = None
    """Where other letters than ``permissions`` hold; None for most users, who then pay nothing for it."""
    atomic: bool = False
    """The user's file system publishes uploads whole."""
    keeps: bool = False
    """It keeps the old content of a name as a generation and refuses bytes that differ from those it has."""
    mark: str = ""
    """Another one than before says that what was confirmed may be gone: what is there was restored from a copy."""
    folder: str = "/"
    rename_from: str = ""
    rest: int = 0
    range: tuple[int, int] | None = None
    """First and last byte that RANG has set for the next RETR or HASH."""
    failed_upload: str = ""
    """The path of the upload before, when that failed: a MFMT sent ahead of its reply is not meant for the old file."""
    allocated: int | None = None
    """What ALLO announced for the next upload, in bytes."""
    facts: tuple[str, ...] = FACTS
    algorithm: str = ALGORITHMS[0]
    """Of HASH."""
    upload_digests: bool = False
    """The reply to a small STOR tells its digest."""
    listens: bool = False
    """A passive port is open and unused."""
    target: Target | None = None
    """Where PORT or EPRT wants the next data connection to go."""
    epsv_all: bool = False
    login_failures: int = 0
    nonsense: int = 0
    """Commands so far that no FTP client sends."""

    def __post_init__(self) -> None:
        self.tls_required = self.terms.tls in ("required", "implicit")
        if self.terms.tls == "implicit":
            # Whoever begins with TLS means the data connections too, with or without PBSZ and PROT.
            self.pbsz = self.private_data = True

    def letters(self, path: str) -> Permissions:
        """The letters that hold at ``path``."""
        return self.permissions if self.folders is None else self.folders.letters(path, self.permissions)

    def may_somewhere(self, letter: str) -> bool:
        """Whether ``letter`` is granted at any path at all."""
        return self.permissions.allow(letter) or (self.folders is not None and self.folders.grant(letter))

    def forget_user(self) -> None:
        """Back to the state before USER; what TLS has agreed on stays."""
        self.offered_user = ""
        self.user = ""
        self.tls_required = self.terms.tls in ("required", "implicit")
        self.permissions = Permissions("")
        self.folders = None
        self.atomic = False
        self.keeps = False
        self.mark = ""
        self.folder = "/"
        self.rename_from = ""
        self.rest = 0
        self.range = None
        self.failed_upload = ""
        self.allocated = None
        self.facts = FACTS
        self.algorithm = ALGORITHMS[0]
        self.upload_digests = False
        self.target = None
        self.epsv_all = False
