"""One data connection of a client: connect, secure, send or receive, end it so that the server can tell whole from cut.

While it moves bytes it listens to the control connection too: a server that refuses or gives up says so there, and may
never touch the data connection again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable

from logferry.clock import Clock
from logferry.errors import TimedOut, Unreachable
from logferry.ftp.client_control import ControlConnection
from logferry.ftp.client_tls import ClientTls, handshake_failed, say_end
from logferry.ftp.cut import Cutter
from logferry.ftp.dial import Address, connect
from logferry.ftp.portable import RESET_ON_CLOSE, is_cut_end
from logferry.ftp.sending import SendSource
from logferry.ftp.throttle import Pacer
from logferry.ftp.waiting import wait
from logferry.limits import FTP_DATA_BLOCK_BYTES, FTP_SENDFILE_BYTES

Progress = Callable[[int], object]
"""Called with the bytes moved so far."""
_NO_SENDFILE = not hasattr(os, "sendfile")
_SOCKET_TROUBLE = (errno.EAGAIN, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)


class Refusal(Exception):
    """The final reply to the transfer came before its bytes were through: read it. Never leaves the client."""


class DataConnection:
    """Use it once, then ``close`` (all went well) or ``reset`` (the server must not believe that it has all)."""

    def __init__(
        self,
        control: ControlConnection,
        port: int,
        *,
        timeout_s: float,
        cutter: Cutter,
        clock: Clock,
        rate: Pacer | None = None,
        wait_for_it: bool = True,
        keep_alive_s: float = 0.0,
    ) -> None:
        """Connect to ``port`` of the machine the control connection leads to. Raises Unreachable, TimedOut, Aborted.

        Without ``wait_for_it`` a connection that fails is noticed with the first byte only. ``keep_alive_s`` above zero
        sends a NOOP on the control connection that often.
        """
        self._control = control
        self._timeout_s = timeout_s
        self._cutter = cutter
        self._clock = clock
        self._rate = rate
        self._keep_alive_s = keep_alive_s
        self._heard_s = clock.monotonic_s() if keep_alive_s else 0.0
        self._where = f"data port {port} of {control.where}"
        address: Address = (control.peer[0], port, *control.peer[2:])
        try:
            self._sock: socket.socket = connect(
                control.family, address, timeout_s=timeout_s, cutter=cutter, wait_for_it=wait_for_it
            )
        except OSError as error:
            raise self._lost(error) from error

    def secure(self, tls: ClientTls) -> None:
        """Shake hands, taking over the control connection's session. Raises Unreachable, TimedOut, Refused, Refusal."""
        plain = self._sock
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock = tls.wrap(plain, self._control.tls_session())
            self._cutter.replace(plain, sock)
            self._sock = sock
            self._until_ready(sock.do_handshake, within_s=self._timeout_s)
        except OSError as error:
            self._cutter.check()
            raise handshake_failed(error, self._where) from error
        if not sock.session_reused:
            self._control.forget_tls_session()
        tls.verify(sock, self._where)

    # Sending ---------------------------------------------------------------------------------------------------------

    def send(self, source: SendSource, progress: Progress | None = None) -> None:
        """Send exactly the bytes of ``source``.

        Raises Conflict (the source shrank), Refused (it cannot be read), Refusal, Unreachable, TimedOut, Aborted.
        """
        done = 0
        send_some = self._send_block if isinstance(self._sock, ssl.SSLSocket) or _NO_SENDFILE else self._send_file
        while done < source.length:
            part = done + self._allowed(source.length - done)
            while done < part:
                done += send_some(source, done, part - done)
            if self._keep_alive_s:
                self._keep_alive()
            if progress is not None:
                progress(done)
        source.check_end()

    def _send_file(self, source: SendSource, done: int, count: int) -> int:
        """From the file to the socket without passing through here."""
        descriptor = source.descriptor
        if descriptor is None:
            return self._send_block(source, done, count)
        sock, start = self._sock.fileno(), source.offset + done

        def step() -> int:
            try:
                return os.sendfile(sock, descriptor, start, count)
            except OSError as error:
                if isinstance(error, ConnectionError) or error.errno in _SOCKET_TROUBLE:
                    raise
                return -1  # this file cannot be sent so, or not be read: by hand it works or says why

        sent = self._until_ready(step)
        if sent < 0:
            return self._send_block(source, done, count)
        if sent == 0:
            raise source.shrank(done)
        return sent

    def _send_block(self, source: SendSource, done: int, count: int) -> int:
        block = source.block(done, count)
        rest = block
        while rest:
            rest = rest[self._until_ready(lambda: self._sock.send(rest)) :]  # noqa: B023 - called at once
        return len(block)

    def _allowed(self, left: int) -> int:
        """How much may go now; sleeps where there is a rate."""
        if self._rate is None:
            return min(left, FTP_SENDFILE_BYTES)
        count = min(left, self._rate.block_bytes)
        wait_s = self._rate.take(count)
        if wait_s > 0:
            self._cutter.sleep(self._clock, wait_s)
        return count

    def finish_sending(self) -> None:
        """Tell the server that nothing follows: close_notify where encrypted, FIN where not."""
        if not isinstance(self._sock, ssl.SSLSocket):
            self.close()
            return
        # The reply on the control connection decides; a server that hung up right after the last byte is fine.
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            say_end(self._sock, timeout_s=self._timeout_s)
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_WR)

    def _say_end_of_reading(self) -> None:
        """Answer the server's end with ours: TLS 1.2 wants it, and ProFTPD keeps its reply back until it has it."""
        if isinstance(self._sock, ssl.SSLSocket):
            self.finish_sending()
            return
        with contextlib.suppress(OSError):  # gone already: the reply says whether all is well
            self._sock.shutdown(socket.SHUT_WR)

    # Receiving -------------------------------------------------------------------------------------------------------

    def receive(self, sink: Callable[[memoryview], object], *, whole: Callable[[int], bool]) -> int:
        """Hand every block to ``sink`` until the server ends; return the number of bytes.

        An encrypted stream that stops without close_notify was cut by somebody, unless ``whole(count)`` knows better.

        Raises Unreachable, TimedOut, Refusal, Aborted, and whatever ``sink`` raises.
        """
        buffer = memoryview(bytearray(FTP_DATA_BLOCK_BYTES))
        done = 0
        while True:
            limit = min(self._rate.block_bytes, len(buffer)) if self._rate else len(buffer)
            try:
                count = self._until_ready(lambda: self._sock.recv_into(buffer[:limit]), reading=True)  # noqa: B023
            except _CutShort:
                if whole(done):
                    return done
                raise Unreachable(f"{self._where} was cut after {done} bytes", hint="try again") from None
            if count == 0:
                self._cutter.check()
                self._say_end_of_reading()
                return done
            sink(buffer[:count])
            done += count
            if self._keep_alive_s:
                self._keep_alive()
            if self._rate is not None and (wait_s := self._rate.take(count)) > 0:
                self._cutter.sleep(self._clock, wait_s)

    # Ending ----------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close after the final reply.

        What the server sent meanwhile (its close_notify, tickets) is read first: closing over unread bytes is a reset.
        """
        if isinstance(self._sock, ssl.SSLSocket):
            with contextlib.suppress(OSError):  # nothing there, or gone: closing is all that is left to do
                while socket.socket.recv(self._sock, FTP_DATA_BLOCK_BYTES):
                    continue
        self._cutter.release(self._sock)
        self._sock.close()

    def reset(self) -> None:
        """Close with a reset: nothing that was sent counts as complete."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._cutter.release(self._sock)
        self._sock.close()

    # Waiting ---------------------------------------------------------------------------------------------------------

    def _keep_alive(self) -> None:
        """Show those in between (NAT, firewalls) that the control connection lives, though all its bytes go here."""
        now = self._clock.monotonic_s()
        if now - self._heard_s >= self._keep_alive_s:
            self._heard_s = now
            self._control.keep_alive()

    def _until_ready(
        self, step: Callable[[], int | None], *, reading: bool = False, within_s: float | None = None
    ) -> int:
        """Repeat ``step`` until the socket lets it through; ``within_s`` bounds all the waits together."""
        end = None if within_s is None else self._clock.monotonic_s() + within_s
        while True:
            try:
                return step() or 0
            except ssl.SSLWantReadError:
                self._await(read=True, end=end)
            except ssl.SSLWantWriteError:
                self._await(read=False, end=end)
            except BlockingIOError:
                self._await(read=reading)
            except OSError as error:
                if reading and is_cut_end(error):
                    raise _CutShort from error
                raise self._lost(error) from error

    def _await(self, *, read: bool, end: float | None = None) -> None:
        """Wait for the data connection while the control connection may speak up."""
        data, control = self._sock, self._control.sock
        if end is None:
            end = self._clock.monotonic_s() + self._timeout_s
        if self._control.peek() is not None:  # the verdict came in one packet with the 150
            self._check_refusal(reading=read)
        while True:
            left = end - self._clock.monotonic_s()
            reads = [control, data] if read else [control]
            ready = wait(read=reads, write=[] if read else [data], timeout_s=left) if left > 0 else []
            if not ready:
                self._cutter.check()
                raise TimedOut(f"{self._where} moved no byte for {self._timeout_s:g} s", hint="is the server stuck?")
            if control.fileno() in ready:
                self._control.pump()
                self._check_refusal(reading=read)
            if data.fileno() in ready:
                return

    def _check_refusal(self, *, reading: bool) -> None:
        """A final reply ends the transfer; but while receiving a good one may just have overtaken the last bytes."""
        while (answer := self._control.peek()) is not None and answer.reply.preliminary:
            self._control.next()
        if answer is not None and not (reading and answer.reply.completed):
            raise Refusal

    def _lost(self, error: OSError) -> Unreachable | TimedOut:
        self._cutter.check()
        if isinstance(error, TimeoutError):
            return TimedOut(f"{self._where} did not answer in time", hint="does a firewall block passive ports?")
        if error.errno == errno.ECONNREFUSED:
            return Unreachable(f"{self._where} refuses connections", hint="does a firewall block passive ports?")
        return Unreachable(f"{self._where} broke: {error.strerror or error}", hint="try again")


class _CutShort(Exception):
    """An encrypted stream ended without saying so."""
