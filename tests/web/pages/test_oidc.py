"""Signing in by a provider, over HTTP from end to end: who gets in, as what, and everything that must not work."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from logferry.archive.records import AuditRecord
from logferry.limits import OIDC_FRESH_S
from logferry.server.audit import AuditFilter
from logferry.server.oidc.config import OidcConfig, OidcRoleConfig
from logferry.server.oidc.provider import Provider
from tests.server.oidc.identity import (
    CLIENT,
    FIRST_RSA,
    SECOND_RSA,
    SECRET,
    Claims,
    Identity,
    Twist,
    arrive,
    back_from,
    identity_provider,
)
from tests.web.served import PASSWORD, Served, served

ROLES = {
    "log-admins": OidcRoleConfig("admin"),
    "staff": OidcRoleConfig("viewer", ("web-*/**", "!**/secrets/**")),
    "night shift": OidcRoleConfig("operator"),
}


NAMELESS = RSAKey.import_key({k: v for k, v in SECOND_RSA.as_dict(private=True).items() if k != "kid"})


@dataclass(frozen=True)
class Place:
    """A server and its provider."""

    site: Served
    identity: Identity

    @property
    def provider(self) -> Provider:
        """As the server knows it."""
        assert self.site.context.provider is not None
        return self.site.context.provider

    def deeds(self, who: str = "") -> list[AuditRecord]:
        """Sign-ins of the audit, the newest first; ``who`` did them, or they are about them."""
        rows = self.site.context.catalog.auditing.page(AuditFilter(kind="sign-in"), before=None, limit=50)
        return [row for row in rows if who in (row.who, row.target)]


def settings(folder: Path, identity: Identity, **other: Any) -> OidcConfig:
    """Of a server whose provider is ``identity``."""
    secret = folder / "client.secret"
    secret.write_text(f"{SECRET}\n")
    values = {"issuer": identity.issuer, "client_id": CLIENT, "client_secret_file": str(secret), "roles": ROLES}
    return OidcConfig(**{**values, **other})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("oidc")
    with identity_provider() as identity:
        identity.people = {
            "ann": {"sub": "u-1", "preferred_username": "ann", "groups": ["everybody", "staff"]},
            "bob": {"sub": "u-2", "preferred_username": "bob", "groups": ["staff", "night shift", "log-admins"]},
            "eve": {"sub": "u-3", "preferred_username": "eve", "groups": ["Staff", "log-admin", "admin"]},
        }
        with served(folder / "data", oidc=settings(folder, identity, name="Our SSO")) as site:
            yield Place(site, identity)


@pytest.fixture
def place(running: Place) -> Iterator[Place]:
    """The server and its provider, which does everything right, and had no sign-in that failed."""
    running.identity.twist = Twist()
    running.identity.key, running.identity.algorithm = FIRST_RSA, "RS256"
    running.identity.published, running.identity.in_token = [FIRST_RSA], True
    running.site.app.state.oidc_throttle.succeeded("127.0.0.1")
    before = {name: dict(claims) for name, claims in running.identity.people.items()}
    yield running
    running.identity.people = before


@pytest.fixture
def browser(place: Place) -> Iterator[httpx.Client]:
    """Somebody who is not signed in."""
    with place.site.new_client() as client:
        yield client


def me(client: httpx.Client) -> dict[str, Any]:
    """Who the server takes the client for."""
    answer = client.get("/api/v1/me")
    return dict(answer.json()) if answer.status_code == 200 else {}


def refused(answer: httpx.Response, status: int, text: str) -> None:
    """The answer is the sign-in page, with the reason and the request id, and signs nobody in."""
    assert answer.status_code == status, answer.text
    assert text in answer.text
    assert f"Request <code>{answer.headers['x-request-id']}</code>" in answer.text
    assert 'name="password"' in answer.text
    assert "logferry_session" not in str(answer.headers.get_list("set-cookie"))


# Who gets in --------------------------------------------------------------------------------------------------------


def test_the_button_leads_to_the_provider_and_back_to_the_page_asked_for(place: Place, browser: httpx.Client) -> None:
    """The role is that of the group; the session is one like others; the audit says by whom and how."""
    page = browser.get("/login", params={"next": "/view/web-1/a.log?gen=1"})
    assert "Sign in with Our SSO" in page.text
    at = "/login/oidc?" + urlencode({"next": "/view/web-1/a.log?gen=1"})
    answer = arrive(browser, place.identity, "ann", at=at)
    assert (answer.status_code, answer.headers["location"]) == (303, "/view/web-1/a.log?gen=1")
    cookies = " ".join(answer.headers.get_list("set-cookie")).lower()
    assert "logferry_session=" in cookies
    assert 'logferry_oidc=""; httponly; max-age=0' in cookies
    who = me(browser)
    assert (who["name"], who["role"], who["scope"]) == ("ann", "viewer", ["web-*/**", "!**/secrets/**"])
    deed = place.deeds("ann")[0]
    detail = json.loads(deed.detail)
    assert (deed.action, detail["provider"], detail["subject"]) == ("session.begin", place.identity.issuer, "u-1")
    assert browser.get("/login").status_code == 303


def test_the_highest_of_several_roles_counts(place: Place, browser: httpx.Client) -> None:
    """Whole, with its own scope."""
    arrive(browser, place.identity, "bob")
    who = me(browser)
    assert (who["role"], who["scope"]) == ("admin", ["**"])


def test_who_has_no_group_that_is_named_is_denied(place: Place, browser: httpx.Client) -> None:
    """Nearly the name of a group is not the name; nobody is added; the audit has the attempt."""
    refused(arrive(browser, place.identity, "eve"), 403, "Nothing gives eve a role here")
    assert place.site.client.get("/api/v1/users/eve").status_code == 404
    assert json.loads(place.deeds("eve")[0].detail)["refused"] == 403


@pytest.mark.parametrize("held", ["staff", ["x", "staff"]])
@pytest.mark.parametrize("where", ["groups", "realm_access.roles"])
def test_roles_come_from_text_or_list_and_from_within(
    place: Place, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, held: Any, where: str
) -> None:
    """Providers write one group as text, and some put groups inside something else."""
    monkeypatch.setattr(place.provider, "config", settings(tmp_path, place.identity, role_claim=where))
    place.identity.people["ann"] = {"sub": "u-1", "preferred_username": "ann"}
    place.identity.people["ann"] |= {"groups": held} if where == "groups" else {"realm_access": {"roles": held}}
    assert arrive(browser, place.identity, "ann").status_code == 303
    assert me(browser)["role"] == "viewer"


def test_groups_that_are_told_on_asking_alone_count(place: Place, browser: httpx.Client) -> None:
    """But only when they are told about the same person."""
    place.identity.in_token = False
    assert arrive(browser, place.identity, "bob").status_code == 303
    place.identity.twist = Twist(userinfo=lambda told: told | {"sub": "u-1"})
    with place.site.new_client() as other:
        refused(arrive(other, place.identity, "bob"), 401, "about somebody else")


def test_rights_are_taken_anew_at_each_sign_in(place: Place, browser: httpx.Client) -> None:
    """More, less, and none: then sessions and tokens of before are over, too."""
    cat: Claims = {"sub": "u-9", "preferred_username": "cat", "groups": ["night shift"]}
    place.identity.people["cat"] = cat
    arrive(browser, place.identity, "cat")
    csrf = {"X-CSRF-Token": me(browser)["csrf"]}
    made = browser.post("/api/v1/tokens", json={"name": "t"}, headers=csrf)
    assert made.status_code == 201, made.text
    bearer = {"Authorization": f"Bearer {made.json()['token']}"}
    for groups, role in ((["log-admins"], "admin"), (["staff"], "viewer")):
        cat["groups"] = groups
        with place.site.new_client() as other:
            arrive(other, place.identity, "cat")
            assert me(other)["role"] == role
        assert me(browser)["role"] == role
        with place.site.new_client(bearer) as script:
            assert me(script)["role"] == role
    assert json.loads(place.deeds("cat")[0].detail)["change"] == "other rights"
    cat["groups"] = []
    with place.site.new_client() as other:
        refused(arrive(other, place.identity, "cat"), 403, "Nothing gives cat a role here")
    assert not me(browser)
    with place.site.new_client(bearer) as script:
        assert not me(script)


def test_a_name_at_the_provider_may_change(place: Place, browser: httpx.Client) -> None:
    """The subject says who it is; the name here stays."""
    arrive(browser, place.identity, "ann")
    place.identity.people["ann"] |= {"preferred_username": "ann.married"}
    with place.site.new_client() as other:
        arrive(other, place.identity, "ann")
        assert me(other)["name"] == "ann"


# Whom a provider cannot be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["root", "ROOT", "web-1", "@local", "ann"])
def test_a_name_that_somebody_has_here_is_never_theirs(place: Place, browser: httpx.Client, name: str) -> None:
    """Neither a person with a password, nor an agent, nor somebody else of the same provider."""
    people = place.site.context.people
    arrive(browser, place.identity, "ann")
    if place.site.context.catalog.agents.get("web-1") is None:
        place.site.context.enrolment.join(place.site.context.enrolment.new_join_token().secret, agent_id="web-1")
    place.identity.people["mallory"] = {"sub": "u-666", "preferred_username": name, "groups": ["log-admins"]}
    with place.site.new_client() as other:
        answer = arrive(other, place.identity, "mallory")
        refused(answer, 403, "cannot be a name here" if name == "@local" else "here already")
        assert not me(other)
    assert people.get("root").issuer == ""
    assert people.get("ann").subject == "u-1"


@pytest.mark.parametrize("name", ["a b", "", "x" * 65, "<script>", None, 7, ["a"]])
def test_a_name_that_is_none_gets_in_nowhere(place: Place, browser: httpx.Client, name: Any) -> None:
    """And the page shows it as text."""
    place.identity.people["odd"] = {"sub": "u-7", "preferred_username": name, "groups": ["staff"]}
    answer = arrive(browser, place.identity, "odd")
    assert answer.status_code in (401, 403)
    assert "<script>" not in answer.text
    assert not me(browser)


def test_people_of_a_provider_have_no_password_here(place: Place, browser: httpx.Client) -> None:
    """None to sign in with, none to set, no link to set one, no role but the provider's, no second factor."""
    arrive(browser, place.identity, "ann")
    assert browser.post("/login", data={"name": "ann", "password": PASSWORD}).status_code == 401
    root = place.site.client
    changes: tuple[dict[str, Any], ...] = ({"password": PASSWORD}, {"role": "admin"}, {"scope": []})
    for change in changes:
        answer = root.patch("/api/v1/users/ann", json=change)
        assert answer.status_code in (400, 403), answer.text
    assert root.get("/api/v1/users/ann").json()["provider"] == place.identity.issuer
    csrf = {"X-CSRF-Token": me(browser)["csrf"]}
    answer = browser.post("/api/v1/me/second-factor", json={"password": ""}, headers=csrf)
    assert (answer.status_code, "no password here" in answer.text) == (403, True)
    page = browser.get("/me").text
    assert "You sign in by" in page
    assert 'name="current"' not in page


