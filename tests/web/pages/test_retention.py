"""The page of retention: rules, previews, deleting by a click, holds, quotas; for administrators alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from logferry.archive.retention import Rule
from logferry.limits import RETENTION_JUDGED_KEEP_S
from logferry.server.config import RetentionConfig
from logferry.web import retaining
from logferry.web.app import create_app
from logferry.web.context import WebContext
from logferry.web.keeping import Kept
from logferry.web.pages.shell import ADMIN_TABS
from tests.browser.fleet import HOSTILE_NAME, Fleet
from tests.web.pages.conftest import BASE, as_person
from tests.web.served import unnamed_changes

DAY_S = 86400.0
PAGE = "/admin/retention"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """An archive with two rules and a file that is old."""
    rules = (RetentionConfig("*/var/log/**", 90 * DAY_S), RetentionConfig("lab-*", DAY_S))
    fleet = Fleet(Path(tmp_path_factory.mktemp("retention")) / "data", retention=rules)
    fleet.add_admin()
    fleet.people.create("otto", "a calm harbour", role="operator")
    fleet.clock.shift_s = -100 * DAY_S
    fleet.catalog.agents.add("web-01")
    fleet.put("web-01", "var/log/old.log", [b"old\n"])
    fleet.clock.shift_s = 0.0
    yield fleet
    assert not unnamed_changes(fleet.catalog)
    fleet.close()


@pytest.fixture
def visitor(shelf: Fleet) -> Iterator[TestClient]:
    """Somebody at the door who does not follow redirects."""
    with TestClient(create_app(shelf.context), base_url=BASE, follow_redirects=False) as client:
        yield client


def test_only_administrators_see_it(visitor: TestClient, shelf: Fleet) -> None:
    """Neither in the rail nor by its address, nor by its forms."""
    csrf = as_person(visitor, shelf, "otto")
    assert "/admin" not in visitor.get("/").text
    assert visitor.get(PAGE).status_code == 403
    for form in ("run", "holds", "holds/end", "quota"):
        assert visitor.post(f"{PAGE}/{form}", data={"csrf": csrf}).status_code == 403
    as_person(visitor, shelf, "admin")
    assert 'href="/admin"' in visitor.get("/").text
    assert visitor.get("/admin").headers["location"] == ADMIN_TABS[0][0]


def test_forms_need_the_token_of_the_session(visitor: TestClient, shelf: Fleet) -> None:
    """Another site's page does not have it."""
    as_person(visitor, shelf, "admin")
    answer = visitor.post(f"{PAGE}/holds", data={"csrf": "wrong", "glob": "web-01", "reason": "x"})
    assert answer.status_code == 403
    assert shelf.catalog.retaining.holds() == []


