"""A shell around the server's protocol core that does nothing, for tests of the core alone."""

from __future__ import annotations

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
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.server import ServerProtocol
from logferry.ftp.protocol.state import Terms, TlsPolicy

_CODES = {"AVBL": 213, "CHMOD": 200, "MDTM": 213, "MFMT": 213, "MKD": 257, "RNFR": 350, "SIZE": 213, "STAT": 213}


class Shell:
    """Does what the core asks, without doing anything: everything succeeds unless ``fail`` names the verb."""

    def __init__(
        self,
        tls: TlsPolicy = "explicit",
        *,
        permissions: str = "elradfmwMT",
        fail: str = "",
        active: bool = False,
        hosts: tuple[str, ...] = (),
    ) -> None:
        terms = Terms(tls=tls, active=active, hosts=hosts)
        self.protocol = ServerProtocol(terms, secure=tls == "implicit", peer="127.0.0.1")
        self.permissions = Permissions(permissions)
        self.fail = fail
        self.actions: list[Action] = []
        assert self.protocol.take_output().startswith(b"220 ")

    def feed(self, data: bytes, *, single: bool = False) -> str:
        """Replies to ``data``, as it went over the wire."""
        pieces = [data[i : i + 1] for i in range(len(data))] if single else [data]
        out = b""
        for piece in pieces:
            self.protocol.receive(piece)
            while self.protocol.has_command:
                action = self.protocol.step()
                while action is not None:
                    action = self._do(action)
            out += self.protocol.take_output()
        return out.decode("utf-8", "surrogateescape")

    def _do(self, action: Action) -> Action | None:
        self.actions.append(action)
        protocol = self.protocol
        match action:
            case CheckPassword(password=password):
                if password == "wrong":
                    return protocol.password_refused()
                protocol.password_accepted(self.permissions, tls_required=protocol.state.tls_required, atomic=True)
            case Pause():
                protocol.resume()
            case StartTls():
                protocol.tls_started()
            case Listen():
                protocol.listening("127.0.0.1", 40_000)
            case FileTask(verb=verb):
                protocol.answer(Reply(550 if verb == self.fail else _CODES.get(verb, 250), ("done",)))
            case HashFile(verb=verb):
                code = 213 if verb == "HASH" else 250
                protocol.answer(Reply(code if "r" in self.permissions else 550, ("done",)))
            case Transfer():
                protocol.preliminary(Reply(150, ("go",)))
                protocol.answer(Reply(226, ("done",)))
            case HangUp():
                assert protocol.ended
        return None


def codes(replies: str) -> str:
    """``220 331``: the last line of each reply."""
    return " ".join(line[:3] for line in replies.splitlines() if line[:3].isdigit() and line[3:4] == " ")
