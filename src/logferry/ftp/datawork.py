"""Data connections of one session: the passive port, TLS on it, and each transfer from its command to its reply."""

from __future__ import annotations

import contextlib
import math
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from logferry.errors import Conflict, Differs, LogferryError, NotFound
from logferry.ftp import active, hashing, listings, throttled, transfers
from logferry.ftp.brake import Brake, unlimited
from logferry.ftp.bundle import Bundle
from logferry.ftp.control import Control, shut_down
from logferry.ftp.events import Incomplete, Received, Sent, Unpacked
from logferry.ftp.filesystem import Download, ExpectingFilesystem, Filesystem, Upload
from logferry.ftp.hooks import UploadRequest, ask
from logferry.ftp.passive import PassivePort, same_host
from logferry.ftp.protocol.actions import HashFile, Transfer
from logferry.ftp.protocol.active_reader import Target
from logferry.ftp.protocol.admission import DENIED
from logferry.ftp.protocol.bundle import bundle_format, is_bundle_folder
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.refusals import one_line, refusal
from logferry.ftp.smalldigest import SmallDigest
from logferry.ftp.transfers import Interrupted, Span
from logferry.ftp.waiting import readable
from logferry.limits import FTP_EARLY_TLS_S_MAX, FTP_LIMIT_LOOK_S, FTP_LINGER_S, FTP_RECHECK_S, FTP_WATCH_S

if TYPE_CHECKING:
    from logferry.ftp.session import Session
    from logferry.ftp.shared import Shared

_ATTEMPTS_MAX = 20
_OPENING = Reply(150, ("Ready for data.",))
_RECEIVED = Reply(226, ("Received and stored.",))
_SENT = Reply(226, ("Sent.",))
_NO_REUSE = (
    "The data connection must resume the TLS session of the control connection; "
    "for clients that cannot, start the server with require_data_reuse=False."
)