def test_who_is_disabled_here_stays_out(place: Place, browser: httpx.Client) -> None:
    """Whatever the provider says; and nobody else's rule for the last administrator is weakened by them."""
    arrive(browser, place.identity, "bob")
    root = place.site.client
    assert root.patch("/api/v1/users/bob", json={"enabled": False}).status_code == 200
    assert not me(browser)
    refused(arrive(browser, place.identity, "bob"), 403, "lets bob in no longer")
    assert root.patch("/api/v1/users/bob", json={"enabled": True}).status_code == 200
    assert arrive(browser, place.identity, "bob").status_code == 303
    answer = root.patch("/api/v1/users/root", json={"role": "viewer"})
    assert (answer.status_code, "last administrator" in answer.text) == (409, True)


def test_tokens_take_a_sign_in_of_just_now(
    place: Place, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no password to show for them."""
    arrive(browser, place.identity, "ann")
    assert "within the last ten minutes" in browser.get("/me/tokens").text
    now_ns = time.time_ns()
    clock = place.site.context.clock
    monkeypatch.setattr(clock, "now_ns", lambda: now_ns + int((OIDC_FRESH_S + 5) * 1e9))
    form = {"csrf": me(browser)["csrf"], "name": "t", "days": "7", "role": "", "scope": ""}
    answer = browser.post("/me/tokens", data=form)
    assert (answer.status_code, "too long ago" in answer.text) == (403, True)


# What must not work -------------------------------------------------------------------------------------------------


def unsigned(claims: Claims) -> str:
    """``alg: none``"""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


def with_the_public_key_as_secret(claims: Claims) -> str:
    """``HS256`` keyed with what everybody knows."""
    pem = FIRST_RSA.as_pem(private=False)
    head = {"alg": "HS256", "typ": "JWT", "kid": FIRST_RSA.kid}
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in (head, claims)]
    import hmac

    mac = base64.urlsafe_b64encode(hmac.digest(pem, b".".join(parts), "sha256")).rstrip(b"=")
    return b".".join([*parts, mac]).decode()


def with_the_secret(claims: Claims) -> str:
    """``HS256`` keyed with the client's secret: other clients do it, we ask for a key pair."""
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET + "x" * 20), algorithms=["HS256"])


