"""What an FTP server tells the program it runs in; ``FtpServer.on`` and ``FtpServer.events`` are the ways to listen.

Every event has the fields of ``Event`` first. Callables hear of it on the session's thread, before the reply. Of a
server with several processes they are called in the parent, soon after and in the order of each session, unless
``in_worker`` brings its own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all: which session, whose, from where. ``user`` is empty before login."""

    session: int
    user: str
    address: str


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """A client has connected and sent something; a connection that stays silent is told when it is ended."""


@dataclass(frozen=True, slots=True)
class LoggedIn(Event):
    """A password was right."""

    secure: bool = False


@dataclass(frozen=True, slots=True)
class Introduced(Event):
    """A logged-in client said what it is (CLNT); ``client`` is its own text, to be believed as far as that."""

    client: str = ""


@dataclass(frozen=True, slots=True)
class LoginFailed(Event):
    """A login was refused; ``reason`` is for the operator, not for the client."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Banned(Event):
    """``address`` gets no connection for ``seconds``; ``reason`` is what the last straw was."""

    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Received(Event):
    """An upload is whole and durable. ``offset`` is where it began, ``count`` the bytes that came."""

    path: str = ""
    offset: int = 0
    count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Incomplete(Event):
    """A transfer ended early; nothing was published. ``direction`` is ``"in"`` or ``"out"``."""

    path: str = ""
    offset: int = 0
    count: int = 0
    direction: str = "in"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unpacked(Event):
    """A bundle came whole; there was a ``Received`` for each of its ``files``. ``count`` is the bytes that came."""

    path: str = ""
    files: int = 0
    folders: int = 0
    refused: int = 0
    count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sent(Event):
    """A download was sent whole."""

    path: str = ""
    offset: int = 0
    count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Deleted(Event):
    """A file or an empty folder was removed."""

    path: str = ""
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Renamed(Event):
    """A file or folder got another name."""

    path: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class FolderMade(Event):
    """A folder was created."""

    path: str = ""


@dataclass(frozen=True, slots=True)
class TimeSet(Event):
    """A client set the modification time of a file, to ``modified_ns`` since 1970 UTC."""

    path: str = ""
    modified_ns: int = 0


@dataclass(frozen=True, slots=True)
class Missed(Event):
    """Here ``count`` events are missing: the listener fell behind (see ``FtpServer.events``). Of no session."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class SessionEnded(Event):
    """A control connection is gone."""

    reason: str = ""
