"""What of a file is shown: encodings, folded entries, only hits or levels, one's own highlights; keys that are off."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Site
from tests.browser.harness import signed_in, violations, visitor
from tests.browser.viewer import Viewer

pytestmark = pytest.mark.browser

TRACE = "Traceback (most recent call last):\n" + "".join(f'  File "{n}.py"\n' for n in range(21)) + "ValueError: bad\n"


def text(entries: int = 400) -> str:
    """Numbered entries, of each hundred one an error with a stack trace of 23 lines."""
    return "".join(
        f"2026-11-23 08:{i // 60:02}:{i % 60:02} {'ERROR' if i % 100 == 50 else 'INFO'} größe {i} of many\n"
        + TRACE * (i % 100 == 50)
        for i in range(entries)
    )


@pytest.fixture(scope="module", autouse=True)
def files(site: Site) -> None:
    """The same text in three encodings, and one that only looks like UTF-8 at first."""
    site.fleet.put("web-01", "lens.log", [text().encode()])
    site.fleet.put("web-01", "wide.log", [b"\xff\xfe", text().encode("utf-16-le")])
    site.fleet.put("web-01", "late.log", [b"2026-11-23 08:14:01 INFO plain\n" * 3000, text().encode("cp1252")])


def test_an_encoding_is_seen_offered_and_chosen(page: Page) -> None:
    """UTF-16 is read and searched at once; bad bytes lead to what they look like; the address keeps the choice."""
    viewer = Viewer(page).open("/view/web-01/wide.log")
    expect(page.get_by_label("Encoding")).to_have_text(re.compile("^UTF-16 LE"))
    viewer.find("größe 321")
    expect(viewer.target.locator(".t")).to_have_text("2026-11-23 08:05:21 INFO größe 321 of many")
    number = 1 + 321 + 3 * 23
    expect(viewer.line(number)).to_be_in_viewport()
    viewer = Viewer(page).open("/view/web-01/late.log#L3005")
    expect(viewer.line(3005).locator(".t")).to_contain_text("gr\\xf6\\xdfe 4")
    page.get_by_role("button", name="Read it so").click()
    expect(viewer.line(3005).locator(".t")).to_contain_text("größe 4")
    assert "enc=windows-1252" in page.url
    viewer.find("größe 7")
    expect(viewer.hits).to_have_text(re.compile("of 11 hits"))
    page.reload()
    expect(viewer.target.locator(".t")).to_contain_text("größe 7")


def test_entries_are_folded_opened_and_linked_into(page: Page, site: Site) -> None:
    """One row for a stack trace, a button for the rest, true numbers; a link into it opens it; new lines come in."""
    viewer = Viewer(page).open("/view/web-01/lens.log")
    viewer.check_rows()
    page.keyboard.press("x")
    more = page.get_by_role("button", name="Show 23 lines that continue this one")
    expect(viewer.line(75)).to_be_attached()
    expect(viewer.line(52)).not_to_be_attached()
    assert "fold=1" in page.url
    more.first.click()
    expect(viewer.line(74).locator(".t")).to_have_text("ValueError: bad")
    page.get_by_role("button", name="Fold the 23 lines that continue this one").click()
    expect(viewer.line(74)).not_to_be_attached()
    Viewer(page).open("/view/web-01/lens.log?fold=1#L183")
    expect(viewer.target.locator(".t")).to_have_text('  File "7.py"')
    viewer = Viewer(page).open("/view/web-01/lens.log?fold=1&at=end")
    expect(viewer.follow).to_have_text("following")
    site.fleet.put("web-01", "lens.log", [f"2026-11-23 08:07:00 ERROR last\n{TRACE}".encode()], append=True)
    expect(viewer.line(493).locator(".fold")).to_have_text("+ 23 lines")
    page.keyboard.press("x")
    expect(viewer.line(516).locator(".t")).to_have_text("ValueError: bad")


def test_only_hits_are_shown_with_lines_around_them_and_gaps_that_open(page: Page) -> None:
    """Over the whole file, with true numbers; whole entries; c for lines around; a gap opens; the address keeps it."""
    viewer = Viewer(page).open("/view/web-01/lens.log")
    viewer.find("ValueError")
    page.keyboard.press("o")
    expect(viewer.line(51)).to_have_class(re.compile("hit"))
    assert viewer.numbers()[:24] == list(range(51, 75))
    page.keyboard.press("c")
    expect(viewer.line(50)).to_be_attached()
    expect(viewer.line(75)).to_be_attached()
    assert re.search(r"only=1&ctx=1", page.url)
    gap = page.get_by_role("button", name="49 lines not shown")
    gap.click()
    expect(viewer.line(1)).to_be_attached()
    expect(gap).to_have_count(0)
    page.reload()
    expect(viewer.line(50)).to_be_attached()
    expect(viewer.line(48)).not_to_be_attached()
    page.keyboard.press("Escape")
    expect(viewer.line(48)).to_be_attached()
    viewer.check_rows()


def test_levels_filter_and_nothing_is_said(page: Page) -> None:
    """Errors alone; critical: none, and the page says so; all of it again, around the line that was shown."""
    viewer = Viewer(page).open("/view/web-01/lens.log?lv=error&fold=1")
    expect(page.get_by_label("Least level")).to_have_value("error")
    page.keyboard.press("j")
    assert viewer.numbers()[:4] == [51, 174, 297, 420]
    expect(page.locator('log-view .fold[aria-expanded="true"]')).to_have_count(0)
    page.get_by_label("Least level").select_option("critical")
    expect(page.get_by_role("heading", name="No line is shown")).to_be_visible()
    page.get_by_label("Least level").select_option("")
    expect(viewer.line(50)).to_be_visible()
    expect(viewer.line(51)).to_be_visible()
    assert "lv=" not in page.url


def test_own_words_are_marked_everywhere_and_keys_can_be_off(page: Page, site: Site) -> None:
    """A word and its colour, in this file and in the next one; letters are no keys once they are switched off."""
    viewer = Viewer(page).open("/view/web-01/lens.log")
    page.keyboard.press("h")
    page.keyboard.type("größe 7")
    page.get_by_label("Colour").select_option("red")
    with page.expect_response("**/me/highlights"):
        page.get_by_role("button", name="Keep").click()
    expect(viewer.line(8).locator("mark.own-5")).to_have_text("größe 7")
    Viewer(page).open("/view/web-01/wide.log")
    expect(viewer.line(8).locator("mark.own-5")).to_have_text("größe 7")
    page.keyboard.press("?")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_label("Letters and signs are keys").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("h")
    page.reload()
    viewer.rows.first.wait_for()
    page.keyboard.press("h")
    expect(page.get_by_role("heading", name="Highlights")).to_be_hidden()
    page.keyboard.press("End")
    expect(viewer.line(400 + 4 * 23)).to_be_visible()
    site.fleet.catalog.preferences.change(site.fleet.people.get("admin").id, keys="", highlights="")


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_what_is_left_out_is_for_everybody(browser: Browser, site: Site, axe: str, phone: bool) -> None:
    """axe finds nothing, dark on a desktop and light on a phone; nothing sticks out at 360 pixels."""
    context, page, watch = visitor(browser, site.base, dark=not phone, phone=phone)
    signed_in(context, site.fleet.people, "admin", site.base)
    Viewer(page).open("/view/web-01/lens.log?hl=gr%C3%B6%C3%9Fe+5&only=1&ctx=1&fold=1")
    expect(page.locator(".gap").first).to_be_visible()
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="More tools").click() if phone else None
    page.get_by_role("button", name="Highlights").click()
    assert violations(page, axe) == []
    watch.check()
    context.close()


def test_the_head_of_a_phone_is_one_row_with_the_way_to_the_folder(browser: Browser, site: Site) -> None:
    """Folders above it are reached from there."""
    context, page, watch = visitor(browser, site.base, phone=True)
    signed_in(context, site.fleet.people, "admin", site.base)
    Viewer(page).open("/view/web-02/app/app.log")
    head = page.locator(".log-head")
    whole, buttons = head.bounding_box(), head.locator(".end").bounding_box()
    assert whole is not None
    assert buttons is not None
    assert whole["height"] < 2 * buttons["height"]
    for one in (head.get_by_text("app.log", exact=True), head.locator(".end")):
        expect(one).to_be_in_viewport(ratio=1)
    expect(head.get_by_text("web-02", exact=True)).to_be_hidden()
    head.get_by_role("link", name="app", exact=True).click()
    page.wait_for_url(re.compile("/browse/web-02/app"))
    context.close()
    watch.check()


def test_the_toolbar_of_a_phone_is_one_row_also_while_something_is_found(browser: Browser, site: Site) -> None:
    """What was found, the steps and "More tools" beside the box; what is for the next find comes with those tools."""
    context, page, watch = visitor(browser, site.base, phone=True)
    signed_in(context, site.fleet.people, "admin", site.base)
    viewer = Viewer(page).open("/view/web-01/lens.log")
    toolbar, only = page.locator(".log-toolbar"), page.get_by_role("button", name="Only lines that match")
    before = toolbar.bounding_box()
    viewer.find("INFO")
    expect(viewer.hits).to_have_text("1 of 396 hits")
    assert toolbar.bounding_box() == before
    for name in ("Previous hit", "Next hit", "More tools"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    expect(only).to_be_hidden()
    page.get_by_role("button", name="More tools").click()
    expect(only).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    watch.check()
    context.close()