STRANGERS_RSA = RSAKey.generate_key(2048)
"""Of nobody: the provider's second key is one of its own once a test has changed them."""


def by_a_stranger(claims: Claims) -> str:
    """The right ``kid``, another key."""
    return jwt.encode({"alg": "RS256", "kid": FIRST_RSA.kid}, claims, STRANGERS_RSA, algorithms=["RS256"])


def with_its_own_key(claims: Claims) -> str:
    """The key to check with comes along."""
    head = {"alg": "RS256", "jwk": STRANGERS_RSA.as_dict(private=False)}
    return jwt.encode(head, claims, STRANGERS_RSA, algorithms=["RS256"])


def asking_for_more(claims: Claims) -> str:
    """``crit`` names something we do not know."""
    parts = jwt.encode({"alg": "RS256", "kid": FIRST_RSA.kid}, claims, FIRST_RSA).split(".")
    head = {"alg": "RS256", "kid": FIRST_RSA.kid, "crit": ["exp2"], "exp2": 1}
    signed = f"{base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b'=').decode()}.{parts[1]}"
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    key = FIRST_RSA.private_key
    assert key is not None
    made = key.sign(signed.encode(), PKCS1v15(), SHA256())
    return f"{signed}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def cut(claims: Claims) -> str:
    """One byte of the claims is another one."""
    head, body, mac = jwt.encode({"alg": "RS256", "kid": FIRST_RSA.kid}, claims, FIRST_RSA).split(".")
    return f"{head}.{body[:-2]}{'A' if body[-2] != 'A' else 'B'}{body[-1]}.{mac}"


