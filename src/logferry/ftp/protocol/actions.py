"""What the protocol core asks the shell around it to do. The shell answers through methods of ``ServerProtocol``."""

from __future__ import annotations

from typing import NamedTuple

from logferry.ftp.protocol.active_reader import Target
from logferry.ftp.protocol.list_options import NO_OPTIONS, ListOptions


class CheckPassword(NamedTuple):
    """Look the user up and check the password, then call ``password_checked``."""

    name: str
    password: str


class StartTls(NamedTuple):
    """Send what is pending, do the handshake, then call ``tls_started``."""


class Listen(NamedTuple):
    """Open a passive data port, then call ``listening`` (or ``answer`` with a refusal)."""

    extended: bool


class FileTask(NamedTuple):
    """One request to the file system that needs no data connection; then call ``answer``.

    ``verb`` is AVBL, CHMOD, CWD, DELE, MDTM, MFMT, MKD, MLST, RMD, RNFR, RNTO, SIZE or STAT; ``path`` and ``target``
    are absolute virtual paths; ``number`` is the time in ns (MFMT) or the mode (CHMOD). An MDTM with a ``target`` sets
    the time of ``target``, unless there is a file ``path``. ``options`` are those of STAT.
    """

    verb: str
    path: str
    target: str = ""
    number: int = 0
    options: ListOptions = NO_OPTIONS


class HashRange(NamedTuple):
    """Bytes of a file from ``start`` up to ``stop`` (not included; None: to the end). ``shown``: the name as sent."""

    path: str
    shown: str
    start: int = 0
    stop: int | None = None


class HashFile(NamedTuple):
    """Hash the first of ``ranges`` whose file there is; then call ``answer``.

    ``verb`` is HASH (213 with algorithm, range and name) or one of ``X_COMMANDS`` (250 with the digest alone).
    """

    verb: str
    algorithm: str
    ranges: tuple[HashRange, ...]


class Transfer(NamedTuple):
    """One data transfer; then call ``answer`` with its last reply. Preliminary replies go through ``preliminary``.

    ``verb`` is APPE, LIST, MLSD, NLST, RETR, STOR or STOU. ``prefix`` is the argument of a listing. ``stop`` is where
    a RETR ends (not included; None: at the end of the file). ``target``: connect there (active mode). ``announced`` is
    the size that ALLO named for an upload, or None.
    """

    verb: str
    path: str
    offset: int = 0
    prefix: str = ""
    options: ListOptions = NO_OPTIONS
    stop: int | None = None
    target: Target | None = None
    announced: int | None = None


class Pause(NamedTuple):
    """Do nothing for ``seconds``, then call ``resume``: guessing is slow."""

    seconds: float


class HangUp(NamedTuple):
    """Send what is pending and close the connection."""


Action = CheckPassword | StartTls | Listen | FileTask | HashFile | Transfer | Pause | HangUp
