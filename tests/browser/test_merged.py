"""Several files as one in the browser: order, colours, following, links, failures, a rotation, picking them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.browser.cutting import cutting
from tests.browser.harness import Watch, signed_in, visitor

pytestmark = pytest.mark.browser


def entries(name: str, seconds: range) -> bytes:
    """A line at each of these seconds after eight."""
    clocks = ((n, b"%02d:%02d:%02d" % (8 + n // 3600, n // 60 % 60, n % 60)) for n in seconds)
    return b"".join(b"2026-11-23 %s %s entry %d\n" % (clock, name.encode(), n) for n, clock in clocks)


def shown(page: Page) -> list[int]:
    """The numbers of the entries in the page, in its order."""
    texts = page.locator("merged-view .row .t").all_inner_texts()
    return [int(text.rsplit(" ", 1)[1]) for text in texts]


def check(page: Page) -> None:
    """Entries follow one another without gap or repetition, and few are in the page."""
    numbers = shown(page)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) <= 1400


def test_files_are_one_log_wherever_one_scrolls(page: Page, site: Site) -> None:
    """Down, up, by dragging, to a time and to the end."""
    site.fleet.put("web-01", "m/even.log", [entries("even", range(0, 9000, 2))])
    site.fleet.put("db-01", "m/odd.log", [entries("odd", range(1, 9000, 2))])
    page.goto("/view?f=web-01/m/even.log&f=db-01/m/odd.log")
    rows = page.locator("merged-view .row")
    rows.first.wait_for()
    assert [rows.nth(n).get_attribute("data-band") for n in range(4)] == ["0", "1", "0", "1"]
    page.locator("merged-view .scroller").hover()
    for step in [2500] * 8 + [-2000] * 5:
        page.mouse.wheel(0, step)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        check(page)
    page.keyboard.press(":")
    page.keyboard.type("2026-11-23T09:30:30")
    page.keyboard.press("Enter")
    expect(page.get_by_text("odd entry 5431", exact=False)).to_be_in_viewport()
    check(page)
    page.keyboard.press("G")
    expect(page.get_by_text("odd entry 8999", exact=False)).to_be_in_viewport()
    check(page)
    expect(page.locator(".follow-state")).to_have_text("following")


def test_a_link_to_a_line_leads_back_to_it(page: Page, site: Site) -> None:
    """Also after the file was rotated away; times are those of the zone, of UTC, or as written."""
    site.fleet.put("web-01", "l/one.log", [entries("one", range(0, 4000, 2))])
    site.fleet.put("web-01", "l/two.log", [entries("two", range(1, 4000, 2))])
    page.goto("/view?f=web-01/l/one.log&f=web-01/l/two.log")
    page.locator("merged-view .row").first.wait_for()
    page.keyboard.press(":")
    page.keyboard.type("2026-11-23T08:40:00")
    page.keyboard.press("Enter")
    row = page.locator("merged-view .row", has_text="two entry 2401")
    row.locator(".n").click()
    expect(row).to_have_class(re.compile("target"))
    expect(row.locator(".time")).to_have_text("2026-11-23 08:40:01.000")
    page.keyboard.press("t")
    expect(row.locator(".time")).to_be_hidden()
    page.keyboard.press("t")
    address = page.url
    archive = site.fleet.archive
    archive.rename("web-01", "l/two.log", "l/two.log.1")
    site.fleet.put("web-01", "l/two.log", [entries("new", range(4001, 4003))])
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator("merged-view .row.target .t")).to_have_text("2026-11-23 08:40:01 two entry 2401")
    expect(page.locator("merged-view .row.target")).to_be_in_viewport()


def test_new_lines_of_all_files_come_in_through_a_proxy_that_cuts(site: Site, browser: object) -> None:
    """Nothing is lost or shown twice, whatever is cut; scrolling up pauses, End goes on."""
    put = site.fleet.put
    put("web-01", "f/a.log", [entries("a", range(0, 400, 2))])
    put("web-01", "f/b.log", [entries("b", range(1, 400, 2))])
    with cutting(site.base) as proxy:
        context, page, watch = visitor(browser, proxy.base)  # type: ignore[arg-type]
        signed_in(context, site.fleet.people, "admin", proxy.base)
        page.goto("/view?f=web-01/f/a.log&f=web-01/f/b.log&at=end")
        expect(page.get_by_text("b entry 399")).to_be_in_viewport()
        for n in range(400, 424, 4):
            put("web-01", "f/a.log", [entries("a", range(n, n + 4, 2))], append=True)
            put("web-01", "f/b.log", [entries("b", range(n + 1, n + 4, 2))], append=True)
            if n % 8 == 0:
                proxy.cut()
            expect(page.locator("merged-view .row", has_text=f"entry {n + 3}")).to_be_in_viewport()
        assert sorted(shown(page)) == list(range(shown(page)[0], 424))
        page.locator("merged-view .scroller").hover()
        page.mouse.wheel(0, -600)
        expect(page.locator(".follow-state")).to_contain_text("paused: you scrolled up")
        put("web-01", "f/a.log", [entries("a", range(424, 426))], append=True)
        expect(page.locator(".follow-state")).to_contain_text("new lines below")
        page.keyboard.press("End")
        expect(page.locator("merged-view .row", has_text="entry 425")).to_be_in_viewport()
        context.close()
        watch.check(allowed=("Failed to load resource", "net::ERR"))


def test_what_fails_is_said_beside_the_others(page: Page, site: Site) -> None:
    """A file that is not there, one without times, a log without year and zone."""
    site.fleet.put("web-01", "w/plain.txt", [b"no times in here\n"])
    site.fleet.put("web-01", "w/syslog", [b"Nov 23 08:00:01 host app: hello\n"])
    page.goto("/view?f=web-01/w/plain.txt&f=web-01/w/syslog&f=web-01/w/gone.log")
    expect(page.locator(".merge-file[data-failed]")).to_have_count(1)
    notes = page.locator(".merge-notes")
    expect(notes).to_contain_text("plain.txt has no times: its lines come last")
    expect(notes).to_contain_text("syslog: its times name no year")
    expect(notes).to_contain_text("no zone: read as UTC")
    expect(page.locator("merged-view .row .t").last).to_have_text("no times in here")
    assert page.request.get("/view?f=web-01/w/gone.log").status == 404


def test_files_are_picked_in_lists_and_in_the_viewer(page: Page, site: Site) -> None:
    """Boxes in a folder and among files found; merge with, and the whole series, from the viewer."""
    page.goto("/browse/web-01/var/log/nginx")
    page.get_by_label("Pick access.log.1", exact=True).check()
    page.get_by_label("Pick access.log.2", exact=True).check()
    expect(page.locator("[data-picked]")).to_contain_text("2 picked")
    page.get_by_role("button", name="Merge by time").click()
    expect(page.locator(".merge-file")).to_have_count(2)
    page.locator("merged-view .row").first.wait_for()
    page.goto("/files?q=nginx")
    for box in page.locator("input[name=fid]").all()[:9]:
        box.check()
    expect(page.get_by_role("button", name="Merge by time")).to_be_disabled()
    page.goto("/view/web-01/var/log/nginx/access.log")
    page.get_by_role("link", name="Series · 9").click()
    expect(page.locator(".merge-file")).to_contain_text("9 pieces")
    page.locator("merged-view .row").first.wait_for()
    page.get_by_role("link", name="file alone").click()
    page.get_by_role("link", name="Merge…").click()
    page.get_by_label("web-01/var/log/nginx/error.log", exact=True).check()
    page.get_by_role("button", name="Merge by time").click()
    expect(page.locator(".merge-file")).to_have_count(2)
    page.locator("merged-view .row").first.wait_for()


def test_the_merged_view_is_for_everybody(opened: tuple[Page, Watch], axe: str) -> None:
    """At 360 px nothing sticks out; nothing keeps anybody from reading (axe, WCAG 2.2 AA)."""
    page, _ = opened
    page.set_viewport_size({"width": 360, "height": 1600})  # nothing is half beneath the bar at the bottom
    for address in (
        "/view?f=web-01/var/log/syslog&f=web-01/var/log/hostile.log&s=web-01/var/log/nginx/access.log&f=web-01/none",
        "/view",
        "/view?with=web-01/var/log/syslog",
    ):
        page.goto(address)
        if "f=" in address:
            page.locator("merged-view .row").first.wait_for()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        page.evaluate(axe)
        found = page.evaluate(
            "async () => (await axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})).violations"
            ".map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`)"
        )
        assert found == [], f"{address}: {found}"
