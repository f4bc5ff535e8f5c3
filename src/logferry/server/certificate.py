"""What the server's certificate says: for whom it is, until when, and by which pin clients know it."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from logferry.errors import BadConfig
from logferry.ftp import TlsIdentity

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Certificate:
    """The first certificate of the file at ``path``; times in nanoseconds since 1970."""

    path: str
    names: tuple[str, ...]
    issuer: str
    is_self_made: bool
    """Signed by itself: clients trust it by its pin."""
    not_before_ns: int
    not_after_ns: int
    pin: str

    def days_left(self, now_ns: int) -> int:
        """Whole days until it ends; negative when it has ended."""
        return (self.not_after_ns - now_ns) // (86_400 * _NS)


def certificate_of(identity: TlsIdentity) -> Certificate:
    """Read it. Raises BadConfig."""
    try:
        with open(identity.certificate_path, "rb") as file:
            found = x509.load_pem_x509_certificate(file.read())
    except (OSError, ValueError) as error:
        raise BadConfig(f"{identity.certificate_path} is not a PEM certificate", hint=str(error)) from error
    return Certificate(
        identity.certificate_path,
        _names(found),
        found.issuer.rfc4514_string(),
        found.issuer == found.subject,
        int(found.not_valid_before_utc.timestamp()) * _NS,
        int(found.not_valid_after_utc.timestamp()) * _NS,
        identity.pin,
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Host names and addresses it is for; of an old one without such a list, its subject."""
    try:
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (certificate.subject.rfc4514_string(),)
    return tuple(str(name.value) for name in listed)
