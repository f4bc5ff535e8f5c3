"""What the protocol core asks the shell around it to do. The shell answers through methods of ``ServerProtocol``."""

from __future__ import annotations

from typing import NamedTuple


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

    ``verb`` is CWD, DELE, MDTM, MFMT, MKD, MLST, RMD, RNFR, RNTO, SIZE, STAT or CHMOD; ``path`` and ``target`` are
    absolute virtual paths; ``number`` is the time in ns (MFMT) or the mode (CHMOD).
    """

    verb: str
    path: str
    target: str = ""
    number: int = 0


class Transfer(NamedTuple):
    """One data transfer; then call ``answer`` with its last reply. Preliminary replies go through ``preliminary``.

    ``verb`` is APPE, LIST, MLSD, NLST, RETR, STOR or STOU. ``prefix`` is the argument of NLST. ``announced`` is the
    size that ALLO named for an upload, or None.
    """

    verb: str
    path: str
    offset: int = 0
    prefix: str = ""
    announced: int | None = None


class Pause(NamedTuple):
    """Do nothing for ``seconds``, then call ``resume``: guessing is slow."""

    seconds: float


class HangUp(NamedTuple):
    """Send what is pending and close the connection."""


Action = CheckPassword | StartTls | Listen | FileTask | Transfer | Pause | HangUp
