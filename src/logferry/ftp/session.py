"""One client: the protocol core, its control connection, and the work in between, in straight lines.

``serve`` runs on a worker thread while the client is active and returns when it goes quiet; the loop then waits for it
with all other quiet ones. A session is never in two threads at once.
"""

from __future__ import annotations

import contextlib
import logging
import math
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logferry.errors import LogferryError
from logferry.ftp.control import Control
from logferry.ftp.datawork import DataWork
from logferry.ftp.defender import Offence
from logferry.ftp.events import Connected, Introduced, LoggedIn, LoginFailed, SessionEnded
from logferry.ftp.filesystem import Filesystem
from logferry.ftp.hooks import LoginRequest, ask
from logferry.ftp.passive import same_host
from logferry.ftp.passwords import waste_time
from logferry.ftp.permissions import Permissions
from logferry.ftp.protocol.actions import (
    Action,
    CheckPassword,
    FileTask,
    HangUp,
    HashFile,
    Listen,
    Pause,
    StartTls,
    Transfer,
)
from logferry.ftp.protocol.bundle import is_bundle_folder
from logferry.ftp.protocol.commands import RULES
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.server import ServerProtocol
from logferry.ftp.refusals import refusal
from logferry.ftp.tasks import meant, perform, told_of
from logferry.ftp.users import User
from logferry.limits import FTP_LINGER_S, FTP_NONSENSE_MAX, FTP_TURN_S_MAX

if TYPE_CHECKING:
    from logferry.ftp.shared import Shared

