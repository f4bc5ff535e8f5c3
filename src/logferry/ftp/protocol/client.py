"""The client's half of a control connection: commands to bytes, bytes to answers, each answer with its command.

No socket here. The shell sends what ``send`` returns and hands what it receives to ``receive``. Replies come in the
order of the commands, so several commands may be on their way (pipelining).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from logferry.errors import Busy, Unreachable
from logferry.ftp.protocol.command_writer import command_line
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.reply_reader import ReplyReader
from logferry.limits import FTP_COMMANDS_AHEAD_MAX

Command = tuple[str, str]
"""Verb and argument."""
GREETING = "greeting"
"""What the first reply of a connection answers."""
_KEEP_ALIVE = "keep-alive"
"""A NOOP whose answer nobody waits for."""
_KEEP_ALIVES_MAX = 8
"""Without an answer: a server that reads no commands during a transfer has got enough of them."""
_TRANSFERS = frozenset({"STOR", "APPE", "STOU", "RETR", "LIST", "NLST", "MLSD"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply and the verb it belongs to. After a preliminary reply (1yz) another answer to the same verb follows."""

    verb: str
    reply: Reply


class ClientProtocol:
    """State of one control connection, from the greeting on."""

    def __init__(self) -> None:
        self._reader = ReplyReader()
        self._waiting: deque[str] = deque([GREETING])
        self._restart = False
        self._unheeded = 0
        self.restart_doubtful = False
        """A restart position may still be pending on the server: no transfer may start on this connection any more."""

        self.closing = False
        """The server said 421: it hangs up."""

        self.restarts_end = False
        """The server is known to forget a restart position with the transfer it was for, whatever became of it."""

    @property
    def waiting(self) -> int:
        """Commands without their final reply; the greeting counts as one, a ``keep_alive`` does not."""
        return len(self._waiting) - self._unheeded

    def send(self, *commands: Command) -> bytes:
        """Bytes of commands, which from now on wait for their replies.

        Raises:
            BadName: one of them cannot be put on the wire. Nothing has changed.
        """
        assert len(self._waiting) + len(commands) <= FTP_COMMANDS_AHEAD_MAX, "too many commands on their way"
        lines = [command_line(verb, argument) for verb, argument in commands]
        self._waiting.extend(verb.upper() for verb, _ in commands)
        return b"".join(lines)

    def keep_alive(self) -> bytes:
        """Bytes of a NOOP to send during a transfer, or none. Its answer is passed over, whenever it comes."""
        if self._unheeded >= _KEEP_ALIVES_MAX:
            return b""
        self._unheeded += 1
        self._waiting.append(_KEEP_ALIVE)
        return command_line("NOOP")

    def receive(self, data: bytes) -> list[Answer]:
        """Answers that ``data`` completes.

        Raises:
            Busy: the server said 421 on its own and hangs up.
            Unreachable: what came is no reply, or answers nothing: who belongs to whom is lost.
        """
        answers = (self._answer(reply) for reply in self._reader.feed(data))
        return [answer for answer in answers if answer is not None]

    def begin_tls(self) -> None:
        """To be called after 234 and before the handshake.

        Raises:
            Unreachable: bytes came between the reply and the handshake. Whoever sent them was not the encrypted server.
        """
        if not self._reader.empty:
            raise Unreachable("somebody put plain text between AUTH TLS and the handshake", hint="check the network")

    def _answer(self, reply: Reply) -> Answer | None:
        self.closing |= reply.code == 421
        if not self._waiting:
            if reply.code == 421:
                raise Busy(f"the server hung up: 421 {reply.text[:200]}", hint="connect again")
            raise Unreachable(f"the server sent {reply.code} {reply.text[:80]!r} unasked", hint="connect again")
        verb = self._waiting[0]
        if self._unheeded and self._answers_keep_alive(verb, reply):
            return None
        if not reply.preliminary:
            self._waiting.popleft()
            self._follow_restart(verb, reply)
        return Answer(verb, reply)

    def _answers_keep_alive(self, verb: str, reply: Reply) -> bool:
        """Some servers answer a NOOP at once, before the transfer in front of it.

        200 is never a transfer's end, nor is 500 (pure-ftpd knows ABOR only while it receives) behind its 150.
        """
        if verb != _KEEP_ALIVE and not (verb in _TRANSFERS and reply.code in (200, 500)):
            return False
        if not reply.preliminary:
            self._waiting.remove(_KEEP_ALIVE)
            self._unheeded -= 1
        return True

    def _follow_restart(self, verb: str, reply: Reply) -> None:
        """Some servers keep a restart position after an error and apply it to the next transfer; do not let them."""
        if verb == "REST":
            self._restart = True
            self.restart_doubtful |= not reply.intermediate
        elif verb in _TRANSFERS:
            self.restart_doubtful |= self._restart and not reply.completed and not self.restarts_end
            self._restart = False
