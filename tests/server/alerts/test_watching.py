"""From an archive to a receiver: what is seen is written down and told once, whatever is killed in between."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from logferry.archive.alert_records import AlertRuleRecord, MessageRecord, MuteRecord
from logferry.archive.catalog import Catalog
from logferry.archive.catalog.care import FlawRecord
from logferry.archive.catalog.snapshot import Snapshot
from logferry.clock import ManualClock
from logferry.limits import ALERT_CLAIM_S, ALERT_RETRY_S_MAX, ALERT_TRIES_MAX
from logferry.server.alerts.channels import Outcome
from logferry.server.alerts.postman import Postman, pause_s
from logferry.server.alerts.settings import channels_of
from logferry.server.alerts.watching import AlertWatch, Lookout, listening_since_ns
from logferry.server.config import ServerConfig, load_config
from logferry.server.lifeline import announce
from tests.server.alerts.receivers import Inbox, http_receiver
from tests.server.helpers import eventually

HOUR_S = 3600


@dataclass
class Tower:
    """A catalog, a clock, a lookout and a postman with one webhook; ``restart`` makes both anew, as after a crash."""

    config: ServerConfig
    catalog: Catalog
    clock: ManualClock
    inbox: Inbox

    def __post_init__(self) -> None:
        self.since_ns: int | None = self.clock.now_ns() - HOUR_S * 10**9
        self.restart()

    def restart(self) -> None:
        """Nothing but what is in the catalog is known."""
        self.lookout = Lookout(self.config, self.catalog, clock=self.clock)
        self.postman = Postman(self.catalog.alerting, channels_of(self.config, self.clock), clock=self.clock)

    def pass_s(self, seconds: float, *, heard: tuple[str, ...] = (), send: bool = True, every_s: float = 120.0) -> None:
        """So much time goes by, with the looks that are made in it."""
        for _ in range(max(1, int(seconds / every_s))):
            self.clock.advance(every_s)
            for agent in heard:
                self.catalog.agents.heard(agent)
            self.catalog.writer.flush()
            self.lookout.look(listening_since_ns=self.since_ns)
            if send:
                self.postman.deliver(wait=True)

    @property
    def told(self) -> list[dict[str, Any]]:
        """What the receiver got."""
        return [json.loads(body) for _, body in self.inbox.got]

    @property
    def titles(self) -> list[str]:
        """The same, in a word each."""
        return [str(one["title"]) for one in self.told]


def config_of(folder: Path, url: str, **values: Any) -> ServerConfig:
    """A server with one webhook, ``ops``."""
    (folder / "hook").write_text(url)
    given = {
        "archive": {"root": str(folder / "data"), "min_free": "0"},
        "channels": {"ops": {"webhook_file": str(folder / "hook")}},
        "alerts": [{"kind": "disk", "enabled": False}],  # of the machine that tests run on
    }
    (folder / "data").mkdir(exist_ok=True)
    return load_config(None, {}, given | values)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty catalog, to be copied: making one takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("template") / "catalog.db"
    Catalog.open(f"sqlite:///{path}").close()
    return path


@contextmanager
def tower_at(folder: Path, template: Path, clock: ManualClock, **values: Any) -> Iterator[Tower]:
    shutil.copy(template, folder / "catalog.db")
    with http_receiver() as inbox, Catalog.open(f"sqlite:///{folder}/catalog.db", clock) as catalog:
        made = Tower(config_of(folder, inbox.url, **values), catalog, clock, inbox)
        yield made
        made.postman.close()


@pytest.fixture
def tower(tmp_path: Path, template: Path, clock: ManualClock) -> Iterator[Tower]:
    with tower_at(tmp_path, template, clock) as made:
        yield made


def fleet(tower: Tower, *names: str) -> None:
    """Agents that were just heard."""
    for name in names:
        tower.catalog.agents.add(name)
        tower.catalog.agents.heard(name)
    tower.catalog.writer.flush()


def test_an_agent_that_goes_silent_is_told_and_so_is_its_return(tower: Tower) -> None:
    fleet(tower, "web-01", "web-02")
    tower.pass_s(HOUR_S / 2, heard=("web-02",))
    assert tower.titles == ["web-01 is silent"]
    tower.pass_s(840, heard=("web-01", "web-02"))
    assert tower.titles == ["web-01 is silent", "web-01 is heard again"]
    first, last = tower.told
    assert first["alerts"][0]["id"] == last["alerts"][0]["id"]
    history = tower.catalog.alerting.history(limit=10)
    assert [(one.subject, one.told, one.resolved_ns is not None) for one in history] == [("web-01", ("ops",), True)]
    assert [message.state for message in tower.catalog.alerting.messages(limit=10)] == ["sent", "sent"]


def test_a_fleet_that_is_away_is_one_message(tower: Tower) -> None:
    names = [f"agent-{n:02}" for n in range(60)]
    fleet(tower, *names)
    tower.pass_s(HOUR_S / 2)
    assert tower.titles == ["60 agents are silent"]
    assert tower.told[0]["count"] == 60
    assert "look at the network" in tower.told[0]["text"]
    tower.pass_s(720, heard=tuple(names))
    assert tower.titles[1:] == ["60 agents are heard again"]


def test_the_servers_own_absence_is_no_silence_of_agents(tower: Tower) -> None:
    """Nor the minutes in which they come back; who does not is told then."""
    fleet(tower, "web-01", "web-02")
    tower.pass_s(240, heard=("web-01", "web-02"))
    tower.clock.advance(24 * HOUR_S)
    tower.restart()
    tower.since_ns = tower.clock.now_ns()
    tower.pass_s(14 * 60)
    assert tower.titles == []
    tower.pass_s(20 * 60, heard=("web-01",))
    assert tower.titles == ["web-02 is silent"]


def test_while_nobody_can_be_heard_nobody_is_judged(tower: Tower) -> None:
    fleet(tower, "web-01")
    tower.pass_s(240, heard=("web-01",))
    tower.since_ns = None
    tower.pass_s(2 * HOUR_S)
    assert tower.titles == []


def test_everything_that_can_be_wrong_is_told(tower: Tower) -> None:
    fleet(tower, "web-01")
    tower.catalog.agents.change("web-01", quota_bytes=100)
    with tower.catalog._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE agents SET held_bytes = 95")
    tower.catalog.agents.failed("web-01", "upload of /a broke off")
    flaw = FlawRecord("store/x.zst", 3, "frame", "web-01", "a.log", "checksum differs", 1, 1)
    tower.catalog.care.note("store/x.zst", [flaw])
    audit = {"who": "a", "role": "admin", "via": "", "address": "", "action": "x", "target": "", "detail": "{}"}
    for n in range(3):
        tower.catalog.auditing.add(time_ns=n, kind="change", request_id="", **audit)
    with tower.catalog._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit SET target = 'other' WHERE id = 2")
    tower.pass_s(600, heard=("web-01",))
    said = "; ".join(tower.titles)
    for words in (
        "the quota of web-01 is nearly used up", "uploads of web-01 fail", "damage was found in the archive",
        "the chain of the audit is broken",
    ):  # fmt: skip
        assert words in said
    assert "web-01/a.log in store/x.zst" in str(tower.told)
    tower.catalog.care.note("store/x.zst", [])
    tower.catalog.agents.change("web-01", quota_bytes=0)
    tower.pass_s(600, heard=("web-01",))
    assert "no damage is known in the archive any more" in "; ".join(tower.titles)


def test_nothing_is_told_twice_after_a_restart(tower: Tower) -> None:
    fleet(tower, "web-01")
    for _ in range(15):
        tower.pass_s(120)
        tower.restart()
    assert tower.titles == ["web-01 is silent"]


def test_a_mute_holds_over_restarts_and_ends_by_itself(tower: Tower) -> None:
    fleet(tower, "web-01")
    tower.catalog.alerting.mute(MuteRecord("silence", "web-01", tower.clock.now_ns() + 2 * HOUR_S * 10**9, "otto"))
    tower.pass_s(HOUR_S / 2)
    tower.restart()
    assert tower.titles == []
    assert len(tower.catalog.alerting.open()) == 1
    tower.pass_s(2 * HOUR_S)
    assert tower.titles == ["web-01 is silent"]


def test_rules_of_the_page_count_at_the_next_look(tower: Tower) -> None:
    fleet(tower, "web-01", "lab-01")
    rows = tower.catalog.alerting
    rows.add_rule(AlertRuleRecord("silence", agents=("lab-*",), enabled=False))
    tower.pass_s(HOUR_S / 2)
    assert tower.titles == ["web-01 is silent"]
    rows.add_rule(AlertRuleRecord("silence", agents=("web-*",), enabled=False))
    tower.pass_s(600)
    assert tower.titles == ["web-01 is silent", "web-01 is heard again"]
    assert rows.open() == []


# Sending -------------------------------------------------------------------------------------------------------------


def test_a_receiver_that_is_away_gets_it_later_once(tower: Tower) -> None:
    fleet(tower, "web-01")
    tower.inbox.answers = [(503, {}, b"busy")] * 3
    tower.pass_s(HOUR_S / 2)
    assert len(tower.inbox.got) == 4
    assert len({body for _, body in tower.inbox.got}) == 1
    assert [headers["Logferry-Attempt"] for headers, _ in tower.inbox.got] == ["1", "2", "3", "4"]
    row = tower.catalog.alerting.messages(limit=1)[0]
    assert (row.state, row.attempts, row.due_ns) == ("sent", 4, None)


def test_tries_are_bounded_and_the_last_reply_is_kept(tower: Tower) -> None:
    fleet(tower, "web-01")
    tower.inbox.answers = [(500, {}, b"broken for good")] * 100
    tower.pass_s(HOUR_S / 2)
    for pause in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        tower.clock.advance(pause)
        tower.postman.deliver(wait=True)
    row = tower.catalog.alerting.messages(failed=True, limit=1)[0]
    assert (row.state, row.attempts, row.due_ns) == ("failed", ALERT_TRIES_MAX, None)
    assert "broken for good" in row.reply
    assert len(tower.inbox.got) == ALERT_TRIES_MAX
    pauses = [pause_s(n) for n in range(1, ALERT_TRIES_MAX)]
    assert pauses == sorted(pauses)
    assert max(pauses) <= ALERT_RETRY_S_MAX


def test_an_end_is_not_told_before_its_begin(tower: Tower) -> None:
    fleet(tower, "web-01")
    tower.inbox.answers = [(500, {}, b"")] * 8
    tower.pass_s(18 * 60)
    tower.pass_s(600, heard=("web-01",))
    for _ in range(8):
        tower.clock.advance(HOUR_S)
        tower.postman.deliver(wait=True)
    tower.postman.deliver(wait=True)
    assert [message.event for message in tower.catalog.alerting.messages(limit=9)] == ["resolved", "raised"]
    assert tower.titles == ["web-01 is silent"] * 9 + ["web-01 is heard again"]


def test_one_channel_that_hangs_holds_up_no_other(tmp_path: Path, template: Path, clock: ManualClock) -> None:
    with tower_at(tmp_path, template, clock) as tower:
        sent: list[str] = []

        class Quick:
            kind = where = "quick"

            def send(self, message: MessageRecord, attempt: int) -> Outcome:
                sent.append(message.channel)
                return Outcome(True, "ok")

        tower.inbox.drip = True
        slow = replace(channels_of(tower.config, clock)["ops"], seconds=1.0)  # type: ignore[type-var]
        postman = Postman(tower.catalog.alerting, {"ops": slow, "quick": Quick()}, clock=clock)
        for channel in ("ops", "quick"):
            tower.catalog.alerting.post(MessageRecord(channel, channel, "test", "t", (), "{}", 0, due_ns=0))
        postman.deliver()
        eventually(lambda: sent == ["quick"])
        assert tower.catalog.alerting.message(1).state in ("waiting", "sending")
        postman.close()
        assert tower.catalog.alerting.message(1).state == "failed"


def test_a_channel_that_is_gone_fails_at_once(tower: Tower) -> None:
    tower.catalog.alerting.post(MessageRecord("u", "old", "raised", "t", (), "{}", 0, due_ns=0))
    tower.postman.deliver(wait=True)
    row = tower.catalog.alerting.message(1)
    assert (row.state, row.reply) == ("failed", "the settings have no such channel")


# Kills ---------------------------------------------------------------------------------------------------------------

KILLED = """
import os, sys
from logferry.archive.catalog import Catalog
from logferry.clock import ManualClock
from logferry.server.alerts.postman import Postman
from logferry.server.alerts.settings import channels_of
from logferry.server.alerts.watching import Lookout
from logferry.server.config import config_from_json
where, at, now_ns, catalog = sys.argv[1:]
clock = ManualClock(int(now_ns))
with open(where) as file:
    config = config_from_json(file.read())
