"""How a person likes it: kept for the person, the same in every browser, whatever the catalog holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from starlette.testclient import TestClient

from logferry.archive.catalog.auditing import AuditFilter
from logferry.archive.records import AuditRecord
from logferry.limits import HIGHLIGHT_CHARS_MAX, HIGHLIGHTS_MAX
from logferry.web.app import create_app
from logferry.web.preferences import Highlight, Preferences
from tests.browser.fleet import Fleet
from tests.hostile.payloads import payloads
from tests.web.pages.conftest import BASE, as_person

API = "/api/v1/me/highlights"
LOG = "/view/db-01/var/log/postgresql/postgresql-16-main.log"
RED = {"word": "ERROR", "colour": "red", "exact_case": True}
Rule = dict[str, Any]


@pytest.fixture(autouse=True)
def nobody_said(fleet: Fleet) -> None:
    """Both people like it as it is when a test begins, and a test sees what it noted."""
    for name in ("admin", "narrow"):
        fleet.catalog.preferences.change(_id(fleet, name), zone="", theme="", density="", keys="", highlights="")


@pytest.fixture
def another(fleet: Fleet) -> Iterator[TestClient]:
    """Another browser, of nobody yet."""
    with TestClient(create_app(fleet.context), base_url=BASE, follow_redirects=False) as client:
        yield client


def _id(fleet: Fleet, name: str) -> int:
    return fleet.people.get(name).id


def _own(fleet: Fleet, name: str = "admin") -> Preferences:
    return Preferences.of(fleet.catalog.preferences.of(_id(fleet, name)))


def _handed_over(client: TestClient) -> list[Rule] | None:
    """What the viewer's page has for its script."""
    found = re.search(r'data-highlights="([^"]*)"', client.get(LOG).text)
    return None if found is None else json.loads(unescape(found[1]))


def _latest(fleet: Fleet) -> AuditRecord:
    return fleet.catalog.auditing.page(AuditFilter(kind="change"), limit=1)[0]


def _put(client: TestClient, csrf: str, *items: Rule) -> int:
    return int(client.put(API, json={"items": items}, headers={"X-CSRF-Token": csrf}).status_code)


def test_looks_are_those_of_the_person_in_every_browser(admin: TestClient, another: TestClient, fleet: Fleet) -> None:
    """In the first HTML, so nothing flashes; the sign-in page of each browser is as that browser looked last."""
    csrf = as_person(admin, fleet, "admin")
    as_person(another, fleet, "admin")
    form = {"csrf": csrf, "theme": "dark", "density": "compact", "keys": "off"}
    assert admin.post("/me/looks", data=form).headers["location"] == "/me?said=looks"
    root = another.get("/agents").text.partition("<head>")[0]
    assert 'data-theme="dark"' in root
    assert 'data-density="compact"' in root
    assert 'data-keys="off"' in root
    another.cookies.delete("logferry_session")
    root = another.get("/login").text.partition("<head>")[0]
    assert 'data-theme="dark"' in root
    assert "data-keys" not in root
    as_person(another, fleet, "narrow")  # who never said anything sees it as this browser was
    assert 'data-theme="dark"' in another.get("/").text
    assert _own(fleet, "narrow") == Preferences()
    assert _latest(fleet).action == "preferences.change"
    assert json.loads(_latest(fleet).detail) == {"theme": "dark", "density": "compact", "keys": "off"}


def test_the_theme_of_the_top_bar_is_kept_too_and_comes_back_to_the_page(admin: TestClient, fleet: Fleet) -> None:
    """Its answer tells the browser, too: the next page may be the one to sign in."""
    csrf = as_person(admin, fleet, "admin")
    answer = admin.post("/theme", data={"csrf": csrf, "theme": "light", "next": "/agents"})
    assert answer.headers["location"] == "/agents"
    assert "logferry_theme=light" in answer.headers["set-cookie"]
    assert _own(fleet).theme == "light"
    assert "set-cookie" not in admin.get("/agents").headers
    assert admin.post("/theme", data={"theme": "dark", "csrf": "x"}).status_code == 403
    assert admin.post("/theme", data={"theme": "url(x)", "csrf": csrf}).status_code == 400
    assert _own(fleet).theme == "light"


