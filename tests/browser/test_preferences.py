"""What follows a person from one browser to another, what browsers kept before, and words that mean harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from logferry.web.preferences import Preferences
from tests.browser.conftest import Site
from tests.browser.fleet import HOSTILE_NAME
from tests.browser.harness import signed_in, visitor
from tests.browser.viewer import Viewer

pytestmark = pytest.mark.browser

LOG = "/view/web-01/plain.log"
HOSTILE = (
    HOSTILE_NAME,
    "<img src=x onerror=alert(1)>",
    "\"'><script>alert(1)</script>",
    "</log-view>",
    "\u202e\x1b[31m",
)


@pytest.fixture
def ann(site: Site) -> Iterator[int]:
    """Ann, who has never said anything; and a log of ten lines."""
    site.fleet.put("web-01", "plain.log", [b"2026-11-23 08:14:01 INFO refused <img src=x onerror=alert(1)>\n" * 10])
    site.fleet.people.create("ann", "a calm harbour")
    yield site.fleet.people.get("ann").id
    site.fleet.people.remove("ann")


@pytest.fixture
def browsers(browser: Browser, site: Site, ann: int) -> Iterator[tuple[Page, Page]]:
    """Two browsers in which Ann is signed in; nothing forbidden may have happened in either."""
    assert ann
    made = [visitor(browser, site.base) for _ in range(2)]
    for context, _, _ in made:
        signed_in(context, site.fleet.people, "ann", site.base)
    yield made[0][1], made[1][1]
    for context, _, watch in made:
        context.close()
        watch.check(allowed=("503",))


def _own(site: Site, user_id: int) -> Preferences:
    return Preferences.of(site.fleet.catalog.preferences.of(user_id))


def test_what_is_chosen_in_one_browser_is_there_in_the_other(browsers: tuple[Page, Page], site: Site, ann: int) -> None:
    """Theme, keys and a highlight; the other changes the word on the page of settings; the last one wins."""
    one, other = browsers
    viewer = Viewer(one).open(LOG)
    one.get_by_label("Theme").click()
    with one.expect_response("**/theme"):
        one.get_by_role("button", name="Dark").click()
    one.keyboard.press("h")
    one.keyboard.type("refused")
    one.get_by_label("Colour").select_option("red")
    with one.expect_response(lambda answer: answer.url.endswith("/me/highlights") and answer.ok):
        one.get_by_role("button", name="Keep").click()
    expect(viewer.line(3).locator("mark.own-5")).to_have_text("refused")
    one.keyboard.press("?")
    with one.expect_response(lambda answer: answer.request.method == "PATCH" and answer.ok):
        one.get_by_label("Letters and signs are keys").uncheck()
    seen = Viewer(other).open(LOG)
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    expect(seen.line(3).locator("mark.own-5")).to_have_text("refused")
    other.keyboard.press("h")
    other.keyboard.press("End")
    expect(other.get_by_role("heading", name="Highlights")).to_be_hidden()
    other.goto("/me")
    expect(other.get_by_label("Letters as keys in logs")).to_have_value("off")
    other.get_by_label("Word 1", exact=True).fill("INFO")
    other.locator("form[action$='/me/highlights']").get_by_role("button", name="Keep").click()
    expect(other.get_by_text("Your highlights are kept")).to_be_visible()
    Viewer(one).open(LOG)
    expect(viewer.line(3).locator("mark.own-5")).to_have_text("INFO")
    assert _own(site, ann).theme == "dark"


def test_what_a_browser_kept_before_becomes_the_persons_once(browsers: tuple[Page, Page], site: Site, ann: int) -> None:
    """Of the first that opens a log; what the other kept is not looked at any more."""
    one, other = browsers
    for page, word in ((one, "refused"), (other, "INFO")):
        page.goto("/help")
        page.evaluate(
            """word => {
              localStorage.setItem("logferry.highlights", JSON.stringify([{ word, colour: "green", exactCase: true }]));
              localStorage.setItem("logferry.keys", "off");
            }""",
            word,
        )
    for page in browsers:
        viewer = Viewer(page).open(LOG)
        expect(viewer.line(3).locator("mark.own-2")).to_have_text("refused")
        if page is one:
            page.wait_for_function("() => !('logferry.highlights' in localStorage || 'logferry.keys' in localStorage)")
    own = _own(site, ann)
    assert own.keys == "off"
    assert [(rule.word, rule.colour, rule.exact_case) for rule in own.highlights or ()] == [("refused", "green", True)]


def test_words_that_mean_harm_are_only_marked(browsers: tuple[Page, Page], site: Site, ann: int) -> None:
    """In the log, in its dialog and on the page of settings."""
    page, _ = browsers
    Viewer(page).open(LOG)
    page.keyboard.press("h")
    for number, word in enumerate(HOSTILE):
        if number:
            page.get_by_role("button", name="Add a word").click()
        page.get_by_label("Word", exact=True).nth(number).fill(word)
    with page.expect_response(lambda answer: answer.url.endswith("/me/highlights") and answer.ok):
        page.get_by_role("button", name="Keep").click()
    viewer = Viewer(page).open(LOG)
    expect(viewer.line(3).locator("mark.own-2")).to_have_text(HOSTILE[1])
    page.keyboard.press("h")
    expect(page.get_by_label("Word", exact=True).nth(2)).to_have_value(HOSTILE[2])
    page.goto("/me")
    for number, word in enumerate(HOSTILE):
        expect(page.get_by_label(f"Word {number + 1}", exact=True)).to_have_value(word)
    assert [rule.word for rule in _own(site, ann).highlights or ()] == list(HOSTILE)


def test_a_server_that_is_away_keeps_nothing_and_the_page_says_so(browsers: tuple[Page, Page]) -> None:
    """The words are marked for as long as the page is open."""
    page, _ = browsers
    viewer = Viewer(page).open(LOG)
    page.route("**/api/v1/me", lambda route: route.fulfill(status=200, json={"csrf": "no more"}))
    page.route("**/api/v1/me/highlights", lambda route: route.fulfill(status=503, json={"detail": "It rests."}))
    page.keyboard.press("h")
    page.keyboard.type("refused")
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Kept until you leave this page only. It rests.")).to_be_visible()
    expect(viewer.line(3).locator("mark.own-1")).to_have_text("refused")
