"""How a node becomes an agent over the API."""

from __future__ import annotations

from logferry.web.api import shapes
from tests.web.served import Served


def test_a_node_joins_with_a_token_and_gets_what_it_needs(site: Served) -> None:
    """Id from the host's name, a password of its own, where and how to deliver."""
    token = shapes.JoinToken.model_validate(site.client.post("/api/v1/join-tokens", json={"uses": 2}).json())
    assert token.token in token.command
    assert "agent join" in token.command
    assert token.uses == 2
    with site.new_client() as node:
        first = node.post("/api/v1/agents/join", json={"token": token.token, "hostname": "web-07.example"})
        second = node.post(
            "/api/v1/agents/join", json={"token": token.token, "hostname": "web-07.example", "group": "w"}
        )
        third = node.post("/api/v1/agents/join", json={"token": token.token, "hostname": "x"})
    joined = [shapes.Joined.model_validate(answer.json()) for answer in (first, second)]
    assert [j.id for j in joined] == ["web-07", "web-07-2"]
    assert joined[0].password != joined[1].password
    assert joined[0].ftp.host == "127.0.0.1"
    assert joined[0].ftp.tls == "required"
    assert joined[0].ftp.pin.startswith("sha256/")
    assert site.client.get("/api/v1/agents/web-07-2").json()["group"] == "w"
    assert third.status_code == 401
    assert "join-token" in third.json()["hint"]


def test_an_id_that_is_taken_or_impossible_is_refused(site: Served) -> None:
    """409 and 400, with the next step; the token is not spent."""
    token = site.client.post("/api/v1/join-tokens").json()["token"]
    with site.new_client() as node:
        assert node.post("/api/v1/agents/join", json={"token": token, "id": "taken"}).status_code == 201
        taken = node.post("/api/v1/agents/join", json={"token": token, "id": "TAKEN"})
        wrong = node.post("/api/v1/agents/join", json={"token": token, "id": "a/b"})
    assert taken.status_code == 409
    assert taken.json()["hint"]
    assert wrong.status_code == 400


def test_limits_of_a_token_are_checked(site: Served) -> None:
    """Uses and time have bounds."""
    assert site.client.post("/api/v1/join-tokens", json={"uses": 0}).status_code == 400
    assert site.client.post("/api/v1/join-tokens", json={"ttl_s": -1}).status_code == 400
    assert site.client.post("/api/v1/join-tokens", json={"group": "a b"}).status_code == 400
