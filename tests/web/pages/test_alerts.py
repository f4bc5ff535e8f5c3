"""The page of alerts, what Home says of them, and the Settings tab of an agent: all by forms, without script."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from logferry.archive.alert_records import MessageRecord
from logferry.server.config import AlertConfig, ChannelConfig
from logferry.web.app import create_app
from tests.browser.fleet import Fleet
from tests.web.pages.conftest import BASE, as_person
from tests.web.served import unnamed_changes


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The usual fleet with its alerts, a channel and a rule of the settings."""
    folder = Path(tmp_path_factory.mktemp("alerts"))
    (folder / "hook").write_text("https://chat.example/hooks/s3cret")
    fleet = Fleet(folder / "data")
    fleet.config = dataclasses.replace(
        fleet.config,
        channels={"ops": ChannelConfig(webhook_file=str(folder / "hook"))},
        alerts=(AlertConfig("quota", agents=("web-*",), above="75%"), AlertConfig("disk", enabled=False)),
    )
    fleet.context = dataclasses.replace(fleet.context, config=fleet.config)
    fleet.populate()
    fleet.admit("web-02")
    fleet.alarm()
    fleet.add_admin()
    fleet.people.create("otto", "a calm harbour", role="operator")
    fleet.people.create("vera", "a calm harbour")
    yield fleet
    assert not unnamed_changes(fleet.catalog)
    fleet.close()


@pytest.fixture
def visitor(harbour: Fleet) -> Iterator[TestClient]:
    """Somebody at the door who does not follow redirects."""
    with TestClient(create_app(harbour.context), base_url=BASE, follow_redirects=False) as client:
        yield client


def post(visitor: TestClient, path: str, csrf: str, **values: str) -> str:
    """Where the form leads to."""
    answer = visitor.post(path, data={"csrf": csrf, **values})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_viewers_see_troubled_agents_and_nothing_of_alerts(visitor: TestClient, harbour: Fleet) -> None:
    as_person(visitor, harbour, "vera")
    home = visitor.get("/").text
    assert "plc-07" in home
    assert "/alerts" not in home
    assert visitor.get("/alerts").status_code == 403
    assert 'tab=settings"' not in visitor.get("/agents/web-01").text


def test_operators_find_what_is_wrong_who_was_told_and_the_replies(visitor: TestClient, harbour: Fleet) -> None:
    as_person(visitor, harbour, "otto")
    page = unescape(visitor.get("/alerts").text)
    for words in (
        "plc-07 is silent", "uploads of db-01 fail", "new disk comes", "https://chat.example/…", "200 OK ok",
        "75% used", "nobody: off", "built in", "settings",
    ):  # fmt: skip
        assert words in page, words
    assert "s3cret" not in page
    assert '<strong class="count">1</strong>' in visitor.get("/").text, "one of the two is muted"


def test_a_click_on_home_mutes_for_a_day_and_another_ends_it(visitor: TestClient, harbour: Fleet) -> None:
    csrf = as_person(visitor, harbour, "otto")
    assert "mute 24 h" in visitor.get("/").text
    given = {"kind": "silence", "subject": "plc-07", "next": "/"}
    assert post(visitor, "/alerts/mute", csrf, hours="24", **given) == "/"
    assert "Unmute: plc-07" in visitor.get("/").text
    assert 'class="count"' not in visitor.get("/").text
    assert post(visitor, "/alerts/mute", csrf, hours="0", **given) == "/"
    assert "Mute for 24 h: plc-07" in visitor.get("/").text
    for away in ("//evil.example", "https://evil.example", "/agents//evil.example", "/\\evil.example"):
        where = post(visitor, "/alerts/mute", csrf, **(given | {"hours": "0", "next": away}))
        assert where == "/alerts?done=unmuted"
    assert visitor.post("/alerts/mute", data={"csrf": csrf, **given, "hours": "x"}).status_code == 400
    assert visitor.post("/alerts/mute", data=given).status_code == 403


