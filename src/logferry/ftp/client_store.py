"""Uploads: one after the other on any server, or with the commands of the next files sent ahead where it is allowed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from logferry.errors import BadName, Busy, LogferryError, Refused, TimedOut, Unreachable
from logferry.ftp.client_data import DataConnection, Progress, Refusal
from logferry.ftp.client_range import RangeQuestion, choose_method, question, small_question
from logferry.ftp.client_session import ClientSession
from logferry.ftp.cut import Aborted
from logferry.ftp.protocol.client import Command
from logferry.ftp.protocol.digest_reader import DigestMethod, best_method
from logferry.ftp.protocol.features import LOGFERRY_FEATURE
from logferry.ftp.protocol.listing_reader import size_value, time_value
from logferry.ftp.protocol.passive_reader import extended_passive_port
from logferry.ftp.protocol.refusals import failure
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.sending import Content, SendSource
from logferry.limits import (
    FTP_AHEAD_BYTES_MAX,
    FTP_CONFIRM_BYTES_S_MIN,
    FTP_FILES_AHEAD_MAX,
    FTP_SMALL_DIGEST_BYTES_MAX,
)

CONNECTION_OVER = (Unreachable, TimedOut, Busy, Aborted)
"""Errors after which the connection is of no more use."""

_UNKNOWN = 500
"""A server does not know the command, it says, that it had begun: a part of it has died. vsftpd's OOPS."""


