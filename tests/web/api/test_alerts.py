"""Alerts over the API: what is wrong, mutes, rules, channels, messages; who may what; and all of it in the audit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.server.alerts.watching import Lookout
from logferry.server.audit import AuditFilter
from logferry.server.config import ChannelConfig
from tests.browser.fleet import Fleet
from tests.web.api.driven import Driven, driven

DAY_S = 86400.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """The usual fleet, in which one agent is silent and one fails, with two channels."""
    folder = Path(tmp_path_factory.mktemp("alerts"))
    (folder / "hook").write_text("https://chat.example/hooks/s3cret")
    fleet = Fleet(folder / "data")
    mail = ChannelConfig(mail_to=("ops@example.org",), mail_from="logs@example.org", smtp="mail.example.org")
    channels = {"ops": ChannelConfig(webhook_file=str(folder / "hook")), "people": mail}
    fleet.config = config = dataclasses.replace(fleet.config, channels=channels)
    fleet.context = dataclasses.replace(fleet.context, config=config)
    fleet.populate()
    fleet.alarm()
    with driven(fleet) as site:
        yield site
    fleet.close()


def titles(of: Driven, path: str = "/alerts") -> list[str]:
    """What is wrong with agents, but for quotas, of which one test has its own."""
    return sorted(one["title"] for one in of.get(path)["items"] if one["kind"] in ("silence", "failing"))


def actions(site: Driven) -> list[tuple[str, str, str]]:
    """The audit, the latest first."""
    return [(one.who, one.action, one.target) for one in site.fleet.catalog.auditing.page(AuditFilter(), limit=20)]


def test_operators_see_what_is_wrong_and_viewers_do_not(site: Driven) -> None:
    otto = site.as_("otto", role="operator")
    assert titles(otto) == ["plc-07 is silent", "uploads of db-01 fail"]
    silent = next(one for one in otto.get("/alerts")["items"] if one["kind"] == "silence")
    assert (silent["agent"], silent["group"], silent["told"]) == ("plc-07", "plant", ["ops", "people"])
    assert silent["reason"].startswith("not heard for 9 h 40 m")
    assert silent["resolved_at"] is None
    for path in ("/alerts", "/alerts/events", "/alerts/rules", "/alerts/channels", "/alerts/messages", "/alerts/mutes"):
        site.as_("vera").get(path, status=403)


def test_a_scope_hides_what_is_not_in_it(site: Driven) -> None:
    """Other agents, the server's own, messages that name everybody; and reasons, where a part is hidden."""
    whole = site.as_("plant", role="operator", scope=("plc-*",))
    assert [one["subject"] for one in whole.get("/alerts")["items"]] == ["plc-07"]
    part = site.as_("part", role="operator", scope=("plc-07/Logs/**",))
    (seen,) = part.get("/alerts/events")["items"]
    assert (seen["subject"], seen["reason"]) == ("plc-07", "")
    assert whole.get("/alerts/messages")["items"] == []
    assert [one["last_reply"] for one in whole.get("/alerts/channels")["items"]] == [None, None]
    whole.get("/alerts/messages/1", status=404)
    whole.post("/alerts/mutes", {"kind": "silence", "subject": "plc-07"}, status=201)
    whole.delete("/alerts/mutes/silence/plc-07")
    part.post("/alerts/mutes", {"kind": "silence", "subject": "plc-07"}, status=403)
    for subject, kind in (("web-01", "silence"), ("nobody", "silence"), (":disk", "silence"), ("plc-07", "disk")):
        whole.post("/alerts/mutes", {"kind": kind, "subject": subject}, status=404)
    whole.post("/alerts/mutes", {"kind": "disk", "subject": ":disk"}, status=403)
    whole.post("/alerts/rules", {"kind": "silence"}, status=403)
    whole.post("/alerts/channels/ops/test", {}, status=403)


def test_a_mute_is_shown_ended_and_in_the_audit(site: Driven) -> None:
    otto = site.as_("otto", role="operator")
    made = otto.post("/alerts/mutes", {"kind": "silence", "subject": "plc-07", "reason": "  moved\n"}, status=201)
    assert (made["by"], made["reason"]) == ("otto", "moved")
    assert {one["subject"] for one in otto.get("/alerts/mutes")["items"]} == {"plc-07", "db-01"}
    (silent,) = [one for one in otto.get("/alerts")["items"] if one["subject"] == "plc-07"]
    assert silent["muted_until"] == made["until"]
    assert actions(site)[0] == ("otto", "alert.mute", "plc-07")
    otto.delete("/alerts/mutes/silence/plc-07")
    assert actions(site)[0] == ("otto", "alert.unmute", "plc-07")
    assert {one["subject"] for one in otto.get("/alerts/mutes")["items"]} == {"db-01"}
    for wrong in (-1, 400 * DAY_S, "long"):
        otto.post("/alerts/mutes", {"kind": "silence", "subject": "plc-07", "for_s": wrong}, status=400)


