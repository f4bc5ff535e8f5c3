"""A sign-in on its way to a provider and back. Pure: everything comes from one secret that the browser keeps.

What goes into the address (state, nonce, challenge) tells nothing of that secret, and binds when the sign-in began and
where it leads: whoever has another secret, or changed either, has another state.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from logferry.limits import OIDC_NEXT_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Trip:
    """``secret`` is 256 random bits as text; ``target`` is where the browser goes afterwards."""

    secret: str
    began_s: int
    target: str

    @property
    def state(self) -> str:
        """Comes back with the answer: it belongs to this browser's sign-in."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """Stands in the ID token: it was made for this sign-in."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """Shown to the provider with the code (RFC 7636): we are who began."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """The digest of ``verifier``, shown before."""
        return _text(hashlib.sha256(self.verifier.encode("ascii")).digest())

    def _derived(self, purpose: str) -> str:
        text = f"{purpose}\0{self.began_s}\0{self.target}".encode()
        return _text(hmac.digest(self.secret.encode(), text, "sha256"))

    def cookie(self) -> str:
        """What the browser keeps."""
        return f"{self.secret}.{self.began_s}.{_text(self.target.encode())}"


def trip_in(cookie: str) -> Trip | None:
    """The sign-in that a browser keeps; None where it keeps none that we gave it."""
    secret, _, rest = cookie.partition(".")
    began, _, target = rest.partition(".")
    if not secret or not began.isascii() or not began.isdigit() or len(began) > 12:
        return None
    try:
        where = base64.urlsafe_b64decode(target + "=" * (-len(target) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    return Trip(secret, int(began), where)


def begun(secret: str, now_s: float, target: str) -> Trip:
    """A sign-in that begins now."""
    return Trip(secret, int(now_s), target if len(target.encode()) <= OIDC_NEXT_BYTES_MAX else "/")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