def test_a_cookie_of_before_holds_until_something_is_said(admin: TestClient, fleet: Fleet) -> None:
    admin.cookies.set("logferry_theme", "dark")
    admin.cookies.set("logferry_density", "<b>")
    text = admin.get("/").text
    assert 'data-theme="dark"' in text
    assert "data-density" not in text
    fleet.catalog.preferences.change(_id(fleet, "admin"), theme="auto")
    assert "data-theme=" not in admin.get("/").text.partition("<head>")[0]


def test_the_last_of_two_browsers_has_its_highlights_kept(admin: TestClient, another: TestClient, fleet: Fleet) -> None:
    """The whole list, not a mixture; the viewer's page has them, and has none for who never said."""
    first, second = as_person(admin, fleet, "admin"), as_person(another, fleet, "admin")
    assert _handed_over(admin) is None
    assert _put(admin, first, RED, {"word": "a"}) == 200
    assert _put(another, second, {"word": "b", "colour": "blue"}) == 200
    kept = [{"word": "b", "colour": "blue", "exact_case": False}]
    assert admin.get(API).json() == {"items": kept, "next": None}
    assert _handed_over(admin) == kept
    assert json.loads(_latest(fleet).detail) == {"highlights": 1}
    assert _put(admin, first) == 200
    assert _handed_over(another) == []
    as_person(another, fleet, "narrow")
    assert _handed_over(another) is None


def test_the_form_works_without_script(admin: TestClient, fleet: Fleet) -> None:
    """Words that are emptied go; what is refused stays to be mended."""
    form = {"csrf": as_person(admin, fleet, "admin")}
    form |= {"word0": "", "colour0": "red", "word1": "größe", "colour1": "green", "exact1": "on"}
    form |= {"word11": " two words ", "colour11": "grey"}
    assert admin.post("/me/highlights", data=form).headers["location"] == "/me?said=highlights"
    assert _own(fleet).highlights == (Highlight("größe", "green", True), Highlight(" two words ", "grey"))
    refused = admin.post("/me/highlights", data=form | {"word2": "x" * 201, "colour2": "red"})
    assert refused.status_code == 413
    assert 'value="größe"' in refused.text
    assert f'value="{"x" * 201}"' in refused.text
    assert admin.post("/me/highlights", data=form | {"colour1": "url(x)"}).status_code == 400
    assert admin.post("/me/highlights", data=form | {"csrf": ""}).status_code == 403
    assert len(_own(fleet).highlights or ()) == 2


@pytest.mark.parametrize(
    ("items", "status"),
    [
        ([{"word": "x" * HIGHLIGHT_CHARS_MAX}] * HIGHLIGHTS_MAX, 200),
        ([{"word": "\U0001f600" * HIGHLIGHT_CHARS_MAX}], 200),
        ([{"word": "x" * (HIGHLIGHT_CHARS_MAX + 1)}], 400),
        ([{"word": "x"}] * (HIGHLIGHTS_MAX + 1), 400),
        ([{"word": ""}], 400),
        ([{"word": "x", "colour": "red;background:url(x)"}], 400),
        ([{"word": "x", "style": "x"}], 400),
        ([{"word": "\x00"}], 200),
        ("x", 400),
    ],
)  # fmt: skip
def test_what_the_api_takes(admin: TestClient, fleet: Fleet, items: object, status: int) -> None:
    """So many, so long, in a colour there is; anything else changes nothing."""
    headers = {"X-CSRF-Token": as_person(admin, fleet, "admin")}
    assert admin.put(API, json={"items": items}, headers=headers).status_code == status
    assert (_own(fleet).highlights is not None) == (status == 200)
    lonely = admin.put(API, content=b'{"items": [{"word": "\\ud800"}]}', headers=headers)
    assert lonely.status_code == 400


