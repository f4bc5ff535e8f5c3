"""Certificate pins: what a client compares instead of asking a certificate authority."""

from __future__ import annotations

import hashlib


def certificate_pin(certificate_der: bytes) -> str:
    """``sha256/<64 hexadecimal digits>`` of a certificate in DER form."""
    return f"sha256/{hashlib.sha256(certificate_der).hexdigest()}"
