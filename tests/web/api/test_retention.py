"""Retention over the API: rules with their warnings, previews, runs, what has gone, holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from logferry.server.config import RetentionConfig
from tests.browser.fleet import Fleet
from tests.web.api.driven import Driven, driven

DAY_S = 86400.0
RULES = (
    RetentionConfig("*/var/log/**", 90 * DAY_S),
    RetentionConfig("nobody-*", DAY_S),
    RetentionConfig("**", 400 * DAY_S),
    RetentionConfig("web-*", DAY_S),
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Driven]:
    """An archive with rules, two files from long ago and a new one."""
    fleet = Fleet(tmp_path / "data", retention=RULES)
    fleet.clock.shift_s = -100 * DAY_S
    fleet.catalog.agents.add("web-01")
    fleet.put("web-01", "var/log/old.log", [b"old\n"])
    fleet.put("web-01", "var/log/held.log", [b"held\n"])
    fleet.put("web-01", "srv/kept.log", [b"kept\n"])
    fleet.clock.shift_s = -89.5 * DAY_S
    fleet.put("web-01", "var/log/soon.log", [b"soon!\n"])
    fleet.clock.shift_s = 0.0
    with driven(fleet) as site:
        yield site


def test_rules_say_what_may_not_be_meant_so(site: Driven) -> None:
    """Nothing matches, everything does, never counts: told; the usual rule is left alone."""
    items = site.get("/retention/rules")["items"]
    assert [item["match"] for item in items] == ["*/var/log/**", "nobody-*", "**", "web-*"]
    assert items[0] == {"match": "*/var/log/**", "keep_s": 90 * DAY_S, "warning": ""}
    assert "no file" in items[1]["warning"]
    assert "every file" in items[2]["warning"]
    assert "never counts" in items[3]["warning"]


def test_a_run_deletes_what_its_preview_showed(site: Driven) -> None:
    """By rule, by agent and by name; what is held stays; the log says why; a second run finds nothing."""
    hold = site.post("/holds", {"glob": "web-01/var/log/held*", "reason": "case 4711"}, status=201)
    assert site.get("/holds")["items"] == [hold]
    seen = site.post("/retention/preview", {})
    assert (seen["generations"], seen["bytes"], seen["complete"]) == (1, 4, True)
    assert seen["rules"] == [{"name": "*/var/log/** keep 90d", "generations": 1, "bytes": 4}]
    assert seen["agents"] == [{"name": "web-01", "generations": 1, "bytes": 4}]
    done = site.post("/retention/run", {"at": seen["at"]})
    assert done == seen
    assert site.post("/retention/run", {})["generations"] == 0
    gone = site.get("/retention/log")
    assert gone["next"] is None
    assert [(row["path"], row["rule"], row["bytes"]) for row in gone["items"]] == [
        ("var/log/old.log", "*/var/log/** keep 90d", 4)
    ]
    site.delete(f"/holds/{hold['id']}")
    noted = [(row["action"], row["target"], row["detail"]) for row in site.get("/audit?kind=change")["items"]]
    assert [action for action, _, _ in noted] == ["hold.end", "retention.run", "retention.run", "hold.add"]
    held = ("web-01/var/log/held*", {"hold": hold["id"], "reason": "case 4711"})
    assert noted[0][1:] == noted[3][1:] == held
    assert noted[2][1:] == (seen["at"], {"generations": 1, "bytes": 4, "complete": True})
    assert site.post("/retention/preview", {})["sample"][0]["path"] == "var/log/held.log"


def test_a_preview_of_tomorrow_deletes_nothing_and_cannot_be_run(site: Driven) -> None:
    """What will be due is counted; a run of a moment to come is refused."""
    seen = site.post("/retention/preview", {"at": "now"})
    later = site.post("/retention/preview", {"at": _later(site)})
    assert later["generations"] == seen["generations"] + 1
    assert "not come yet" in site.post("/retention/run", {"at": _later(site)}, status=400)["detail"]
    assert site.post("/retention/preview", {"at": "now"})["generations"] == seen["generations"]


def test_what_has_changed_since_the_preview_stays(site: Driven) -> None:
    """A file that grew after the preview is not old any more: the run of that moment leaves it."""
    seen = site.post("/retention/preview", {})
    assert seen["generations"] == 2
    site.fleet.put("web-01", "var/log/old.log", [b"old\nand new\n"])
    assert [one["path"] for one in site.post("/retention/run", {"at": seen["at"]})["sample"]] == ["var/log/held.log"]


def test_the_log_goes_page_by_page(site: Driven) -> None:
    """The latest first; the cursor goes on behind."""
    site.post("/retention/run", {})
    first = site.get("/retention/log?limit=1")
    second = site.get(f"/retention/log?limit=1&cursor={first['next']}")
    assert first["items"][0]["id"] > second["items"][0]["id"]


def test_holds_need_a_glob_and_a_reason(site: Driven) -> None:
    """And one that is not there cannot be ended."""
    assert "needs a glob" in site.post("/holds", {"glob": " ", "reason": "x"}, status=400)["detail"]
    assert "needs a glob" in site.post("/holds", {"glob": "web-01", "reason": " "}, status=400)["detail"]
    site.delete("/holds/12345", status=404)


def test_without_rules_nothing_is_due(site: Driven) -> None:
    """No rule, no deletion."""
    fleet = site.fleet
    with driven(fleet, config=replace(fleet.config, retention=())) as bare:
        assert bare.get("/retention/rules")["items"] == []
        assert bare.post("/retention/run", {})["generations"] == 0


def _later(site: Driven) -> str:
    from logferry.clock import rfc3339

    return rfc3339(site.fleet.clock.now_ns() + int(DAY_S * 1e9))