log = logging.getLogger("logferry.ftp")


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A connected client, for ``FtpServer.sessions()``; ``user`` is empty before login.

    ``doing`` is ``idle`` or the verb of what it does, such as ``STOR``, with ``moved`` bytes of ``path`` so far.
    """

    id: int
    user: str
    address: str
    secure: bool
    connected_ns: int
    doing: str
    path: str
    moved: int


class Session:
    """One control connection. ``deadline_s`` is when the loop gives up waiting for it (monotonic seconds)."""

    __slots__ = (
        "_asked_s",
        "_client",
        "_connected_s",
        "_control",
        "_counted",
        "_data",
        "_dismissal",
        "_heard_s",
        "_line_s",
        "_shaking",
        "_shared",
        "_told",
        "_user",
        "address",
        "connected_ns",
        "deadline_s",
        "files",
        "id",
        "next_turn",
        "paused",
        "protocol",
        "reason",
        "stopping",
    )

    def __init__(self, number: int, control: Control, address: str, local: str, shared: Shared) -> None:
        self.id = number
        self.address = same_host(address)
        self.connected_ns = shared.clock.now_ns()
        implicit = shared.terms.tls == "implicit"
        self.protocol = ServerProtocol(shared.terms, ipv6=":" in self.address, secure=implicit, peer=self.address)
        self.files: Filesystem | None = None
        self.reason = "closed by the client"
        self.stopping = False
        self._dismissal = "The server stops; come back later."
        self._counted = ""
        self._control = control
        self._shared = shared
        self._user: User | None = None
        self._client = self.protocol.state.client
        self._connected_s = self._heard_s = time.monotonic()
        self._line_s = self._asked_s = 0.0
        self.paused = False
        self.next_turn = False
        """Not to be parked: it waits for more than its control connection, and its thread was needed by others."""
        self._shaking = implicit
        self._told = False
        self._data = DataWork(self, control, local, shared)
        self.deadline_s = self._connected_s + shared.limits.login_s
        if implicit:
            assert shared.contexts is not None, "implicit TLS has an identity"
            with shared.contexts.for_control() as context:
                control.begin_tls(context)

    def fileno(self) -> int:
        return self._control.fileno()

    @property
    def user(self) -> str:
        """Who is logged in, or empty."""
        return self.protocol.state.user

    @property
    def account(self) -> User:
        """Who is logged in, with everything that is set for them."""
        assert self._user is not None, "asked only after login"
        return self._user

    def info(self) -> SessionInfo:
        """How things stand now; may be asked from any thread."""
        doing, path, moved = self._data.doing
        return SessionInfo(
            id=self.id,
            user=self.user,
            address=self.address,
            secure=self.protocol.state.secure,
            connected_ns=self.connected_ns,
            doing=doing or "idle",
            path=path,
            moved=moved,
        )

    def greet(self) -> None:
        """Send the greeting, unless TLS comes first: then it follows the handshake. Raises OSError."""
        if not self._shaking:
            self._flush()

    # The worker's way in -----------------------------------------------------------------------------------------

    def serve(self, buffer: memoryview, crowded: bool) -> bool:
        """Serve the client until it goes quiet. True: wait for it (until ``deadline_s``); False: it is over.

        ``buffer`` is the worker's own; ``crowded`` says that other sessions wait for a thread.
        """
        try:
            if not self._told:
                self._tell_connected()
            return self._serve(buffer, crowded)
        except OSError as error:
            if not self._shaking:  # a failed handshake has given its reason
                self.reason = f"connection lost: {error.strerror or type(error).__name__}"
            return False
        except Exception:
            # A defect must end this session only, and be seen.
            log.exception("session %d of %s failed", self.id, self.address)
            self.reason = "internal error"
            with contextlib.suppress(OSError):
                self.protocol.hang_up(421, "Internal error; closing.")
                self._flush()
            return False

    def _tell_connected(self) -> None:
        """Not when the connection comes: that is the loop's thread, which no listener may hold up."""
        self._told = True
        self._shared.tell(Connected(self.id, "", self.address))

    def _serve(self, buffer: memoryview, crowded: bool) -> bool:
        if self.paused:
            self.paused = False
            self.protocol.resume()
        elif time.monotonic() >= self.deadline_s or self.stopping:
            if self.stopping or not self._data.drop_unused_port():
                return self._give_up()
            self.protocol.data_lost()
            self._set_deadline()
            return True
        if self._shaking and not self._shake(0.0 if crowded else FTP_LINGER_S):
            return True
        turn_ends_s = math.inf
        while True:
            self._work(buffer)
            if self.protocol.ended:
                self.reason = "the client quit" if self.reason == "closed by the client" else self.reason
                return False
            if self.paused or self._shaking:
                return True
            if self.stopping:
                return self._give_up()
            if time.monotonic() > turn_ends_s and not self._control.holds_input:
                # Somebody who never pauses must not keep the thread: to the end of the line, where others wait too.
                self._set_deadline()
                self.next_turn = self._data.may_come_early
                return True
            turn_ends_s = time.monotonic() + FTP_TURN_S_MAX if turn_ends_s == math.inf else turn_ends_s
            early = self._data.may_come_early
            data = self._control.receive(wait=not crowded and not early)
            if data is None and early and self._data.early():
                continue
            if data is None:
                self._set_deadline()
                return True
            if not data:
                return False
            self._take(data)
            # Whoever keeps us busy without saying anything, or without logging in, is not active: deadlines hold.
            if not (self.user and self.protocol.has_command) and self._overdue():
                return self._give_up()

    def _take(self, data: bytes) -> None:
        protocol = self.protocol
        protocol.receive(data)
        if protocol.partial:
            if self._line_s == 0.0:
                self._line_s = time.monotonic()
            if protocol.flooded or time.monotonic() - self._line_s > self._shared.limits.line_s:
                if protocol.flooded:
                    self._offend(Offence.NONSENSE)
                self.reason = "a command without end"
                protocol.hang_up(421, "This command has no end; closing.")
        else:
            self._line_s = 0.0

    def _work(self, buffer: memoryview) -> None:
        """Serve all commands that have arrived, then send the replies."""
        protocol = self.protocol
        while protocol.has_command:
            self._heard_s = 0.0
            if self._user is not None and not self._still_welcome():
                break
            action = protocol.step()
            if protocol.state.client is not self._client and self.user:
                self._introduced(protocol.state.client)
            if action is not None:
                self._do(action, buffer)
                if self.paused or self._shaking:
                    break
        if protocol.state.nonsense > FTP_NONSENSE_MAX and not (self.paused or self._shaking or protocol.ended):
            self._end_nonsense()
        self._flush()

    def _end_nonsense(self) -> None:
        """Somebody speaks another protocol at us, or tries what we understand. Without a defender they may."""
        if self._shared.commons.defender is not None:
            self._offend(Offence.NONSENSE)
            self.reason = "too many commands that mean nothing"
            self.protocol.hang_up(421, "Too many commands that mean nothing; closing.")

    def _introduced(self, client: str) -> None:
        self._client = client
        self._shared.tell(Introduced(self.id, self.user, self.address, client=client))

    def _flush(self) -> None:
        out = self.protocol.take_output()
        if out:
            # A stranger's replies are few and fit the kernel's buffer unless he never reads: he is not waited for.
            self._control.send(out, wait=bool(self.user))

    def _set_deadline(self) -> None:
        now = time.monotonic()
        limits = self._shared.limits
        if self._heard_s == 0.0:
            self._heard_s = now
        if self.user:
            self.deadline_s = self._heard_s + limits.idle_s
        else:
            self.deadline_s = self._connected_s + limits.login_s
        if self._line_s:
            self.deadline_s = min(self.deadline_s, self._line_s + limits.line_s)
        self.deadline_s = min(self.deadline_s, self._data.port_until_s)

    def _overdue(self) -> bool:
        if self.protocol.ended:
            return False  # it has been said goodbye to already
        if self._data.drop_unused_port():
            self.protocol.data_lost()
        self._set_deadline()
        return time.monotonic() >= self.deadline_s

    def _give_up(self) -> bool:
        if self.stopping:
            text = self._dismissal
            self.reason = "the server stops" if self.reason == "closed by the client" else self.reason
        else:
            self.reason = "idle too long" if self.user else "no login in time"
            text = "Too long without a command." if self.user else "Too long without a login."
        if not self._shaking:
            self.protocol.hang_up(421, text)
            with contextlib.suppress(OSError):
                self._flush()
        return False

    def dismiss(self, text: str, reason: str) -> None:
        """From another thread: cut a transfer under way, say 421 ``text`` at the next turn, and end for ``reason``."""
        self._dismissal = text
        self.reason = reason
        self.stopping = True
        self._data.cut(text)

    def cut(self) -> None:
        """End the session from another thread, at once."""
        self._data.cut()
        self._control.cut()

    def count_out(self) -> None:
        """The user's place, if it has one, is free again."""
        name, self._counted = self._counted, ""
        if name:
            commons = self._shared.commons
            commons.tally.log_out(commons.slot, name)

    def close(self) -> None:
        """Release everything. Called once, after the last ``serve``."""
        self._data.close()
        self._control.close()
        self._forget_files()
        if not self._told:
            self._tell_connected()
        self._shared.tell(SessionEnded(self.id, self.user, self.address, reason=self.reason))

    def _forget_files(self) -> None:
        files, self.files = self.files, None
        closer = getattr(files, "close", None)
        if closer is not None:
            closer()

    # Users -------------------------------------------------------------------------------------------------------

    def _still_welcome(self) -> bool:
        """Look the user up again: changes made while they are logged in take effect with the next command."""
        before = self._user
        assert before is not None
        try:
            now = self._shared.users.find(before.name)
        except (LogferryError, OSError) as error:
            self._cannot_look_up(before.name, error)
            return False
        if now is before:
            return True
        if now is None or not before.admits(now):
            self.reason = "the user was removed, disabled or got another password"
            self.protocol.hang_up(421, "Your account has changed; log in again.")
            return False
        if now.place != before.place and not self._move_to(now):
            return False
        self._user = now
        self.protocol.user_changed(Permissions(now.permissions), home=now.home != before.home, folders=now.folder_rules)
        return True

    def _cannot_look_up(self, name: str, error: LogferryError | OSError) -> None:
        """Nobody is served whose rights are not known; a program tries again."""
        log.error("the user %r cannot be looked up: %s", name, error)
        self.reason = f"the user cannot be looked up: {error}"
        self.protocol.hang_up(421, "Users cannot be looked up just now; come back later.")

    def _move_to(self, user: User) -> bool:
        """Another home or quota: another file system; whether it can be opened."""
        self._forget_files()
        try:
            self.files = self._shared.filesystem(user)
        except (LogferryError, OSError) as error:
            log.error("the new home of %r cannot be opened: %s", user.name, error)  # noqa: TRY400  # the cause says it all
            self.reason = f"home: {error}"
            self.protocol.hang_up(421, "Your home cannot be opened.")
            return False
        return True

    def welcome_to_go_on(self, verb: str, path: str) -> bool:
        """Whether the user may still do what they do just now; asked now and then while a transfer runs.

        Changes that take nothing away wait for the next command.
        """
        before = self._user
        if before is None:
            return True
        try:
            now = self._shared.users.find(before.name)
        except (LogferryError, OSError) as error:
            # Not known just now: the next look, or the next command, tells. No upload breaks off for that.
            log.warning("whether %r may go on cannot be looked up: %s", before.name, error)
            return True
        if now is before:
            return True
        if now is None or not before.admits(now):
            return False
        self._shared.ledgers.adjust(now)
        own = Permissions(now.permissions)
        letters = own if now.folder_rules is None else now.folder_rules.letters(path, own)
        rule = RULES.get(verb)
        return rule is None or letters.allow(rule.permission)

    def _offend(self, offence: Offence, tried: tuple[str, str] | None = None) -> None:
        self._shared.offend(self.id, self.user, self.address, offence, tried)

    def _count_in(self, user: User) -> bool:
        """Take one of the user's places; whether there was one."""
        commons = self._shared.commons
        if not commons.tally.log_in(commons.slot, user.name, user.connections or self._shared.limits.sessions_per_user):
            return False
        self._counted = user.name
        return True

    def _refuse(self, name: str, reason: str, text: str = "Wrong user name or password.") -> None:
        """Refuse a login: ``reason`` is for the operator, ``text`` for the client."""
        shared = self._shared
        shared.tell(LoginFailed(self.id, name, self.address, reason=reason))
        delay_s = shared.commons.login_delay_s(self.address, shared.terms.login_delay_s)
        self._do(self.protocol.password_refused(text, delay_s), memoryview(b""))

    def _login(self, name: str, password: str) -> None:
        shared = self._shared
        self._asked_s = time.monotonic()
        try:
            user = shared.users.find(name)
        except (LogferryError, OSError) as error:
            self._cannot_look_up(name, error)
            return
        refused = ""
        if user is None:
            waste_time(password)
            refused = "no such user"
            self._offend(Offence.BAD_USER, (name, password))
        elif not shared.users.verify(user, password):
            refused = "wrong password"
            self._offend(Offence.BAD_PASSWORD, (name, password))
        elif not user.enabled:
            refused = "user is disabled"
        tls_required = shared.tls_required(user)
        if not refused and tls_required and not self.protocol.state.secure:
            refused = "TLS is required for this user"
        secure = self.protocol.state.secure
        if refused or user is None:
            self._refuse(name, refused)
            return
        if not self._count_in(user):
            self.reason = "too many connections of the user"
            shared.tell(LoginFailed(self.id, name, self.address, reason=self.reason))
            self.protocol.hang_up(421, "You have too many connections; close one, or come back later.")
            return
        reply = ask(shared.before_login, LoginRequest(self.id, name, self.address, secure))
        if reply is not None:
            self.count_out()
            self._refuse(name, f"refused by the program: {reply.text}", reply.text)
            return
        try:
            self.files = shared.filesystem(user)
        except (LogferryError, OSError) as error:
            log.error("the home of %r cannot be opened: %s", name, error)  # noqa: TRY400  # the cause says it all
            self.count_out()
            self._refuse(name, f"home: {error}", "Your home cannot be opened.")
            return
        if shared.commons.defender is not None:
            shared.commons.defender.welcome(self.address)
        self._user = user
        self.protocol.password_accepted(
            Permissions(user.permissions),
            tls_required=tls_required,
            atomic=self.files.atomic,
            keeps=getattr(self.files, "keeps", False),
            mark=getattr(self.files, "mark", ""),
            folders=user.folder_rules,
        )
        shared.owners.note(self._control.mark, name)
        shared.tell(LoggedIn(self.id, name, self.address, secure=secure))

    # Actions -----------------------------------------------------------------------------------------------------

    def _do(self, action: Action, buffer: memoryview) -> None:
        if isinstance(action, Transfer):
            self._data.transfer(action, buffer)
        elif isinstance(action, Listen):
            self._data.listen()
        elif isinstance(action, FileTask):
            self._perform(action)
        elif isinstance(action, HashFile):
            self._data.hash(action)
        elif isinstance(action, CheckPassword):
            self._user = None
            self.count_out()
            self._login(action.name, action.password)
        elif isinstance(action, Pause):
            self.paused = True
            # From when the password came, not from when it was checked: how long that takes tells which names exist.
            self.deadline_s = self._asked_s + action.seconds
        elif isinstance(action, StartTls):
            self._start_tls()
        else:
            assert isinstance(action, HangUp)

    def _perform(self, task: FileTask) -> None:
        assert self.files is not None
        try:
            task = meant(task, self.files)
            reply = perform(task, self.files, self.protocol.state, self._shared.clock.now_ns)
        except (LogferryError, OSError) as error:
            reply = refusal(error, task.path)
            if task.verb == "CWD" and is_bundle_folder(task.path, self.protocol.state.terms.bundles):
                reply = Reply(250, (f"Working folder is {task.path}",))
        if reply.code < 400 and self._shared.listeners.present():
            event = told_of(task, self.id, self.user, self.address)
            if event is not None:
                self._shared.tell(event)
        self.protocol.answer(reply)
        if task.verb == "STAT":
            # The one reply that may be large: many of them, asked for in one packet, must not gather in memory.
            self._flush()

    def _start_tls(self) -> None:
        self._flush()
        self._user = None
        self.count_out()
        self._forget_files()
        assert self._shared.contexts is not None, "AUTH is refused when TLS is off"
        # Whatever has come in clear is dropped before a byte of it can be mistaken for something protected.
        self.protocol.drop_input()
        with self._shared.contexts.for_control() as context:
            self._control.begin_tls(context)
        self._shaking = True
        self.deadline_s = time.monotonic() + self._shared.limits.login_s
        self._shake(FTP_LINGER_S)

    def _shake(self, wait_s: float) -> bool:
        """Go on with the TLS handshake; whether it is done."""
        try:
            done = self._control.handshake(wait_s=wait_s)
        except OSError as error:
            self.reason = f"TLS handshake failed: {getattr(error, 'reason', None) or error.strerror or error}"
            if isinstance(error, ssl.SSLError):
                self._offend(Offence.BAD_HANDSHAKE)
            raise
        if done:
            self._shaking = False
            if self.protocol.busy:  # with AUTH TLS; implicit TLS is not asked for
                self.protocol.tls_started()
            self._shared.owners.note(self._control.mark)
        return done

    def answer_conflict(self, reply: Reply, stored: str) -> None:
        """The last reply to an upload whose bytes differ from those of ``stored``: slowly, and not too often."""
        wait_s = self._shared.commons.conflict(self.account.name, stored)
        if wait_s < 0.0:
            self._offend(Offence.PROBING)
            self.reason = "too many uploads that differ from what is stored"
            self.protocol.hang_up(421, "Too many uploads that differ from what is stored; come back later.")
        elif wait_s:
            self._do(self.protocol.answer_later(reply, wait_s), memoryview(b""))
        else:
            self.protocol.answer(reply)

    def leave(self, reply: Reply) -> None:
        """The last reply to a transfer whose client is gone: what it asked for after it is not done."""
        self.reason = "the client went away" if self.reason == "closed by the client" else self.reason
        self.protocol.answer(reply)
        self.protocol.drop_input()
        self.protocol.ended = True
        with contextlib.suppress(OSError):  # it may have closed only the half of the connection that it sends on
            self._flush()

    def reply_now(self, reply: Reply) -> None:
        """Send a preliminary reply at once."""
        self.protocol.preliminary(reply)
        self._flush()

    def flush(self) -> None:
        """Send the replies that wait."""
        self._flush()