def test_only_the_person_changes_them(admin: TestClient, fleet: Fleet) -> None:
    """No token, of whomever; nobody without the session's CSRF token; nobody who has been disabled."""
    headers = {"X-CSRF-Token": as_person(admin, fleet, "admin")}
    assert admin.patch("/api/v1/me", json={"theme": "dark", "keys": "off"}, headers=headers).json()["theme"] == "dark"
    for change in ({"theme": "pink"}, {"theme": None}, {"teme": "dark"}, {"zone": "Mars"}):
        assert admin.patch("/api/v1/me", json=change, headers=headers).status_code in (400, 422)
    assert admin.patch("/api/v1/me", json={}, headers=headers).json()["keys"] == "off"
    assert _put(admin, "not the token", RED) == 403
    admin.cookies.clear()
    for name in ("admin", "narrow"):
        bearer = {"Authorization": f"Bearer {fleet.people.new_token(name)[0]}"}
        assert admin.put(API, json={"items": [RED]}, headers=bearer).status_code == 403
        assert admin.patch("/api/v1/me", json={"theme": "light"}, headers=bearer).status_code == 403
        for form, data in (("/theme", {"theme": "light"}), ("/me/looks", {}), ("/me/highlights", {})):
            assert admin.post(form, data=data, headers=bearer).status_code == 403
    assert _own(fleet) == Preferences(theme="dark", keys="off")
    fleet.people.create("leaver", None)
    csrf = as_person(admin, fleet, "leaver")
    assert _put(admin, csrf, RED) == 200
    fleet.people.change("leaver", enabled=False)
    assert _put(admin, csrf) == 401
    assert admin.post("/me/highlights", data={"csrf": csrf}).headers["location"].startswith("/login")
    assert _own(fleet, "leaver").highlights == (Highlight("ERROR", "red", True),)


@pytest.mark.parametrize(
    ("kept", "known"),
    [
        ({"zone": "Mars/Base", "theme": "pink", "density": "'\"><b>", "keys": "?", "highlights": "no JSON"}, None),
        ({"highlights": "[" * 100_000}, None),
        ({"highlights": '{"word": "a"}'}, None),
        ({"highlights": '[1, null, {"word": 3}, {"word": ""}, {"word": "' + "x" * 201 + '"}, {"word": "a"}]'}, ("a",)),
        ({"highlights": json.dumps([{"word": f"w{n}", "colour": ["red"], "new": 1} for n in range(13)])},
         tuple(f"w{n}" for n in range(12))),
    ],
)  # fmt: skip
def test_what_is_broken_or_unknown_counts_as_not_said(
    admin: TestClient, fleet: Fleet, kept: dict[str, str], known: tuple[str, ...] | None
) -> None:
    """Left there by another version, or by a hand: never an error, and what is known of it holds."""
    fleet.catalog.preferences.change(_id(fleet, "admin"), **kept)
    words = None if known is None else tuple(Highlight(word) for word in known)
    assert _own(fleet) == Preferences(highlights=words)
    for page in ("/", "/me", LOG, "/api/v1/me", API):
        assert admin.get(page).status_code == 200, page
    assert [rule["word"] for rule in _handed_over(admin) or []] == list(known or ())


def test_hostile_words_are_text_in_the_page_of_settings_and_of_a_log(admin: TestClient, fleet: Fleet) -> None:
    """As they were typed, and nothing else: each is one attribute's value."""
    csrf = as_person(admin, fleet, "admin")
    hostile = [raw.decode("utf-8", "replace") for raw in payloads()]
    words = [text for text in hostile if 0 < len(text) <= HIGHLIGHT_CHARS_MAX]
    for at in range(0, len(words), HIGHLIGHTS_MAX):
        some = words[at : at + HIGHLIGHTS_MAX]
        assert _put(admin, csrf, *({"word": word} for word in some)) == 200
        assert [rule["word"] for rule in _handed_over(admin) or []] == some
        shown = re.findall(r'name="word\d+" value="([^"]*)" maxlength', admin.get("/me").text)
        assert [unescape(text).replace("\r", "\n") for text in shown if text] == [
            word.replace("\r", "\n") for word in some
        ]
