"""Certificates and TLS contexts of a server, on the standard library's ``ssl``."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import ssl
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logferry.errors import BadConfig
from logferry.ftp.fingerprint import certificate_pin
from logferry.ftp.portable import sync_folder, tell_cut_ends
from logferry.limits import FTP_TLS_OWNER_S_MAX, FTP_TLS_OWNERS_MAX

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

CERTIFICATE_FILE = "certificate.pem"
KEY_FILE = "key.pem"
CERTIFICATE_DAYS = 3650


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Where a server's certificate chain and private key are, both PEM files."""

    certificate_path: str
    key_path: str

    @classmethod
    def ensure(cls, folder: str, names: Iterable[str] = ()) -> TlsIdentity:
        """The identity in ``folder``; a self-signed ECDSA certificate for ``names`` is made when there is none.

        The key file gets mode 0600. Clients trust such a certificate by its ``pin``.
        """
        identity = cls(os.path.join(folder, CERTIFICATE_FILE), os.path.join(folder, KEY_FILE))
        if not (os.path.exists(identity.certificate_path) and os.path.exists(identity.key_path)):
            os.makedirs(folder, exist_ok=True)
            certificate, key = make_certificate([*names, "localhost", "127.0.0.1", "::1"])
            _write_new(identity.key_path, key, 0o600)
            _write_new(identity.certificate_path, certificate, 0o644)
        return identity

    @property
    def pin(self) -> str:
        """``sha256/<hex>`` of the first certificate: what clients are told to expect."""
        try:
            with open(self.certificate_path, encoding="ascii") as file:
                text = file.read()
            start = text.index("-----BEGIN CERTIFICATE-----")
            end = text.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")
        except (OSError, ValueError) as error:
            raise BadConfig(f"{self.certificate_path} is not a PEM certificate", hint=str(error)) from error
        return certificate_pin(ssl.PEM_cert_to_DER_cert(text[start:end]))

    def server_context(self) -> ssl.SSLContext:
        """A context for accepting connections: TLS 1.2 and later, no compression, no renegotiation.

        Raises:
            BadConfig: certificate or key cannot be read or do not belong together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        tell_cut_ends(context)
        try:
            context.load_cert_chain(self.certificate_path, self.key_path)
        except (OSError, ssl.SSLError) as error:
            raise BadConfig(
                f"certificate {self.certificate_path} or key {self.key_path} cannot be used: {error}",
                hint="both must be PEM files that belong together and be readable",
            ) from error
        return context


def make_certificate(names: Iterable[str], *, days: int = CERTIFICATE_DAYS) -> tuple[bytes, bytes]:
    """A self-signed certificate (ECDSA P-256) for host names and addresses, and its key, both PEM."""
    # Imported here: reading an identity, and every client, works without it.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    listed = list(dict.fromkeys(name for name in names if name))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, listed[0][:64])])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in listed]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key_pem


def _general_name(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_new(path: str, data: bytes, mode: int) -> None:
    """Write a small file so that it is there whole or not at all; never readable wider than ``mode``."""
    partial = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    sync_folder(os.path.dirname(path) or ".")


class ServerContexts:
    """One context for control and data connections, which hands out session tickets on control connections only.

    Clients must resume the control connection's session on data connections, so both share one context (and its
    ticket key). But a ticket that the server sends on a data connection is never read by ordinary upload clients;
    their close then sends a reset, and the tail of the upload is lost. OpenSSL copies ``num_tickets`` into each
    connection when it is made, so it is switched under a lock around each wrap.
    """

    def __init__(self, identity: TlsIdentity) -> None:
        self._context = identity.server_context()
        self._lock = threading.Lock()
        # One ticket, so a control connection has one session by which it is known (see TlsOwners).
        self._context.num_tickets = 1

    @contextlib.contextmanager
    def for_data(self) -> Iterator[ssl.SSLContext]:
        """The context, making connections without tickets while held."""
        with self._lock:
            self._context.num_tickets = 0
            try:
                yield self._context
            finally:
                self._context.num_tickets = 1

    @contextlib.contextmanager
    def for_control(self) -> Iterator[ssl.SSLContext]:
        """The context, making connections with tickets while held."""
        with self._lock:
            yield self._context


Mark = bytes | int
"""A TLS session as ``session_mark`` knows it."""


class TlsOwners:
    """Whose TLS sessions are whose, so that a data connection resumes one of its own user's.

    That a session was resumed says only that the client has once spoken TLS with this server; anybody can. In TLS 1.3
    the resumed session has the id of the ticket it came from. In TLS 1.2 the id is the client's own invention, and the
    moment of the first handshake has to do. Clients share tickets among their connections, so those of all control
    connections of the user count, not only of this one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owners: OrderedDict[Mark, str] = OrderedDict()

    def note(self, mark: Mark | None, user: str = "") -> None:
        """A control connection with the session ``mark`` has TLS, or belongs to ``user`` by now."""
        if mark is None:
            return
        with self._changed:
            self._owners[mark] = user
            self._owners.move_to_end(mark)
            if len(self._owners) > FTP_TLS_OWNERS_MAX:
                self._owners.popitem(last=False)
            self._changed.notify_all()

    def allow(self, data: ssl.SSLSocket, control: Mark | None, user: str) -> bool:
        """Whether ``data`` resumed the session ``control``, or that of another control connection of ``user``.

        A client with several connections may use the ticket of one that is logging in just now; then this waits. It
        may even use it before ``note`` was called: the ticket is out before the server's side of the handshake returns.
        """
        if not data.session_reused:
            return False
        mark = session_mark(data)
        if mark is None:
            return False
        if mark == control:
            return True
        with self._changed:
            self._changed.wait_for(lambda: self._owners.get(mark), FTP_TLS_OWNER_S_MAX)
            return self._owners.get(mark) == user


def session_mark(connection: ssl.SSLSocket) -> Mark | None:
    """By what the session of a connection is known again when it is resumed (see ``TlsOwners``)."""
    session = connection.session
    if session is None:
        return None
    return session.id if connection.version() == "TLSv1.3" else session.time
