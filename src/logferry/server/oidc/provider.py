"""The provider: what it says of itself, its keys, and who it says somebody is."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from logferry.clock import Clock
from logferry.errors import BadConfig, Busy, LogferryError, NotSignedIn, Unreachable
from logferry.limits import OIDC_AGAIN_S, OIDC_AT_ONCE, OIDC_BYTES_MAX, OIDC_KEEP_S, OIDC_S_MAX
from logferry.names import shown
from logferry.server.oidc.claims import Outsider, check_claims, claim_at, outsider
from logferry.server.oidc.config import OidcConfig, checked_endpoint
from logferry.server.oidc.fetch import ask, trusting
from logferry.server.oidc.keys import Keys, KeyUnknown
from logferry.server.oidc.leaving import Leaving, leaving
from logferry.server.oidc.trip import Trip
from logferry.server.secret import secret_in

_WELL_KNOWN = "/.well-known/openid-configuration"
_ADDRESSES = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_MAY_HAVE = ("userinfo_endpoint", "end_session_endpoint")


@dataclass(frozen=True, slots=True)
class Discovered:
    """Where the provider is asked what; empty for what it does not have."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    posts_secret: bool
    """Whether it takes the secret in the form alone, not as Basic authorization."""
    names_itself: bool
    """Whether each of its answers says ``iss`` (RFC 9207)."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody for whom the provider vouches, and the token that says so, which ends their session there."""

    person: Outsider
    id_token: str