FORGERIES = {
    "unsigned": (Twist(sign=unsigned), "not signed with a key pair"),
    "public key as secret": (Twist(sign=with_the_public_key_as_secret), "not signed with a key pair"),
    "shared secret": (Twist(sign=with_the_secret), "not signed with a key pair"),
    "another key": (Twist(sign=by_a_stranger), "its signature is wrong"),
    "its own key": (Twist(sign=with_its_own_key), "its signature is wrong"),
    "crit": (Twist(sign=asking_for_more), "its signature is wrong"),
    "changed": (Twist(sign=cut), "its signature is wrong"),
    "no token": (Twist(token=lambda said: said | {"id_token": None}), "no ID token"),
    "garbage": (Twist(sign=lambda _: "a.b.c"), "no signed token"),
    "deep header": (
        Twist(sign=lambda _: base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + ".e30.x"),
        "no signed token",
    ),
    "not ascii": (Twist(sign=lambda _: "ä.b.c"), "no signed token"),
    "huge": (Twist(claims=lambda c: c | {"x": "y" * 600_000}), "more than 524,288 bytes"),
    "issuer": (Twist(claims=lambda c: c | {"iss": c["iss"] + "/"}), "another provider"),
    "audience": (Twist(claims=lambda c: c | {"aud": "other"}), "meant for another program"),
    "audiences": (Twist(claims=lambda c: c | {"aud": [CLIENT, "other"]}), "given to another program"),
    "party": (Twist(claims=lambda c: c | {"aud": [CLIENT, "other"], "azp": "other"}), "given to another program"),
    "no audience": (Twist(claims=lambda c: {k: v for k, v in c.items() if k != "aud"}), "meant for another program"),
    "nonce": (Twist(claims=lambda c: c | {"nonce": c["nonce"][::-1]}), "belongs to another sign-in"),
    "no nonce": (Twist(claims=lambda c: {k: v for k, v in c.items() if k != "nonce"}), "another sign-in"),
    "expired": (Twist(claims=lambda c: c | {"exp": c["iat"] - 200}), "it has expired"),
    "no end": (Twist(claims=lambda c: {k: v for k, v in c.items() if k != "exp"}), "does not say exp"),
    "end is text": (Twist(claims=lambda c: c | {"exp": str(c["exp"])}), "does not say exp"),
    "end is true": (Twist(claims=lambda c: c | {"exp": True}), "does not say exp"),
    "of tomorrow": (Twist(claims=lambda c: c | {"iat": c["iat"] + 600}), "not made now"),
    "of long ago": (Twist(claims=lambda c: c | {"iat": c["iat"] - 100_000}), "not made now"),
    "not yet": (Twist(claims=lambda c: c | {"nbf": c["iat"] + 600}), "does not hold yet"),
    "no subject": (Twist(claims=lambda c: {k: v for k, v in c.items() if k != "sub"}), "does not tell sub"),
    "subject is a number": (Twist(claims=lambda c: c | {"sub": 1}), "does not tell sub"),
    "long subject": (Twist(claims=lambda c: c | {"sub": "x" * 256}), "does not tell sub"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_does_not_hold_signs_nobody_in(place: Place, browser: httpx.Client, forgery: str) -> None:
    """Whatever is wrong with the token, there is no session, and the page says what it was."""
    place.identity.twist, text = FORGERIES[forgery]
    answer = arrive(browser, place.identity, "ann")
    refused(answer, 503 if forgery == "huge" else 401, text)
    assert not me(browser)


def test_the_same_answer_does_not_sign_in_twice(place: Place, browser: httpx.Client) -> None:
    """Neither with the code, nor with a new one for the old state; not even for the browser that kept its cookie."""
    back = back_from(browser, place.identity, "ann")
    kept = dict(browser.cookies)
    assert browser.get(back).status_code == 303
    refused(browser.get(back), 401, "did not begin this sign-in")
    with place.site.new_client() as again:
        again.cookies.update(kept)
        refused(again.get(back), 401, "does not take the code")
        grant = place.identity.consent(_asked_again(place, again, kept), "ann")
        refused(again.get(grant), 401, "was used before")


def _asked_again(place: Place, client: httpx.Client, kept: dict[str, str]) -> str:
    """The address of the provider for the sign-in that ``kept`` is of."""
    from logferry.server.oidc.trip import trip_in

    trip = trip_in(kept["logferry_oidc"])
    assert trip is not None
    return place.provider.address(trip, f"{place.site.url}/login/oidc/back")


def test_an_answer_for_another_browser_is_worthless(place: Place, browser: httpx.Client) -> None:
    """Mallory's own code in the victim's browser: it would sign the victim in as Mallory."""
    with place.site.new_client() as mallory:
        back = back_from(mallory, place.identity, "ann")
    refused(browser.get(back), 401, "did not begin this sign-in")
    back_from(browser, place.identity, "bob")  # the victim is on the way, too
    refused(browser.get(back), 401, "did not begin this sign-in")
    state = dict(parse_qsl(urlsplit(back_from(browser, place.identity, "bob")).query))["state"]
    code = dict(parse_qsl(urlsplit(back).query))["code"]
    answer = browser.get("/login/oidc/back", params={"code": code, "state": state, "iss": place.identity.issuer})
    refused(answer, 401, "does not take the code")  # begun with another verifier
    assert not me(browser)


@pytest.mark.parametrize("change", [{"iss": "https://other.example"}, {"iss": None}, {"state": None}, {"code": None}])
def test_a_way_back_that_lacks_or_doubts_something(place: Place, browser: httpx.Client, change: dict[str, Any]) -> None:
    """RFC 9207: the answer of another provider is not taken to this one."""
    asked = dict(parse_qsl(urlsplit(back_from(browser, place.identity, "ann")).query))
    asked = {key: value for key, value in (asked | change).items() if value is not None}
    assert browser.get("/login/oidc/back", params=asked).status_code == 401
    assert not me(browser)


def test_doubled_parameters_are_refused(place: Place, browser: httpx.Client) -> None:
    """Two readers could take different ones."""
    back = back_from(browser, place.identity, "ann")
    assert browser.get(f"{back}&code=x").status_code == 401
    back = back_from(browser, place.identity, "ann")
    assert browser.get(f"{back}&state=x").status_code == 401


def test_what_the_provider_refuses_is_told_as_text(place: Place, browser: httpx.Client) -> None:
    """In its own words, without its markup."""
    asked = dict(parse_qsl(urlsplit(back_from(browser, place.identity, "ann")).query))
    told = {"error": "access_denied", "error_description": "<img src=x> no\u202e", "state": asked["state"]}
    answer = browser.get("/login/oidc/back", params=told)
    refused(answer, 401, "The provider says: &lt;img src=x&gt; no")
    assert "\u202e" not in answer.text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "/a\nb", "x" * 3000])
