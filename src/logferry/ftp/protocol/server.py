"""The server's side of FTP without any I/O: bytes in, actions and reply bytes out.

The shell around it does this, over and over::

    protocol.receive(data)
    while protocol.has_command:
        action = protocol.step()          # one command; most are answered at once
        if action is not None:
            ...do it, then call the method that the action names...
        send(protocol.take_output())

While an action is under way no further command is stepped; what arrives waits its turn, so that replies come in the
order of the commands, pipelined or not. Only two things look ahead: ABOR ends the transfer under way (and is answered
in its turn), and a STAT that is next in line asks how the transfer is doing.
"""

from __future__ import annotations

import contextlib
from collections import deque

from logferry.errors import BadName, LogferryError
from logferry.ftp.folders import FolderRules
from logferry.ftp.permissions import Permissions
from logferry.ftp.protocol import paths
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
from logferry.ftp.protocol.admission import DENIED, admitted
from logferry.ftp.protocol.commands import ALIASES, RULES, Command, CommandReader
from logferry.ftp.protocol.handlers import HANDLERS
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State, Terms
from logferry.limits import FTP_PIPELINE_BYTES_MAX

_UPLOADS = frozenset({"APPE", "STOR"})
_TRANSFERS = frozenset({"APPE", "LIST", "MLSD", "NLST", "RETR", "STOR", "STOU"})
_BEHIND_UPLOADS = frozenset({"HASH", "MFMT", "RANG", "SIZE"})
"""What clients that send commands ahead put behind an upload, before they know what became of it."""
_COMMAND_OVERHEAD_BYTES = 64
"""What a waiting command costs besides its argument, so that many empty ones count too."""


