"""``logferry alerts`` and what ``logferry agents`` does to agents, against a real server over HTTP."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from logferry.archive.alert_records import AlertRecord, MessageRecord
from logferry.cli.main import run
from logferry.server.config import ChannelConfig
from tests.web.served import Served, served, wait_for

Logferry = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with an agent that is silent, and a channel."""
    folder = tmp_path_factory.mktemp("alerts")
    with served(folder / "data") as site:
        site.context.config.channels["ops"] = ChannelConfig(webhook_file=str(folder / "hook"))
        token = site.context.enrolment.new_join_token()
        site.context.enrolment.join(token.secret, agent_id="web-01")
        now_ns = site.context.clock.now_ns()
        alert = AlertRecord("silence", "web-01", reason="not heard", began_ns=now_ns, raised_ns=now_ns, rule="built in")
        site.context.catalog.alerting.keep([alert])
        yield site


@pytest.fixture
def logferry(site: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Logferry:
    """Run a command line as the administrator; exit code, output, errors."""
    monkeypatch.setenv("LOGFERRY_URL", site.url)
    monkeypatch.setenv("LOGFERRY_TOKEN", site.client.headers["Authorization"].removeprefix("Bearer "))

    def call(*arguments: str) -> tuple[int, str, str]:
        # The server is in this process, and what it says is no output of the command.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        capsys.readouterr()
        code = run(arguments)
        out, error = capsys.readouterr()
        structlog.reset_defaults()
        return code, out, error

    return call


def test_what_is_wrong_is_listed_muted_and_told_again(logferry: Logferry) -> None:
    code, out, _ = logferry("alerts")
    assert code == 0
    assert out.splitlines()[1].split()[0] == "open"
    assert "web-01 is silent" in out
    assert logferry("alerts", "mute", "web-01", "--for", "8h", "--reason", "moves")[0] == 0
    assert json.loads(logferry("alerts", "mutes", "--json")[1])["reason"] == "moves"
    assert "muted" in logferry("alerts", "list")[1]
    assert logferry("alerts", "unmute", "web-01")[0] == 0
    assert logferry("alerts", "mutes")[0] == 1
    assert logferry("alerts", "mute", "disk", "--for", "1h")[0] == 0
    assert logferry("alerts", "unmute", "disk")[0] == 0
    assert logferry("alerts", "mute", "nobody")[0] == 1
    assert json.loads(logferry("alerts", "--all", "--json")[1])["subject"] == "web-01"


def test_rules_are_made_listed_and_removed(logferry: Logferry) -> None:
    given = ("--agents", "web-*", "--above", "75%", "--channel", "ops", "--json")
    made = json.loads(logferry("alerts", "rules", "add", "quota", *given)[1])
    assert (made["above"], made["channels"]) == (0.75, ["ops"])
    code, out, _ = logferry("alerts", "rules")
    assert code == 0
    assert out.splitlines()[1].split()[:4] == ["page", str(made["id"]), "quota", "web-*"]
    assert logferry("alerts", "rules", "remove", str(made["id"]))[0] == 0
    assert logferry("alerts", "rules", "remove", str(made["id"]))[0] == 1
    assert logferry("alerts", "rules", "add", "noise")[0] == 2
    assert logferry("alerts", "rules", "add", "quota", "--above", "much")[0] == 2


@pytest.mark.parametrize(("state", "code"), [("sent", 0), ("failed", 4)])
def test_a_test_waits_for_what_becomes_of_it(
    site: Served, logferry: Logferry, monkeypatch: pytest.MonkeyPatch, state: str, code: int
) -> None:
    monkeypatch.setattr("logferry.web.alerting.ALERT_TEST_S", 0.0)  # the one before was just now
    rows = site.context.catalog.alerting

    def answer() -> None:
        wait_for(lambda: rows.unsettled())
        rows.settle(rows.unsettled()[0].id, state=state, due_ns=None, reply="418 a teapot")

    thread = threading.Thread(target=answer)
    thread.start()
    done, _, error = logferry("alerts", "test", "ops")
    thread.join()
    assert done == code
    assert "418 a teapot" in error
    assert "418 a teapot" in logferry("alerts", "messages")[1]
    assert logferry("alerts", "channels")[1].splitlines()[1].split()[:2] == ["ops", "webhook"]
    assert logferry("alerts", "test", "nobody")[0] == 1


def test_a_message_that_failed_is_sent_again(site: Served, logferry: Logferry) -> None:
    rows = site.context.catalog.alerting
    made = rows.post(MessageRecord("again-1", "ops", "test", "a test", (), "{}", 1, due_ns=1))
    rows.begin(made, now_ns=2, again_ns=3)
    rows.settle(made.id, state="failed", due_ns=None, reply="500 broken")
    failed = json.loads(logferry("alerts", "messages", "--failed", "--limit", "1", "--json")[1])
    assert failed["id"] == made.id

    def answer() -> None:
        wait_for(lambda: rows.message(made.id).state == "waiting")
        rows.begin(rows.message(made.id), now_ns=4, again_ns=5)
        rows.settle(made.id, state="sent", due_ns=None, reply="200 OK")

    thread = threading.Thread(target=answer)
    thread.start()
    done, _, error = logferry("alerts", "again", str(made.id))
    thread.join()
    assert (done, "it came: 200 OK" in error) == (0, True)
    assert logferry("alerts", "again", str(made.id))[0] == 2


def test_agents_are_listed_by_tag(site: Served, logferry: Logferry) -> None:
    site.context.catalog.agents.change("web-01", tags=["prod", "site:north"])
    code, out, _ = logferry("agents", "list", "--tag", "PROD", "--tag", "site:north")
    assert (code, out.splitlines()[1].split()[1]) == (0, "web-01")
    code, _, error = logferry("agents", "list", "--tag", "test")
    assert (code, "no agent is like that" in error) == (1, True)
    assert json.loads(logferry("agents", "--tag", "prod", "--json")[1])["id"] == "web-01"
    assert logferry("agents", "--state", "happy")[0] == 2


def test_an_agent_is_set_paused_revoked_and_given_another_password(site: Served, logferry: Logferry) -> None:
    given: tuple[str, ...] = (
        "--group",
        "edge",
        "--tag",
        "prod",
        "--tag",
        "b",
        "--upload-rate",
        "1 MiB/s",
        "--expect-every",
        "1d",
    )
    shown = json.loads(logferry("agents", "set", "web-01", *given, "--json")[1])
    assert (shown["group"], shown["tags"], shown["upload_rate"]) == ("edge", ["b", "prod"], "1 MiB/s")
    assert shown["expect_every_s"] == 86400
    given = ("--group", "", "--tag", "", "--upload-rate", "none", "--expect-every", "default")
    shown = json.loads(logferry("agents", "set", "web-01", *given, "--json")[1])
    assert (shown["group"], shown["tags"], shown["upload_rate"], shown["expect_every_s"]) == ("", [], "", None)

    def record() -> tuple[bool, bool]:
        found = site.context.catalog.agents.get("web-01")
        assert found is not None
        return found.paused, found.revoked

    for command, state in (
        ("pause", (True, False)), ("resume", (False, False)), ("revoke", (False, True)), ("admit", (False, False)),
    ):  # fmt: skip
        assert logferry("agents", command, "web-01")[0] == 0
        assert record() == state
    before = site.context.catalog.people.user("web-01")
    code, out, _ = logferry("agents", "password", "web-01")
    assert code == 0
    assert len(out.strip()) >= 16
    assert site.context.catalog.people.user("web-01") != before
    site.context.catalog.agents.add("oops-01")
    assert logferry("agents", "remove", "oops-01")[0] == 0
    assert logferry("agents", "remove", "oops-01")[0] == 1
    assert logferry("agents", "set", "web-01", "--tag", "a b")[0] == 2