@dataclass(frozen=True, slots=True)
class StoreItem:
    """One upload: ``length`` bytes of ``content`` from ``offset`` on to ``path``, there from byte ``rest`` on.

    ``modified_ns`` sets the time of the file where the server can; ``want_size`` asks SIZE after it; ``want_digest``
    compares digests of the bytes where the server computes them, for which content is read twice (so it is no stream).
    """

    path: str
    content: Content = field(repr=False)
    offset: int = 0
    length: int = 0
    rest: int = 0
    modified_ns: int | None = None
    want_size: bool = True
    want_digest: bool = False

    @property
    def source(self) -> SendSource:
        """The bytes to send."""
        return SendSource(self.content, self.offset, self.length)


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of an item: stored if and only if ``error`` is None. ``size`` is what SIZE said then, if asked.

    ``agrees``: whether the server has the very bytes that were to be sent; None: not asked, or it cannot tell.
    """

    item: StoreItem
    reply: Reply | None = None
    size: int | None = None
    error: LogferryError | None = None
    modified_set: bool = False
    agrees: bool | None = None


def patience_s(length: int) -> float:
    """How much longer than usual the reply after an upload may take: the server syncs ``length`` bytes to its disk."""
    return length / FTP_CONFIRM_BYTES_S_MIN


def store_one(
    session: ClientSession,
    path: str,
    source: SendSource,
    *,
    rest: int = 0,
    verb: str = "STOR",
    progress: Progress | None = None,
) -> Reply:
    """Upload ``source`` to ``path`` and return the final reply.

    Raises Refused and its kinds, Later, Full, Conflict (the source shrank; the server was sent a reset), Unreachable,
    TimedOut, Busy, Aborted. After an error the session may be worn.
    """
    with session.transfer(verb, path, rest=rest) as data:
        return _deliver(session, data, source, f"{verb} {path}", progress)


def _deliver(
    session: ClientSession, data: DataConnection, source: SendSource, doing: str, progress: Progress | None = None
) -> Reply:
    """Send the bytes, wait for the verdict, which explains a broken data connection better than the break."""
    control = session.control
    broken: LogferryError | None = None
    try:
        session.secure(data)
        data.send(source, progress)
        data.finish_sending()
    except Refusal:
        broken = Unreachable(f"{doing}: the server ended the transfer before it had the bytes", hint="try again")
    except Aborted:
        raise
    except (Unreachable, TimedOut) as error:
        broken = error
    except LogferryError:
        data.reset()  # the source shrank, or the certificate is wrong
        control.settle()
        raise
    if broken is not None:
        data.reset()
    reply = control.final(patience_s=patience_s(source.length))
    if broken is not None and reply.code == _UNKNOWN:
        raise broken
    if not reply.completed:
        raise failure(reply, doing) from broken
    if broken is not None:
        raise broken
    return reply


class SessionKeeper(Protocol):
    """Whoever owns the session: makes a new one when there is none or the old one is worn."""

    def session(self) -> ClientSession: ...

    def drop(self) -> None: ...


class Pipeline:
    """Uploads with commands sent ahead, for servers that announce pipelining: one round trip per file, not five.

    For each item the wire carries ``[REST] EPSV STOR [SIZE] [MFMT] [[RANG] HASH]``. REST stands first, so that its
    reply is known before a data connection is made: a server that refused it never gets bytes for the wrong place. A
    MFMT goes ahead of its STOR's reply only to a server that then refuses it when the STOR failed (``guards``), since
    otherwise it would give the old file the new one's time; others get it behind the reply, with nothing sent ahead.
    """

    def __init__(self, keeper: SessionKeeper, items: Iterable[StoreItem]) -> None:
        self._keeper = keeper
        self._items = iter(items)
        self._ahead: deque[StoreItem] = deque()
        self._session: ClientSession | None = None
        self._sent = 0
        """How many of the items ahead have their commands on the wire."""
        self._method: DigestMethod | None = None

    def run(self) -> Iterator[StoreResult]:
        """One result per item, in order. Once the connection is lost the remaining items get that error untried."""
        lost: LogferryError | None = None
        try:
            while self._take_more():
                item = self._ahead[0]
                result = StoreResult(item, error=lost) if lost else self._next(item)
                if isinstance(result.error, CONNECTION_OVER):
                    lost = result.error
                    self._drop()
                self._ahead.popleft()
                yield result
        finally:
            if self._session is not None and not self._session.control.idle:
                self._drop()

    def _take_more(self) -> bool:
        """Refill the items ahead when half of them are done. False: nothing is left."""
        if len(self._ahead) <= FTP_FILES_AHEAD_MAX // 2:
            self._ahead.extend(islice(self._items, FTP_FILES_AHEAD_MAX - len(self._ahead)))
        return bool(self._ahead)

    def _next(self, item: StoreItem) -> StoreResult:
        try:
            session = self._ready()
            self._send_ahead(session)
            self._sent -= 1
            return self._one(session, item)
        except LogferryError as error:
            return StoreResult(item, error=error)

    def _ready(self) -> ClientSession:
        if self._session is None or self._session.worn:
            # Commands already on the wire die with the connection, before a byte was sent for them; they go again.
            self._drop()
            self._session = self._keeper.session()
            self._method = best_method(self._session.features)
        if self._method is not None and self._method.verb == "HASH" and self._sent == 0 and self._ahead[0].want_digest:
            self._method = choose_method(self._session)
            self._session.ask_for_digests()
        return self._session

    def _drop(self) -> None:
        if self._session is not None:
            self._keeper.drop()
            self._session = None
        self._sent = 0

    def _send_ahead(self, session: ClientSession) -> None:
        """Put the commands of the items ahead on the wire; of the first at least. Raises BadName for the first."""
        size = 0
        for item in list(islice(self._ahead, self._sent, None)):
            if self._sent and size > FTP_AHEAD_BYTES_MAX // FTP_FILES_AHEAD_MAX:
                break
            if self._sent and _sets_modified_later(session, self._ahead[self._sent - 1]):
                break
            try:
                size += session.control.queue(*_commands(session, item), *self._questions(session, item))
            except BadName:
                if self._sent == 0:
                    raise
                break
            self._sent += 1
        if size:
            session.control.flush()

    def _one(self, session: ClientSession, item: StoreItem) -> StoreResult:
        control = session.control
        if item.rest:
            reply = control.final()
            if not reply.intermediate:  # the session is worn now; nothing was sent
                return StoreResult(item, reply, error=failure(reply, f"REST {item.rest} before STOR {item.path}"))
        passive = control.final()
        stored: Reply | None = None
        error: LogferryError | None = None
        try:
            stored = self._upload(session, item, passive)
        except CONNECTION_OVER:
            raise
        except LogferryError as refused:
            if session.worn:  # no reply to this one: what was sent ahead goes again on a new connection
                return StoreResult(item, error=refused)
            error = refused
        size = control.final() if item.want_size else None
        modified = control.final() if _sets_modified_ahead(session, item) else None
        agrees, unread = self._compare(session, item, stored) if error is None else self._pass_over(session, item)
        if error is None and _sets_modified_later(session, item):
            assert item.modified_ns is not None
            modified = control.command("MFMT", f"{wire_time(session, item.modified_ns)} {item.path}")
        error = error or unread
        return StoreResult(
            item,
            stored,
            size=read_size(size) if size is not None and error is None else None,
            error=error,
            modified_set=modified is not None and modified.completed and error is None,
            agrees=agrees,
        )

    def _question(self, session: ClientSession, item: StoreItem) -> RangeQuestion | None:
        if self._method is None or not item.want_digest or not item.length or _has_small_digest(session, item):
            return None
        return question(session, self._method, item.path, item.rest, item.rest + item.length)

    def _questions(self, session: ClientSession, item: StoreItem) -> tuple[Command, ...]:
        asked = self._question(session, item)
        return asked.commands if asked is not None else ()

    def _compare(
        self, session: ClientSession, item: StoreItem, stored: Reply | None
    ) -> tuple[bool | None, LogferryError | None]:
        """Whether the server's digest is ours; or why the source cannot be read again."""
        asked = self._question(session, item)
        if asked is not None:
            for _ in asked.commands[1:]:
                session.control.final()
            reply = session.control.final(patience_s=patience_s(item.length))
        elif item.want_digest and item.length and stored is not None and _has_small_digest(session, item):
            asked, reply = small_question(item.rest, item.rest + item.length), stored
        else:
            return None, None
        try:
            return asked.agrees(reply, item.source), None
        except LogferryError as error:
            return None, error

    def _pass_over(self, session: ClientSession, item: StoreItem) -> tuple[None, None]:
        """The digest of a file that did not arrive is of no interest."""
        for _ in self._questions(session, item):
            session.control.final(patience_s=patience_s(item.rest + item.length))
        return None, None

    def _upload(self, session: ClientSession, item: StoreItem, passive: Reply) -> Reply:
        doing = f"STOR {item.path}"
        if not passive.completed:
            session.control.final()  # STOR has no data connection and is refused too
            raise failure(passive, f"EPSV for {doing}")
        try:
            port = extended_passive_port(passive)
        except Refused as error:
            # STOR waits there for a connection nobody can make, and its reply would be taken for another's.
            raise Unreachable(error.message, hint="is there a firewall in between that rewrites FTP?") from error
        try:
            data = session.connect_data(port, wait_for_it=_must_wait(session, item))
        except Unreachable as error:
            # The port is closed when STOR was refused already; then the reply is on its way.
            reply = session.control.final()
            raise (error if reply.completed else failure(reply, doing)) from error
        try:
            reply = _deliver(session, data, item.source, doing)
        except BaseException:
            data.reset()
            raise
        data.close()
        return reply