def test_whether_a_rule_takes_in_anything_is_not_looked_for_at_every_load(
    shelf: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in some minutes, for the page and the API together; the warnings stay."""
    looked: list[str] = []
    find = retaining.takes_in_any

    def counted(context: WebContext, glob: str) -> bool:
        looked.append(glob)
        return find(context, glob)

    monkeypatch.setattr(retaining, "takes_in_any", counted)
    context = replace(shelf.context, taken_in=Kept(seconds=RETENTION_JUDGED_KEEP_S, most=8))
    with TestClient(create_app(context), base_url=BASE) as visitor:
        as_person(visitor, shelf, "admin")
        for _ in range(2):
            assert "takes in no file that is here now" in visitor.get(PAGE).text
            assert visitor.get("/api/v1/retention/rules").json()["items"][1]["warning"]
    assert looked == ["*/var/log/**", "lab-*"]


def test_a_hold_keeps_a_file_until_it_ends_and_a_click_deletes_it(visitor: TestClient, shelf: Fleet) -> None:
    """Preview, hold, end of the hold, deletion of what was shown, the log of it."""
    csrf = as_person(visitor, shelf, "admin")
    seen = visitor.get(f"{PAGE}?preview=now").text
    assert "1 generation, 4 B, would go now" in seen
    assert "takes in no file that is here now" in seen
    made = visitor.post(f"{PAGE}/holds", data={"csrf": csrf, "glob": "web-01/**", "reason": f"case {HOSTILE_NAME}"})
    assert made.headers["location"] == f"{PAGE}?done=hold"
    held = visitor.get(f"{PAGE}?preview=now&done=hold").text
    assert "The hold is set" in held
    assert "Nothing would go" in held
    assert "<img" not in held
    number = shelf.catalog.retaining.holds()[0].id
    assert visitor.post(f"{PAGE}/holds/end", data={"csrf": csrf, "hold": str(number)}).status_code == 303
    assert (
        "there is no hold" in visitor.post(f"{PAGE}/holds/end", data={"csrf": csrf, "hold": str(number)}).text.lower()
    )
    at = re.search(r'name="at" value="([0-9]+)"', visitor.get(f"{PAGE}?preview=now").text)
    assert at is not None
    done = visitor.post(f"{PAGE}/run", data={"csrf": csrf, "at": at[1]})
    assert "1 generation, 4 B, is deleted" in done.text
    after = visitor.get(PAGE).text
    assert "*/var/log/** keep 90d" in after[after.index('id="log"') :]
    assert shelf.catalog.files.at("web-01", "var/log/old.log") is None
    gone = visitor.get("/view/web-01/var/log/old.log?gen=1#L1")
    assert gone.status_code == 410
    assert "Deleted by retention" in gone.text
    assert "Generation 1 of this file, 4 B" in gone.text
    assert "*/var/log/** keep 90d" in gone.text
    assert visitor.get("/view/web-01/var/log/old.log?gen=2").status_code == 404
    shelf.people.create("nobody", "a calm harbour", role="viewer", scope=("lab-*",))
    as_person(visitor, shelf, "nobody")
    assert visitor.get("/view/web-01/var/log/old.log?gen=1").status_code == 404


def test_an_old_link_tells_what_became_of_lines_that_moved_before_they_went(visitor: TestClient, shelf: Fleet) -> None:
    """Under the name that the link has; only to those who may see the last one, too."""
    shelf.clock.shift_s = -100 * DAY_S
    shelf.put("web-01", "var/log/app.log", [b"before the rotation\n"])
    shelf.archive.rename("web-01", "var/log/app.log", "var/log/rotated/app.log.1")
    shelf.clock.shift_s = 0.0
    shelf.put("web-01", "var/log/app.log", [b"after\n"])
    rule = Rule("web-01/var/log/rotated/**", 90 * DAY_S)
    assert [len(step) for step in shelf.archive.retention([rule]).run()] == [1]
    as_person(visitor, shelf, "admin")
    gone = visitor.get("/view/web-01/var/log/app.log?gen=1")
    assert gone.status_code == 410
    assert "Generation 1 of this file, 20 B" in gone.text
    assert "It had moved to <code>var/log/rotated/app.log.1</code>, as generation 1." in gone.text
    assert 'href="/view/web-01/var/log/app.log"' in gone.text
    shelf.people.create("narrow", "a calm harbour", role="viewer", scope=("web-01/var/log/app.log",))
    as_person(visitor, shelf, "narrow")
    assert visitor.get("/view/web-01/var/log/app.log?gen=1").status_code == 404


def test_wrong_entries_are_said_on_the_page(visitor: TestClient, shelf: Fleet) -> None:
    """With the status of the error, what to do, and the page around it."""
    csrf = as_person(visitor, shelf, "admin")
    for form, fields in (
        ("holds", {"glob": " ", "reason": "x"}),
        ("run", {"at": "soon"}),
        ("run", {"at": str(shelf.clock.now_ns() + 10**15)}),
        ("holds/end", {"hold": "-1"}),
        ("quota", {"agent": "web-01", "bytes": "many"}),
    ):
        answer = visitor.post(f"{PAGE}/{form}", data={"csrf": csrf, **fields})
        assert answer.status_code == 400, (form, fields)
        assert 'role="alert"' in answer.text
        assert "<h2" in answer.text
    answer = visitor.post(f"{PAGE}/quota", data={"csrf": csrf, "agent": "nobody", "bytes": ""})
    assert answer.status_code == 404


def test_quotas_are_set_lifted_and_given_back_to_the_settings(visitor: TestClient, shelf: Fleet) -> None:
    """A size, none, and an empty field."""
    csrf = as_person(visitor, shelf, "admin")
    for given, own in (
        (("2 GB", "1,000"), (2_000_000_000, 1000)),
        (("none", "none"), (0, 0)),
        (("", ""), (None, None)),
    ):
        form = {"csrf": csrf, "agent": "web-01", "bytes": given[0], "files": given[1]}
        assert visitor.post(f"{PAGE}/quota", data=form).headers["location"] == f"{PAGE}?done=quota"
        record = shelf.catalog.agents.get("web-01")
        assert record is not None
        assert (record.own_quota_bytes, record.own_quota_files) == own


def test_without_rules_the_page_says_that_nothing_goes(admin: TestClient) -> None:
    """And how to write one."""
    text = admin.get(PAGE).text
    assert "Nothing is ever deleted" in text
    assert "[[retention]]" in text