class Provider:
    """One provider. Safe from many threads; ``OIDC_AT_ONCE`` of them wait for it at most.

    Raises:
        BadConfig: a file that the settings name cannot be read.
    """

    def __init__(
        self, config: OidcConfig, clock: Clock, *, seconds: float = OIDC_S_MAX, bytes_max: int = OIDC_BYTES_MAX
    ) -> None:
        self.config = config
        self._clock = clock
        self._seconds = seconds
        self._bytes_max = bytes_max
        self._tls: ssl.SSLContext = trusting(config.ca_file)
        self._secret()  # a file that is not there shall show at the start, not at the first sign-in
        self._slots = threading.BoundedSemaphore(OIDC_AT_ONCE)
        self._lock = threading.Lock()
        self._asking_for_strangers = threading.Lock()
        self._found: Discovered | None = None
        self._keys: Keys | None = None
        self._found_s = self._keys_s = float("-inf")
        self._failed_s = self._keys_failed_s = float("-inf")
        self._failure: LogferryError | None = None
        self._keys_failure: LogferryError | None = None

    # What it says of itself ------------------------------------------------------------------------------------------

    def discovered(self) -> Discovered:
        """Asked once an hour; after a failure not again for ``OIDC_AGAIN_S``.

        Raises:
            TimedOut, Unreachable: it does not answer.
            BadConfig: what it says of itself cannot be right.
            Busy: too many ask already.
        """
        now_s = self._clock.monotonic_s()
        with self._lock:
            failed = self._failure if now_s - self._failed_s < OIDC_AGAIN_S else None
            if self._found is not None and (failed or now_s - self._found_s < OIDC_KEEP_S):
                return self._found
        if failed is not None:
            raise type(failed)(failed.message, hint=failed.hint)
        try:
            found = self._discover()
        except Busy:
            raise
        except LogferryError as error:
            with self._lock:
                self._failure, self._failed_s = error, self._clock.monotonic_s()
                if self._found is not None:
                    return self._found  # it was well an hour ago, and rarely says anything new
            raise
        with self._lock:
            self._found, self._found_s, self._failure = found, self._clock.monotonic_s(), None
        return found

    def _discover(self) -> Discovered:
        said = self._ask(self.config.issuer.rstrip("/") + _WELL_KNOWN)
        if said.get("issuer") != self.config.issuer:
            itself = shown(str(said.get("issuer", "nothing"))[:200])
            raise BadConfig(
                f"the provider calls itself {itself}, not {self.config.issuer}",
                hint="auth.oidc.issuer has to be exactly that, a / at the end included",
            )
        for name in _ADDRESSES:
            if not isinstance(said.get(name), str):
                raise BadConfig(f"the provider does not say its {name}", hint="is auth.oidc.issuer its address?")
        has = {name: str(said.get(name, "") or "") for name in (*_ADDRESSES, *_MAY_HAVE)}
        for name, url in has.items():
            if url:
                checked_endpoint(url, f"the provider's {name}", self.config.issuer)
        ways = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        posts = isinstance(ways, list) and "client_secret_post" in ways and "client_secret_basic" not in ways
        return Discovered(
            authorization_endpoint=has["authorization_endpoint"],
            token_endpoint=has["token_endpoint"],
            jwks_uri=has["jwks_uri"],
            userinfo_endpoint=has["userinfo_endpoint"],
            end_session_endpoint=has["end_session_endpoint"],
            posts_secret=posts,
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        )

    def _key_set(self, *, but: Keys | None = None, is_strangers: bool = False) -> Keys:
        """Its keys; ``but``: those known did not do, so ask for others, unless that was done just now.

        ``is_strangers``: nor where it failed just now.
        """
        now_s = self._clock.monotonic_s()
        with self._lock:
            known, age_s = self._keys, now_s - self._keys_s
            failed = self._keys_failure if now_s - self._keys_failed_s < OIDC_AGAIN_S else None
        if known is not None and age_s < (OIDC_KEEP_S if but is None or known is not but else OIDC_AGAIN_S):
            return known
        if failed is not None and is_strangers:  # whoever sends token after token does not make us ask as often
            raise type(failed)(failed.message, hint=failed.hint)
        try:
            keys = Keys(self._ask(self.discovered().jwks_uri))
        except Busy:
            raise
        except LogferryError as error:
            with self._lock:
                self._keys_failure, self._keys_failed_s = error, self._clock.monotonic_s()
            raise
        with self._lock:
            self._keys, self._keys_s, self._keys_failure = keys, self._clock.monotonic_s(), None
        return keys

    # A sign-in -------------------------------------------------------------------------------------------------------

    def address(self, trip: Trip, back: str) -> str:
        """Where the browser goes to prove who sits there, and then to ``back``, a page of ours.

        Raises as ``discovered``.
        """
        asked = {
            "response_type": "code",
            "client_id": self.config.client_id,
            "redirect_uri": back,
            "scope": " ".join(self.config.scopes),
            "state": trip.state,
            "nonce": trip.nonce,
            "code_challenge": trip.challenge,
            "code_challenge_method": "S256",
        }
        return _with(self.discovered().authorization_endpoint, asked)

    def vouched(self, trip: Trip, code: str, back: str, *, said_issuer: str | None) -> Vouched:
        """Who the provider says sits at the browser that came back with ``code``.

        Args:
            said_issuer: who the answer says it is from (RFC 9207), if it does.

        Raises:
            NotSignedIn: the code or the token does not hold.
            TimedOut, Unreachable, BadConfig, Busy: the provider cannot be asked.
        """
        where = self.discovered()
        if said_issuer != self.config.issuer and (said_issuer is not None or where.names_itself):
            raise NotSignedIn("the answer is another provider's", hint="begin again from this server's sign-in page")
        got = self._redeem(where, trip, code, back)
        id_token = got.get("id_token")
        if not isinstance(id_token, str):
            raise NotSignedIn("the provider sent no ID token", hint="auth.oidc.scopes has to have openid")
        claims = self._signed(id_token)
        check_claims(
            claims, issuer=self.config.issuer, client_id=self.config.client_id, nonce=trip.nonce,
            now_s=self._clock.now_ns() / 1e9,
        )  # fmt: skip
        return Vouched(outsider(self._more(where, claims, got.get("access_token")), self.config), id_token)

    def left(self, logout_token: str) -> Leaving:
        """Whose session ended there, as the provider sends it by itself.

        Raises:
            NotSignedIn: the token does not hold.
            TimedOut, Unreachable, BadConfig, Busy: the provider cannot be asked for its keys.
        """
        claims = self._signed(logout_token, is_strangers=True)
        now_s = self._clock.now_ns() / 1e9
        return leaving(claims, issuer=self.config.issuer, client_id=self.config.client_id, now_s=now_s)

    def _redeem(self, where: Discovered, trip: Trip, code: str, back: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "client_id": self.config.client_id,
            "code_verifier": trip.verifier,
        }
        headers = {}
        secret = self._secret()
        if secret and where.posts_secret:
            form["client_secret"] = secret
        elif secret:  # RFC 6749, 2.3.1: each half encoded as in a form
            pair = f"{quote(self.config.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")
        return self._ask(where.token_endpoint, form=form, headers=headers)

    def _signed(self, token: str, *, is_strangers: bool = False) -> dict[str, Any]:
        """The claims of a token. ``is_strangers``: anybody may have sent it, so one at a time makes us ask."""
        keys = self._key_set(is_strangers=is_strangers)
        try:
            return keys.claims(token)
        except KeyUnknown:
            if not is_strangers:
                return self._key_set(but=keys).claims(token)
            if not self._asking_for_strangers.acquire(blocking=False):
                raise
            try:
                return self._key_set(but=keys, is_strangers=True).claims(token)
            finally:
                self._asking_for_strangers.release()

    def _more(self, where: Discovered, claims: Mapping[str, Any], access_token: object) -> Mapping[str, Any]:
        """The claims, with what the provider tells on asking alone: some keep groups out of the token."""
        missing = [n for n in (self.config.name_claim, self.config.role_claim) if claim_at(claims, n) is None]
        if not missing or not where.userinfo_endpoint or not isinstance(access_token, str):
            return claims
        if not access_token.isascii() or not access_token.isprintable():
            raise NotSignedIn("the provider sent a token that cannot be used", hint="try again")
        told = self._ask(where.userinfo_endpoint, headers={"Authorization": f"Bearer {access_token}"})
        if told.get("sub") != claims.get("sub"):
            raise NotSignedIn("the provider told about somebody else", hint="try again")
        return {**told, **claims}

    def way_out(self, id_token: str, back: str) -> str:
        """Where the browser goes to end its session at the provider, and returns to ``back``; empty: there is none.

        Without ``id_token`` the provider may ask whether that is meant.

        Raises as ``discovered``.
        """
        where = self.discovered().end_session_endpoint
        if not where:
            return ""
        asked = {"client_id": self.config.client_id, "post_logout_redirect_uri": back}
        return _with(where, {**asked, "id_token_hint": id_token} if id_token else asked)

    # Asking ----------------------------------------------------------------------------------------------------------

    def _secret(self) -> str:
        file = self.config.client_secret_file
        return secret_in(file, "auth.oidc.client_secret_file", "the client's secret").strip() if file else ""

    def _ask(
        self, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        with self._slot():
            answer = ask(
                url, self._tls, form=form, headers=headers, seconds=self._seconds, bytes_max=self._bytes_max
            )  # fmt: skip
        if answer.status == 200 and answer.body:
            return answer.body
        said = answer.body.get("error_description") or answer.body.get("error")
        told = f": {shown(str(said)[:200])}" if said else ""
        # 4xx to a code is about the code; to anything else, and 401 about our own secret, it is about the settings.
        if form is not None and answer.status == 400 and answer.body.get("error") == "invalid_grant":
            raise NotSignedIn(f"the provider does not take the code{told}", hint="begin again: a code works once")
        host = urlsplit(url).hostname
        hint = "the server's log has more; the settings are auth.oidc"
        raise Unreachable(f"{host} answered {answer.status} to {urlsplit(url).path}{told}", hint=hint)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            raise Busy("too many wait for the provider", retry_after_s=2.0, hint="try again in a moment")
        try:
            yield
        finally:
            self._slots.release()


def _with(url: str, asked: Mapping[str, str]) -> str:
    """``url`` with more of a query."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(asked)}"
