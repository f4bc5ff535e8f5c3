"""Pages as a person uses them: search, filters, theme, keyboard alone, without script, on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from logferry.web.zone import ZONE_COOKIE
from tests.browser.conftest import Site
from tests.browser.fleet import NEEDLE, PASSWORD
from tests.browser.harness import Watch, signed_in, violations, visitor
from tests.browser.viewer import Viewer

pytestmark = pytest.mark.browser

ADDRESSES = (
    "/",
    "/agents",
    "/agents/web-01",
    "/agents/web-01?tab=health",
    "/agents/lab-99",
    "/agents/add",
    "/files",
    "/files?q=nginx",
    "/browse/web-01/var/log/nginx",
    "/view/web-01/var/log/nginx/access.log",
    "/search",
    f"/search?q={NEEDLE}",
)


def test_the_main_flow_needs_no_mouse(browser: Browser, site: Site) -> None:
    """Sign in, search, open the hit, walk the hits, ends and lines, follow: keys alone."""
    context, page, watch = visitor(browser, site.base)
    page.goto("/view/web-02/app/app.log")
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    viewer = Viewer(page)
    viewer.line(1).wait_for()
    page.keyboard.press("Control+k")
    page.keyboard.type(f"agent:web-02 {NEEDLE}")
    page.keyboard.press("Enter")
    hit = page.locator("a.hit-line")
    hit.wait_for()
    for _ in range(60):
        page.keyboard.press("Tab")
        if hit.evaluate("(node) => node === document.activeElement"):
            break
    assert hit.evaluate("(node) => getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(viewer.target).to_contain_text(NEEDLE)
    page.goto("/view/web-02/app/app.log")
    viewer.line(1).wait_for()
    page.keyboard.press("G")
    expect(viewer.line(700)).to_be_in_viewport()
    expect(viewer.follow).to_have_text("following")
    page.keyboard.press("g")
    expect(viewer.line(1)).to_be_in_viewport()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".row.cursor")).to_have_attribute("aria-rowindex", "3")
    viewer.find('"level": "error"')
    first = viewer.target.get_attribute("aria-rowindex")
    page.keyboard.press("n")
    expect(viewer.target).not_to_have_attribute("aria-rowindex", str(first))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    context.close()
    watch.check()


def test_search_groups_hits_by_file_and_says_what_it_did(page: Page) -> None:
    """Hits with context by file, an account at the end; nothing found offers to widen."""
    page.goto("/search?q=state%3DFAULT&context=2")
    expect(page.locator(".search-status strong")).to_contain_text("in 2 files")
    expect(page.locator(".search-status")).to_contain_text("scanned all")
    group = page.locator(".group", has_text="plc-07")
    expect(group.locator(".hit-line.around").first).to_be_visible()
    before = group.locator("a.hit-line").count()
    group.locator(".more").click()
    assert group.locator("a.hit-line").count() > before
    page.goto(f"/search?q=agent%3Aplc-07+{NEEDLE}")
    expect(page.get_by_role("heading", name="No line matches")).to_be_visible()
    page.get_by_role("link", name="Search all files").click()
    expect(page.locator("a.hit-line")).to_have_count(1)


def test_a_query_that_does_not_parse_is_marked(opened: tuple[Page, Watch]) -> None:
    """The character stands out and the message says what to do; nothing is searched."""
    page, watch = opened
    page.goto("/search?q=error+(agent:web*")
    expect(page.get_by_role("alert")).to_contain_text("never closed")
    expect(page.locator(".caret mark")).to_have_text("(")
    expect(page.locator("#results")).to_have_count(0)
    watch.errors.clear()  # the answer's status is 400


def test_stop_ends_a_search(page: Page, site: Site) -> None:
    """Stop leaves what was found and says that it was stopped."""
    page.route("**/api/v1/search*", lambda route: None)  # never answered
    page.goto("/search?q=anything")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".search-status")).to_contain_text("stopped by you")


def test_theme_stays_and_needs_no_reload(page: Page) -> None:
    """Chosen once, dark at once and on the next page; without a flash because the server renders it."""
    page.goto("/")
    page.get_by_label("Theme").click()
    with page.expect_response("**/theme"):
        page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    answer = page.goto("/agents")
    assert answer is not None
    assert 'data-theme="dark"' in answer.text()


def test_filter_hides_rows_of_this_page(page: Page) -> None:
    """Typing narrows the table and says how many are hidden."""
    page.goto("/browse/web-01/var/log/nginx")
    page.get_by_label("Filter names on this page").fill("error")
    expect(page.locator("tbody tr:visible", has_text="access.log")).to_have_count(0)
    expect(page.locator("tbody")).to_contain_text("9 hidden by the filter")


def test_signing_out_ends_the_session_at_once(browser: Browser, site: Site) -> None:
    """Afterwards the old cookie opens nothing."""
    context, page, watch = visitor(browser, site.base)
    signed_in(context, site.fleet.people, "admin", site.base)
    page.goto("/")
    old = context.cookies()
    page.get_by_label("admin: account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.add_cookies([{"name": c["name"], "value": c["value"], "url": site.base} for c in old])
    page.goto("/agents")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()
    watch.check()


def test_lists_work_without_script(browser: Browser, site: Site) -> None:
    """Sign in, agents, folders, files by name, theme, sign out: plain links and forms."""
    context = browser.new_context(base_url=site.base, java_script_enabled=False)
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Files", exact=True).click()
    page.locator("table").get_by_role("link", name="web-01").click()
    page.locator("table").get_by_role("link", name="var").click()
    page.locator("table").get_by_role("link", name="log", exact=True).click()
    expect(page.locator("table")).to_contain_text("hostile.log")
    page.get_by_label("Theme").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/view/web-01/var/log/syslog")
    expect(page.get_by_role("link", name="the raw text")).to_be_visible()
    page.get_by_label("admin: account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


@pytest.mark.parametrize("script", [True, False])
def test_on_a_phone_the_bar_has_three_entries_and_the_others_are_behind_more(
    browser: Browser, site: Site, axe: str, script: bool
) -> None:
    """By keyboard, with script and without."""
    context = browser.new_context(
        base_url=site.base, viewport={"width": 360, "height": 740}, is_mobile=True, java_script_enabled=script
    )
    signed_in(context, site.fleet.people, "admin", site.base)
    page = context.new_page()
    page.goto("/")
    rail = page.get_by_role("navigation", name="Main")
    links, more = rail.get_by_role("link"), rail.locator("summary")
    expect(links).to_have_text(["Home", "Files", "Search"])
    more.press("Enter")
    expect(links).to_have_count(8)
    if script:
        assert violations(page, axe, within="nav.rail") == []  # what the menu covers is reached when it is closed
        page.keyboard.press("Escape")
        expect(links).to_have_count(3)
        more.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Agents", exact=True).wait_for()
    expect(links).to_have_count(3)
    expect(more).to_have_class("current")
    context.close()


def test_a_folder_says_how_many_lines_files_have_and_from_when_to_when(browser: Browser, site: Site) -> None:
    """About so many where a file has grown since; in the visitor's zone; left out where there is no room."""
    context, page, watch = visitor(browser, site.base)
    signed_in(context, site.fleet.people, "admin", site.base)
    page.goto("/browse/web-01/var/log/nginx")
    grown, rotated = (page.locator("tr", has=page.get_by_role("link", name=name, exact=True)) for name in
                      ("access.log", "access.log.1"))  # fmt: skip
    expect(grown.locator(".line-count")).to_have_text(re.compile(r"^\s*≈about 1,\d\d\d\s*$"))
    expect(rotated.locator(".line-count")).to_have_text("50")
    expect(rotated.locator(".line-count span")).to_have_attribute("title", "50 lines")
    expect(rotated.locator(".range")).to_have_text(re.compile(r"\d\d:\d\d"))
    utc = rotated.locator(".range").inner_text()
    page.context.add_cookies([{"name": ZONE_COOKIE, "value": "Asia%2FTokyo", "url": site.base}])
    page.reload()
    expect(rotated.locator(".range")).not_to_have_text(utc)
    page.goto("/browse/web-01/var/log")
    hostile = page.locator("tr", has_text="hostile.log")
    expect(hostile.locator(".range")).to_have_text("—")
    for width, shown in ((1360, (True, True)), (1000, (True, False)), (360, (False, False))):
        page.set_viewport_size({"width": width, "height": 800})
        assert (hostile.locator(".line-count").is_visible(), hostile.locator(".range").is_visible()) == shown
        box = hostile.get_by_role("link").bounding_box()
        assert box is not None
        assert box["height"] < 60  # its name is not cut into letters
    context.close()
    watch.check()


def test_pages_fit_a_phone(browser: Browser, site: Site) -> None:
    """At 360 px nothing sticks out sideways and the menu stands at the bottom."""
    context, page, watch = visitor(browser, site.base, phone=True)
    signed_in(context, site.fleet.people, "admin", site.base)
    for address in ADDRESSES:
        page.goto(address)
        page.wait_for_load_state("load")
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 360, f"{address} is {wide} px wide"
        box = page.locator("nav.rail").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] > 700
    context.close()
    watch.check()