def test_a_rule_is_made_turned_off_and_removed(visitor: TestClient, harbour: Fleet) -> None:
    csrf = as_person(visitor, harbour, "otto")
    given = {"kind": "silence", "agents": "lab-* !lab-1", "after": "30 m", "channels": "ops"}
    assert post(visitor, "/alerts/rules", csrf, **given) == "/alerts?done=rule"
    (rule,) = harbour.catalog.alerting.rules()
    assert (rule.agents, rule.after_s, rule.channels) == (("lab-*", "!lab-1"), 1800, ("ops",))
    assert "lab-* !lab-1" in visitor.get("/alerts").text
    post(visitor, "/alerts/rules/switch", csrf, id=str(rule.id), enabled="0")
    assert not harbour.catalog.alerting.rule(rule.id).enabled
    post(visitor, "/alerts/rules/remove", csrf, id=str(rule.id))
    assert harbour.catalog.alerting.rules() == []
    for wrong in ({"agents": "<script>"}, {"above": "200 %"}, {"after": "soon"}, {"channels": "nobody"}):
        answer = visitor.post("/alerts/rules", data={"csrf": csrf, "kind": "quota", **wrong})
        assert answer.status_code == 400
        assert "<script>lab" not in answer.text
        assert 'role="alert"' in answer.text


def test_a_test_is_sent_off(visitor: TestClient, harbour: Fleet) -> None:
    csrf = as_person(visitor, harbour, "admin")
    assert post(visitor, "/alerts/test", csrf, channel="ops") == "/alerts?done=test"
    assert harbour.catalog.alerting.messages(limit=1)[0].event == "test"
    assert visitor.post("/alerts/test", data={"csrf": csrf, "channel": "nobody"}).status_code == 404


def test_a_message_that_failed_is_sent_again_by_a_button(visitor: TestClient, harbour: Fleet) -> None:
    csrf = as_person(visitor, harbour, "admin")
    rows = harbour.catalog.alerting
    message = rows.post(MessageRecord("again-1", "ops", "test", "a test", (), "{}", 1, due_ns=1))
    assert visitor.post("/alerts/messages/again", data={"csrf": csrf, "id": str(message.id)}).status_code == 409
    rows.begin(message, now_ns=1, again_ns=2)
    rows.settle(message.id, state="failed", due_ns=None, reply="500 broken")
    assert f'name="id" value="{message.id}"' in visitor.get("/alerts").text
    assert post(visitor, "/alerts/messages/again", csrf, id=str(message.id)) == "/alerts?done=again"
    again = rows.message(message.id)
    assert again.state == "waiting"
    rows.begin(again, now_ns=harbour.clock.now_ns(), again_ns=harbour.clock.now_ns())
    rows.settle(message.id, state="failed", due_ns=None, reply="500 broken")
    answer = visitor.post("/alerts/messages/again", data={"csrf": csrf, "id": str(message.id)})
    assert (answer.status_code, "was tried just now" in answer.text) == (429, True)
    assert visitor.post("/alerts/messages/again", data={"csrf": csrf, "id": "x"}).status_code == 400


def test_agents_are_listed_by_tag_without_script(visitor: TestClient, harbour: Fleet) -> None:
    as_person(visitor, harbour, "vera")
    harbour.catalog.agents.change("web-01", tags=["quay", "site:oslo"])
    harbour.catalog.agents.change("plc-07", tags=["quay"])
    page = visitor.get("/agents?tag=site:oslo").text
    assert re.search(r"1 of \d+: tag site:oslo", unescape(page).replace("\n", ""))
    assert 'href="/agents/web-01"' in page
    assert 'href="/agents/plc-07"' not in page
    assert 'href="/agents?tag=quay"' in page
    assert "tag=site%3Aoslo&amp;format=csv" in page
    nobody = unescape(visitor.get("/agents?state=paused&tag=quay").text)
    assert "No agent is like this: state paused, tag quay" in nobody