def test_rules_are_made_changed_tried_in_order_and_removed(site: Driven) -> None:
    otto = site.as_("otto", role="operator")
    fleet = site.fleet
    held = fleet.catalog.quotas.usage("hmi-03").bytes
    fleet.catalog.agents.change("hmi-03", quota_bytes=held * 2)
    lookout = Lookout(fleet.config, fleet.catalog, clock=fleet.clock)

    def quotas() -> list[str]:
        for shift_s in (0.0, 2.0):
            fleet.clock.shift_s = shift_s
            lookout.look(listening_since_ns=None)
        fleet.clock.shift_s = 0.0
        return [one["title"] for one in otto.get("/alerts")["items"] if one["kind"] == "quota"]

    assert quotas() == []
    body = {"kind": "quota", "agents": ["hmi-*"], "above": 0.4, "after_s": 1}
    made = otto.post("/alerts/rules", body, status=201)
    listed = otto.get("/alerts/rules")["items"]
    assert listed[0] == made
    assert [one["origin"] for one in listed] == ["page", *["built in"] * 5]
    assert actions(site)[0] == ("otto", "alert-rule.add", f"rule {made['id']}")
    assert quotas() == ["the quota of hmi-03 is nearly used up"]
    changed = otto.patch(f"/alerts/rules/{made['id']}", {"channels": ["ops"], "enabled": False})
    assert (changed["agents"], changed["above"], changed["channels"]) == (["hmi-*"], 0.4, ["ops"])
    assert quotas() == []
    otto.delete(f"/alerts/rules/{made['id']}")
    assert actions(site)[0] == ("otto", "alert-rule.remove", f"rule {made['id']}")
    otto.delete(f"/alerts/rules/{made['id']}", status=404)
    otto.patch(f"/alerts/rules/{made['id']}", {"enabled": False}, status=404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "noise"}, {"kind": "silence", "agents": ["a/b"]}, {"kind": "silence", "groups": ["x y"]},
        {"kind": "silence", "channels": ["nobody"]}, {"kind": "silence", "above": 0.5},
        {"kind": "quota", "above": 0.001},
        {"kind": "silence", "agents": ["<script>"]}, {"kind": "silence", "colour": "red"},
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused_with_a_hint(site: Driven, wrong: dict[str, object]) -> None:
    answer = site.client.post("/api/v1/alerts/rules", json=wrong)
    assert answer.status_code == 400
    assert answer.json()["hint"]
    assert all(one["origin"] == "built in" for one in site.get("/alerts/rules")["items"])


def test_channels_are_those_of_the_settings_and_tell_no_secret(site: Driven) -> None:
    found = {one["name"]: one for one in site.get("/alerts/channels")["items"]}
    assert {name: one["kind"] for name, one in found.items()} == {"ops": "webhook", "people": "mail"}
    assert found["ops"]["where"] == "https://chat.example/…"
    assert "s3cret" not in str(found)
    for path, method in (
        ("/alerts/channels", "POST"),
        ("/alerts/channels/ops", "PUT"),
        ("/alerts/channels/ops", "PATCH"),
    ):
        assert site.client.request(method, f"/api/v1{path}", json={}).status_code in (404, 405)


def test_a_test_is_a_message_and_failed_ones_are_told_apart(site: Driven) -> None:
    made = site.as_("otto", role="operator").post("/alerts/channels/ops/test", {}, status=202)
    assert (made["channel"], made["event"], made["state"], made["attempts"]) == ("ops", "test", "waiting", 0)
    site.as_("otto", role="operator").post("/alerts/channels/ops/test", {}, status=429)  # nobody's mailbox is flooded
    assert site.get(f"/alerts/messages/{made['id']}") == made
    assert site.get("/alerts/messages?limit=1")["items"] == [made]
    failed = site.get("/alerts/messages?failed=true")["items"]
    assert {one["channel"] for one in failed} == {"people"}
    assert "503 Service Unavailable" in failed[0]["reply"]
    assert actions(site)[0] == ("otto", "alert.test", "ops")
    site.post("/alerts/channels/nobody/test", {}, status=404)
    pages = site.get("/alerts/messages?limit=2")
    older = site.get(f"/alerts/messages?limit=2&cursor={pages['next']}")
    assert pages["items"][-1]["id"] > older["items"][0]["id"]


