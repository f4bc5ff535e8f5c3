"""The page of the system: storage, damage, background work, certificate, settings with origins, versions."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from logferry.archive.catalog.care import FlawRecord
from logferry.archive.catalog.facts import SCRUB_ASKED
from logferry.archive.index_making import MakerHere
from logferry.server.audit import AuditFilter
from logferry.server.care import Care
from logferry.server.config import load_config_with_origins
from logferry.server.first_run import prepare
from logferry.web.app import create_app
from tests.browser.fleet import HOSTILE_NAME, Fleet
from tests.web.pages.conftest import BASE, as_person

PAGE = "/admin/system"


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """An archive with sealed files, started from a settings file and a flag."""
    folder = Path(tmp_path_factory.mktemp("system"))
    file = folder / "server.toml"
    file.write_text('[[retention]]\nmatch = "a/**"\nkeep = "90d"\n[ftp]\ntls = "off"\n')
    loaded = load_config_with_origins(str(file), {}, {"archive": {"root": str(folder / "data"), "min_free": "0"}})
    prepare(loaded.config, loaded=loaded).close()
    fleet = Fleet(folder / "data", config=loaded.config)
    fleet.add_admin()
    fleet.people.create("otto", "a calm harbour", role="operator")
    fleet.catalog.agents.add("web-01")
    fleet.put("web-01", "app.log", fleet.log("syslog", 500))
    sealed = list(fleet.archive.sealer(level=1, maker=MakerHere()).seal(fleet.clock.now_ns()))
    assert sum(step.segments for step in sealed) == 1
    yield fleet
    fleet.close()


@pytest.fixture
def visitor(hold: Fleet) -> Iterator[TestClient]:
    """The administrator."""
    with TestClient(create_app(hold.context), base_url=BASE, follow_redirects=False) as client:
        as_person(client, hold, "admin")
        yield client


def test_it_says_where_settings_come_from(visitor: TestClient) -> None:
    """File, flag and default; rows of a list one by one; what deserves a warning."""
    items = {one["setting"]: one for one in visitor.get("/api/v1/system/config").json()["items"]}
    assert items["retention[1].match"]["value"] == "a/**"
    assert items["retention[1].match"]["origin"].startswith("file ")
    assert items["archive.min_free"]["origin"] == "flag"
    assert items["ftp.listen"]["origin"] == "default"
    text = visitor.get(PAGE).text
    assert "retention[1].match" in text
    assert "passwords and logs cross the network in clear text" in text


def test_it_shows_storage_certificate_and_versions(visitor: TestClient, hold: Fleet) -> None:
    """The figures of the API, for people."""
    storage = visitor.get("/api/v1/system/storage").json()
    assert storage["segments"] == 1
    assert storage["sealed_bytes"] == storage["held_bytes"] > storage["segment_bytes"] > 0
    certificate = visitor.get("/api/v1/system/certificate").json()
    assert certificate["self_made"]
    assert certificate["days_left"] > 3600
    assert certificate["pin"] == hold.context.pin
    about = visitor.get("/api/v1/system/about").json()
    text = visitor.get(PAGE).text
    for shown in (certificate["pin"], about["python"], about["packages"]["numpy"], "1 segment", "free of"):
        assert shown in text


def test_a_scrub_that_is_asked_for_reads_every_segment_again(visitor: TestClient, hold: Fleet) -> None:
    """Also where none is due for a month; the page says how far it is."""
    csrf = as_person(visitor, hold, "admin")
    assert visitor.get("/api/v1/system/scrub").json()["verified"] == 1
    assert visitor.post(f"{PAGE}/scrub", data={"csrf": csrf}).headers["location"] == f"{PAGE}?done=scrub"
    state = visitor.get("/api/v1/system/scrub").json()
    assert (state["segments"], state["verified"]) == (1, 0)
    assert "0 of 1 segment verified" in visitor.get(PAGE).text
    care = Care(hold.config, hold.archive, clock=hold.clock, maker=MakerHere())
    care.turn()
    care.close()
    assert visitor.get("/api/v1/system/scrub").json()["verified"] == 1
    assert hold.catalog.facts.get(SCRUB_ASKED)


def test_damage_is_named_as_text(visitor: TestClient, hold: Fleet) -> None:
    """With the file, the place and since when, whatever their names hold."""
    now = hold.clock.now_ns()
    flaw = FlawRecord("store/x.zst", 3, "frame", "web-01", f"logs/{HOSTILE_NAME}", "checksum differs", now, now)
    hold.catalog.care.note("store/x.zst", [flaw])
    text = visitor.get(PAGE).text
    hold.catalog.care.note("store/x.zst", [])
    assert "checksum differs" in text
    assert "frame 3" in text
    assert "<img" not in text
    assert "No damage is known" in visitor.get(PAGE).text


def test_a_card_that_fails_leaves_the_others(visitor: TestClient, hold: Fleet) -> None:
    """A certificate that cannot be read is said in its place."""
    path = Path(hold.config.data_dir, "tls", "certificate.pem")
    whole = path.read_bytes()
    path.write_text("no certificate")
    try:
        answer = visitor.get(PAGE)
        assert answer.status_code == 200
        assert "The certificate cannot be read" in answer.text
        assert "free of" in answer.text
        assert visitor.get("/api/v1/system/certificate").status_code == 400
    finally:
        path.write_bytes(whole)


def test_operators_do_not_see_it(visitor: TestClient, hold: Fleet) -> None:
    """Page and form."""
    csrf = as_person(visitor, hold, "otto")
    assert visitor.get(PAGE).status_code == 403
    assert visitor.post(f"{PAGE}/scrub", data={"csrf": csrf}).status_code == 403


def test_a_support_bundle_is_made_by_the_button_and_noted(hold: Fleet, visitor: TestClient) -> None:
    """A zip that nobody caches; who made it stands in the audit. Without the page's token nothing is made."""
    page = visitor.get(PAGE).text
    assert "Make a support bundle" in page
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf
    assert visitor.post(f"{PAGE}/support-bundle", data={"hide_names": "1"}).status_code == 403
    answer = visitor.post(f"{PAGE}/support-bundle", data={"csrf": csrf[1], "hide_names": "1"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert "web-01" not in "".join(file.read(name).decode() for name in file.namelist())
        assert b"logferry_web_requests_total" in file.read("metrics.txt")
    newest = hold.catalog.auditing.page(AuditFilter(), limit=1)[0]
    assert (newest.action, newest.who) == ("support.bundle", "admin")


def test_a_support_bundle_by_the_api_is_for_administrators(hold: Fleet) -> None:
    """Operators get none."""
    tokens = {name: hold.people.new_token(name)[0] for name in ("admin", "otto")}
    with TestClient(create_app(hold.context), base_url=BASE) as client:
        for name, status in (("admin", 200), ("otto", 403)):
            headers = {"Authorization": f"Bearer {tokens[name]}"}
            assert client.post("/api/v1/system/support-bundle", headers=headers).status_code == status