def test_the_way_back_leads_nowhere_else(place: Place, browser: httpx.Client, target: str) -> None:
    """Only to pages of this server, also when the cookie was changed."""
    answer = arrive(browser, place.identity, "ann", at="/login/oidc?" + urlencode({"next": target}))
    assert answer.headers["location"] == "/"
    with place.site.new_client() as other:
        back = back_from(other, place.identity, "ann")
        secret, began, _ = other.cookies["logferry_oidc"].split(".")
        changed = base64.urlsafe_b64encode(target.encode()).decode().rstrip("=")
        other.cookies.set("logferry_oidc", f"{secret}.{began}.{changed}", domain="127.0.0.1", path="/")
        refused(other.get(back), 401, "did not begin this sign-in")
        assert not me(other)


def test_a_sign_in_that_took_too_long_is_over(
    place: Place, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way back that somebody finds in a history opens nothing."""
    back = back_from(browser, place.identity, "ann")
    now_ns = time.time_ns()
    monkeypatch.setattr(place.site.context.clock, "now_ns", lambda: now_ns + 20 * 60 * 10**9)
    refused(browser.get(back), 401, "took too long")


def test_many_that_fail_have_to_wait(place: Place, browser: httpx.Client) -> None:
    """Each asks the provider: guessed codes are slowed down, and signing in by password goes on."""
    place.identity.twist = FORGERIES["nonce"][0]
    seen = [arrive(browser, place.identity, "ann").status_code for _ in range(8)]
    assert seen[0] == 401
    assert seen[-1] == 429
    root = {"name": "root", "password": PASSWORD}
    assert browser.post("/login", data=root).status_code == 303


# Keys and algorithms ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS512", FIRST_RSA),
        ("PS256", SECOND_RSA),
        ("ES256", ECKey.generate_key("P-256", {"kid": "e"})),
        ("ES384", ECKey.generate_key("P-384", {"kid": "f"})),
        ("EdDSA", OKPKey.generate_key("Ed25519", {"kid": "o"})),
        ("RS256", NAMELESS),
    ],
)
def test_every_kind_of_key_pair_will_do(place: Place, browser: httpx.Client, algorithm: str, key: Any) -> None:
    """Also one without a name."""
    place.provider._keys_s = float("-inf")
    place.identity.key, place.identity.algorithm, place.identity.published = key, algorithm, [FIRST_RSA, key]
    assert arrive(browser, place.identity, "ann").status_code == 303
    assert me(browser)["name"] == "ann"


def test_new_keys_are_fetched_when_one_is_unknown(place: Place, browser: httpx.Client) -> None:
    """A provider changes them when it likes; asking for them is not something strangers can make us do at will."""
    provider = place.provider
    provider._keys_s = float("-inf")
    arrive(browser, place.identity, "ann")
    place.identity.key, place.identity.published = SECOND_RSA, [FIRST_RSA, SECOND_RSA]
    provider._keys_s -= 60  # a minute later
    before = place.identity.came("/keys")
    with place.site.new_client() as other:
        assert arrive(other, place.identity, "ann").status_code == 303
    assert place.identity.came("/keys") == before + 1
    place.identity.twist = Twist(sign=by_a_stranger)
    with place.site.new_client() as other:
        for _ in range(3):
            assert arrive(other, place.identity, "ann").status_code == 401
    assert place.identity.came("/keys") == before + 1


@pytest.mark.parametrize(
    "key", [{"use": "enc"}, {"n": "AQAB"}, {"n": 5}, {"n": "!"}, {"kty": "oct", "k": "AAAA"}], ids=str
)
def test_keys_that_do_not_sign_are_left_out(place: Place, browser: httpx.Client, key: dict[str, Any]) -> None:
    """For encryption, too short, no key at all."""
    place.provider._keys_s = float("-inf")
    listed = FIRST_RSA.as_dict(private=False) | key
    data = json.dumps({"keys": [listed]}).encode()
    place.identity.twist.raw["/keys"] = lambda wire: wire.write(b"HTTP/1.0 200 OK\r\n\r\n" + data)
    refused(arrive(browser, place.identity, "ann"), 401, "its signature is wrong")
    place.provider._keys_s = float("-inf")


# When the provider is not there -------------------------------------------------------------------------------------


def test_who_has_a_password_signs_in_while_the_provider_is_down(tmp_path: Path) -> None:
    """The page says what is wrong; after a failure the provider is left alone for a while, then asked again."""
    with identity_provider() as identity:
        config = settings(tmp_path, identity)
    with served(tmp_path / "data", oidc=config) as site, site.new_client() as browser:
        answer = browser.get("/login/oidc")
        refused(answer, 503, "127.0.0.1 cannot be asked")
        assert "with a password kept here you can sign in meanwhile" in answer.text
        assert "Sign in with 127.0.0.1" in answer.text
        assert browser.post("/login", data={"name": "root", "password": PASSWORD}).status_code == 303


def test_before_the_first_administrator_nobody_comes_from_outside(tmp_path: Path) -> None:
    """An empty server is claimed with its set-up link alone."""
    with identity_provider() as identity:
        identity.people = {"bob": {"sub": "u-2", "preferred_username": "bob", "groups": ["log-admins"]}}
        config = settings(tmp_path, identity)
        with served(tmp_path / "data", oidc=config, admin=False) as site, site.new_client() as browser:
            answer = browser.get("/login/oidc")
            assert (answer.status_code, "set-up link" in answer.text) == (200, True)


def test_without_a_provider_there_is_no_button(site: Served) -> None:
    """And no way to it."""
    with site.new_client() as browser:
        assert "Sign in with" not in browser.get("/login").text
        assert browser.get("/login/oidc").status_code == 404
        assert browser.get("/login/oidc/back").status_code == 404


# Signing out, and below a path --------------------------------------------------------------------------------------


def test_signing_out_ends_both_sessions(place: Place, browser: httpx.Client) -> None:
    """Here at once, then at the provider, with the token it vouched with."""
    arrive(browser, place.identity, "ann")
    answer = browser.post("/logout", data={"csrf": me(browser)["csrf"]})
    assert answer.status_code == 200
    where = answer.headers["refresh"].removeprefix("0; url=")
    assert not me(browser)
    asked = dict(parse_qsl(urlsplit(where).query))
    assert where.startswith(f"{place.identity.issuer}/leave?")
    assert asked["post_logout_redirect_uri"] == f"{place.site.url}/login"
    assert asked["id_token_hint"].count(".") == 2
    assert httpx.get(where).headers["location"] == f"{place.site.url}/login"


def test_a_token_too_long_for_an_address_is_not_kept(place: Place, browser: httpx.Client) -> None:
    """Somebody in hundreds of groups signs out at the provider all the same."""
    place.identity.people["ann"] |= {"groups": ["staff", *(f"group-{number:060}" for number in range(300))]}
    arrive(browser, place.identity, "ann")
    where = browser.post("/logout", data={"csrf": me(browser)["csrf"]}).headers["refresh"]
    assert f"client_id={CLIENT}" in where
    assert "id_token_hint" not in where


def test_who_has_a_password_is_not_sent_to_the_provider(place: Place, browser: httpx.Client) -> None:
    """Their session is none of its business."""
    browser.post("/login", data={"name": "root", "password": PASSWORD})
    answer = browser.post("/logout", data={"csrf": me(browser)["csrf"]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_everything_works_below_a_path(tmp_path: Path) -> None:
    """The provider sends browsers back below it."""
    with identity_provider() as identity:
        identity.people = {"ann": {"sub": "u-1", "preferred_username": "ann", "groups": ["staff"]}}
        identity.twist.discovery = lambda said: said | {
            "token_endpoint_auth_methods_supported": ["client_secret_post"], "end_session_endpoint": None,
        }  # fmt: skip
        config = settings(tmp_path, identity)
        with served(tmp_path / "data", oidc=config, root_path="/logs") as site, site.new_client() as browser:
            assert 'href="/logs/login/oidc?next=%2Fagents"' in browser.get("/logs/login?next=/agents").text
            back = back_from(browser, identity, "ann", at="/logs/login/oidc?next=/agents")
            assert back.startswith(f"{site.url}/logs/login/oidc/back?")
            assert browser.get(back).headers["location"] == "/logs/agents"
            csrf = browser.get("/logs/api/v1/me").json()["csrf"]
            answer = browser.post("/logs/logout", data={"csrf": csrf})
            assert (answer.status_code, answer.headers["location"]) == (303, "/logs/login")
