"""The viewer: places, following, finding, generations, long lines."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Site
from tests.browser.fleet import HOSTILE
from tests.browser.harness import Watch, signed_in
from tests.browser.viewer import Viewer

pytestmark = pytest.mark.browser

LEVELS = (
    b"2026-11-23 08:14:01 ERROR x",
    b'{"time": "x", "level": "warning"}',
    b"[Sun Dec 04 04:47:44 2005] [error] mod_jk",
    b"no errors here, the terror is over",
    "\u00e9ERR \u0130 ERROR".encode(),
)


def lines(first: int, last: int) -> list[bytes]:
    """Numbered lines, both ends included."""
    return [b"".join(b"2026-11-23 08:14:01 INFO entry %d of many\n" % n for n in range(first, last + 1))]


def test_scrolling_keeps_rows_in_order_and_few(page: Page, site: Site) -> None:
    """Down and up again through 20,000 lines: numbers follow each other, at most a thousand rows are in the page."""
    site.fleet.put("web-01", "scroll.log", lines(1, 20_000))
    viewer = Viewer(page).open("/view/web-01/scroll.log")
    page.locator("log-view .scroller").hover()
    for step in [3000] * 12 + [-2500] * 8:
        page.mouse.wheel(0, step)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        viewer.check_rows()
    first = viewer.numbers()[0]
    assert viewer.text(first) == f"2026-11-23 08:14:01 INFO entry {first} of many"


def test_dragging_the_thumb_goes_anywhere(page: Page, site: Site) -> None:
    """The thumb's place is the share of the bytes; the end of the track is the end of the file."""
    site.fleet.put("web-01", "drag.log", lines(1, 50_000))
    viewer = Viewer(page).open("/view/web-01/drag.log")
    thumb, track = page.locator(".thumb").bounding_box(), page.locator(".track").bounding_box()
    assert thumb is not None and track is not None
    x = track["x"] + 4
    page.mouse.move(x, thumb["y"] + 4)
    page.mouse.down()
    page.mouse.move(x, track["y"] + track["height"] / 2, steps=5)
    expect(page.locator(".tip")).to_contain_text("line ≈")
    page.mouse.up()
    expect(viewer.place).to_contain_text(re.compile(r"4[6-9] %|5[0-4] %"))
    viewer.check_rows()
    page.mouse.move(x, track["y"] + track["height"] / 2)
    page.mouse.down()
    page.mouse.move(x, track["y"] + track["height"] + 50, steps=5)
    page.mouse.up()
    expect(viewer.line(50_000)).to_be_visible()


def test_links_to_lines_are_kept_and_highlighted(page: Page, site: Site) -> None:
    """#L10-L20 marks eleven lines; a click on a number moves the address; a number past the end shows the last line."""
    site.fleet.put("web-01", "links.log", lines(1, 5_000))
    viewer = Viewer(page).open("/view/web-01/links.log#L1010-L1020")
    expect(viewer.target).to_have_count(11)
    expect(viewer.line(1010)).to_be_in_viewport()
    viewer.line(1012).locator(".n a").click()
    expect(viewer.target).to_have_count(1)
    assert page.url.endswith("#L1012")
    viewer.line(1015).locator(".n a").click(modifiers=["Shift"])
    expect(viewer.target).to_have_count(4)
    viewer.go_to("99999")
    expect(viewer.line(5_000)).to_be_in_viewport()


def test_following_shows_lines_as_they_arrive_and_pauses(page: Page, site: Site) -> None:
    """At the end new lines appear; scrolling up pauses and counts; End resumes without loss."""
    put = site.fleet.put
    put("web-01", "follow.log", [*lines(1, 300), b"unfinis"])
    viewer = Viewer(page).open("/view/web-01/follow.log?at=end")
    expect(viewer.follow).to_have_text("following")
    put("web-01", "follow.log", [b"hed no more\n", *lines(302, 303)], append=True)
    expect(viewer.line(301).locator(".t")).to_have_text("unfinished no more")
    expect(viewer.line(303)).to_be_in_viewport()
    page.locator("log-view .scroller").hover()
    page.mouse.wheel(0, -900)
    expect(viewer.follow).to_contain_text("paused: you scrolled up")
    put("web-01", "follow.log", lines(304, 310), append=True)
    expect(viewer.follow).to_contain_text("7 new lines below")
    page.keyboard.press("End")
    expect(viewer.line(310)).to_be_in_viewport()
    expect(viewer.follow).to_have_text("following")
    viewer.check_rows()


