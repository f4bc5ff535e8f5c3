"""Retention, connections, system, files, tail and saved as a person uses them; for everybody, on every screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from logferry.clock import SYSTEM
from logferry.ftp import SessionInfo
from logferry.server.config import RetentionConfig
from logferry.server.porter import Porter
from logferry.web.app import create_app
from tests.browser.conftest import Site
from tests.browser.cutting import cutting
from tests.browser.fleet import HOSTILE_NAME, HOUR_S, Fleet
from tests.browser.harness import serving, signed_in, visitor
from tests.web.lobby import Lobby

pytestmark = pytest.mark.browser

ADDRESSES = (
    "/admin/retention?preview=now",
    "/admin/connections",
    "/admin/system",
    "/files?q=agent:web-01",
    "/files?q=hostileX",
    "/tail",
    "/tail?q=agent:web-*",
    "/saved?add=%2Fsearch%3Fq%3Derror",
    "/alerts",
    "/agents/web-01?tab=settings",
)


@pytest.fixture(scope="module")
def lobby() -> Lobby:
    """An agent that sends, and a stranger."""
    now_ns = SYSTEM.now_ns()
    return Lobby(
        [
            SessionInfo(1, "web-01", "10.0.0.8", True, now_ns, "STOR", "/var/log/nginx/access.log", 48_000),
            SessionInfo(2, "stranger", "10.0.0.9", False, now_ns, "idle", "", 0),
        ]
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, lobby: Lobby) -> Iterator[Site]:
    """The usual fleet with rules, and somebody connected."""
    rules = (RetentionConfig("*/Logs/**", 9 * HOUR_S), RetentionConfig("nobody-*", HOUR_S))
    fleet = Fleet(Path(tmp_path_factory.mktemp("manage")) / "data", retention=rules)
    fleet.populate()
    fleet.add_admin()
    fleet.people.create("vera", "a calm harbour")
    porter = Porter(lobby, fleet.config.data_dir)
    porter.start()
    try:
        with serving(create_app(fleet.context)) as base:
            yield Site(base, fleet)
    finally:
        porter.stop()
        fleet.close()


def following(page: Page) -> None:
    """Wait until the tail stands."""
    expect(page.locator(".tail-status")).to_contain_text(re.compile("waiting for new lines|following"))


@pytest.mark.parametrize(("dark", "phone"), [(False, False), (True, True)])
def test_the_pages_are_usable_by_everybody_and_fit(
    browser: Browser, site: Site, axe: str, *, dark: bool, phone: bool
) -> None:
    """axe has nothing to complain about; nothing sticks out sideways."""
    context, page, watch = visitor(browser, site.base, dark=dark, phone=phone)
    signed_in(context, site.fleet.people, "admin", site.base)
    for address in ADDRESSES:
        page.goto(address)
        if address.startswith("/tail?"):
            following(page)
        found = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")
        told = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found["violations"]]
        assert not told, (address, told)
        wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{address} sticks out by {wide} px"
        for tab in page.locator(".tabs [aria-current=page]").all():
            expect(tab).to_be_in_viewport(ratio=1)
    context.close()
    watch.check()


def test_what_is_due_is_previewed_held_let_go_and_deleted(page: Page, site: Site) -> None:
    """Preview, hold, end of the hold, delete behind a menu; the log says by which rule."""
    page.goto("/admin/retention")
    page.get_by_role("link", name="now", exact=True).click()
    expect(page.get_by_role("heading", name=re.compile("1 generation, .* would go now"))).to_be_visible()
    expect(page.get_by_text("takes in no file that is here now")).to_be_visible()
    page.get_by_label("Files", exact=True).first.fill("plc-07/**")
    page.get_by_label("Why").fill("case 4711")
    page.get_by_role("button", name="Hold", exact=True).click()
    page.goto("/admin/retention?preview=now")
    expect(page.get_by_role("heading", name="Nothing would go now")).to_be_visible()
    page.get_by_role("button", name="End the hold on plc-07/**").click()
    page.get_by_role("link", name="now", exact=True).click()
    page.get_by_text("Delete now…").click()
    page.get_by_role("button", name="Delete 1 generation").click()
    expect(page.get_by_role("heading", name=re.compile("1 generation, .* is deleted"))).to_be_visible()
    expect(page.locator("section", has=page.locator("#log"))).to_contain_text("PlcCtrl_1.txt")
    assert site.fleet.catalog.files.at("plc-07", "Logs/PlcCtrl/20261122/PlcCtrl_1.txt") is None


def test_connections_come_and_go_by_themselves_and_one_is_ended(page: Page, lobby: Lobby) -> None:
    """The list goes on until it is paused; one is ended by the keyboard."""
    page.goto("/admin/connections")
    row = page.locator("tr[data-session='1']")
    expect(row).to_contain_text("48.0 KB")
    lobby.there[0] = replace(lobby.there[0], moved=96_000)
    lobby.there.append(SessionInfo(3, "", "10.0.0.11", False, 10**18, "idle", "", 0))
    expect(row).to_contain_text("96.0 KB")
    expect(page.locator("tr[data-session='3']")).to_contain_text("not logged in")
    lobby.there[-1] = SessionInfo(3, HOSTILE_NAME, "10.0.0.11", False, 10**18, "RETR", "/<b>", 1)
    expect(page.locator("tr[data-session='3']")).to_contain_text("<img src=x onerror=alert(1)><U+202E>gol.txt no TLS")
    lobby.there.pop()
    expect(page.locator("tr[data-session='3']")).to_have_count(0)
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("button", name="Paused")).to_be_visible()
    page.get_by_role("button", name=re.compile("End connection 2 ")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The connection is ended")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert [one.id for one in lobby.there] == [1]


def test_picked_files_are_followed_together_and_no_cut_loses_a_line(browser: Browser, site: Site) -> None:
    """Pick two, follow; lines of both as they come, each once, in order, over cuts and a server that was away."""
    fleet = site.fleet
    fleet.put("web-01", "pick/one.log", [b"one 0\n"])
    fleet.put("web-02", "pick/two.log", [b"two 0\n"])
    with cutting(site.base) as proxy:
        context, page, watch = visitor(browser, proxy.base)
        signed_in(context, fleet.people, "admin", proxy.base)
        page.goto("/files?q=pick/")
        expect(page.get_by_role("button", name="Follow")).to_be_disabled()
        page.get_by_label("Pick all on this page").check()
        expect(page.locator("[data-picked]")).to_have_text("2 picked · 12 B")
        page.get_by_role("button", name="Follow").click()
        following(page)
        for number in range(1, 5):
            proxy.cut(down=number == 3)
            for agent, name in (("web-01", "one"), ("web-02", "two")):
                fleet.put(agent, f"pick/{name}.log", [f"{name} {number}\n".encode()], append=True)
            if number == 3:
                expect(page.locator(".tail-status")).to_contain_text("connection lost, resuming")
                proxy.up()
            expect(page.get_by_text(f"two {number}", exact=True)).to_be_visible()
            expect(page.get_by_text(f"one {number}", exact=True)).to_be_visible()
        lines = page.locator(".tail-line .t").all_text_contents()
        for name in ("one", "two"):
            assert [line for line in lines if line.startswith(name)] == [f"{name} {n}" for n in range(5)]
        context.close()
    watch.check(allowed=("Failed to load resource", "net::ERR"))


def test_a_tail_pauses_filters_and_marks_new_lives(page: Page, site: Site) -> None:
    """While it is paused new lines are counted; the filter hides and marks; a replaced file says so."""
    fleet = site.fleet
    fleet.put("web-01", "live/p.log", [b"".join(b"line %d\n" % number for number in range(300))])
    file = fleet.catalog.files.at("web-01", "live/p.log")
    assert file is not None
    page.goto(f"/tail?f={file.id}")
    following(page)
    page.locator(".tail-scroller").focus()
    page.keyboard.press("p")
    fleet.put("web-01", "live/p.log", [b"ERROR <b>new</b> 1\nnew 2\n"], append=True)
    expect(page.get_by_role("button", name="2 new below")).to_be_visible()
    expect(page.get_by_text("new 2", exact=True)).to_have_count(0)
    page.keyboard.press("End")
    expect(page.get_by_text("ERROR <b>new</b> 1", exact=True)).to_be_in_viewport()
    expect(page.locator('.tail-line[data-lv="E"]')).to_have_count(1)
    page.keyboard.press("/")
    page.keyboard.type("new")
    expect(page.locator(".tail-line:visible")).to_have_count(2)
    expect(page.locator(".tail-line mark").first).to_have_text("new")
    page.keyboard.press("Escape")
    fleet.replace("web-01", "live/p.log", [b"another life\n"])
    expect(page.get_by_text("generation 2 begins")).to_be_visible()
    expect(page.get_by_text("another life", exact=True)).to_be_visible()
    page.locator(".tail-scroller").evaluate("(box) => { box.scrollTop = 0; }")
    expect(page.locator(".tail-status")).to_have_text("paused: you scrolled up")
    fleet.put("web-01", "live/p.log", [b"below\n"], append=True)
    page.get_by_role("button", name="1 new below").click()
    expect(page.get_by_text("below", exact=True)).to_be_in_viewport()
    expect(page.locator(".tail-status")).to_have_text("following")


def test_a_search_is_saved_shared_and_opened_by_another(browser: Browser, page: Page, site: Site) -> None:
    """ "Save" has the address as it is now; what is shared is in everybody's list."""
    page.goto("/search?q=error&from=now-24h")
    page.get_by_role("link", name="Save", exact=True).click()
    page.get_by_label("Name").first.fill("errors of a day")
    page.get_by_label("Everybody sees it").first.check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="errors of a day")).to_be_visible()
    context, other, watch = visitor(browser, site.base)
    signed_in(context, site.fleet.people, "vera", site.base)
    other.goto("/saved")
    other.get_by_role("link", name="errors of a day").click()
    expect(other.get_by_label("Query", exact=True)).to_have_value("error")
    assert "from=now-24h" in other.url
    expect(other.locator(".rail")).not_to_contain_text("Admin")
    context.close()
    watch.check()


def test_saved_pages_go_out_and_come_back(page: Page, site: Site, tmp_path: Path) -> None:
    """Export gives a file that Import takes."""
    who = site.fleet.people.get("admin")
    kept = site.fleet.catalog.saved.add(who.id, "round trip", "/tail?q=web", shared=False)
    page.goto("/saved")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    path = tmp_path / "saved.json"
    download.value.save_as(path)
    site.fleet.catalog.saved.remove(kept)
    page.goto("/saved")
    page.locator("[data-import] input").set_input_files(path)
    expect(page.locator(".toast")).to_contain_text("1 saved")
    expect(page.get_by_role("link", name="round trip")).to_be_visible()
