"""The page of the audit: looking takes a bounded time, and the whole chain is read on purpose and once at a time."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from logferry.server.audit import Deed
from logferry.web import auditing
from tests.browser.fleet import Fleet
from tests.web.pages.conftest import as_person

PAGE = "/admin/audit"
VERIFY = f"{PAGE}/verify"


def test_the_chain_is_verified_by_a_form_of_the_page(admin: TestClient, fleet: Fleet) -> None:
    """Not by a link, not by another site's form; with a head that was noted; that it was is an entry."""
    csrf = as_person(admin, fleet, "admin")
    assert "The chain" not in admin.get(f"{PAGE}?verify=1").text
    assert admin.get(VERIFY).status_code in (404, 405)
    assert admin.post(VERIFY, data={"csrf": "wrong"}).status_code == 403
    text = admin.post(VERIFY, data={"csrf": csrf}).text
    assert "The chain holds" in text
    head = re.search(r'<code class="head">([0-9]+:[0-9a-f]{64})</code>', text)
    assert head is not None
    assert "The chain holds" in admin.post(VERIFY, data={"csrf": csrf, "head": head[1]}).text
    assert "does not hold" in admin.post(VERIFY, data={"csrf": csrf, "head": f"1:{'0' * 64}"}).text
    assert admin.post(VERIFY, data={"csrf": csrf, "head": "x"}).status_code == 400
    assert "audit.verify" in admin.get(PAGE).text
    csrf = as_person(admin, fleet, "narrow")
    assert admin.post(VERIFY, data={"csrf": csrf}).status_code == 403


def test_the_chain_is_read_for_one_at_a_time_and_for_no_other_site(admin: TestClient, fleet: Fleet) -> None:
    """Others are told to come again, on the page and over the API."""
    csrf = as_person(admin, fleet, "admin")
    with fleet.context.verifying:
        answer = admin.get("/api/v1/audit/verify")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
        assert admin.post(VERIFY, data={"csrf": csrf}).status_code == 429
    assert admin.get("/api/v1/audit/verify", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert admin.get("/api/v1/audit/verify", headers={"Sec-Fetch-Site": "same-origin"}).json()["ok"]


def test_a_filter_that_leaves_most_out_is_looked_for_piece_by_piece(
    admin: TestClient, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entry that matches comes once, whatever the pieces; where time runs out the next page goes on."""
    for number in range(24):
        fleet.context.audit.note(Deed("change", "user.change", f"u{number}", who="ann" if number % 8 == 0 else "bob"))
    monkeypatch.setattr(auditing, "AUDIT_LOOK_ROWS", 5)

    def pages(limit: int) -> list[list[str]]:
        found, cursor = [], None
        while True:
            asked = {"who": "ann", "limit": limit} | ({"cursor": cursor} if cursor else {})
            told = admin.get("/api/v1/audit", params=asked).json()
            found.append([row["target"] for row in told["items"]])
            cursor = told["next"]
            if cursor is None:
                return found

    assert pages(2) == [["u16", "u8"], ["u0"]]
    assert pages(3) == [["u16", "u8", "u0"]]
    assert "Looking took long" not in admin.get(f"{PAGE}?who=ann").text
    monkeypatch.setattr(auditing, "AUDIT_LOOK_S_MAX", 0.0)
    short = pages(3)
    assert len(short) > 4
    assert [target for page in short for target in page] == ["u16", "u8", "u0"]
    seen, link = [], f"{PAGE}?q=u8"
    while link:
        text = admin.get(link).text
        seen += re.findall(r'<span class="path">(u[0-9]+)</span>', text)
        older = re.search(r'href="([^"]+)">(Older|Look on)', text)
        assert (older is None) == ("Looking took long" not in text and "looked through matches" not in text)
        link = older[1].replace("&amp;", "&") if older else ""
    assert seen == ["u8"]
    told = admin.get("/api/v1/audit", params={"limit": 3}).json()  # no filter: no pieces
    assert len(told["items"]) == 3
