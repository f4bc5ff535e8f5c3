"""FtpClient: a client that any FTP server understands and that knows what became of every byte.

    with FtpClient("logs.example", user="ann", password="secret", pins=("sha256/…",)) as client:
        client.upload("app.log", "/web/app.log")

It speaks explicit TLS by default, keeps one control connection, and uses what FEAT announces. Paths go to the server as
they are given: absolute (``/a/b``), or relative to the folder the login leads to.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError, NotFound, Refused
from logferry.ftp.client_bundle import BundleResult, store_bundle
from logferry.ftp.client_copy import Copied, CopyProgress, open_local, upload
from logferry.ftp.client_data import Progress, Refusal
from logferry.ftp.client_digest import Digest, ask_digest, sent_agrees
from logferry.ftp.client_download import download
from logferry.ftp.client_session import ClientSession, Login, TlsMode
from logferry.ftp.client_store import (
    CONNECTION_OVER,
    Pipeline,
    StoreItem,
    StoreResult,
    read_size,
    store_one,
    wire_time,
)
from logferry.ftp.client_tls import ClientTls
from logferry.ftp.cut import Cutter
from logferry.ftp.protocol.features import Features
from logferry.ftp.protocol.listing_reader import Listed, ListingReader, read_facts, time_value, time_value_ns
from logferry.ftp.protocol.refusals import failure
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.reconnect import Dice
from logferry.ftp.sending import SendSource
from logferry.ftp.throttle import Pacer
from logferry.limits import FTP_ATTEMPTS_MAX

T = TypeVar("T")
_UNKNOWN = (500, 502, 504)
"""Replies to a command the server does not have."""


class FtpClient:
    """One user's connection to one server. For one thread at a time; only ``abort`` may be called from another.

    Connects when first needed, and again after the connection was lost. A call that failed is not repeated (but see
    ``upload`` and ``download``). Every wait is bounded by ``timeout_s``.

    Errors of all calls: Unreachable, TimedOut, Busy (the connection is over; call again later), Later and Full (4yz),
    Refused and its kinds NotFound, NotPermitted, NotSignedIn, BadName, Conflict, TooLarge (5yz).
    """

    def __init__(
        self,
        host: str,
        port: int = 21,
        *,
        user: str,
        password: str,
        tls: TlsMode = "required",
        pins: tuple[str, ...] = (),
        ca_file: str = "",
        timeout_s: float = 30.0,
        clock: Clock = SYSTEM,
        dice: Dice | None = None,
        rate: Pacer | None = None,
        introduction: str = "",
        keep_alive_s: float = 0.0,
    ) -> None:
        """Nothing is connected yet. Raises BadConfig for a wrong pin or an unreadable ``ca_file``.

        ``tls``: ``required`` (AUTH TLS), ``explicit`` (the same, when offered), ``implicit`` (TLS from the first byte
        on, usually port 990) or ``off``. ``pins`` (``sha256/<hex>``) replace the question to certificate authorities.
        ``rate`` limits bytes per second, up and down, and may be shared by several clients. ``introduction`` is what
        the client calls itself (CLNT). ``keep_alive_s``: during long transfers a NOOP goes over the control connection
        that often, for firewalls that forget quiet connections; TCP's own keep-alive is always on.
        """
        login = Login(host, port, user, password, tls, timeout_s, introduction, keep_alive_s)
        context = None if tls == "off" else ClientTls.make(host, pins=pins, ca_file=ca_file)
        self._start(login, context, clock, dice, rate)

    def _start(self, login: Login, tls: ClientTls | None, clock: Clock, dice: Dice | None, rate: Pacer | None) -> None:
        self._login = login
        self._tls = tls
        self._clock = clock
        self._rate = rate
        self.dice = dice
        self._cutter = Cutter()
        self._session: ClientSession | None = None
        self._features = Features()
        self._folders: set[str] = set()
        self._sets_time_by_mdtm = True

    def another(self) -> FtpClient:
        """A client of its own with the same settings and the same ``rate``: one for each thread."""
        made = FtpClient.__new__(FtpClient)
        made._start(self._login, self._tls, self._clock, self.dice, self._rate)
        return made

    # Connection ------------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Signed in, as far as one can know without asking."""
        return self._session is not None

    @property
    def encrypted(self) -> bool:
        """Commands and data go through TLS."""
        return self._session is not None and self._session.control.encrypted

    @property
    def features(self) -> Features:
        """What the server announced when last connected; empty before."""
        return self._features

    @property
    def where(self) -> str:
        """``host:port``, for messages."""
        return f"{self._login.host}:{self._login.port}"

    def connect(self) -> None:
        """Connect and sign in, unless connected already."""
        self.session()

    def close(self) -> None:
        """Say goodbye and disconnect. Calling anything later connects again."""
        if self._session is not None:
            self._session.quit()
            self._session = None

    def abort(self) -> None:
        """From another thread: end whatever this client is doing, at once and for good. Later calls raise Aborted."""
        self._cutter.cut_all()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def session(self) -> ClientSession:
        """The session, made new when there is none or transfers can no longer start on the old one.

        Raises Refused while ``store_many`` has commands on their way: their replies would answer the wrong question.
        """
        self._cutter.check()
        if self._session is not None and self._session.control.owed:
            raise Refused(
                f"uploads to {self.where} are under way on this connection",
                hint="take all results of store_many first, or close its iterator; or ask another() client",
            )
        if self._session is not None and self._session.worn:
            self.close()
        if self._session is None:
            self._session = ClientSession(
                self._login, self._tls, cutter=self._cutter, clock=self._clock, rate=self._rate
            )
            self._features = self._session.features
        return self._session

    def drop(self) -> None:
        """Cut the connection without a word."""
        if self._session is not None:
            self._session.cut()
            self._session = None

    def sleep(self, seconds: float) -> None:
        """Sleep on the client's clock; ends with Aborted when ``abort`` is called."""
        self._cutter.sleep(self._clock, seconds)

    def _do(self, work: Callable[[ClientSession], T]) -> T:
        """Run ``work``; drop the session after an error that leaves it unusable."""
        session = self.session()
        try:
            return work(session)
        except CONNECTION_OVER:
            self.drop()
            raise
        finally:
            if not session.control.idle:
                self.drop()

    # Commands --------------------------------------------------------------------------------------------------------

    def command(self, line: str) -> Reply:
        """Send any command that needs no data connection, return its final reply, whatever it says."""
        verb, _, argument = line.partition(" ")
        return self._do(lambda session: session.control.command(verb, argument))

    def _ask(self, verb: str, argument: str = "") -> Reply:
        return self._do(lambda session: session.control.command(verb, argument))

    def _must(self, verb: str, argument: str = "") -> Reply:
        reply = self._ask(verb, argument)
        if not reply.completed:
            raise failure(reply, f"{verb} {argument}".rstrip())
        return reply

    def noop(self) -> None:
        """Ask for a sign of life."""
        self._must("NOOP")

    def size(self, path: str) -> int | None:
        """Bytes of a file, or from where an upload may be resumed; None: no such file.

        Raises Refused when the server cannot tell.
        """
        reply = self._ask("SIZE", path)
        if reply.code in _UNKNOWN:
            entry = self.stat(path)
            return entry.size if entry else None
        if reply.completed:
            if (size := read_size(reply)) is None:
                raise Refused(f"SIZE {path}: the server answered {reply.code} {reply.text[:200]}, which is no size")
            return size
        if reply.code == 550:
            return None
        raise failure(reply, f"SIZE {path}")

    def modified(self, path: str) -> int | None:
        """When a file was last changed, nanoseconds since 1970 UTC; None: no such file, or the server cannot tell."""
        reply = self._ask("MDTM", path)
        if reply.transient:
            raise failure(reply, f"MDTM {path}")
        return time_value_ns(reply.text.strip()) if reply.code == 213 else None

    @property
    def keeps_times(self) -> bool:
        """Whether ``set_modified`` is sure to work. MDTM may set times too, but no FEAT says so."""
        return self._features.has("MFMT")

    def set_modified(self, path: str, ns: int) -> bool:
        """Set the time of the last change by MFMT, else by MDTM; False when the server does neither."""
        session = self.session()
        if self._features.has("MFMT"):
            return self._ask("MFMT", f"{wire_time(session, ns)} {path}").completed
        if self._features.has("MDTM") and self._sets_time_by_mdtm:
            # Not in any RFC, but what vsftpd and others do; those that do not look for a file of that name.
            self._sets_time_by_mdtm = self._ask("MDTM", f"{time_value(ns)} {path}").completed
            return self._sets_time_by_mdtm
        return False

    def rename(self, source: str, target: str) -> None:
        """Give ``source`` the name ``target``; most servers replace what was there."""

        def work(session: ClientSession) -> None:
            reply = session.control.command("RNFR", source)
            if not reply.intermediate:
                raise failure(reply, f"RNFR {source}")
            reply = session.control.command("RNTO", target)
            if not reply.completed:
                raise failure(reply, f"RNTO {target}")

        self._do(work)

    def remove(self, path: str) -> None:
        """Delete a file."""
        self._must("DELE", path)

    def remove_folder(self, path: str) -> None:
        """Delete an empty folder."""
        self._must("RMD", path)
        self._folders.discard(path)

    def ensure_folder(self, path: str) -> None:
        """Make a folder and those above it, where they are missing. What was there once is not asked for again."""
        path = path.rstrip("/")
        if not path or path in self._folders:
            return
        reply = self._ask("MKD", path)
        if not reply.completed and not self._is_folder(path):
            above = path.rpartition("/")[0].rstrip("/")
            if not reply.permanent or not above or above in self._folders:
                raise failure(reply, f"MKD {path}")
            self.ensure_folder(above)
            reply = self._ask("MKD", path)
            if not reply.completed and not self._is_folder(path):  # another connection may have made it just now
                raise failure(reply, f"MKD {path}")
        self._folders.add(path)

    def forget_folders(self) -> None:
        """Folders may have gone meanwhile: let ``ensure_folder`` look again."""
        self._folders.clear()

    def is_folder(self, path: str) -> bool:
        """Whether ``path`` is a folder there. An empty path is the one the login leads to."""
        self.session()
        return not path.strip("/") or self._is_folder(path)

    def _is_folder(self, path: str) -> bool:
        if self._features.has("MLST"):
            entry = self.stat(path)
            return entry is not None and entry.kind == "folder"
        here = _quoted_path(self._must("PWD"))
        if not self._ask("CWD", path).completed:
            return False
        self._must("CWD", here)
        return True

    def stat(self, path: str) -> Listed | None:
        """What is at ``path``; None when there is nothing. By MLST, else found in the listing of its folder."""
        if self.session().features.has("MLST"):
            reply = self._ask("MLST", path)
            if reply.completed:
                return _entry_of(reply, path)
            if reply.code == 550:
                return None
            if reply.code not in _UNKNOWN:
                raise failure(reply, f"MLST {path}")
        folder, _, name = path.rstrip("/").rpartition("/")
        try:
            entries = self.entries(folder or ("/" if path.startswith("/") else ""))
        except NotFound:
            return None
        return next((entry for entry in entries if entry.name == name), None)

    # Transfers -------------------------------------------------------------------------------------------------------

    def entries(self, path: str = "") -> list[Listed]:
        """What is in a folder, by MLSD where the server has it, else by LIST."""
        facts = self.session().features.has("MLST")
        verb = "MLSD" if facts else "LIST"
        reader = ListingReader(facts=facts, now_ns=self._clock.now_ns())
        self._do(lambda session: _receive(session, verb, path, reader.feed, 0, lambda _: True))
        return reader.finish()

    def retrieve(
        self, path: str, sink: Callable[[memoryview], object], *, offset: int = 0, expected: int | None = None
    ) -> int:
        """Hand the bytes of a file from ``offset`` on to ``sink``, block by block; return how many there were.

        The blocks share one buffer: copy what you keep. ``expected`` bytes count as whole even when an encrypted
        server hangs up without saying so.
        """
        return self._do(lambda session: _receive(session, "RETR", path, sink, offset, lambda count: count == expected))

    def store(self, path: str, source: SendSource, *, rest: int = 0, progress: Progress | None = None) -> Reply:
        """Upload the bytes of ``source`` to ``path``, from byte ``rest`` there on, and return the reply behind them.

        Raises Conflict when the source turns out shorter than it said; the server is then sent a reset, never an end.
        """
        return self._do(lambda session: store_one(session, path, source, rest=rest, progress=progress))

    def append(self, path: str, source: SendSource) -> Reply:
        """Upload behind whatever is at ``path`` (APPE). A lost reply leaves unknown what arrived: prefer ``store``."""
        return self._do(lambda session: store_one(session, path, source, verb="APPE"))

    def store_many(self, items: Iterable[StoreItem]) -> Iterator[StoreResult]:
        """Upload items in order; one result each, nothing is raised for them. Stop early by closing the iterator.

        Until the last result ask this client nothing else: while commands are on their way that raises Refused.

        With a server that announces pipelining the commands of the next files are on their way while one is sent, so
        ``items`` is read a few ahead (``FTP_FILES_AHEAD_MAX``): leave a descriptor open until its result is there.
        Compare ``size`` in the result with what must be there now: a confirmation alone proves nothing on some servers.
        Once the connection is lost the rest get that error untried.
        """
        try:
            pipelining = self.session().features.pipelining
        except LogferryError as error:
            for item in items:
                yield StoreResult(item, error=error)
            return
        if pipelining:
            yield from Pipeline(self, items).run()
        else:
            yield from self._store_each(items)

    def store_bundle(
        self,
        items: Iterable[StoreItem],
        *,
        form: str = "",
        level: int = 3,
        progress: Progress | None = None,
        verify: bool = False,
    ) -> BundleResult:
        """Upload many small files as one archive, which the server unpacks (where ``features.bundle_folder`` is set).

        ``form`` is one of ``features.bundle_formats``; empty: ``tar.zst`` where both sides have it, else ``tar``.
        Items are whole files (``rest`` 0) with paths from the home, each path once; ``want_size`` is not looked at.
        ``progress`` gets the bytes of files sent. After a break what the server had whole is safe and counted as
        stored; the others may be sent again. ``verify`` has a plain ``tar`` over an unencrypted connection compared by
        its digest, where the server tells it (``BundleResult.agrees``); TLS and compressed forms have their own.

        Raises only what happens before the first byte: Refused (no bundles there), Unreachable, TimedOut, Busy.
        """
        session = self.session()
        result = None
        try:
            result = store_bundle(self, items, form=form, level=level, progress=progress, verify=verify)
            return result
        finally:
            broken = result is None or isinstance(result.error, CONNECTION_OVER)
            if broken or not session.control.idle:
                self.drop()

    def _store_each(self, items: Iterable[StoreItem]) -> Iterator[StoreResult]:
        lost: LogferryError | None = None
        for item in items:
            result = StoreResult(item, error=lost) if lost else self._store_item(item)
            lost = result.error if isinstance(result.error, CONNECTION_OVER) else lost
            yield result

    def _store_item(self, item: StoreItem) -> StoreResult:
        try:
            reply = self.store(item.path, item.source, rest=item.rest)
            size = self.size(item.path) if item.want_size else None
            modified_set = item.modified_ns is not None and self.set_modified(item.path, item.modified_ns)
            agrees = self.agrees(item) if item.want_digest and item.length else None
        except LogferryError as error:
            return StoreResult(item, error=error)
        return StoreResult(item, reply, size, modified_set=modified_set, agrees=agrees)

    def agrees(self, item: StoreItem) -> bool | None:
        """Whether the server has the very bytes of an item that was stored, and none behind; None: it cannot tell."""
        return self._do(lambda session: sent_agrees(session, item.path, item.source, rest=item.rest))

    def digest(self, path: str, *, length: int = 0) -> Digest | None:
        """The server's digest of a whole file, by HASH or XSHA256 and the like; None where it computes none.

        ``length``, about, lets the answer take the longer the larger the file is.
        """
        return self._do(lambda session: ask_digest(session, path, length=length))

    # Files -----------------------------------------------------------------------------------------------------------

    def upload(
        self,
        local: str,
        remote: str,
        *,
        resume: bool = True,
        temporary: bool = True,
        verify: bool = True,
        attempts: int = FTP_ATTEMPTS_MAX,
        progress: CopyProgress | None = None,
        folder: int | None = None,
    ) -> Copied:
        """Copy a local file to the server, whole, and do not come back before its SIZE is right there.

        Where FEAT offers HASH (or XSHA256 and the like) digests are compared too, unless ``verify`` is False.

        It travels under a temporary name beside ``remote`` and is renamed at the end, so nobody sees a part of it.
        The name stands for this version of the file: an interrupted upload is resumed (``resume``), even by another
        process later, and never mixed with another version. ``temporary=False`` is for servers that forbid renaming:
        the bytes go to ``remote`` itself; what is there is taken for the beginning when its last bytes are the same.

        Failures of the network are tried again up to ``attempts`` times with jittered waits. ``progress`` gets
        (bytes there, bytes of the file). With ``folder``, the descriptor of an open folder, ``local`` is a name in it
        and no link is followed.

        Raises also Damaged (other bytes arrived), NotFound and Refused (``local`` is not there, or no plain file).
        """
        descriptor = open_local(local, folder)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Refused(f"{local} is no plain file", hint="only files can be uploaded; for folders use mirror_up")
            return upload(
                self,
                local,
                remote,
                descriptor=descriptor,
                resume=resume,
                temporary=temporary,
                verify=verify,
                attempts=attempts,
                progress=progress,
            )
        finally:
            os.close(descriptor)

    def download(
        self,
        remote: str,
        local: str,
        *,
        resume: bool = True,
        verify: bool = True,
        attempts: int = FTP_ATTEMPTS_MAX,
        progress: CopyProgress | None = None,
        folder: int | None = None,
    ) -> Copied:
        """Copy a file from the server, whole: temporary name, SIZE check, fsync, rename, fsync of the folder.

        An interrupted download is resumed (``resume``) when the bytes before the break are still the same there.
        Where FEAT offers HASH (or XSHA256 and the like) digests are compared too, unless ``verify`` is False. With
        ``folder``, the descriptor of an open folder, the last part of ``local`` is a name in it.

        Raises also Damaged (other bytes arrived), Full and Refused (the disk here).
        """
        return download(
            self,
            remote,
            local,
            folder=folder,
            resume=resume,
            verify=verify,
            attempts=attempts,
            progress=progress,
        )


def _receive(
    session: ClientSession,
    verb: str,
    path: str,
    sink: Callable[[memoryview], object],
    offset: int,
    whole: Callable[[int], bool],
) -> int:
    count = 0
    with session.transfer(verb, path, rest=offset) as data:
        # A refusal in the middle explains itself in the final reply.
        with contextlib.suppress(Refusal):
            session.secure(data)
            count = data.receive(sink, whole=whole)
        reply = session.control.final()
        if not reply.completed:
            raise failure(reply, f"{verb} {path}".rstrip())
    return count


def _entry_of(reply: Reply, path: str) -> Listed | None:
    for line in reply.lines[1:-1]:
        if entry := read_facts(line):
            return entry
    raise Refused(f"MLST {path}: the server answered {reply.text[:200]!r}, which has no facts")


def _quoted_path(reply: Reply) -> str:
    """The path in a reply to PWD: in double quotes, those inside doubled (RFC 959 appendix II)."""
    _, _, rest = reply.text.partition('"')
    path, _, _ = rest.rpartition('"')
    return path.replace('""', '"') or "/"
