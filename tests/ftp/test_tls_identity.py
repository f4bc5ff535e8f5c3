"""Certificates: made when missing, kept when there, bad ones named."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from logferry.errors import BadConfig
from logferry.ftp import TlsIdentity
from logferry.ftp.fingerprint import certificate_pin


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    """The key is private, the names are in the certificate, the second time it is the same."""
    made = TlsIdentity.ensure(str(tmp_path / "tls"), names=["logs.example", "192.0.2.7"])
    assert stat.S_IMODE(Path(made.key_path).stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate(Path(made.certificate_path).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "logs.example" in names.get_values_for_type(x509.DNSName)
    assert "192.0.2.7" in [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    again = TlsIdentity.ensure(str(tmp_path / "tls"), names=["other"])
    assert again.pin == made.pin == certificate_pin(ssl.PEM_cert_to_DER_cert(Path(made.certificate_path).read_text()))


def test_a_bad_certificate_is_named(tmp_path: Path) -> None:
    """Which file, and what is wrong."""
    path = tmp_path / "bad.pem"
    path.write_text("nonsense")
    identity = TlsIdentity(str(path), str(path))
    with pytest.raises(BadConfig, match=r"bad\.pem"):
        _ = identity.pin
    with pytest.raises(BadConfig, match=r"bad\.pem"):
        identity.server_context()
    with pytest.raises(BadConfig, match="missing"):
        _ = TlsIdentity(str(tmp_path / "missing"), "x").pin
