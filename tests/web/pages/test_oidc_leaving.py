"""Signed out at the provider, signed out here: who that ends, and every message that must end nothing."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from logferry.limits import OIDC_AGAIN_S, OIDC_LOGOUT_CHARS_MAX, OIDC_LOGOUT_S_MAX
from logferry.server.oidc.leaving import EVENT, session_in
from logferry.server.people import People
from tests.server.oidc.identity import CLIENT, FIRST_RSA, SECOND_RSA, Claims, arrive
from tests.web.pages.test_oidc import (
    Place,
    me,
    place,
    running,
    unsigned,
    with_the_public_key_as_secret,
    with_the_secret,
)

__all__ = ["place", "running"]
HERE = "/login/oidc/logout"


def message(place: Place, **other: Any) -> Claims:
    """What a provider claims in a logout token; None leaves a claim out."""
    now = int(time.time())
    usual = {
        "iss": place.identity.issuer, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": secrets.token_hex(8),
        "events": {EVENT: {}}, "sub": "u-1",
    }  # fmt: skip
    return {name: value for name, value in {**usual, **other}.items() if value is not None}


def signed(claims: Claims, key: RSAKey = FIRST_RSA) -> str:
    """The token."""
    return jwt.encode({"alg": "RS256", "typ": "logout+jwt", "kid": key.kid}, claims, key, algorithms=["RS256"])


def sent(place: Place, token: str) -> httpx.Response:
    """The provider's own call: no browser, no cookie."""
    with place.site.new_client() as provider:
        return provider.post(HERE, data={"logout_token": token})


@pytest.fixture
def browser(place: Place) -> Iterator[httpx.Client]:
    """Ann's, signed in under the session ``s-1`` of the provider."""
    place.site.app.state.logout_throttle.succeeded("127.0.0.1")
    place.identity.twist.claims = lambda claims: {**claims, "sid": "s-1"}
    with place.site.new_client() as client:
        arrive(client, place.identity, "ann")
        assert me(client)["name"] == "ann"
        yield client


def test_a_person_is_signed_out_everywhere_and_the_audit_has_it(place: Place, browser: httpx.Client) -> None:
    """Tokens stay, and so do sessions of others."""
    token, _ = place.site.context.people.new_token("ann")
    with place.site.new_client() as other, place.site.new_client() as bobs:
        arrive(other, place.identity, "ann")
        arrive(bobs, place.identity, "bob")
        answer = sent(place, signed(message(place)))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert me(browser) == me(other) == {}
        assert me(bobs)["name"] == "bob"
    with place.site.new_client({"Authorization": f"Bearer {token}"}) as program:
        assert me(program)["name"] == "ann"
    deed = place.deeds("ann")[0]
    assert deed.action == "session.end"
    assert json.loads(deed.detail)["sessions_ended"] >= 2
    assert sent(place, signed(message(place, sub="nobody-here"))).status_code == 200


@pytest.mark.parametrize("sub", ["u-1", None])
def test_one_session_of_the_provider_ends_alone(place: Place, browser: httpx.Client, sub: str | None) -> None:
    """With or without the subject beside it."""
    place.identity.twist.claims = lambda claims: {**claims, "sid": "s-2"}
    with place.site.new_client() as other:
        arrive(other, place.identity, "ann")
        assert sent(place, signed(message(place, sub=sub, sid="s-2"))).status_code == 200
        assert me(other) == {}
        assert me(browser)["name"] == "ann"
        assert sent(place, signed(message(place, sub=sub, sid="s-unknown"))).status_code == 200
        assert me(browser)["name"] == "ann"


def test_a_session_of_which_the_providers_name_is_not_known_ends_with_any_of_theirs(
    place: Place, browser: httpx.Client
) -> None:
    place.identity.twist.claims = lambda claims: claims
    with place.site.new_client() as other:
        arrive(other, place.identity, "ann")
        assert sent(place, signed(message(place, sid="s-7"))).status_code == 200
        assert me(other) == {}
        assert me(browser)["name"] == "ann"