class ServerProtocol:
    """One control connection.

    ``ipv6`` says over which family, ``secure`` whether TLS came first (implicit TLS), ``peer`` the client's address.
    """

    __slots__ = (
        "_action",
        "_delayed",
        "_out",
        "_queue",
        "_queued_bytes",
        "_reader",
        "abort_requested",
        "ended",
        "state",
    )

    def __init__(self, terms: Terms, *, ipv6: bool = False, secure: bool = False, peer: str = "") -> None:
        self.state = State(terms, ipv6=ipv6, secure=secure, peer=peer)
        self.abort_requested = False
        self.ended = False
        self._reader = CommandReader()
        self._queue: deque[Command] = deque()
        self._queued_bytes = 0
        self._action: Action | None = None
        self._out: list[bytes] = []
        self._delayed: Reply | None = None
        self._out.append(Reply(220, tuple(terms.banner.splitlines()) or ("Ready.",)).render())

    # Bytes in and out ------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes from the control connection."""
        for command in self._reader.feed(data):
            if command.verb == "ABOR" and self._action is not None:
                self.abort_requested = True
            self._queue.append(command)
            self._queued_bytes += len(command.argument) + _COMMAND_OVERHEAD_BYTES

    def take_output(self) -> bytes:
        """The reply bytes to send now."""
        if not self._out:
            return b""
        out = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return out

    @property
    def busy(self) -> bool:
        """Whether an action is under way."""
        return self._action is not None

    @property
    def has_command(self) -> bool:
        """Whether ``step`` has something to do."""
        return bool(self._queue) and self._action is None and not self.ended

    @property
    def wants_input(self) -> bool:
        """False while so much waits that the client should not be read from."""
        return self._queued_bytes < FTP_PIPELINE_BYTES_MAX

    @property
    def partial(self) -> bool:
        """Whether a command line has begun and not ended."""
        return self._reader.partial

    @property
    def flooded(self) -> bool:
        """Whether the client sends a line without end."""
        return self._reader.flooded

    @property
    def more_waits(self) -> bool:
        """Whether commands wait behind the action under way."""
        return bool(self._queue)

    @property
    def quitting(self) -> bool:
        """Whether a QUIT waits: such a client may close its side early."""
        return any(command.verb == "QUIT" for command in self._queue)

    # One command ------------------------------------------------------------------------------------------------

    def step(self) -> Action | None:
        """Serve the next command. None: it is answered; else the shell has something to do."""
        assert self.has_command
        command = self._queue.popleft()
        self._queued_bytes -= len(command.argument) + _COMMAND_OVERHEAD_BYTES
        verb = ALIASES.get(command.verb, command.verb)
        if verb not in _BEHIND_UPLOADS:
            self.state.failed_upload = ""
        outcome = self._outcome(command)
        if isinstance(outcome, Reply):
            if verb in _TRANSFERS:
                self._refused(verb, command.argument)
            self._out.append(outcome.render())
            return None
        return self._begin(outcome)

    def _refused(self, verb: str, argument: str) -> None:
        """A transfer that never began takes what was said for it alone along."""
        state = self.state
        state.rest = 0
        state.range = None
        if verb in _UPLOADS:
            with contextlib.suppress(LogferryError):  # what is no path is none for MFMT either
                state.failed_upload = paths.resolve(state.folder, argument)

    def _outcome(self, command: Command) -> Reply | Action:
        verb = ALIASES.get(command.verb, command.verb)
        state = self.state
        rule = RULES.get(verb)
        if rule is None:
            state.nonsense += 1
            return Reply(500, (command.fault or f"{command.verb} is not understood.",))
        if rule.login and not state.user:
            return Reply(530, ("Log in first.",))
        if rule.permission and rule.permission not in state.permissions and state.folders is None:
            return DENIED
        if rule.argument == "required" and not command.argument:
            return Reply(501, (f"Usage: {rule.usage}",))
        if verb != "RNTO":
            state.rename_from = ""
        try:
            outcome = HANDLERS[verb](state, command.argument)
            return outcome if state.folders is None else admitted(outcome, rule.permission, state)
        except BadName as error:
            return Reply(553, (str(error),))
        except LogferryError as error:
            return Reply(501, (str(error),))

    def _begin(self, action: Action) -> Action:
        if isinstance(action, HangUp):
            self._say(221, "Goodbye.")
            self.ended = True
            return action
        if isinstance(action, StartTls):
            self._say(234, "Go ahead with TLS.")
        self._action = action
        self.abort_requested = False
        if isinstance(action, Transfer):
            self.state.listens = False
            self.state.target = None
        if isinstance(action, (Transfer, HashFile)):
            # ABOR may stand behind other commands that came in the same packet.
            self.abort_requested = any(command.verb == "ABOR" for command in self._queue)
        return action

    # What the shell tells ----------------------------------------------------------------------------------------

    def answer(self, reply: Reply) -> None:
        """The last reply to the action under way."""
        action, self._action = self._action, None
        assert action is not None
        self._out.append(reply.render())
        self.abort_requested = False
        if reply.code >= 400:
            if isinstance(action, Transfer) and action.verb in _UPLOADS:
                self.state.failed_upload = action.path
        elif isinstance(action, FileTask):
            if action.verb == "CWD":
                self.state.folder = action.path
            elif action.verb == "RNFR":
                self.state.rename_from = action.path

    def preliminary(self, reply: Reply) -> None:
        """A 1yz reply to the action under way, or the answer to a STAT meanwhile."""
        self._out.append(reply.render())

    def listening(self, host: str, port: int) -> None:
        """``Listen`` is done: ``host`` (dotted IPv4; not used for EPSV) and ``port`` can be connected to."""
        action, self._action = self._action, None
        assert isinstance(action, Listen)
        self.state.listens = True
        if action.extended:
            self._say(229, f"Entering extended passive mode (|||{port}|)")
        else:
            numbers = ",".join([*host.split("."), str(port >> 8), str(port & 0xFF)])
            self._say(227, f"Entering passive mode ({numbers}).")

    def password_accepted(
        self,
        permissions: Permissions,
        *,
        tls_required: bool,
        atomic: bool,
        keeps: bool = False,
        mark: str = "",
        folders: FolderRules | None = None,
    ) -> None:
        """``CheckPassword`` is done and right."""
        action, self._action = self._action, None
        assert isinstance(action, CheckPassword)
        state = self.state
        state.offered_user = ""
        state.user = action.name
        state.permissions = permissions
        state.folders = folders
        state.tls_required = tls_required
        state.atomic = atomic
        state.keeps = keeps
        state.mark = mark
        state.login_failures = 0
        self._say(230, "Logged in.")

    def password_refused(self, reason: str = "Wrong user name or password.", delay_s: float | None = None) -> Action:
        """``CheckPassword`` is done and wrong; ``reason`` is what the client may know, after ``delay_s``."""
        assert isinstance(self._action, CheckPassword)
        self.state.offered_user = ""
        self.state.login_failures += 1
        if self.state.login_failures >= self.state.terms.login_failures_max:
            reason = f"{reason} Too many attempts."
        return self.answer_later(Reply(530, (reason,)), self.state.terms.login_delay_s if delay_s is None else delay_s)

    def answer_later(self, reply: Reply, seconds: float) -> Action:
        """The last reply to the action under way, told when the returned ``Pause`` is over."""
        assert self._action is not None
        self._delayed = reply
        self._action = Pause(seconds)
        return self._action

    def resume(self) -> None:
        """``Pause`` is over: now the reply is told, and after too many refused logins the connection ends."""
        assert isinstance(self._action, Pause)
        assert self._delayed is not None
        self._action = None
        self.abort_requested = False
        self._out.append(self._delayed.render())
        self._delayed = None
        if self.state.login_failures >= self.state.terms.login_failures_max:
            self.ended = True

    def tls_started(self) -> None:
        """``StartTls`` is done. What came in clear is forgotten: somebody else may have put it in."""
        assert isinstance(self._action, StartTls)
        self._action = None
        self.drop_input()
        self.state.forget_user()
        self.state.secure = True

    def drop_input(self) -> None:
        """Forget commands that wait."""
        self._reader.clear()
        self._queue.clear()
        self._queued_bytes = 0

    def data_lost(self) -> None:
        """The passive port that was open has been closed unused."""
        self.state.listens = False

    def user_changed(self, permissions: Permissions, *, home: bool, folders: FolderRules | None = None) -> None:
        """The user's rights changed while they are logged in; ``home`` when their home did too."""
        self.state.permissions = permissions
        self.state.folders = folders
        if home:
            self.state.folder = "/"
            self.state.rename_from = ""

    def wants_status(self) -> bool:
        """Whether a STAT without path is next while a transfer runs; it is taken off the line, answer it at once."""
        if self._action is None or not self._queue:
            return False
        first = self._queue[0]
        if first.verb != "STAT" or first.argument:
            return False
        self._queue.popleft()
        self._queued_bytes -= len(first.argument) + _COMMAND_OVERHEAD_BYTES
        return True

    def hang_up(self, code: int, text: str) -> None:
        """End the session with one last reply, whatever is under way."""
        self._action = None
        self.drop_input()
        self._say(code, text)
        self.ended = True

    def _say(self, code: int, text: str) -> None:
        self._out.append(Reply(code, (text,)).render())