rows = Catalog.open(catalog, clock)
def die(*_args, **_more): os.kill(os.getpid(), 9)
if at == "after the claim":
    Lookout(config, rows, clock=clock).look(listening_since_ns=1)
    rows.close()
    rows = Catalog.open(catalog, clock)
    channel = channels_of(config, clock)["ops"]
    object.__setattr__(channel, "clock", clock)
    type(channel).send = die
    Postman(rows.alerting, {"ops": channel}, clock=clock).deliver(wait=True)
if at == "after the sending":
    type(rows.alerting).settle = die
    Postman(rows.alerting, channels_of(config, clock), clock=clock).deliver(wait=True)
"""


def killed(tower: Tower, tmp_path: Path, at: str) -> None:
    """A process that looks or sends, and is killed at that point."""
    (tmp_path / "config.json").write_text(tower.config.to_json())
    argv = [sys.executable, "-c", KILLED, str(tmp_path / "config.json"), at, str(tower.clock.now_ns())]
    done = subprocess.run([*argv, f"sqlite:///{tmp_path}/catalog.db"], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr


def test_killed_between_commit_and_send_it_is_sent_after_all(tower: Tower, tmp_path: Path) -> None:
    """At each of the points between which something is on disk and something is not."""
    fleet(tower, "web-01")
    tower.pass_s(840)
    tower.pass_s(75, every_s=75, send=False)  # silent now, and others may come
    assert tower.catalog.alerting.messages(limit=9) == []
    tower.clock.advance(61)
    killed(tower, tmp_path, "after the claim")
    (message,) = tower.catalog.alerting.messages(limit=9)
    assert (message.state, message.attempts) == ("sending", 1)
    assert tower.inbox.got == []
    tower.restart()
    tower.postman.deliver(wait=True)
    assert tower.inbox.got == [], "another might be sending it just now"
    tower.clock.advance(ALERT_CLAIM_S)
    killed(tower, tmp_path, "after the sending")
    assert len(tower.inbox.got) == 1
    tower.clock.advance(ALERT_CLAIM_S)
    tower.restart()
    tower.pass_s(240)
    assert tower.catalog.alerting.message(message.id).state == "sent"
    assert len(tower.inbox.got) == 2, "whether it came cannot be known, so it comes again"
    assert len({headers["Logferry-Delivery"] for headers, _ in tower.inbox.got}) == 1, "under the id it had"


# The part ------------------------------------------------------------------------------------------------------------


def test_a_test_message_goes_out_by_itself(tmp_path: Path, template: Path) -> None:
    """The threads as the server runs them."""
    shutil.copy(template, tmp_path / "catalog.db")
    with http_receiver() as inbox, Catalog.open(f"sqlite:///{tmp_path}/catalog.db") as catalog:
        watch = AlertWatch(config_of(tmp_path, inbox.url), catalog)
        catalog.alerting.post(MessageRecord("u", "ops", "test", "t", (), '{"version": 1}', 0, due_ns=0))
        watch.start()
        try:
            eventually(lambda: catalog.alerting.message(1).state == "sent")
        finally:
            watch.stop()
        assert len(inbox.got) == 1


def test_since_when_the_ftp_part_listens_is_known_while_it_runs(tmp_path: Path) -> None:
    assert listening_since_ns(str(tmp_path)) is None
    announce(str(tmp_path), "ftp", {"host": "127.0.0.1", "port": 1})
    path = tmp_path / "run" / "ftp.json"
    assert listening_since_ns(str(tmp_path)) == path.stat().st_mtime_ns
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path.write_text(json.dumps({"pid": ended.pid}))
    assert listening_since_ns(str(tmp_path)) is None
    path.write_text(json.dumps({"pid": os.getppid()}))
    assert listening_since_ns(str(tmp_path)) is not None


def test_old_history_goes_and_what_is_open_stays(tower: Tower) -> None:
    fleet(tower, "web-01", "web-02")
    tower.pass_s(HOUR_S / 2)
    tower.pass_s(HOUR_S / 2, heard=("web-02",))
    tower.clock.advance(200 * 86400)
    tower.lookout.forget()
    assert [one.subject for one in tower.catalog.alerting.history(limit=9)] == ["web-01"]
    assert tower.catalog.alerting.messages(limit=9) == []


def test_a_restored_archive_sends_no_message_of_the_one_it_comes_from(tower: Tower, tmp_path: Path) -> None:
    """What is open stays open, and its end is told."""
    fleet(tower, "web-01")
    tower.pass_s(HOUR_S / 2, send=False)
    assert [message.state for message in tower.catalog.alerting.messages(limit=9)] == ["waiting"]
    copy = tmp_path / "copy.db"
    tower.catalog.snapshot(str(copy))
    with contextlib.closing(Snapshot(str(copy))) as snapshot:
        snapshot.clear()
    with Catalog.open(f"sqlite:///{copy}", tower.clock) as restored:
        assert restored.alerting.messages(limit=9) == []
        assert [one.subject for one in restored.alerting.open()] == ["web-01"]