class DataWork:
    """The data half of a session. Everything but ``cut`` and ``doing`` is called by the session's thread only."""

    __slots__ = (
        "_connection",
        "_control",
        "_cut_text",
        "_early",
        "_gone",
        "_limits_look_s",
        "_local",
        "_port",
        "_recheck_s",
        "_session",
        "_shared",
        "_target",
        "_turned_away",
        "_upward",
        "_was_cut",
        "doing",
        "port_until_s",
        "stall_s",
    )

    def __init__(self, session: Session, control: Control, local: str, shared: Shared) -> None:
        self._session = session
        self._control = control
        self._local = local
        self._shared = shared
        self._port: PassivePort | None = None
        self._target: Target | None = None
        self._connection: socket.socket | None = None
        self._early: socket.socket | Interrupted | None = None
        self._turned_away: ssl.SSLSocket | None = None
        self._was_cut = False
        self._gone = False
        self._recheck_s = 0.0
        self.port_until_s = math.inf
        """When a port that nobody has used is closed again (monotonic seconds)."""
        self._cut_text = "The server stops."
        self._upward = False
        self._limits_look_s = float("inf")
        self.stall_s = shared.limits.data_stall_s
        self.doing: tuple[str, str, int] = ("", "", 0)
        """Verb, path and bytes moved, for whoever looks on."""

    def listen(self) -> None:
        """Do a ``Listen`` action."""
        self._drop_port()
        shared = self._shared
        try:
            self._port = PassivePort(self._local, self._session.address, shared.passive_ports)
        except (LogferryError, OSError) as error:
            text = str(error) if isinstance(error, LogferryError) else f"No data port: {error.strerror}."
            self._session.protocol.answer(Reply(425, (one_line(text),)))
            return
        self.port_until_s = time.monotonic() + shared.limits.data_connect_s
        self._session.protocol.listening(shared.public_address or same_host(self._local), self._port.port)

    def drop_unused_port(self) -> bool:
        """Close the port when its time is up; whether that was so."""
        late = time.monotonic() >= self.port_until_s
        if late:
            self._drop_port()
        return late

    def _drop_port(self) -> None:
        port, self._port = self._port, None
        self.port_until_s = math.inf
        if port is not None:
            port.close()
            early, self._early = self._early, None
            if isinstance(early, socket.socket):
                transfers.cut(early)

    @property
    def may_come_early(self) -> bool:
        """Whether a TLS data connection could come before its command (see ``early``)."""
        return self._port is not None and self._early is None and self._session.protocol.state.private_data

    def early(self) -> bool:
        """Wait for the next command, or for a TLS data connection that comes before it; False: neither came.

        asyncio's clients (aioftp) finish the handshake first and send the command then, so they would wait for ever
        for a server that waits for the command.
        """
        port = self._port
        assert port is not None
        until = time.monotonic() + FTP_EARLY_TLS_S_MAX
        if not self._comes(port.fileno(), until):
            return self._control_speaks()
        data = port.accept()
        if data is None:
            return True
        # Everybody else's handshake comes after the command: only who begins it now is early.
        if not self._comes(data.fileno(), until):
            self._early = data
            return self._control_speaks()
        try:
            self._connection = data
            self._early = self._secure(data)
        except Interrupted as end:
            self._early = end  # told when the command has come
        finally:
            self._connection = None
        return True

    def _comes(self, descriptor: int, until: float) -> bool:
        """Whether something comes at ``descriptor`` while the control connection is silent."""
        control = self._control.fileno()
        while not (ready := readable(control, descriptor, timeout_s=FTP_LINGER_S)):
            if time.monotonic() > until or self._session.stopping:
                return False
        return control not in ready

    def _control_speaks(self) -> bool:
        return bool(readable(self._control.fileno(), timeout_s=0))

    def cut(self, text: str = "The server stops.") -> None:
        """End a transfer from another thread, at once. To it this looks like a good end; the flag tells."""
        self._cut_text = text
        self._was_cut = True
        connection = self._connection
        if connection is not None:
            shut_down(connection)

    def close(self) -> None:
        """Release the port, and what came to it."""
        self._drop_port()
        if self._turned_away is not None:
            transfers.cut(self._turned_away)

    # Transfers ---------------------------------------------------------------------------------------------------

    def transfer(self, task: Transfer, buffer: memoryview) -> None:
        """Do a ``Transfer`` action, from 150 to the last reply."""
        self.doing = (task.verb, task.path, 0)
        self._target = task.target
        self._recheck_s = time.monotonic() + FTP_RECHECK_S
        files = self._session.files
        assert files is not None
        differs_from = ""
        try:
            if task.verb in ("STOR", "APPE", "STOU"):
                reply = self._upload(task, files, buffer)
            elif task.verb == "RETR":
                reply = self._download(task, files)
            else:
                reply = self._list(task, files)
        except Interrupted as end:
            reply = Reply(end.code, (one_line(end.reason),))
        except (LogferryError, OSError) as error:
            reply = refusal(error, task.path)
            if isinstance(error, Conflict):
                # A file system that raises no ``Differs`` may still mean just that.
                differs_from = error.stored if isinstance(error, Differs) else task.path
        finally:
            self._drop_port()
            self.doing = ("", "", 0)
            self._limits_look_s = float("inf")
        if reply.code >= 400 and self._is_gone(broken=reply.code == 426):
            # What it had sent ahead built on this transfer, and may get in the way of what it does elsewhere by now.
            self._session.leave(reply)
        elif differs_from:
            self._session.answer_conflict(reply, differs_from)
        else:
            self._session.protocol.answer(reply)
        if self._turned_away is not None:
            self._session.flush()
            transfers.turn_away(self._turned_away)
            self._turned_away = None

    def _is_gone(self, *, broken: bool) -> bool:
        """Whether the client of a transfer that failed has left.

        When its data connection broke, and commands wait that were sent ahead, the end of the other one is waited for:
        a client that dies loses both, one shortly after the other.
        """
        protocol = self._session.protocol
        until = time.monotonic() + FTP_WATCH_S
        with contextlib.suppress(Interrupted):
            self._hear()
            while broken and protocol.more_waits and protocol.wants_input and (left := until - time.monotonic()) > 0:
                readable(self._control.fileno(), timeout_s=left)
                self._hear()
        return self._gone

    def hash(self, wanted: HashFile) -> None:
        """Do a ``HashFile`` action."""
        session = self._session
        path = wanted.ranges[0].path
        self.doing = (wanted.verb, path, 0)
        assert session.files is not None
        try:
            reply = hashing.answer(
                wanted,
                session.files,
                self,
                self._shared.hashes,
                may_read=lambda name: "r" in session.protocol.state.letters(name),
                now_ns=self._shared.clock.now_ns,
            )
        except Interrupted as end:
            # 426 speaks of a data connection; here is none.
            reply = Reply(451, (one_line(end.reason),))
        except (LogferryError, OSError) as error:
            reply = refusal(error, path)
        finally:
            self.doing = ("", "", 0)
        session.protocol.answer(reply)

    def _upload(self, task: Transfer, files: Filesystem, buffer: memoryview) -> Reply:
        form = bundle_format(task.path, self._shared.terms.bundles)
        if form is not None:
            return self._unpack(task, form, files, buffer)
        path, opening, reply = task.path, _OPENING, _RECEIVED
        if task.verb == "STOU":
            path = _free_name(task.path, files)
            opening, reply = Reply(150, (f"FILE: {path}",)), Reply(226, (f"FILE: {path}",))
            if not self._session.protocol.state.letters(path).allow("w"):
                return DENIED
        refused = self._asked(task, path, files)
        if refused is not None:
            return refused
        upload = files.open_upload(path, offset=task.offset, append=task.verb == "APPE")
        started = time.monotonic()
        offset = upload.position
        tap = SmallDigest() if self._session.protocol.state.upload_digests and task.verb == "STOR" else None
        try:
            self._receive(opening, upload, buffer, tap)
        except BaseException as error:
            count = upload.position - offset
            upload.abandon()
            self._incomplete(path, offset, count, "in", error)
            raise
        try:
            upload.commit()
        except (LogferryError, OSError) as error:
            self._incomplete(path, offset, upload.position - offset, "in", error)
            raise
        session = self._session
        count = upload.position - offset
        if self._shared.listeners.present():
            seconds = time.monotonic() - started
            self._shared.tell(
                Received(session.id, session.user, session.address, path, offset, count=count, seconds=seconds)
            )
        words = tap.words(offset) if tap is not None else ""
        return Reply(226, (f"{words} Received and stored.",)) if words else reply

    def _asked(self, task: Transfer, path: str, files: Filesystem) -> Reply | None:
        """The refusal of an upload that may not begin. Raises Full or TooLarge when ALLO said too much of its size."""
        size = task.announced
        if size is not None and isinstance(files, ExpectingFilesystem):
            files.expect(path, size)
        hook = self._shared.before_upload
        if hook is None:
            return None
        session = self._session
        request = UploadRequest(session.id, session.user, session.address, path, task.offset, task.verb, size)
        return ask(hook, request)

    def _unpack(self, task: Transfer, form: str, files: Filesystem, buffer: memoryview) -> Reply:
        """A bundle: its members are the uploads."""
        if task.verb != "STOR" or task.offset:
            return Reply(554, ("A bundle is sent whole: STOR from byte 0.",))
        session, shared = self._session, self._shared
        who = (session.id, session.user, session.address)
        heard, hook = shared.listeners.present(), shared.before_upload

        def stored(path: str, count: int) -> None:
            if heard:
                shared.tell(Received(*who, path, count=count))

        def admit(path: str, size: int) -> Reply | None:
            return ask(hook, UploadRequest(*who, path, 0, "STOR", size)) if hook is not None else None

        bundle = Bundle(files, form, session.protocol.state.letters, stored, admit)
        tap = SmallDigest(math.inf) if session.protocol.state.upload_digests else None
        started = time.monotonic()
        try:
            self._receive(_OPENING, bundle, buffer, tap)
            bundle.commit()
        except BaseException as error:
            bundle.abandon()
            self._incomplete(task.path, 0, bundle.position, "in", error)
            reply = bundle.answer(error)
            if reply is None:
                raise
            return reply
        report, seconds = bundle.report, time.monotonic() - started
        report.sha256 = tap.hexadecimal if tap is not None else ""
        shared.tell(
            Unpacked(
                *who, task.path, report.files, report.folders, report.refused, count=bundle.position, seconds=seconds
            )
        )
        return report.reply()

    def _receive(self, opening: Reply, upload: Upload, buffer: memoryview, tap: SmallDigest | None = None) -> None:
        with self._connected(opening) as data:
            if self._free(upload=True):
                start = upload.position
                try:
                    transfers.receive(data, upload, buffer, self, tap)
                except _Limited as change:
                    moved = change.moved
                    assert upload.position == start + moved, "bytes are written before they are told"
                    self._receive_slowly(data, upload, buffer, moved, tap)
            else:
                self._receive_slowly(data, upload, buffer, 0, tap)
            self._check_whole(data, upload)

    def _check_whole(self, data: socket.socket, upload: Upload) -> None:
        """A transfer that ended well may still be half: look for what tells.

        A client that is killed closes everything, and its data connection then ends like a whole file's; one that
        lives waits for our 226. The two ends come one after the other, so the look comes as late as possible: when
        everything is on disk and only the name is missing. TLS has told the two apart already.
        """
        if self._was_cut:
            raise Interrupted(426, self._cut_text)
        if isinstance(data, ssl.SSLSocket):
            return
        sync = getattr(upload, "sync", None)
        if sync is not None:
            sync()
        self.glance(self.doing[2])

    def _download(self, task: Transfer, files: Filesystem) -> Reply:
        download = files.open_download(task.path)
        if task.stop is not None:
            download = Span(download, task.stop)
        started = time.monotonic()
        count = 0
        try:
            left = download.size - task.offset
            if left < 0:
                return Reply(554, (f"{task.offset} is beyond the end: the file has {download.size} bytes.",))
            with self._connected(Reply(150, (f"Sending {left} bytes.",))) as data:
                count = self._send(data, download, task.offset)
        except BaseException as error:
            self._incomplete(task.path, task.offset, self.doing[2], "out", error)
            raise
        finally:
            download.close()
        session = self._session
        seconds = time.monotonic() - started
        self._shared.tell(
            Sent(session.id, session.user, session.address, task.path, task.offset, count=count, seconds=seconds)
        )
        return _SENT

    def _send(self, data: socket.socket, download: Download, offset: int) -> int:
        before = 0
        if self._free(upload=False):
            try:
                return transfers.send(data, download, offset, self)
            except _Limited as change:
                before = change.moved
        brake = Brake(self._shared, self._session.account, upload=False)
        return before + throttled.send(data, download, offset + before, throttled.Onward(self, before), brake)

    # Limits ------------------------------------------------------------------------------------------------------

    def _free(self, *, upload: bool) -> bool:
        """Whether the transfer that begins may run as fast as it can, until ``glance`` sees a limit."""
        free = unlimited(self._shared, self._session.account, upload=upload)
        self._upward = upload
        self._limits_look_s = 0.0 if free else float("inf")
        return free

    def _look_at_limits(self, moved: int) -> None:
        """A transfer that runs free: has its user got a limit meanwhile? Called only when bytes have moved."""
        now = time.monotonic()
        if now < self._limits_look_s:
            return
        first, self._limits_look_s = self._limits_look_s == 0.0, now + FTP_LIMIT_LOOK_S
        if first or Brake(self._shared, self._session.account, upload=self._upward).limits is False:
            return
        self._limits_look_s = float("inf")
        raise _Limited(moved)

    def _receive_slowly(
        self, data: socket.socket, upload: Upload, buffer: memoryview, before: int, tap: SmallDigest | None
    ) -> None:
        brake = Brake(self._shared, self._session.account, upload=True)
        throttled.receive(data, upload, buffer, throttled.Onward(self, before), brake, tap)

    def _list(self, task: Transfer, files: Filesystem) -> Reply:
        # Looked up before 150: a client must hear 550 for a missing folder, not an empty listing.
        state = self._session.protocol.state
        try:
            now_ns = self._shared.clock.now_ns
            rows = listings.rows(task.verb, task.path, task.prefix, task.options, files, state, now_ns)
        except NotFound:
            if not is_bundle_folder(task.path, state.terms.bundles):
                raise
            rows = listings.Listing(0)  # it is not really there: an empty folder
        try:
            with self._connected(_OPENING) as data:
                transfers.send_lines(data, rows, self)
        finally:
            rows.close()
        return Reply(451, (rows.cut,)) if rows.cut else _SENT

    def _incomplete(self, path: str, offset: int, count: int, direction: str, error: BaseException) -> None:
        session = self._session
        reason = error.reason if isinstance(error, Interrupted) else str(error)
        self._shared.tell(
            Incomplete(
                session.id,
                session.user,
                session.address,
                path,
                offset,
                count=count,
                direction=direction,
                reason=reason,
            )
        )

    # One data connection -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _connected(self, opening: Reply) -> Iterator[socket.socket]:
        """The data connection, after ``opening`` was sent; ended properly, or cut when the body fails."""
        if self._target is None:
            self._say(opening)
            data = self._accept()
        else:
            data = self._dial(self._target)
        try:
            self._connection = data
            if self._target is not None:
                self._say(opening)
            if self._session.protocol.state.private_data and not isinstance(data, ssl.SSLSocket):
                data = self._connection = self._secure(data)
            yield data
        except BaseException:
            transfers.cut(data)
            raise
        else:
            transfers.end(data)
        finally:
            self._connection = None

    def _say(self, reply: Reply) -> None:
        """A preliminary reply. That the client is gone is nobody else's fault, least of all the disk's."""
        try:
            self._session.reply_now(reply)
        except OSError as error:
            self._gone = True
            raise Interrupted(426, "The control connection broke.") from error

    def _dial(self, target: Target) -> socket.socket:
        shared = self._shared
        return active.connect(
            target,
            local=self._local,
            source_port=shared.active_port,
            timeout_s=shared.limits.data_connect_s,
            glance=lambda: self.glance(0),
        )

    def _accept(self) -> socket.socket:
        port = self._port
        assert port is not None
        early, self._early = self._early, None
        if isinstance(early, Interrupted):
            raise early
        data = early or port.accept()
        if data is None:
            until = time.monotonic() + self._shared.limits.data_connect_s
            while data is None:
                if time.monotonic() > until:
                    raise Interrupted(425, "No data connection came in time.")
                self.glance(0)
                data = port.accept()
        self._drop_port()
        return data

    def _secure(self, data: socket.socket) -> ssl.SSLSocket:
        assert self._shared.contexts is not None
        secured = data
        try:
            with self._shared.contexts.for_data() as context:
                secured = context.wrap_socket(
                    data, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
                )
            secured.settimeout(self._shared.limits.data_connect_s)
            secured.do_handshake()
        except OSError as error:
            # Also a reset before the first byte: a connection that is none any more cannot even be wrapped.
            reason = getattr(error, "reason", None) or error.strerror or str(error)
            transfers.cut(secured)
            raise Interrupted(425, f"TLS on the data connection failed: {reason}.") from error
        if self._shared.require_data_reuse and not self._is_theirs(secured):
            self._turned_away = secured
            raise Interrupted(522, _NO_REUSE)
        return secured

    def _is_theirs(self, secured: ssl.SSLSocket) -> bool:
        return self._shared.owners.allow(secured, self._control.mark, self._session.user)

    def glance(self, moved: int) -> None:
        """Look at the control connection while a transfer runs (see ``transfers.Watch``)."""
        progress = moved != self.doing[2]
        self.doing = (*self.doing[:2], moved)
        self._recheck()
        protocol = self._session.protocol
        self._hear()
        if self._was_cut:
            raise Interrupted(426, self._cut_text)
        if protocol.abort_requested:
            raise Interrupted(426, "Aborted as you asked.")
        if protocol.wants_status():
            verb, path, _ = self.doing
            self._say(Reply(213, (one_line(f"{verb} {path}: {moved} bytes so far."),)))
        if progress:
            self._look_at_limits(moved)

    def _hear(self) -> None:
        """Take what has come over the control connection. Raises Interrupted when it has ended."""
        protocol = self._session.protocol
        while protocol.wants_input:
            try:
                data = self._control.receive(wait=False)
            except OSError as error:
                self._gone = True
                raise Interrupted(426, "The control connection broke.") from error
            if data is None:
                break
            if not data:
                if protocol.quitting:
                    break
                self._gone = True
                raise Interrupted(426, self._cut_text if self._was_cut else "The client went away.")
            protocol.receive(data)
            if protocol.flooded:
                raise Interrupted(426, "A command without end came.")

    def _recheck(self) -> None:
        """End a transfer whose user was removed or lost the right to it, within seconds."""
        now = time.monotonic()
        if now < self._recheck_s:
            return
        self._recheck_s = now + FTP_RECHECK_S
        verb, path, _ = self.doing
        if not self._session.welcome_to_go_on(verb, path):
            raise Interrupted(426, "Your account has changed.")


class _Limited(Exception):
    """A transfer that ran free has got a limit after ``moved`` bytes; it goes on slowly from there."""

    def __init__(self, moved: int) -> None:
        super().__init__(moved)
        self.moved = moved


def _free_name(path: str, files: Filesystem) -> str:
    """A name for STOU: ``path`` with something random behind it, which nobody has taken."""
    for _ in range(_ATTEMPTS_MAX):
        candidate = f"{path}.{secrets.token_hex(4)}"
        try:
            files.stat(candidate)
        except NotFound:
            return candidate
    raise Conflict(f"no free name near {path} found")
