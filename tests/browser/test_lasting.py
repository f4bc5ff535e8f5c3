"""What lasts: a followed file through a proxy that cuts again and again, a link through rotation and sealing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Site
from tests.browser.cutting import Cutter, cutting
from tests.browser.harness import signed_in, visitor
from tests.browser.viewer import Viewer

pytestmark = pytest.mark.browser

CUT_S = 1.0
LINES = 240


def lines(first: int, last: int) -> list[bytes]:
    """Numbered lines, both ends included."""
    return [b"".join(b"2026-11-23 08:14:01 INFO entry %d of many\n" % n for n in range(first, last + 1))]


@contextmanager
def cut_again_and_again(proxy: Cutter) -> Iterator[list[float]]:
    """Every ``CUT_S``; yields when it was done."""
    over, cuts = threading.Event(), list[float]()

    def work() -> None:
        while not over.wait(CUT_S):
            proxy.cut()
            cuts.append(time.monotonic())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield cuts
    finally:
        over.set()
        thread.join()


def test_following_through_a_proxy_that_cuts_loses_no_line(browser: Browser, site: Site) -> None:
    """Each line once and in order, however often the stream is cut while they come."""
    site.fleet.put("web-01", "cut.log", lines(1, 30))
    with cutting(site.base) as proxy:
        context, page, watch = visitor(browser, proxy.base)
        signed_in(context, site.fleet.people, "admin", proxy.base)
        viewer = Viewer(page).open("/view/web-01/cut.log?at=end")
        expect(viewer.follow).to_have_text("following")
        with cut_again_and_again(proxy) as cuts:
            at = 30
            while len(cuts) < 3 or at < LINES:
                site.fleet.put("web-01", "cut.log", lines(at + 1, at + 5), append=True)
                at += 5
                time.sleep(0.05)
        expect(viewer.line(at)).to_be_in_viewport()
        viewer.check_rows()
        numbers, texts = viewer.numbers(), page.locator("log-view .row[data-b] .t").all_inner_texts()
        assert texts == [f"2026-11-23 08:14:01 INFO entry {number} of many" for number in numbers]
        assert numbers[-1] == at
        context.close()
        watch.check(allowed=("Failed to load resource", "net::ERR"))


def test_a_link_to_a_line_outlives_rotation_and_sealing(page: Page, site: Site) -> None:
    """The copied address shows the same line, with the same number, wherever its bytes lie by then."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    site.fleet.put("web-01", "last/app.log", lines(1, 4000))
    viewer = Viewer(page).open("/view/web-01/last/app.log#L3210")
    expect(viewer.target).to_have_count(1)
    page.keyboard.press("y")
    expect(page.get_by_text("Link copied")).to_be_visible()
    link = page.evaluate("() => navigator.clipboard.readText()")

    def leads_there() -> None:
        page.goto("about:blank")
        page.goto(link)
        expect(viewer.target.locator(".t")).to_have_text("2026-11-23 08:14:01 INFO entry 3210 of many")
        expect(viewer.line(3210)).to_be_in_viewport()

    archive = site.fleet.archive
    archive.rename("web-01", "last/app.log", "last/app.log.1")
    site.fleet.put("web-01", "last/app.log", lines(1, 5))
    leads_there()
    for step in archive.sealer(level=1).seal(site.fleet.clock.now_ns() + 10**15):
        assert not step.problems
    archive.sealer().sweep(0.0)
    leads_there()
    archive.rename("web-01", "last/app.log.1", "last/app.log.2")
    leads_there()
