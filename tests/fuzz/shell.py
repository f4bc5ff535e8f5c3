"""A shell around the protocol core that answers every action well or badly, by dice, with a file system in memory."""

from __future__ import annotations

import errno
import os
import random
import re
from collections.abc import Callable, Iterator

from logferry import errors
from logferry.errors import LogferryError, NotFound
from logferry.ftp.filesystem import Download, Entry, Upload
from logferry.ftp.listings import rows
from logferry.ftp.permissions import LETTERS, Permissions
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
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.server import ServerProtocol
from logferry.ftp.protocol.state import State, Terms, TlsPolicy
from logferry.ftp.refusals import refusal
from logferry.ftp.tasks import perform
from tests.fuzz.mutate import PIECES

REPLIES = re.compile(
    rb"(?:[1-5][0-9][0-9] [^\r\n\x00]*\r\n"
    rb"|([1-5][0-9][0-9])-[^\r\n\x00]*\r\n(?: [^\r\n\x00]*\r\n)*\1 [^\r\n\x00]*\r\n)*"
)
"""The grammar of replies (RFC 959 4.2), continuation lines as this server writes them: with a space in front."""
FINAL = re.compile(rb"^[2-5][0-9][0-9] ", re.MULTILINE)

_NAMES = [piece.decode("utf-8", "surrogateescape") for piece in PIECES if piece and b"/" not in piece]
_ERRORS: list[Callable[[str], Exception]] = [
    *(lambda name, kind=kind: kind(name, hint=name) for kind in (errors.NotFound, errors.Conflict, errors.Full)),
    *(lambda name, code=code: OSError(code, os.strerror(code), name) for code in (*range(1, 40), errno.EDQUOT)),
    lambda name: OSError(name),
]


class Dreams:
    """A file system in which anything may be, or fail, at any moment."""

    atomic = True
    keeps = True

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def _maybe(self) -> None:
        if self._dice.random() < 0.4:
            raise self._dice.choice(_ERRORS)(self._dice.choice(_NAMES))

    def _entry(self, name: str) -> Entry:
        dice = self._dice
        times = (0, -1, -(10**30), 10**30, 1_700_000_000_000_000_000)
        return Entry(name, dice.random() < 0.5, dice.choice((0, 2**63, 5)), dice.choice(times), dice.randrange(2**16))

    def stat(self, path: str) -> Entry:
        self._maybe()
        return self._entry(path.rpartition("/")[2])

    def entries(self, path: str) -> Iterator[Entry]:
        self._maybe()
        return (self._entry(self._dice.choice(_NAMES)) for _ in range(self._dice.randrange(5)))

    def size(self, path: str) -> int:
        self._maybe()
        return self._dice.choice((0, 2**63))

    def make_folder(self, path: str) -> None:
        self._maybe()

    remove_folder = remove_file = make_folder

    def rename(self, source: str, target: str) -> None:
        self._maybe()

    def set_modified(self, path: str, ns: int) -> None:
        self._maybe()

    def set_mode(self, path: str, mode: int) -> None:
        self._maybe()

    def open_download(self, path: str) -> Download:
        raise NotFound(path)

    def open_upload(self, path: str, *, offset: int, append: bool) -> Upload:
        raise NotFound(path)


class Shell:
    """Serves one fuzzed session. ``final`` counts the commands that were answered, ``longest_queue`` what waited."""

    def __init__(self, dice: random.Random, tls: TlsPolicy, *, secure: bool = False) -> None:
        self._dice = dice
        self._files = Dreams(dice)
        self.protocol = ServerProtocol(
            Terms(tls=tls, now_ns=lambda: 0, active=dice.random() < 0.5), ipv6=dice.random() < 0.2, secure=secure
        )
        self.out = bytearray()
        self.gone = False

    @property
    def state(self) -> State:
        """What has been agreed on."""
        return self.protocol.state

    def feed(self, data: bytes) -> None:
        """Receive ``data`` and serve what is complete, unless the session is over."""
        protocol = self.protocol
        if protocol.ended or self.gone:
            return
        protocol.receive(data)
        if protocol.flooded:
            protocol.hang_up(421, "This command has no end; closing.")
        while protocol.has_command and not self.gone:
            action = protocol.step()
            while action is not None:
                action = self._do(action)
        self.out += protocol.take_output()

    def _do(self, action: Action) -> Action | None:
        protocol, dice = self.protocol, self._dice
        match action:
            case CheckPassword():
                if dice.random() < 0.3:
                    return protocol.password_refused()
                letters = LETTERS if dice.random() < 0.7 else "".join(dice.sample(LETTERS, dice.randrange(8)))
                protocol.password_accepted(
                    Permissions(letters), tls_required=protocol.state.terms.tls == "required", atomic=True, keeps=True
                )
            case Pause():
                protocol.resume()
            case StartTls():
                if dice.random() < 0.1:
                    self.gone = True  # the handshake failed
                else:
                    protocol.tls_started()
                    assert not protocol.has_command, "something sent in clear is obeyed after the handshake"
            case Listen():
                if dice.random() < 0.1:
                    protocol.answer(Reply(425, ("No data port.",)))
                else:
                    protocol.listening("127.0.0.1", dice.randrange(1024, 65536))
            case FileTask():
                self._perform(action)
            case Transfer():
                self._transfer(action)
            case HashFile():
                self._hash(action)
            case HangUp():
                assert protocol.ended
        return None

    def _perform(self, task: FileTask) -> None:
        try:
            reply = perform(task, self._files, self.state, lambda: 0)
        except (LogferryError, OSError) as error:
            reply = refusal(error, task.path)
        self.protocol.answer(reply)

    def _hash(self, wanted: HashFile) -> None:
        try:
            self._files.stat(wanted.ranges[0].path)
            reply = Reply(213, (f"{wanted.algorithm} 0-1 00 {wanted.ranges[0].path}",))
        except (LogferryError, OSError) as error:
            reply = refusal(error, wanted.ranges[0].path)
        self.protocol.answer(reply)

    def _transfer(self, task: Transfer) -> None:
        protocol, dice = self.protocol, self._dice
        assert self.state.user, "a transfer without a login"
        assert self.state.private_data or not self.state.tls_required, "a transfer in clear"
        try:
            if task.verb in ("LIST", "NLST", "MLSD"):
                for row in rows(task.verb, task.path, task.prefix, task.options, self._files, self.state, lambda: 0):
                    row.encode("utf-8", "surrogateescape")
                    assert "\r" not in row, "a name forges a line"
                    assert "\n" not in row, "a name forges a line"
            else:
                self._files.stat(task.path)
        except (LogferryError, OSError) as error:
            protocol.answer(refusal(error, task.path))
            return
        protocol.preliminary(Reply(150, ("Ready for data.",)))
        if protocol.abort_requested:
            protocol.answer(Reply(426, ("Aborted.",)))
        else:
            protocol.answer(Reply(*dice.choice([(226, ("Done.",)), (426, ("Reset.",)), (452, ("Full.",))])))