def test_the_activity_tab_has_what_arrived_and_what_was_wrong(visitor: TestClient, harbour: Fleet) -> None:
    """The latest first; alerts for operators alone; the API has the same."""
    as_person(visitor, harbour, "otto")
    page = visitor.get("/agents/web-01?tab=activity").text
    assert page.index("/var/log/nginx/access.log<") < page.index("/var/log/nginx/access.log.1<")
    assert "uploads of db-01 fail" in visitor.get("/agents/db-01?tab=activity").text
    found = visitor.get("/api/v1/agents/db-01/activity").json()
    assert [one["path"] for one in found["files"]] == ["var/log/postgresql/postgresql-16-main.log"]
    assert (found["complete"], [one["kind"] for one in found["alerts"]]) == (True, ["failing"])
    harbour.catalog.agents.add("idle-01")
    assert "Nothing has arrived yet" in visitor.get("/agents/idle-01?tab=activity").text
    harbour.catalog.agents.remove("idle-01")
    as_person(visitor, harbour, "vera")
    assert "uploads of db-01 fail" not in visitor.get("/agents/db-01?tab=activity").text
    assert visitor.get("/api/v1/agents/db-01/activity").json()["alerts"] == []
    assert visitor.get("/api/v1/agents/nobody/activity").status_code == 404


def test_the_settings_tab_sets_everything_and_shows_it(visitor: TestClient, harbour: Fleet) -> None:
    csrf = as_person(visitor, harbour, "otto")
    given = {
        "group": "edge", "tags": "prod, site:north", "bytes": "200 GB", "files": "none", "zone": "Europe/Berlin",
        "upload_rate": "5 MiB/s", "expect_every": "25h", "paused": "1",
    }  # fmt: skip
    where = post(visitor, "/agents/web-02/settings", csrf, **given)
    page = visitor.get(where).text
    for words in ("prod site:north", "200 GB", "Europe/Berlin", "5 MiB/s", 'value="25h"', "checked"):
        assert words in page, words
    row = harbour.catalog.agents.get("web-02")
    assert row is not None
    assert (row.group, row.own_quota_bytes, row.own_quota_files) == ("edge", 200 * 10**9, 0)
    assert (row.expect_every_s, row.paused, row.tags) == (90_000.0, True, ("prod", "site:north"))
    post(visitor, "/agents/web-02/settings", csrf)
    row = harbour.catalog.agents.get("web-02")
    assert row is not None
    assert (row.group, row.own_quota_bytes, row.own_zone, row.upload_rate) == ("", None, None, "")
    assert (row.expect_every_s, row.paused, row.tags) == (None, False, ())
    for wrong in ({"tags": "<b>"}, {"bytes": "much"}, {"upload_rate": "quick"}, {"expect_every": "daily"}):
        assert visitor.post("/agents/web-02/settings", data={"csrf": csrf, **wrong}).status_code == 400


def test_a_new_password_is_shown_once_and_revoking_can_be_undone(visitor: TestClient, harbour: Fleet) -> None:
    csrf = as_person(visitor, harbour, "otto")
    before = harbour.catalog.people.user("web-02")
    page = visitor.post("/agents/web-02/password", data={"csrf": csrf})
    assert "shown this once" in page.text
    assert harbour.catalog.people.user("web-02") != before
    assert "shown this once" not in visitor.get("/agents/web-02?tab=settings").text
    assert "This agent is revoked" in visitor.get(post(visitor, "/agents/web-02/revoke", csrf, revoked="1")).text
    assert "This agent is revoked" not in visitor.get(post(visitor, "/agents/web-02/revoke", csrf, revoked="0")).text
    assert visitor.post("/agents/web-02/remove", data={"csrf": csrf}).status_code == 409
    assert post(visitor, "/agents/lab-99/remove", csrf) == "/agents"
