"""What operators may change of an agent: quotas, and the zone of its times."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from logferry.archive.catalog.quotas import Quota
from logferry.errors import OverQuota
from tests.web.served import Served

AGENT = "/api/v1/agents/web-01"


def test_a_quota_is_set_shown_and_taken_back(site: Served) -> None:
    """It holds at once; what is left out of a change stays; null is what the settings say."""
    site.put("quota-01", "a.log", b"0123456789")
    operator = site.as_("otto", role="operator")
    site.context.catalog.quotas.default = Quota(1000, 50)
    try:
        shown = operator.get("/api/v1/agents/quota-01").json()
        assert (shown["held_bytes"], shown["quota_bytes"], shown["own_quota_bytes"]) == (10, 1000, None)
        shown = operator.patch("/api/v1/agents/quota-01", json={"quota_bytes": 15}).json()
        assert (shown["held_bytes"], shown["quota_bytes"], shown["own_quota_bytes"]) == (10, 15, 15)
        assert (shown["held_files"], shown["quota_files"], shown["own_quota_files"]) == (1, 50, None)
        assert operator.get("/api/v1/agents/quota-01").json() | {"reason": ""} == shown | {"reason": ""}
        with pytest.raises(OverQuota):
            site.append("quota-01", "a.log", b"0123456789")
        assert operator.patch("/api/v1/agents/quota-01", json={"quota_files": 0}).json()["quota_files"] == 0
        assert operator.get("/api/v1/agents/quota-01").json()["quota_bytes"] == 15
        shown = operator.patch("/api/v1/agents/quota-01", json={"quota_bytes": None, "quota_files": None}).json()
        assert (shown["quota_bytes"], shown["quota_files"]) == (1000, 50)
        site.append("quota-01", "a.log", b"0123456789")
    finally:
        site.context.catalog.quotas.default = Quota()


@pytest.mark.parametrize(
    "wrong",
    [
        {"quota_bytes": -1}, {"quota_files": 1 << 63}, {"quota_bytes": "10 GB"}, {"quota_bytes": 1.5},
        {"colour": "red"}, {"zone": "Mars/Base"}, {"zone": "../etc/passwd"}, {"zone": ""}, {"zone": "x" * 100},
        {"zone": "a\x00"}, {"quota_bytes": 5, "zone": "Nowhere"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_changes_nothing(site: Served, wrong: dict[str, Any]) -> None:
    site.put("web-01", "a.log", b"0123456789")
    before = site.client.get(AGENT).json()
    answer = site.client.patch(AGENT, json=wrong)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert site.client.get(AGENT).json() | {"reason": ""} == before | {"reason": ""}


def test_a_zone_is_set_shown_and_taken_back(site: Served) -> None:
    site.put("web-01", "a.log", b"0123456789")
    shown = site.client.patch(AGENT, json={"zone": "Europe/Berlin"}).json()
    assert (shown["zone"], shown["own_zone"]) == ("Europe/Berlin", "Europe/Berlin")
    assert site.context.catalog.zones.of("web-01") == "Europe/Berlin"
    shown = site.client.patch(AGENT, json={"zone": None}).json()
    assert (shown["zone"], shown["own_zone"]) == ("UTC", None)


def test_who_sees_only_a_part_of_an_agent_changes_nothing_of_it(site: Served) -> None:
    """And what is out of sight is not there."""
    site.put("web-01", "var/a.log", b"x")
    site.put("db-01", "var/a.log", b"x")
    part = site.as_("part-operator", role="operator", scope=("web-*/var/**",))
    assert part.patch(AGENT, json={"quota_bytes": 1}).status_code == 403
    assert part.patch("/api/v1/agents/db-01", json={"quota_bytes": 1}).status_code == 404
    assert site.client.patch("/api/v1/agents/nobody", json={"quota_bytes": 1}).status_code == 404
    assert site.client.get(AGENT).json()["own_quota_bytes"] is None
    whole = site.as_("web-operator", role="operator", scope=("web-*",))
    assert whole.patch(AGENT, json={"quota_bytes": 7}).json()["quota_bytes"] == 7
    assert whole.patch(AGENT, json={"quota_bytes": None}).status_code == 200


def test_a_page_cannot_change_it_without_its_token(site: Served) -> None:
    """A cookie is sent by the browser whoever wrote the page."""
    site.put("web-01", "a.log", b"x")
    with site.new_client() as client:
        client.post("/api/v1/sessions", json={"name": "root", "password": "correct horse battery"})
        assert client.patch(AGENT, json={"quota_bytes": 1}).status_code == 403
        csrf = client.get("/api/v1/me").json()["csrf"]
        assert client.patch(AGENT, json={"quota_bytes": None}, headers={"X-CSRF-Token": csrf}).status_code == 200


def test_it_is_documented(site: Served) -> None:
    """With the role, and what null means."""
    told = site.client.get("/api/v1/openapi.json").json()
    change = told["paths"]["/api/v1/agents/{agent_id}"]["patch"]
    assert "operators" in change["description"]
    assert "null" in told["components"]["schemas"]["AgentChange"]["description"]


def test_the_page_of_an_agent_shows_its_quota_and_zone(site: Served) -> None:
    site.put("web-01", "a.log", b"0123456789")
    with site.new_client() as client:
        client.post("/api/v1/sessions", json={"name": "root", "password": "correct horse battery"})
        held = site.client.get(AGENT).json()["held_bytes"]
        site.client.patch(AGENT, json={"quota_bytes": held * 4, "zone": "Asia/Tokyo"})
        text = client.get("/agents/web-01?tab=health").text
        assert "25 % used" in text
        assert "Asia/Tokyo" in text
        site.client.patch(AGENT, json={"quota_bytes": None, "zone": None})
        assert "none; it holds" in client.get("/agents/web-01?tab=health").text


def test_exported_times_that_name_no_zone_are_in_that_of_their_agent(site: Served) -> None:
    """Each line of an export by the agent that it came from."""
    for agent in ("berlin-01", "other-01"):
        site.put(agent, "a.log", b"2026-07-01 12:00:00 local\n2026-07-01T12:00:00Z named\n")
    site.client.patch("/api/v1/agents/berlin-01", json={"zone": "Europe/Berlin"})
    text = site.client.get("/api/v1/export", params={"q": "agent:berlin-01 OR agent:other-01"}).text
    rows = [json.loads(line) for line in text.splitlines()]
    found = {(row["agent"], row["line"]): row["time"][:16] for row in rows}
    assert found == {
        ("berlin-01", 1): "2026-07-01T10:00", ("berlin-01", 2): "2026-07-01T12:00",
        ("other-01", 1): "2026-07-01T12:00", ("other-01", 2): "2026-07-01T12:00",
    }  # fmt: skip


def test_agents_are_asked_for_by_state_group_and_tags(site: Served) -> None:
    """All tags, one of the groups and states, whatever the letter case; as a file with one row for each, too."""
    agents = site.context.catalog.agents
    for agent, group, tags in (("tag-01", "edge", ["prod", "site:north"]), ("tag-02", "core", ["prod"])):
        agents.add(agent, group=group)
        agents.change(agent, tags=tags)

    def ids(query: str) -> list[str]:
        return [one["id"] for one in site.client.get(f"/api/v1/agents?{query}").json()["items"]]

    assert ids("tag=Prod") == ["tag-01", "tag-02"]
    assert ids("tag=prod&tag=site:north") == ["tag-01"]
    assert ids("group=edge&group=core") == ["tag-01", "tag-02"]
    assert ids("tag=prod&state=new&group=core") == ["tag-02"]
    assert ids("tag=prod&state=ok") == ids("tag=pro") == []
    assert site.client.get("/api/v1/agents?state=happy").status_code == 400
    answer = site.client.get("/api/v1/agents?tag=site:north&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "agents.csv" in answer.headers["content-disposition"]
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["id"], row["group"], row["tags"], row["heard_at"]) == ("tag-01", "edge", "prod site:north", "")
