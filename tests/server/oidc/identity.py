"""A small OpenID Connect provider: a real HTTP server on the loopback interface with keys and people of its own.

It holds clients to the protocol (client secret, PKCE, one use of a code, the exact way back), and can be told to answer
wrongly in one place at a time.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

Claims = dict[str, Any]
SigningKey = RSAKey | ECKey | OKPKey
CLIENT, SECRET = "logferry", "s3cret/with=signs and ümlaut"
FIRST_RSA = RSAKey.generate_key(2048, {"kid": "one"})
"""Making RSA keys takes long: all providers share these."""
SECOND_RSA = RSAKey.generate_key(2048, {"kid": "two"})


@dataclass
class Twist:
    """What the provider does wrong."""

    claims: Callable[[Claims], Claims] = lambda claims: claims
    sign: Callable[[Claims], str] | None = None
    discovery: Callable[[Claims], Claims] = lambda said: said
    userinfo: Callable[[Claims], Claims] = lambda said: said
    token: Callable[[Claims], Claims] = lambda said: said
    raw: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    """By path: who writes the answer, onto the wire as it is."""


@dataclass
class Grant:
    """A code that was given out."""

    person: str
    asked: dict[str, str]


class Identity:
    """The provider's memory, and what clients asked for."""

    def __init__(self) -> None:
        self.key: SigningKey = FIRST_RSA
        self.algorithm = "RS256"
        self.published: list[SigningKey] = [FIRST_RSA]
        self.people: dict[str, Claims] = {}
        self.in_token = True
        """Whether names and groups stand in the ID token; else they are told on asking."""
        self.twist = Twist()
        self.grants: dict[str, Grant] = {}
        self.bearers: dict[str, str] = {}
        self.paths: list[str] = []
        self.left: list[dict[str, str]] = []
        """What browsers brought that came to sign out."""
        self.issuer = ""

    # What it says ----------------------------------------------------------------------------------------------------

    def discovery(self) -> Claims:
        """The document of the well-known address."""
        return self.twist.discovery(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize?tenant=a",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/leave",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def keys(self) -> Claims:
        """The public keys, and one that means nothing to anybody."""
        published = [key.as_dict(private=False) for key in self.published]
        return {"keys": [{"kty": "odd"}, "no key", *published]}

    def consent(self, address: str, person: str) -> str:
        """``person`` sits at the browser that came to ``address``; where it is sent back to."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert asked["tenant"] == "a"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self.grants[code] = Grant(person, asked)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, Claims]:
        """The answer to a code."""
        pair = base64.b64encode(f"{CLIENT}:{urlencode({'': SECRET})[1:].replace('+', '%20')}".encode()).decode()
        by_form = form.get("client_secret") == SECRET and form.get("client_id") == CLIENT
        if authorization != f"Basic {pair}" and not by_form:
            return 401, {"error": "invalid_client"}
        grant = self.grants.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if (
            grant is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != grant.asked["redirect_uri"]
            or challenge != grant.asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant", "error_description": "that code is <b>not</b> good\u202e"}
        bearer = secrets.token_urlsafe(16)
        self.bearers[bearer] = grant.person
        now = int(time.time())
        about = self.people[grant.person]
        known = about if self.in_token else {"sub": about["sub"]}
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": grant.asked["nonce"]}
        token = self.signed(self.twist.claims({**claims, **known}))
        return 200, self.twist.token({"access_token": bearer, "token_type": "Bearer", "id_token": token})

    def signed(self, claims: Claims) -> str:
        """An ID token."""
        if self.twist.sign is not None:
            return self.twist.sign(claims)
        header = {"alg": self.algorithm, "typ": "JWT"} | ({"kid": self.key.kid} if self.key.kid else {})
        return jwt.encode(header, claims, self.key, algorithms=[self.algorithm])

    def came(self, path: str) -> int:
        """How often ``path`` was asked for."""
        return self.paths.count(path)


class _Desk(BaseHTTPRequestHandler):
    identity: Identity

    def do_GET(self) -> None:
        path, asked = self._asked()
        if self._twisted(path):
            return
        if path == "/.well-known/openid-configuration":
            self._json(200, self.identity.discovery())
        elif path == "/keys":
            self._json(200, self.identity.keys())
        elif path == "/authorize":
            self._page(asked)
        elif path == "/consent":
            self._lead(self.identity.consent(self.path, asked["person"]))
        elif path == "/userinfo":
            person = self.identity.bearers.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
            told = self.identity.twist.userinfo(dict(self.identity.people.get(person or "", {})))
            self._json(200 if person else 401, told)
        elif path == "/leave":
            self.identity.left.append(asked)
            self._lead(asked["post_logout_redirect_uri"])
        else:
            self._json(404, {})

    def do_POST(self) -> None:
        path, _ = self._asked()
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        if not self._twisted(path):
            self._json(*self.identity.redeem(form, self.headers.get("Authorization", "")))

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        self.identity.paths.append(parts.path)
        return parts.path, dict(parse_qsl(parts.query))

    def _twisted(self, path: str) -> bool:
        raw = self.identity.twist.raw.get(path)
        if raw is not None:
            with contextlib.suppress(OSError):  # the client hangs up on what is too much
                raw(self.wfile)
            self.close_connection = True
        return raw is not None

    def _page(self, asked: dict[str, str]) -> None:
        links = "".join(
            f"<p><a href='/consent?{html.escape(urlencode({**asked, 'person': name}))}'>{html.escape(name)}</a></p>"
            for name in self.identity.people
        )
        head = "<!doctype html><html lang=en><title>Provider</title><link rel=icon href='data:,'>"
        page = f"{head}<h1>Who are you?</h1>{links}"
        self._send(200, "text/html", page.encode())

    def _json(self, status: int, body: Claims) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _lead(self, address: str) -> None:
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing: tests look at ``paths``."""


@contextlib.contextmanager
def identity_provider() -> Iterator[Identity]:
    """A provider that is there until the end of the block."""
    identity = Identity()
    desk = type("Desk", (_Desk,), {"identity": identity})
    server = ThreadingHTTPServer(("127.0.0.1", 0), desk)
    identity.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield identity
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def arrive(client: httpx.Client, identity: Identity, person: str, *, at: str = "/login/oidc") -> httpx.Response:
    """Sign in like a browser: the button, the provider, the way back; the answer to the latter."""
    return client.get(back_from(client, identity, person, at=at))


def back_from(client: httpx.Client, identity: Identity, person: str, *, at: str = "/login/oidc") -> str:
    """As ``arrive``, without the last step: the address that the provider sends the browser back to."""
    off = client.get(at)
    assert off.status_code == 303, off.text
    asked = off.headers["location"]
    assert asked.startswith(f"{identity.issuer}/authorize?")
    return identity.consent(asked, person)