def test_only_a_message_that_failed_is_sent_again(site: Driven) -> None:
    """Under the id it had, at once; the audit has it; one that was sent stays so."""
    otto, rows = site.as_("otto", role="operator"), site.fleet.catalog.alerting
    failed = otto.post("/alerts/channels/people/test", {}, status=202)
    again = f"/alerts/messages/{failed['id']}/again"
    assert "waiting" in otto.post(again, {}, status=409)["detail"]
    (message,) = [one for one in rows.unsettled() if one.id == failed["id"]]
    rows.begin(message, now_ns=site.fleet.clock.now_ns() - 60 * 10**9, again_ns=site.fleet.clock.now_ns())
    rows.settle(message.id, state="failed", due_ns=None, reply="550 no such mailbox")
    site.as_("plant", role="operator", scope=("plc-*",)).post(again, {}, status=404)
    made = otto.post(again, {}, status=202)
    assert (made["state"], made["delivery"], made["attempts"]) == ("waiting", failed["delivery"], 1)
    assert message.id in {one.id for one in rows.unsettled()}
    assert actions(site)[0] == ("otto", "alert.send-again", "people")
    rows.settle(message.id, state="sent", due_ns=None, reply="250 OK")
    otto.post(again, {}, status=409)
    otto.post("/alerts/messages/999999/again", {}, status=404)


def test_prometheus_counts_alerts_and_messages(site: Driven) -> None:
    text = site.client.get("/metrics", headers={"Authorization": site.client.headers["Authorization"]}).text
    assert 'logferry_alerts_open{kind="failing"} 1.0' in text
    assert "logferry_alerts_muted 1.0" in text
    assert 'logferry_alert_messages{channel="people",state="waiting"}' in text
    assert 'logferry_agents{state="silent"} 1.0' in text


# Agents' care --------------------------------------------------------------------------------------------------------


def test_an_agents_settings_are_set_shown_and_in_the_audit(site: Driven) -> None:
    otto = site.as_("otto", role="operator")
    values = {
        "group": "edge",
        "tags": ["prod", "a:b"],
        "upload_rate": "1 MiB/s",
        "expect_every_s": 3600,
        "paused": True,
    }
    shown = otto.patch("/agents/web-02", values)
    assert {name: shown[name] for name in values} == values | {"tags": ["a:b", "prod"]}
    assert shown["state"] == "paused"
    assert actions(site)[0] == ("otto", "agent.change", "web-02")
    otto.patch("/agents/web-02", {"paused": False, "upload_rate": "", "expect_every_s": None})
    for wrong in ({"tags": ["x y"]}, {"upload_rate": "quick"}, {"group": "a b"}):
        otto.patch("/agents/web-02", wrong, status=400)


def test_revoke_admit_and_a_new_password_are_deeds(site: Driven) -> None:
    otto = site.as_("otto", role="operator")
    site.fleet.admit("web-01")
    assert otto.patch("/agents/web-01", {"revoked": True})["revoked"]
    assert actions(site)[0] == ("otto", "agent.revoke", "web-01")
    assert not otto.patch("/agents/web-01", {"revoked": False})["revoked"]
    assert actions(site)[0] == ("otto", "agent.admit", "web-01")
    before = site.fleet.catalog.people.user("web-01")
    made = otto.post("/agents/web-01/rotate", {})
    after = site.fleet.catalog.people.user("web-01")
    assert before is not None
    assert after is not None
    assert before.password_hash != after.password_hash
    assert actions(site)[0] == ("otto", "agent.new-password", "web-01")
    entries = str(site.fleet.catalog.auditing.page(AuditFilter(), limit=20))
    assert made["password"] not in entries
    otto.post("/agents/lab-99/rotate", {}, status=404)


def test_only_an_agent_without_files_is_removed(site: Driven) -> None:
    site.fleet.catalog.agents.add("oops-01")
    otto = site.as_("otto", role="operator")
    otto.delete("/agents/oops-01")
    assert actions(site)[0] == ("otto", "agent.remove", "oops-01")
    otto.delete("/agents/web-01", status=409)
    otto.delete("/agents/oops-01", status=404)