def test_rotation_says_so_and_links_to_the_new_generation(page: Page, site: Site) -> None:
    """While a file is followed its path begins a new life: a bar with a link; the old lines stay."""
    site.fleet.put("web-01", "rotated.log", lines(1, 50))
    viewer = Viewer(page).open("/view/web-01/rotated.log?at=end")
    expect(viewer.follow).to_have_text("following")
    site.fleet.replace("web-01", "rotated.log", [b"a new life\n"])
    page.get_by_role("link", name="Open generation 2").click()
    expect(viewer.line(1).locator(".t")).to_have_text("a new life")
    page.get_by_text("gen 2").first.click()
    page.locator(".menu-body a", has_text="gen 1").click()
    expect(page.get_by_text("This is an older generation.")).to_be_visible()
    expect(viewer.line(50)).to_contain_text("entry 50")


def test_finding_goes_from_hit_to_hit(opened: tuple[Page, Watch], site: Site) -> None:
    """/ n N and Enter; regular expressions; the count; a bad expression is explained."""
    page, watch = opened
    site.fleet.put("web-01", "find.log", lines(1, 4_000))
    viewer = Viewer(page).open("/view/web-01/find.log")
    viewer.find("entry 39")
    expect(viewer.target).to_contain_text("entry 39 of")
    expect(viewer.hits).to_have_text("1 of 111 hits")
    page.keyboard.press("n")
    expect(viewer.target).to_contain_text("entry 390 of")
    page.keyboard.press("N")
    page.keyboard.press("N")
    expect(viewer.target).to_contain_text("entry 3999 of")
    page.get_by_label("Regular expression").click()
    page.keyboard.press("/")
    page.keyboard.type(r"entry 10{3}\b")
    page.keyboard.press("Enter")
    expect(viewer.hits).to_have_text("1 of 1 hit")
    expect(viewer.target.locator("mark")).to_have_text("entry 1000")
    page.keyboard.press("/")
    page.keyboard.type("(((")
    page.keyboard.press("Enter")
    expect(viewer.hits).to_have_class(re.compile("bad"))
    watch.errors[:] = [error for error in watch.errors if "400 (Bad Request)" not in error]


def test_long_lines_are_cut_and_shown_piece_by_piece(page: Page, site: Site) -> None:
    """Of a line of 300 KB the beginning; two buttons later all of it, every character once."""
    text = "é" * 150_000
    site.fleet.put("web-01", "long.log", [b"short\nx", text.encode(), b" END\r\nafter\n"])
    viewer = Viewer(page).open("/view/web-01/long.log")
    rest = page.locator("log-view .rest")
    expect(rest).to_have_text("show rest (284 KB)")
    rest.click()
    expect(rest).to_contain_text("show more")
    rest.click()
    expect(rest).to_have_count(0)
    assert viewer.line(2).locator(".t").text_content() == f"x{text} END"
    assert viewer.text(3) == "after"


def test_an_empty_file_is_followed(page: Page, site: Site) -> None:
    """0 bytes: says so, and shows the first line when it comes."""
    site.fleet.put("web-01", "fresh.log", [])
    page.goto("/view/web-01/fresh.log")
    viewer = Viewer(page)
    expect(viewer.follow).to_have_text("0 bytes so far, following")
    site.fleet.put("web-01", "fresh.log", [b"first words\n"], append=True)
    expect(viewer.line(1).locator(".t")).to_have_text("first words")


def test_copied_links_pin_the_generation(page: Page, site: Site) -> None:
    """What y copies opens the same line after rotation."""
    site.fleet.put("web-01", "pinned.log", lines(1, 100))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    viewer = Viewer(page).open("/view/web-01/pinned.log#L42")
    expect(viewer.target).to_have_count(1)
    page.keyboard.press("y")
    expect(page.locator(".toast")).to_have_text("Link copied")
    address = page.evaluate("() => navigator.clipboard.readText()")
    site.fleet.replace("web-01", "pinned.log", [b"other\n"])
    viewer.open(address)
    expect(viewer.target.locator(".t")).to_have_text("2026-11-23 08:14:01 INFO entry 42 of many")


def test_a_failing_server_is_explained_with_a_way_on(opened: tuple[Page, Watch], site: Site) -> None:
    """When lines cannot be fetched the bar names the failure and Retry gets them."""
    page, watch = opened
    site.fleet.put("web-01", "retry.log", lines(1, 10))
    page.route("**/lines?*", lambda route: route.abort())
    page.goto("/view/web-01/retry.log")
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    page.unroute("**/lines?*")
    page.get_by_role("button", name="Retry").click()
    expect(Viewer(page).line(10)).to_be_visible()
    watch.errors[:] = [error for error in watch.errors if "ERR_FAILED" not in error]


