"""TLS for clients: certificates checked by pin or by authority, sessions taken over, ends announced."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass

from logferry.clock import SYSTEM, Clock
from logferry.errors import BadConfig, Refused, TimedOut, Unreachable
from logferry.ftp.cut import Cutter
from logferry.ftp.dial import dial
from logferry.ftp.fingerprint import certificate_pin
from logferry.ftp.portable import tell_cut_ends
from logferry.ftp.waiting import wait

_PIN = re.compile(r"sha256/[0-9a-f]{64}")


def checked_pins(pins: tuple[str, ...]) -> tuple[str, ...]:
    """Pins in lower case. Raises BadConfig for what is no ``sha256/<64 hexadecimal digits>``."""
    lowered = tuple(pin.strip().lower() for pin in pins)
    for pin in lowered:
        if not _PIN.fullmatch(pin):
            raise BadConfig(f"{pin[:80]!r} is not a certificate pin", hint="sha256/ and 64 hexadecimal digits")
    return lowered


def client_context(*, pins: tuple[str, ...] = (), ca_file: str = "") -> ssl.SSLContext:
    """TLS 1.2 or newer. With pins the pin decides and no authority is asked; otherwise ``ca_file`` or the system's.

    The caller of a context with pins must call ``check_pin`` after every full handshake.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    tell_cut_ends(context)
    if pins:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BadConfig(f"cannot read certificates from {ca_file}: {error}", hint="a file in PEM form") from error
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def check_pin(sock: ssl.SSLSocket, pins: tuple[str, ...], where: str) -> None:
    """Raise Refused, naming the pin found, unless the certificate has one of ``pins``. No pins: nothing to check."""
    if not pins:
        return
    certificate = sock.getpeercert(binary_form=True)
    found = certificate_pin(certificate) if certificate else "none"
    if found not in pins:
        raise Refused(
            f"the certificate of {where} has the pin {found}, expected {' or '.join(pins)}",
            hint="if the server has a new certificate, set its pin; if not, somebody stands in between",
        )


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How one client talks TLS to one server. All its connections share the context, so sessions can be taken over."""

    context: ssl.SSLContext
    server_name: str
    pins: tuple[str, ...] = ()

    @classmethod
    def make(cls, server_name: str, *, pins: tuple[str, ...] = (), ca_file: str = "") -> ClientTls:
        """Raises BadConfig for a wrong pin or an unreadable ``ca_file``."""
        pins = checked_pins(pins)
        return cls(client_context(pins=pins, ca_file=ca_file), server_name, pins)

    def wrap(self, sock: socket.socket, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        """``sock`` (non-blocking) as a TLS socket whose handshake is still to be done.

        A peer that closes without announcing it raises an SSLError when read: that is how a cut file looks.
        """
        return self.context.wrap_socket(
            sock,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
            server_hostname=self.server_name,
            session=session,
        )

    def verify(self, sock: ssl.SSLSocket, where: str) -> None:
        """Check the pin after the handshake. A session taken over was checked when it began. Raises Refused."""
        if not sock.session_reused:
            check_pin(sock, self.pins, where)


def shake_hands(sock: ssl.SSLSocket, *, timeout_s: float, clock: Clock = SYSTEM) -> None:
    """Do the handshake on a non-blocking socket, all of it within ``timeout_s``, however slowly its bytes drip in.

    Raises OSError (ssl.SSLError among them), TimeoutError.
    """
    end = clock.monotonic_s() + timeout_s
    while True:
        left = end - clock.monotonic_s()
        try:
            sock.do_handshake()
            return
        except ssl.SSLWantReadError:
            ready = wait(read=[sock], timeout_s=left) if left > 0 else []
        except ssl.SSLWantWriteError:
            ready = wait(write=[sock], timeout_s=left) if left > 0 else []
        if not ready:
            raise TimeoutError("the TLS handshake took too long")


def handshake_failed(error: OSError, where: str) -> Refused | Unreachable | TimedOut:
    """The error to raise for a handshake that failed with ``error``."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused(
            f"the certificate of {where} is not trusted: {error.verify_message}",
            hint="give its pin, or the file of the authority that signed it",
        )
    if isinstance(error, TimeoutError):
        return TimedOut(f"the TLS handshake with {where} took too long")
    return Unreachable(f"the TLS handshake with {where} failed: {error}", hint="does the server speak TLS 1.2 or 1.3?")


def say_end(sock: ssl.SSLSocket, *, timeout_s: float) -> None:
    """Announce that no more bytes follow (close_notify), without waiting for the other side to do the same.

    Raises OSError, TimeoutError.
    """
    while True:
        try:
            sock.unwrap()
            return
        except ssl.SSLWantReadError:
            return  # ours is sent; theirs need not be here yet
        except ssl.SSLWantWriteError:
            if not wait(write=[sock], timeout_s=timeout_s):
                raise TimeoutError("the end of the upload could not be sent") from None


def open_tls(
    host: str,
    port: int,
    *,
    pins: tuple[str, ...] = (),
    ca_file: str = "",
    timeout_s: float = 30.0,
    cutter: Cutter | None = None,
    clock: Clock = SYSTEM,
) -> ssl.SSLSocket:
    """A verified TLS connection, blocking with ``timeout_s`` per call: for HTTPS to a server known by its pin.

    Raises Unreachable, TimedOut, Refused (certificate), BadConfig (pin or file).
    """
    tls = ClientTls.make(host, pins=pins, ca_file=ca_file)
    cutter = cutter or Cutter()
    raw = dial(host, port, timeout_s=timeout_s, cutter=cutter, clock=clock)
    cutter.release(raw)
    sock = tls.wrap(raw)
    try:
        shake_hands(sock, timeout_s=timeout_s)
        tls.verify(sock, f"{host}:{port}")
        sock.settimeout(timeout_s)
    except OSError as error:
        sock.close()
        raise handshake_failed(error, f"{host}:{port}") from error
    except Refused:
        sock.close()
        raise
    return sock
