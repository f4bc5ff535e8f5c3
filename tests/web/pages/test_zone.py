"""Times on pages: in the zone of the session, of the person, of the browser; without its script, too."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from logferry.web.zone import all_zones
from tests.browser.fleet import Fleet
from tests.web.pages.conftest import as_person

PAGES = (
    "/", "/agents", "/agents/web-01?tab=health", "/browse/web-01/var/log", "/files?q=log", "/me", "/admin/audit",
    "/tail",
)  # fmt: skip
_TIME = re.compile(r'<time datetime="([^"]+)" title="([^"]+)"')


def _choose(client: TestClient, zone: str) -> None:
    """As the top bar does."""
    answer = client.post("/zone", data={"zone": zone, "next": "/agents?state=ok"})
    assert answer.headers["location"] == "/agents?state=ok"


@pytest.mark.parametrize("address", PAGES)
def test_every_page_shows_the_chosen_zone(admin: TestClient, address: str) -> None:
    """Each time says itself in it and in UTC; what machines read stays UTC."""
    _choose(admin, "Asia/Kolkata")
    text = admin.get(address).text
    assert 'aria-label="Time zone: Asia/Kolkata"' in text
    for machine, person in _TIME.findall(text):
        here, _, utc = person.partition(" · ")
        assert machine.endswith("Z")
        assert utc == f"{machine[:10]} {machine[11:19]} UTC"
        apart = datetime.fromisoformat(here.removesuffix(" IST")) - datetime.fromisoformat(utc.removesuffix(" UTC"))
        assert apart.total_seconds() == 5.5 * 3600


def test_summer_time_is_that_of_the_day(admin: TestClient, fleet: Fleet) -> None:
    """Not of today."""
    fleet.clock.shift_s = datetime(2026, 7, 1, 8, tzinfo=UTC).timestamp() - datetime.now(UTC).timestamp()
    try:
        fleet.catalog.agents.add("summer-01")
    finally:
        fleet.clock.shift_s = 0.0
    _choose(admin, "Europe/Berlin")
    assert re.search(r"2026-07-01 10:00:0\d CEST", admin.get("/agents/summer-01?tab=health").text)


def test_a_zone_is_kept_for_the_person(admin: TestClient, fleet: Fleet) -> None:
    """In every browser; what the top bar said before ends, and says it again for one session."""
    csrf = as_person(admin, fleet, "narrow")
    _choose(admin, "Asia/Kolkata")
    assert admin.post("/me/zone", data={"csrf": csrf, "zone": "Europe/Berlin"}).headers["location"] == "/me?said=zone"
    assert "Time zone: Europe/Berlin" in admin.get("/").text
    admin.cookies.clear()
    as_person(admin, fleet, "narrow")
    assert "Time zone: Europe/Berlin" in admin.get("/").text
    assert admin.get("/api/v1/me").json()["zone"] == "Europe/Berlin"
    _choose(admin, "UTC")
    assert "Time zone: UTC" in admin.get("/").text
    admin.cookies.clear()
    as_person(admin, fleet, "admin")
    assert "Time zone: UTC" in admin.get("/").text


def test_the_zone_of_the_browser_is_what_it_tells(admin: TestClient, fleet: Fleet) -> None:
    """UTC until it has told one; what is no zone is none."""
    for told, zone in (
        ("", "UTC"), ("America%2FNew_York", "America/New_York"), ("../../etc/passwd", "UTC"), ("x" * 3000, "UTC"),
        ("%00", "UTC"), ("<script>", "UTC"), ("America", "UTC"),
    ):  # fmt: skip
        admin.cookies.clear()
        as_person(admin, fleet, "admin")
        admin.cookies.set("logferry_zone", "browser")
        admin.cookies.set("logferry_browser_zone", told)
        assert f"Time zone: {zone}" in admin.get("/").text


def test_what_is_no_zone_is_refused(admin: TestClient, fleet: Fleet) -> None:
    """With a hint, and nothing changes."""
    csrf = as_person(admin, fleet, "admin")
    refused = admin.post("/zone", data={"zone": "Mars/Base"})
    assert refused.status_code == 400
    assert "o time zone" in refused.text
    assert admin.post("/me/zone", data={"csrf": csrf, "zone": "/etc/passwd"}).status_code == 400
    assert fleet.catalog.preferences.of(fleet.people.get("admin").id).zone == ""
    assert "Europe/Berlin" in all_zones()


def test_the_api_changes_the_zone_and_keeps_its_own(admin: TestClient, fleet: Fleet) -> None:
    """Times of the API are UTC."""
    headers = {"X-CSRF-Token": as_person(admin, fleet, "narrow")}
    assert admin.patch("/api/v1/me", json={"zone": "Asia/Kolkata"}, headers=headers).json()["zone"] == "Asia/Kolkata"
    assert admin.get("/api/v1/agents").json()["items"][0]["heard_at"].endswith("Z")
    assert admin.patch("/api/v1/me", json={"zone": "x"}, headers=headers).status_code == 400
    assert admin.patch("/api/v1/me", json={"zone": "UTC"}).status_code == 403


def test_a_search_takes_times_in_the_zone_and_says_so(admin: TestClient) -> None:
    """The form sends the zone along, so its address means the same to everybody."""
    _choose(admin, "Europe/Berlin")
    text = admin.get("/search?q=x&from=2026-11-23T09:00&tz=Europe/Berlin").text
    assert 'name="tz" value="Europe/Berlin"' in text
    assert "times of Europe/Berlin" in text
    assert 'data-from="2026-11-23T09:00"' in text
    assert 'data-tz="Europe/Berlin"' in text
    assert "Since 2026-11-23 09:00" in admin.get("/search?q=x&from=2026-11-23T08:00").text
    count = "/api/v1/search/count"
    asked = {"q": "GET", "from": "2026-11-23T09:00", "to": "2026-11-23T09:30", "tz": "Europe/Berlin"}
    same = {"q": "GET", "from": "2026-11-23T08:00", "to": "2026-11-23T08:30"}
    assert admin.get(count, params=asked).json()["total"] == admin.get(count, params=same).json()["total"] > 0
    assert admin.get(count, params=asked | {"tz": "Mars"}).status_code == 400
