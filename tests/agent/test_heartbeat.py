"""The heartbeat tells the right server, in the agent's own name, and stops nothing when it cannot."""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent import heartbeat
from logferry.agent.heartbeat import Heartbeat, HeartbeatSettings, message
from logferry.agent.journal import Journal
from logferry.clock import SYSTEM
from logferry.ftp import TlsIdentity
from logferry.limits import HEARTBEAT_ITEMS_MAX, HEARTBEAT_TEXT_CHARS_MAX
from tests.agent.conftest import Node, eventually
from tests.agent.example import STATUS
from tests.agent.test_enrol import Office
from tests.agent.test_reload import following, newest, reloaded, written


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_S_MIN", 0.05)
    monkeypatch.setattr(heartbeat, "_FIRST_S", 0.05)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> TlsIdentity:
    return TlsIdentity.ensure(str(tmp_path_factory.mktemp("identity")), names=["localhost"])


@pytest.fixture
def office(identity: TlsIdentity) -> Iterator[Office]:
    made = Office(identity)
    made.status = 200
    made.reply = {"time_ns": SYSTEM.now_ns()}
    yield made
    made.close()


def settings(office: Office, pin: str, *, interval_s: float = 0.05) -> HeartbeatSettings:
    address = f"https://127.0.0.1:{office.port}/below"
    return HeartbeatSettings("web-01", address, "web-01", lambda: "geheim-ü", (pin,), "", interval_s)


def test_the_pinned_server_hears_name_password_and_state(office: Office, identity: TlsIdentity) -> None:
    """Again and again; the answer tells how far the clocks are apart."""
    beating = Heartbeat(settings(office, identity.pin), lambda: STATUS, Journal(), SYSTEM)
    try:
        eventually(lambda: len(office.requests) >= 3, timeout_s=60)
        eventually(lambda: beating.state[0] == "ok", beating.state, timeout_s=60)
        path, body = office.requests[0]
        assert path == "/below/api/v1/agents/web-01/heartbeat"
        assert (body["lag_bytes"], body["errors"], body["version"]) == (STATUS.lag_bytes, STATUS.errors, "1.0")
        assert base64.b64decode(office.authorizations[0].removeprefix("Basic ")).decode() == "web-01:geheim-ü"
        assert beating.state[1] is not None
        assert 0 <= beating.state[1] < 3600, "our clock has gone on since the answer was written"
    finally:
        beating.close()


def test_a_wrong_certificate_gets_neither_password_nor_state(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, not at each try."""
    with caplog.at_level(logging.INFO, logger="logferry.agent"):
        beating = Heartbeat(settings(office, "sha256/" + "0" * 64), lambda: STATUS, Journal(), SYSTEM)
        try:
            eventually(lambda: "pin" in beating.state[0], lambda: beating.state, timeout_s=60)
        finally:
            beating.close()
    assert office.requests == []
    assert len([r for r in caplog.records if "heartbeat" in r.getMessage()]) == 1


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_a_refusal_is_kept_in_the_servers_words_and_ends_by_itself(
    office: Office, identity: TlsIdentity, status: int
) -> None:
    """Until the server takes it again."""
    office.status, office.reply = status, {"detail": "no \x1b[31m luck"}
    beating = Heartbeat(settings(office, identity.pin), lambda: STATUS, Journal(), SYSTEM)
    try:
        eventually(lambda: beating.state[0].startswith("no "), lambda: beating.state, timeout_s=60)
        assert "\x1b" not in beating.state[0]
        office.status, office.reply = 200, {"time_ns": "soon"}
        eventually(lambda: beating.state == ("ok", None), lambda: beating.state, timeout_s=60)
    finally:
        beating.close()


def test_shipping_does_not_notice_a_web_part_that_is_not_there(plain_node: Node) -> None:
    """The status says so; a reload without the heartbeat ends it."""
    written(plain_node, server='heartbeat = "http://127.0.0.1:1"\n')
    plain_node.write("a.log", b"one\n")
    with following(plain_node) as agent:
        eventually(lambda: plain_node.current() == {"a.log": b"one\n"}, timeout_s=60)
        eventually(lambda: "127.0.0.1:1" in newest(agent).heartbeat, timeout_s=60)
        written(plain_node)
        assert reloaded(agent).heartbeat == ""
        plain_node.write("a.log", b"two\n")
        eventually(lambda: plain_node.current() == {"a.log": b"one\ntwo\n"}, timeout_s=60)


def test_lists_and_texts_are_cut_to_what_a_server_takes() -> None:
    """However much is wrong on the node."""
    import dataclasses

    much = dataclasses.replace(STATUS, findings=("x" * 10_000,) * 100, sources=("y" * 10_000,) * 100)
    told = message(much, 1)
    assert len(told["problems"]) == len(told["sources"]) == HEARTBEAT_ITEMS_MAX
    assert max(map(len, told["problems"] + told["sources"])) == HEARTBEAT_TEXT_CHARS_MAX


def test_a_textfile_and_metrics_are_kept_by_a_running_agent(plain_node: Node, tmp_path: Path) -> None:
    """Served and written, changed by a reload, "down" at the end."""
    import urllib.request

    path = tmp_path / "logferry.prom"
    written(plain_node, agent=f'metrics_file = "{path}"\nmetrics_listen = "127.0.0.1:0"\n')
    plain_node.write("a.log", b"one\n")
    with following(plain_node) as agent:
        eventually(path.exists, timeout_s=60)
        eventually(lambda: "logferry_agent_sent_bytes_total 4\n" in path.read_text(), timeout_s=60)
        eventually(lambda: newest(agent).metrics.startswith("http://127.0.0.1:"), timeout_s=60)
        with urllib.request.urlopen(newest(agent).metrics, timeout=60) as answer:
            assert b"logferry_agent_sent_bytes_total 4\n" in answer.read()
        assert "logferry_agent_up 1\n" in path.read_text()
        written(plain_node)
        os.unlink(path)
        assert reloaded(agent).metrics == ""
        assert not path.exists()
