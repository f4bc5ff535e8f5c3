"""The client's control connection: a socket around the sans-IO protocol, every wait bounded."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections import deque

from logferry.clock import Clock
from logferry.errors import Busy, Refused, TimedOut, Unreachable
from logferry.ftp.client_tls import ClientTls, handshake_failed, shake_hands
from logferry.ftp.cut import Cutter
from logferry.ftp.dial import Address, dial
from logferry.ftp.protocol.client import Answer, ClientProtocol, Command
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.waiting import wait
from logferry.limits import FTP_SETTLE_S, FTP_TLS_SESSION_S_MAX

_RECEIVE_BYTES = 16 * 1024


class ControlConnection:
    """Sends commands, hands out answers in order. After any error of the network it is of no more use: ``cut`` it."""

    def __init__(self, host: str, port: int, *, timeout_s: float, cutter: Cutter, clock: Clock) -> None:
        """Connect. Raises Unreachable, TimedOut, Aborted."""
        self.where = f"{host}:{port}"
        self._timeout_s = timeout_s
        self._cutter = cutter
        self._clock = clock
        self._protocol = ClientProtocol()
        self._inbox: deque[Answer] = deque()
        self._outgoing = bytearray()
        self._secured_s = 0.0
        self._unsettled = False
        self._session: ssl.SSLSession | None = None
        self.sock: socket.socket = dial(host, port, timeout_s=timeout_s, cutter=cutter, clock=clock)
        self.family = self.sock.family
        try:
            self.peer: Address = self.sock.getpeername()
        except OSError as error:  # it was accepted and reset at once, as by a server that just died
            self.sock.close()
            raise Unreachable(f"{self.where} closed the connection", hint="connect again") from error

    # State -----------------------------------------------------------------------------------------------------------

    @property
    def encrypted(self) -> bool:
        return isinstance(self.sock, ssl.SSLSocket)

    def trust_restarts(self) -> None:
        """The server announced that a restart position never outlives its transfer."""
        self._protocol.restarts_end = True

    def tls_session(self) -> ssl.SSLSession | None:
        """The session data connections take over; its ticket came behind the handshake (TLS 1.3).

        Kept, because asking for it copies it, certificate and all: a third of a millisecond.
        """
        if self._session is None and isinstance(self.sock, ssl.SSLSocket):
            self._session = self.sock.session
        return self._session

    def forget_tls_session(self) -> None:
        """The server did not take it: ask for the newest next time."""
        self._session = None

    @property
    def worn(self) -> bool:
        """No transfer may start here any more: a reply or a restart position is pending, or the TLS ticket is old."""
        if self._protocol.restart_doubtful or self._unsettled:
            return True
        return self.encrypted and self._clock.monotonic_s() - self._secured_s > FTP_TLS_SESSION_S_MAX

    @property
    def owed(self) -> bool:
        """Replies to commands that were sent are still due, or wait to be taken."""
        return self._protocol.waiting > 0 or bool(self._inbox)

    @property
    def idle(self) -> bool:
        """No command is on its way, and the next one may be sent."""
        return not self.owed and not self._protocol.closing

    # Talking ---------------------------------------------------------------------------------------------------------

    def command(self, verb: str, argument: str = "", *, patience_s: float = 0.0) -> Reply:
        """Send a command, return its final reply. Raises BadName, Unreachable, TimedOut, Busy, Aborted."""
        self.send((verb, argument))
        return self.final(patience_s=patience_s)

    def send(self, *commands: Command) -> None:
        """Send commands in one go; their answers come in this order. Raises BadName, Unreachable, TimedOut, Aborted."""
        self.queue(*commands)
        self.flush()

    def queue(self, *commands: Command) -> int:
        """Put commands where the next ``flush`` takes them from; return their bytes. Raises BadName."""
        data = self._protocol.send(*commands)
        self._outgoing += data
        return len(data)

    def flush(self) -> None:
        """Send what is queued. Raises Unreachable, TimedOut, Aborted."""
        data = memoryview(bytes(self._outgoing))
        self._outgoing.clear()
        try:
            while data:
                try:
                    data = data[self.sock.send(data) :]
                except (BlockingIOError, ssl.SSLWantWriteError):
                    self._await(write=True)
                except ssl.SSLWantReadError:
                    self._await(read=True)
        except OSError as error:
            raise self._lost(error) from error

    def keep_alive(self) -> None:
        """During a transfer: a NOOP whose answer nobody waits for. Raises Unreachable, TimedOut, Aborted."""
        self._outgoing += self._protocol.keep_alive()
        self.flush()

    def final(self, *, patience_s: float = 0.0) -> Reply:
        """The next final reply; preliminary ones before it are passed over."""
        while (answer := self.next(patience_s=patience_s)).reply.preliminary:
            continue
        return answer.reply

    def settle(self) -> None:
        """Take the reply to a transfer given up out of the way of the next command.

        It says nothing new, so it is not waited for long: without it the connection is worn.
        """
        try:
            self.final(patience_s=min(FTP_SETTLE_S - self._timeout_s, 0.0))
        except (TimedOut, Unreachable, Busy):
            self._unsettled = True

    def next(self, *, patience_s: float = 0.0) -> Answer:
        """The next answer, waited for as long as the time-out and ``patience_s`` together.

        Raises Unreachable, TimedOut, Busy, Aborted.
        """
        if self._inbox:
            return self._inbox.popleft()
        limit_s = self._timeout_s + patience_s
        end = 0.0
        while not self._inbox:
            if not self.pump():
                now = self._clock.monotonic_s()
                end = end or now + limit_s
                try:
                    self._await(read=True, timeout_s=end - now)
                except OSError as error:
                    raise self._lost(error) from error
        return self._inbox.popleft()

    def peek(self) -> Answer | None:
        """The answer ``next`` would return at once, if there is one."""
        return self._inbox[0] if self._inbox else None

    def pump(self) -> bool:
        """Take in what has come, without waiting; False when nothing had. Raises Unreachable, Busy, Aborted."""
        try:
            data = self.sock.recv(_RECEIVE_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError as error:
            raise self._lost(error) from error
        if not data:
            self._cutter.check()
            raise Unreachable(f"{self.where} closed the connection", hint="connect again")
        self._inbox.extend(self._protocol.receive(data))
        return True

    def start_tls(self, tls: ClientTls) -> None:
        """After 234, or first of all where TLS is implicit: shake hands.

        Raises Unreachable, TimedOut, Refused (certificate), Aborted.
        """
        self._protocol.begin_tls()
        if self._inbox:
            raise Unreachable(f"{self.where} sent replies nobody asked for before the TLS handshake")
        plain = self.sock
        try:
            sock = tls.wrap(plain)
            self._cutter.replace(plain, sock)
            self.sock = sock
            shake_hands(sock, timeout_s=self._timeout_s, clock=self._clock)
        except OSError as error:
            self._cutter.check()
            raise handshake_failed(error, self.where) from error
        tls.verify(sock, self.where)
        self._secured_s = self._clock.monotonic_s()

    # Ending ----------------------------------------------------------------------------------------------------------

    def quit(self) -> None:
        """Say goodbye if the connection still allows it, then close. Never raises for a network that is gone."""
        if self.idle and not self._cutter.is_cut:
            with contextlib.suppress(Unreachable, TimedOut, Refused):
                self._timeout_s = min(self._timeout_s, 2.0)
                self.send(("QUIT", ""))
                self.final()
        self.cut()

    def cut(self) -> None:
        """Close at once."""
        self._cutter.release(self.sock)
        self.sock.close()

    def _await(self, *, read: bool = False, write: bool = False, timeout_s: float | None = None) -> None:
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        if limit_s <= 0 or not wait(
            read=[self.sock] if read else [], write=[self.sock] if write else [], timeout_s=limit_s
        ):
            raise TimeoutError(f"{self.where} did not answer in time")

    def _lost(self, error: OSError) -> Unreachable | TimedOut:
        self._cutter.check()
        if isinstance(error, TimeoutError):
            return TimedOut(
                f"{self.where} did not answer in time", hint="is the server overloaded or the network down?"
            )
        return Unreachable(f"the connection to {self.where} broke: {error.strerror or error}", hint="connect again")