def test_a_message_counts_once(place: Place, browser: httpx.Client) -> None:
    """Who has seen one keeps nobody out with it."""
    token = signed(message(place))
    assert sent(place, token).status_code == 200
    arrive(browser, place.identity, "ann")
    assert sent(place, token).status_code == 400
    assert me(browser)["name"] == "ann"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"}, {"aud": "another"}, {"aud": [CLIENT, "another"]}, {"iat": None},
        {"exp": None}, {"exp": 1}, {"iat": -int(OIDC_LOGOUT_S_MAX) - 300},
        {"iat": 100_000}, {"jti": None}, {"jti": 7}, {"jti": "x" * 300}, {"events": None},
        {"events": {}}, {"events": [EVENT]}, {"events": {EVENT: None}}, {"events": {"http://other": {}}},
        {"nonce": "n"}, {"sub": None}, {"sub": 7}, {"sub": None, "sid": ""}, {"sid": ["s-1"]},
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_hold_ends_nothing(place: Place, browser: httpx.Client, wrong: Claims) -> None:
    """``iat`` is written in seconds from now: a test has the same name whenever it is collected."""
    if wrong.get("iat"):
        wrong = {**wrong, "iat": int(time.time()) + wrong["iat"]}
    place.site.app.state.logout_throttle.succeeded("127.0.0.1")
    answer = sent(place, signed(message(place, **wrong)))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"
    assert me(browser)["name"] == "ann"


def test_nobody_but_the_provider_signs_such_a_message(place: Place, browser: httpx.Client) -> None:
    """Nor is an ID token one, nor anything unsigned, nor what is no token at all."""
    claims = message(place)
    bare = signed(claims).rpartition(".")[0] + "."
    identity = place.identity.signed({**claims, "nonce": "n", "events": None})
    for token in (
        signed(claims, SECOND_RSA), with_the_public_key_as_secret(claims), with_the_secret(claims), unsigned(claims),
        bare, identity, "", "x", "a.b.c", "x" * (OIDC_LOGOUT_CHARS_MAX + 1),
    ):  # fmt: skip
        place.site.app.state.logout_throttle.succeeded("127.0.0.1")
        assert sent(place, token).status_code == 400, token[:60]
    with place.site.new_client() as stranger:
        place.site.app.state.logout_throttle.succeeded("127.0.0.1")
        assert stranger.post(HERE).status_code == 400
        assert stranger.post(HERE, json={"logout_token": signed(claims)}).status_code == 400
        assert "login?next=" in stranger.get(HERE).headers["location"], "there is no page"
    assert me(browser)["name"] == "ann"


def test_strangers_do_not_make_us_ask_the_provider_again_and_again(place: Place, browser: httpx.Client) -> None:
    """For keys that it does not have: once in a while; and who guesses on has to wait."""
    assert OIDC_AGAIN_S >= 5
    before = place.identity.came("/keys")
    statuses = [sent(place, signed(message(place), SECOND_RSA)).status_code for _ in range(12)]
    assert place.identity.came("/keys") - before <= 1
    assert set(statuses) <= {400, 429}
    assert statuses[-1] == 429
    assert arrive(browser, place.identity, "ann").status_code == 303, "signing in is not slowed by that"


def test_people_of_a_provider_that_is_gone_from_the_settings_are_strangers(place: Place, browser: httpx.Client) -> None:
    """Their sessions and their tokens; those who have a password here go on."""
    catalog = place.site.context.catalog
    token, _ = place.site.context.people.new_token("ann")
    session = browser.cookies["logferry_session"]
    for issuer, counts in ((place.identity.issuer, True), ("", False), ("https://other.example", False)):
        people = People(catalog, issuer=issuer)
        assert (people.token(token) is not None) is counts
        assert (people.session(session) is not None) is counts
        own, _ = people.new_token("root")
        assert people.token(own) is not None


@pytest.mark.parametrize("odd", ["", "a", "a.b.c", "a.W10.c", "a.e30.c", "a.eyJzaWQiOjd9.c", "a.é.c"])
def test_odd_tokens_name_no_session(odd: str) -> None:
    assert session_in(odd) == ""
