"""From the set-up link to a line in a file of one gigabyte, with a mouse and without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from logferry.web.app import create_app
from tests.browser.fleet import Fleet
from tests.browser.harness import serving, visitor
from tests.browser.viewer import Viewer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BLOCK_LINES = 10_000
BLOCKS = 1024
LINES = BLOCK_LINES * BLOCKS
PLANTED = "quorumlost7c1d"
PLANTED_LINE = 777 * BLOCK_LINES + 4_321 + 1


def gigabyte() -> Iterator[bytes]:
    """Ten million lines of 104 bytes; each says which it is, one holds the planted word."""
    line = "2026-11-23T08:14:01.000Z INFO  block=BBBBBB line={:05d} request served in 12 ms, no more to say of it ...\n"
    template = "".join(line.format(number) for number in range(BLOCK_LINES)).encode()
    for number in range(BLOCKS):
        block = template.replace(b"BBBBBB", b"%06d" % number)
        yield block.replace(b"line=04321 request served", b"line=04321 " + PLANTED.encode()) if number == 777 else block


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A server that nobody administers yet, with a big file in it: (address, set-up code)."""
    fleet = Fleet(tmp_path / "data")
    try:
        fleet.catalog.agents.add("web-01")
        fleet.put("web-01", "var/log/big.log", gigabyte())
        with serving(create_app(fleet.context)) as base:
            yield base, fleet.enrolment.new_setup_code()
    finally:
        fleet.close()


def test_setup_link_leads_to_a_line_in_a_gigabyte(browser: Browser, new_site: tuple[str, str]) -> None:
    """Set-up, home, agent, folder, first screen, end, middle; then a search lands on its line, highlighted."""
    base, code = new_site
    context, page, watch = visitor(browser, base)
    page.goto(f"/setup?code={code}")
    page.get_by_label("Name").fill("operator.one")
    page.get_by_label("Password", exact=False).first.fill("a calm harbour")
    page.get_by_label("Password again").fill("a calm harbour")
    page.get_by_role("button", name="Make administrator").click()
    expect(page.locator(".command code")).to_contain_text("logferry agent join 127.0.0.1:")
    page.get_by_role("link", name="Open the archive").click()
    page.get_by_role("link", name="Agents", exact=True).click()
    page.get_by_role("link", name="web-01").first.click()
    page.get_by_role("link", name="var").click()
    page.locator("table").get_by_role("link", name="log", exact=True).click()
    page.get_by_role("link", name="big.log").click()

    viewer = Viewer(page)
    expect(viewer.line(1)).to_contain_text("block=000000 line=00000")
    page.keyboard.press("G")
    # The number is exact as soon as the server has counted a gigabyte; until then it is marked as an estimate.
    expect(viewer.line(LINES)).to_contain_text("block=001023 line=09999", timeout=60_000)
    viewer.check_rows()
    viewer.go_to("5120001")
    expect(viewer.target).to_contain_text("block=000512 line=00000")
    expect(viewer.line(5_120_001)).to_be_visible()
    viewer.check_rows()
    assert page.url.endswith("#L5120001")

    page.keyboard.press("Control+k")
    page.keyboard.type(PLANTED)
    page.keyboard.press("Enter")
    page.locator("a.hit-line", has_text=PLANTED).click(timeout=150_000)
    expect(viewer.target).to_contain_text("block=000777 line=04321")
    expect(viewer.target.locator("mark")).to_have_text(PLANTED)
    assert viewer.target.get_attribute("aria-rowindex") == str(PLANTED_LINE)
    expect(viewer.place).to_contain_text(f"of {LINES:,}")
    context.close()
    watch.check()


def test_the_setup_link_works_once(browser: Browser, new_site: tuple[str, str]) -> None:
    """A used link says so and how to get another; passwords that differ do not use it up."""
    base, code = new_site
    context, page, watch = visitor(browser, base)
    page.goto(f"/setup?code={code}")
    for password, again in (("a calm harbour", "another one"), ("a calm harbour", "a calm harbour")):
        page.get_by_label("Password", exact=False).first.fill(password)
        page.get_by_label("Password again").fill(again)
        page.get_by_role("button", name="Make administrator").click()
    expect(page.get_by_role("heading", name="You are the administrator, admin")).to_be_visible()
    page.goto(f"/setup?code={code}")
    expect(page.get_by_role("alert")).to_contain_text("logferry admin setup-link")
    context.close()
    watch.check(allowed=("401", "400"))
