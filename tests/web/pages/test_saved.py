"""The page of what is saved, and the ways to it; the page that follows files, without its script."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.browser.fleet import HOSTILE_NAME, Fleet
from tests.web.pages.conftest import as_person


def test_a_page_is_saved_by_its_link_and_opened_again(admin: TestClient, fleet: Fleet) -> None:
    """The link leads to the form with the address in it; the list leads back; examples while there is nothing."""
    csrf = as_person(admin, fleet, "admin")
    assert "these are examples" in admin.get("/saved").text
    search = admin.get("/search?q=agent%3Aweb-*+error&from=now-1h").text
    start = search.index("/saved?add=")
    link = search[start : search.index('"', start)].replace("&amp;", "&")
    assert 'value="/search?q=agent%3Aweb-*+error&amp;from=now-1h"' in admin.get(link).text
    form = {"csrf": csrf, "name": HOSTILE_NAME, "address": "/search?q=agent%3Aweb-*+error&from=now-1h", "shared": "1"}
    assert "character" in admin.post("/saved", data=form).text  # marks that turn text around are no part of a name
    form["name"] = "<b>errors</b>"
    assert admin.post("/saved", data=form).headers["location"] == "/saved?done=saved"
    listed = admin.get("/saved").text
    assert 'href="/search?q=agent%3Aweb-*+error&amp;from=now-1h"' in listed
    assert "&lt;b&gt;errors&lt;/b&gt;" in listed
    assert "agent:web-* error  since now-1h" in listed
    home = admin.get("/").text
    assert 'href="/search?q=agent%3Aweb-*+error&amp;from=now-1h"' in home
    assert "&lt;b&gt;errors&lt;/b&gt;" in home
    again = admin.post("/saved", data=form)
    assert again.status_code == 409
    assert "take another name" in again.text.lower()


def test_others_see_what_is_shared_and_may_not_change_it(admin: TestClient, fleet: Fleet) -> None:
    """A viewer has no box to share with, and no menu on what others share."""
    who = fleet.people.get("admin")
    kept = fleet.catalog.saved.add(who.id, "for all", "/tail?q=web", shared=True)
    csrf = as_person(admin, fleet, "narrow")
    text = admin.get("/saved").text
    assert "Shared by others" in text
    assert "Everybody sees it" not in text
    assert "Change for all" not in text
    assert admin.post("/saved/remove", data={"csrf": csrf, "id": str(kept)}).status_code == 403
    assert admin.post("/saved/change", data={"csrf": csrf, "id": str(kept), "name": "x"}).status_code == 403
    assert admin.post("/saved/remove", data={"csrf": "wrong", "id": str(kept)}).status_code == 403
    csrf = as_person(admin, fleet, "admin")
    form = {"csrf": csrf, "id": str(kept), "name": "for some"}
    assert admin.post("/saved/change", data=form).headers["location"] == "/saved?done=changed"
    assert not fleet.catalog.saved.get(kept, who.id).shared
    assert (
        admin.post("/saved/remove", data={"csrf": csrf, "id": str(kept)}).headers["location"] == "/saved?done=removed"
    )
    assert admin.post("/saved/remove", data={"csrf": csrf, "id": str(kept)}).status_code == 404
    assert admin.post("/saved/remove", data={"csrf": csrf, "id": "x"}).status_code == 400


def test_shared_files_and_folders_are_shown_to_those_who_may_see_them(admin: TestClient, fleet: Fleet) -> None:
    """On the page and over the API, and no number tells that there is more; one's own stay one's own."""
    who = fleet.people.get("admin")
    names = {
        "/view/web-01/var/log/sys%6Cog?at=end": False, "/browse/web-01/var": False, "/browse/web-01": False,
        "/view/db-01/var/log/syslog": True, "/browse/db-01/": True, "/browse/db-01/var/log": True, "/search?q=x": True,
    }  # fmt: skip
    kept = {address: fleet.catalog.saved.add(who.id, address, address, shared=True) for address in names}
    csrf = as_person(admin, fleet, "narrow")
    text = admin.get("/saved").text
    told = {one["address"] for one in admin.get("/api/v1/saved").json()["items"]}
    for address, is_seen in names.items():
        assert (f'href="{address}' in text) == is_seen, address
        assert (address in told) == is_seen
        changed = admin.patch(f"/api/v1/saved/{kept[address]}", json={}, headers={"X-CSRF-Token": csrf})
        assert changed.status_code == (403 if is_seen else 404)
    as_person(admin, fleet, "admin")
    assert {one["address"] for one in admin.get("/api/v1/saved").json()["items"]} >= set(names)
    for number in kept.values():
        fleet.catalog.saved.remove(number)


def test_files_to_follow_are_picked_by_number_or_by_query(admin: TestClient, fleet: Fleet) -> None:
    """Those that grew last where too many match; compressed ones are left out; what is not there is a 404."""
    text = admin.get("/tail").text
    assert "Arrived last" in text
    assert "/var/log/nginx/access.log" in text
    text = admin.get("/tail?q=agent:web-01+path:nginx").text
    assert text.count("data-fid=") == 10
    access = fleet.catalog.files.at("web-01", "var/log/nginx/access.log")
    app = fleet.catalog.files.at("web-02", "app/app.log")
    assert access is not None
    assert app is not None
    text = admin.get(f"/tail?f={access.id}&fid={app.id}&f={access.id}").text
    assert text.count("data-fid=") == 2
    assert f'href="/tail?f={app.id}"' in text  # without the first
    assert "logferry tail -f" in text  # without script
    assert "No file matches" in admin.get("/tail?q=nosuchthing").text
    wrong = admin.get("/tail?q=(agent:web")
    assert (wrong.status_code, "never closed" in wrong.text) == (400, True)
    assert admin.get("/tail?f=999999").status_code == 404
    assert admin.get("/tail?f=x").status_code == 400
    assert admin.get("/tail?" + "&".join(f"f={n}" for n in range(1, 30))).status_code == 400
    as_person(admin, fleet, "narrow")
    assert admin.get(f"/tail?f={access.id}").status_code == 404
    assert "web-01" not in admin.get("/tail").text
    assert "No file matches" in admin.get("/tail?q=nginx").text