def test_times_are_shown_in_a_zone_beside_the_lines(page: Page, site: Site) -> None:
    """As written, in the reader's zone, in UTC; in the address; for lines that come later, too."""
    site.fleet.put("web-01", "zone.log", [*lines(1, 300), b"    of no time\n"])
    page.context.add_cookies([{"name": "logferry_zone", "value": "Asia%2FKolkata", "url": site.base}])
    viewer = Viewer(page).open("/view/web-01/zone.log?at=end")
    expect(viewer.follow).to_have_text("following")
    page.keyboard.press("t")
    time = viewer.line(300).locator(".time")
    expect(time).to_have_text("2026-11-23 13:44:01.000")
    expect(time).to_have_attribute("title", re.compile(r"2026-11-23 08:14:01\.000 UTC"))
    expect(viewer.line(301).locator(".time")).to_have_text("")
    site.fleet.put("web-01", "zone.log", lines(302, 303), append=True)
    expect(viewer.line(303).locator(".time")).to_have_text("2026-11-23 13:44:01.000")
    page.keyboard.press("t")
    expect(time).to_have_text("2026-11-23 08:14:01.000")
    assert "tz=utc" in page.url
    page.reload()
    viewer.rows.first.wait_for()
    expect(page.locator("log-view .row .time").last).to_have_text("2026-11-23 08:14:01.000")
    page.keyboard.press("t")
    expect(page.locator("log-view .row .time")).to_have_count(0)


def test_keys_go_to_errors_warnings_and_pieces(page: Page, site: Site) -> None:
    """In the whole file, wherever one is; to the rotated neighbours."""
    text = [
        *lines(1, 3000),
        b"2026-11-23 08:14:02 WARN careful\n",
        *lines(3002, 6000),
        b"2026-11-23 08:14:03 ERROR bad\n",
    ]
    site.fleet.put("web-01", "rot/level.log", [*text, *lines(6002, 7000)])
    site.fleet.put("web-01", "rot/level.log.1", lines(1, 10))
    viewer = Viewer(page).open("/view/web-01/rot/level.log")
    page.keyboard.press("w")
    expect(viewer.target).to_have_text(re.compile("3001.*WARN careful", re.DOTALL))
    page.keyboard.press("e")
    expect(viewer.target).to_have_text(re.compile("6001.*ERROR bad", re.DOTALL))
    page.keyboard.press("Shift+W")
    expect(viewer.target).to_have_text(re.compile("3001.*WARN careful", re.DOTALL))
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"level\.log\.1\?at=end"))
    viewer.rows.first.wait_for()
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"level\.log$"))


def test_the_first_lines_are_asked_for_once_and_early(page: Page, site: Site) -> None:
    """By the page itself, before its script is there."""
    site.fleet.put("web-01", "early.log", lines(1, 5000))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/lines?" in request.url else None)
    Viewer(page).open("/view/web-01/early.log")
    assert sum("at_byte=0" in url for url in asked) == 1
    asked.clear()
    Viewer(page).open("/view/web-01/early.log?at=end")
    assert sum("tail=250" in url for url in asked) == 1


def test_a_time_a_mark_and_a_json_line(page: Page, site: Site) -> None:
    """: goes to a time of the zone, ' back to what m marked, p spreads a line out and back."""
    json = b'{"time":"2026-11-23T09:00:00Z","big":12345678901234567890}\n'
    later = [block.replace(b"08:14:01", b"10:14:01") for block in lines(3002, 6000)]
    site.fleet.put("web-01", "places.log", [*lines(1, 3000), json, *later])
    viewer = Viewer(page).open("/view/web-01/places.log#L10")
    expect(viewer.target).to_have_count(1)
    page.keyboard.press("m")
    viewer.go_to("2026-11-23T08:30")
    expect(viewer.target).to_have_text(re.compile("3001"))
    page.keyboard.press("p")
    expect(viewer.target.locator(".t")).to_have_text(re.compile('"big": 12345678901234567890\n}$'))
    page.keyboard.press("p")
    expect(viewer.target.locator(".t")).to_have_text(json.decode().strip())
    page.keyboard.press("'")
    expect(viewer.line(10)).to_be_in_viewport()


@pytest.mark.parametrize("at", ["", "?at=end"])
def test_the_page_brings_the_lines_that_its_script_then_shows(site: Site, browser: Browser, at: str) -> None:
    """Text, marks and letters of levels; also of lines that somebody wrote to do harm, none of which acts."""
    site.fleet.put("web-01", "early.log", [b"\n".join((*HOSTILE, *LEVELS)) + b"\n"])
    seen = []
    for script in (False, True):
        context = browser.new_context(base_url=site.base, java_script_enabled=script)
        signed_in(context, site.fleet.people, "admin", site.base)
        page = context.new_page()
        page.goto(f"/view/web-01/early.log{at}")
        page.locator("log-view .row[data-b]" if script else "log-view .row").first.wait_for()
        rows = [
            (row.locator(".n a").inner_text(), row.get_attribute("data-lv"), row.locator(".t").inner_text())
            for row in page.locator("log-view .row").all()
        ]
        signs = [sign.inner_text() for sign in page.locator("log-view .odd").all()]
        seen.append((rows, signs, page.locator("log-view .lines :is(script, img, svg, a[href^='j'])").count()))
        context.close()
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == len(HOSTILE) + len(LEVELS)
    assert seen[0][2] == 0
