"""The provider's public keys, and whether one of them signed a token. Pure.

Only signatures with a key pair count: a token that says ``none``, or one "signed" with the public key as if it were a
shared secret, is refused before any key is looked at.
"""

from __future__ import annotations

import base64
import binascii
import json
import warnings
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from logferry.errors import NotSignedIn
from logferry.limits import OIDC_BYTES_MAX, OIDC_KEYS_MAX, OIDC_RSA_BITS_MIN

ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA", "Ed25519"),
}
"""By the kind of key: how it may have signed."""
_ALLOWED = tuple(name for names in ALGORITHMS.values() for name in names)
_HEADER_BYTES_MAX = 8 * 1024

# RFC 9864 wants Ed25519 called so; providers still say EdDSA, and it is as good.
warnings.filterwarnings("ignore", message="EdDSA is deprecated")

PublicKey = RSAKey | ECKey | OKPKey


class KeyUnknown(NotSignedIn):
    """None of the keys that are known signed it. Ask the provider for its keys again: it may have changed them."""


class Keys:
    """The keys of a JWK set that sign. What is no such key is left out, as RFC 7517, 5 has it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        listed = document.get("keys")
        found = [_key(one) for one in listed[:OIDC_KEYS_MAX]] if isinstance(listed, list) else []
        self._keys = [key for key in found if key is not None]

    def __len__(self) -> int:
        return len(self._keys)

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of the keys signed.

        Raises:
            KeyUnknown: none of them did.
            NotSignedIn: it is no signed token, or signed in a way that proves nothing.
        """
        registry = jws.JWSRegistry(algorithms=_ALLOWED, strict_check_header=False)
        registry.max_header_length = _HEADER_BYTES_MAX
        registry.max_payload_length = OIDC_BYTES_MAX
        try:
            found = jws.extract_compact(token.encode("ascii"), registry=registry)
            header = found.headers()
        except (JoseError, ValueError, RecursionError) as error:
            raise _wrong("it is no signed token") from error
        algorithm = header.get("alg")
        kind = next((kind for kind, names in ALGORITHMS.items() if algorithm in names), None)
        if kind is None:
            raise _wrong("it is not signed with a key pair")
        for key in self._fitting(kind, str(algorithm), header.get("kid")):
            try:
                if jws.validate_compact(found, key, registry=registry):
                    return _object(found.payload)
            except (JoseError, ValueError):
                continue  # of another curve, for example: that key did not sign it
        raise KeyUnknown("the provider's answer does not hold: its signature is wrong", hint="try again")

    def _fitting(self, kind: str, algorithm: str, kid: object) -> list[PublicKey]:
        keys = [key for key in self._keys if key.key_type == kind and key.get("alg") in (None, algorithm)]
        return keys if kid is None else [key for key in keys if key.get("kid") == kid]


def _key(listed: object) -> PublicKey | None:
    if not isinstance(listed, dict) or listed.get("kty") not in ALGORITHMS or listed.get("use", "sig") != "sig":
        return None
    public: dict[str, str | list[str]] = {
        name: value for name, value in listed.items() if name in _PUBLIC and isinstance(value, str)
    }
    if public["kty"] == "RSA" and _bits(str(public.get("n", ""))) < OIDC_RSA_BITS_MIN:
        return None
    try:
        key = import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, (RSAKey, ECKey, OKPKey)) else None


def _bits(text: str) -> int:
    """How long a number is that a key has as text."""
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big").bit_length()
    except (binascii.Error, ValueError):
        return 0


_PUBLIC = frozenset({"kty", "kid", "alg", "use", "n", "e", "crv", "x", "y"})


def _object(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise _wrong("it is no JSON") from error
    if not isinstance(claims, dict):
        raise _wrong("it claims nothing")
    return claims


def _wrong(why: str) -> NotSignedIn:
    return NotSignedIn(f"the provider's answer does not hold: {why}", hint="the provider has to sign with a key pair")
