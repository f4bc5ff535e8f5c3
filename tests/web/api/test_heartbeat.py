"""What an agent says of itself: taken from the agent alone, shown beside what the server heard."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from logferry.agent.heartbeat import message
from logferry.web.api import shapes
from tests.agent.example import STATUS
from tests.web.served import PASSWORD, Served


def joined(site: Served, agent_id: str) -> shapes.Joined:
    """A new agent."""
    token = site.client.post("/api/v1/join-tokens").json()["token"]
    with site.new_client() as node:
        answer = node.post("/api/v1/agents/join", json={"token": token, "id": agent_id})
    return shapes.Joined.model_validate(answer.json())


def beat(site: Served, agent_id: str, user: str, password: str, **other: Any) -> httpx.Response:
    with site.new_client() as node:
        body = message(STATUS, STATUS.written_ns) | other
        return node.post(f"/api/v1/agents/{agent_id}/heartbeat", json=body, auth=(user, password))


def test_an_agent_tells_how_it_is_and_people_see_it(site: Served) -> None:
    """The API has all of it, the page shows it as the agent's own words, hostile ones inert."""
    agent = joined(site, "beat-1")
    assert site.client.get("/api/v1/agents/beat-1/health").json()["own_words"] is None
    before_ns = site.context.clock.now_ns()
    answer = beat(site, "beat-1", agent.user, agent.password, problems=["<script>alert(1)</script>\x1b[2J"])
    assert answer.status_code == 200
    assert before_ns <= answer.json()["time_ns"] <= site.context.clock.now_ns()
    health = shapes.AgentHealth.model_validate(site.client.get("/api/v1/agents/beat-1/health").json())
    assert health.agent.state == "new", "the state is what the server heard: nothing was uploaded yet"
    assert health.own_words is not None
    assert (health.own_words.lag_bytes, health.own_words.errors) == (STATUS.lag_bytes, {"later": 2, "refused": 1})
    assert abs(health.own_words.clock_skew_s) > 1, "the example's clock stands still"


def test_the_page_shows_own_words_and_hostile_ones_do_nothing(site: Served) -> None:
    """Signed in as a browser would."""
    agent = joined(site, "beat-page")
    with site.new_client() as browser:
        browser.post("/api/v1/sessions", json={"name": "root", "password": PASSWORD})
        silent = browser.get("/agents/beat-page?tab=health")
        beat(site, "beat-page", agent.user, agent.password, problems=["<script>alert(1)</script>\x1b[2J"])
        page = browser.get("/agents/beat-page?tab=health")
    assert "own words" not in silent.text
    assert "In the agent&#39;s own words" in page.text or "In the agent's own words" in page.text
    assert "<script>alert(1)" not in page.text
    assert "\x1b" not in page.text


@pytest.mark.parametrize("whose", ["nobody", "wrong", "other", "person", "revoked"])
def test_only_the_agent_itself_is_heard(site: Served, whose: str) -> None:
    """Its own name and password, while it may deliver; everybody else gets the same 401."""
    agent, other = joined(site, f"mine-{whose}"), joined(site, f"other-{whose}")
    if whose == "revoked":
        site.context.enrolment.revoke(agent.id)
    name, password = {
        "nobody": ("no-such-user", agent.password),
        "wrong": (agent.user, "wrong"),
        "other": (other.user, other.password),
        "person": ("root", PASSWORD),
        "revoked": (agent.user, agent.password),
    }[whose]
    answer = beat(site, agent.id, name, password)
    assert answer.status_code == 401
    assert "hint" in answer.json()
    assert site.client.get(f"/api/v1/agents/{agent.id}/health").json()["own_words"] is None


def test_nonsense_is_refused(site: Served) -> None:
    """Numbers no database can hold, texts without end, versions that are none."""
    agent = joined(site, "nonsense")
    for wrong in (
        {"files": -1},
        {"files": 2**70},
        {"version": "1\n2"},
        {"problems": ["x" * 501]},
        {"problems": ["x"] * 21},
        {"errors": {"k" * 65: 1}},
        {"time_ns": "soon"},
    ):
        assert beat(site, "nonsense", agent.user, agent.password, **wrong).status_code == 400, wrong


def test_joining_offers_the_heartbeat(site: Served) -> None:
    """Under the address that the node has just used."""
    assert joined(site, "offered").heartbeat == site.url