def _must_wait(session: ClientSession, item: StoreItem) -> bool:
    """Sending finds out by itself whether a connection came about; a handshake, or nothing to send, does not."""
    return session.control.encrypted or item.length == 0


def _has_small_digest(session: ClientSession, item: StoreItem) -> bool:
    return session.upload_digests and item.length <= FTP_SMALL_DIGEST_BYTES_MAX


def _sets_modified_ahead(session: ClientSession, item: StoreItem) -> bool:
    return item.modified_ns is not None and session.features.has("MFMT") and session.features.guards


def _sets_modified_later(session: ClientSession, item: StoreItem) -> bool:
    return item.modified_ns is not None and session.features.has("MFMT") and not session.features.guards


def _commands(session: ClientSession, item: StoreItem) -> list[Command]:
    commands: list[Command] = [("EPSV", ""), ("STOR", item.path)]
    if item.rest:
        commands.insert(0, ("REST", str(item.rest)))
    if item.want_size:
        commands.append(("SIZE", item.path))
    if item.modified_ns is not None and _sets_modified_ahead(session, item):
        commands.append(("MFMT", f"{wire_time(session, item.modified_ns)} {item.path}"))
    return commands


def wire_time(session: ClientSession, ns: int) -> str:
    """A time value for MFMT; fractions only where they are known to be understood."""
    return time_value(ns, digits=9 if session.features.has(LOGFERRY_FEATURE) else 0)


def read_size(reply: Reply) -> int | None:
    """Bytes out of a reply to SIZE; None for any other."""
    return size_value(reply.text.strip()) if reply.code == 213 else None
