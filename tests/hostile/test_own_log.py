"""Our own log of hostile visitors: one event is one line of JSON, whoever calls themselves what."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from logferry.server.logs import configure
from logferry.web.app import create_app
from tests.hostile.payloads import HEADERS, payloads, words
from tests.hostile.planted import Planted
from tests.security.amounts import HEAVY


def test_every_request_is_one_line(planted: Planted, capfd: pytest.CaptureFixture[str]) -> None:
    """Hostile words as paths, queries, names that want to sign in, and in headers; people at a terminal see marks."""
    capfd.readouterr()
    configure(human=False, for_good=False)
    asked = 0
    with TestClient(create_app(planted.context), base_url="http://127.0.0.1", follow_redirects=False) as client:
        for raw, text in list(zip(payloads(), words(), strict=True))[:: 1 if HEAVY else 6]:
            client.get(
                f"/{quote(raw, safe='')}?q={quote(raw)}", headers={"User-Agent": quote(raw), "X-Odd": quote(raw)}
            )
            client.post("/api/v1/setup", json={"code": _sendable(text), "name": _sendable(text), "password": "x"})
            asked += 2
    lines = capfd.readouterr().err.splitlines()
    events = [json.loads(line) for line in lines]
    assert sum(event["event"] == "request" for event in events) == asked
    assert all(line.isascii() for line in lines)


def test_a_person_at_a_terminal_sees_marks(planted: Planted, capfd: pytest.CaptureFixture[str]) -> None:
    """The same for people: a line for each, and nothing that a terminal obeys."""
    capfd.readouterr()
    configure(human=True, for_good=False)
    with TestClient(create_app(planted.context), base_url="http://127.0.0.1", follow_redirects=False) as client:
        for text in HEADERS[:: 1 if HEAVY else 2]:
            client.get(f"/{quote(text, safe='')}")
    lines = capfd.readouterr().err.split("\n")
    assert sum(" request " in line for line in lines) == len(HEADERS[:: 1 if HEAVY else 2])
    assert all(line.isprintable() for line in lines)


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[:200]
