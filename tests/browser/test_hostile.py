"""Lines and names are shown letter by letter, with marks for what would act (``tests/hostile`` has many more)."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from logferry.names import shown
from tests.browser.conftest import Site
from tests.browser.fleet import HOSTILE, HOSTILE_NAME
from tests.browser.harness import signed_in, visitor
from tests.browser.viewer import Viewer

pytestmark = pytest.mark.browser


def test_lines_are_text(page: Page) -> None:
    """Every hostile line stands in the page letter by letter, with marks for what would act."""
    viewer = Viewer(page).open("/view/web-01/var/log/hostile.log")
    expect(viewer.rows).to_have_count(len(HOSTILE))
    assert viewer.text(1) == "<script>alert('line')</script>"
    assert viewer.text(3).startswith('"><a href="javascript:alert(3)"')
    assert viewer.line(5).locator(".t").text_content() == "red orange on blue inverse plain"
    assert viewer.line(5).locator(".fg-1").text_content() == "red"
    assert viewer.line(6).locator(".t").text_content() == " link  cleared? "
    assert "\u241b]8;;https://example.com and on" in (viewer.line(7).locator(".t").text_content() or "")
    assert viewer.line(8).locator(".odd").all_text_contents()[:2] == ["<U+202E>", "<U+202C>"]
    assert "nul\u2400 bell\u2407 back\u2408space cr\u240dmiddle del\u2421 tab\there" in (
        viewer.line(9).locator(".t").text_content() or ""
    )
    assert viewer.text(10).startswith(r"\xff\xfe latin \xe9t\xe9 é broken")
    assert page.locator("log-view :is(script, img, svg[onload], iframe, a[href^='javascript'])").count() == 0


def test_names_are_text_everywhere(page: Page, site: Site) -> None:
    """A file whose name is markup with a bidi override: in the folder, the tree, the viewer, the hits."""
    safe = shown(HOSTILE_NAME)
    site.fleet.put("web-01", f"{HOSTILE_NAME.replace('.txt', '')}/inner.log", [b"inside hostile folder zz9\n"])
    page.goto("/browse/web-01/var/log/odd%20names")
    page.locator("table").get_by_role("link", name=safe).click()
    expect(Viewer(page).line(1)).to_contain_text("a name can be anything")
    expect(page.locator(".log-head strong")).to_have_text(safe)
    page.goto("/browse/web-01/")
    expect(page.locator(".tree")).to_contain_text("\u003cU+202E>")
    page.goto("/search?q=zz9")
    expect(page.locator(".group .path")).to_contain_text("<U+202E>gol")
    page.locator("a.hit-line").click()
    expect(Viewer(page).target).to_contain_text("inside hostile folder")


def test_names_with_percent_hash_and_question_mark_open(page: Page) -> None:
    """Links are made for the name as it is, not for what it looks like."""
    page.goto("/browse/web-01/var/log/odd%20names")
    page.locator("table").get_by_role("link", name="50%25 of #1? & more;.log").click()
    expect(Viewer(page).line(1)).to_contain_text("percent, hash, question mark")


def test_no_right_and_no_such_file_look_the_same(browser: Browser, site: Site) -> None:
    """A viewer of one agent finds nothing of another: not in lists, not by address, not by search."""
    site.fleet.people.create("narrow", "a calm harbour", scope=["db-*/**"])
    context, page, watch = visitor(browser, site.base)
    signed_in(context, site.fleet.people, "narrow", site.base)
    page.goto("/agents")
    expect(page.locator("tbody tr")).to_have_count(1)
    texts = []
    for path in ("/view/web-01/var/log/syslog", "/view/web-01/var/log/nosuch"):
        page.goto(path)
        texts.append(page.locator("main h1").inner_text())
    assert texts[0] == texts[1] == "Nothing here"
    page.goto("/search?q=agent:web-01+GET")
    expect(page.get_by_role("heading", name="No line matches")).to_be_visible()
    context.close()
    watch.check(allowed=("404",))
