"""The search page: hits while it still searches, counts beside them, ways to narrow and to widen, exports."""

from __future__ import annotations

import csv
import io
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Site
from tests.browser.fleet import NEEDLE
from tests.browser.harness import Watch, signed_in, visitor

pytestmark = pytest.mark.browser

LINES = "/search?q=agent:web-01+path:access.log+GET&limit=5000"
STATUS = ".search-status"


def slowed(page: Page, bytes_per_s: int) -> None:
    """From now on the server's answers arrive no faster than this."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": bytes_per_s, "uploadThroughput": -1},
    )


def asked(page: Page) -> dict[str, str]:
    """The parameters of the page's address."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_first_hits_are_there_while_it_still_searches_and_stop_ends_it(page: Page) -> None:
    """Lines, the words "still searching" and Stop at the same time; stopped, the hits stay and the page says so."""
    page.goto("/search")  # its parts are in the browser's store now
    slowed(page, 60_000)
    page.goto(LINES)
    expect(page.locator("a.hit-line").first).to_be_visible()
    expect(page.locator(STATUS)).to_contain_text("newest first, still searching")
    expect(page.locator(f"{STATUS} progress")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(STATUS)).to_contain_text("stopped by you")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(page.locator("a.hit-line").first).to_be_visible()


def test_counts_that_end_early_say_of_how_many_hits_they_are(page: Page) -> None:
    """What was counted stays, with a word that it is not all."""

    def tally(total: int) -> str:
        told = {"type": "tally", "reason": "running", "total": total, "exact": False, "errors": [], "copies": 0}
        bucket = {"at": "2026-11-23T08:00:00.000Z", "count": total}
        buckets = [bucket] if total else []
        told["histogram"] = {"from": None, "to": None, "step_s": 60, "buckets": buckets, "untimed": 0, "outside": 0}
        value = {"value": "web-01", "count": total}
        told["facets"] = [{"field": "agent", "values": [value] if total else [], "other": 0, "distinct": 1}]
        return f"{json.dumps(told)}\n"

    page.route(
        re.compile(r"/api/v1/search/histogram\?"),
        lambda route: route.fulfill(content_type="application/x-ndjson", body=tally(0) + tally(15)),
    )
    page.goto(LINES)
    expect(page.locator(".histogram .note")).to_have_text(
        "Counts are of 15 hits only: the connection broke: there may be more"
    )
    expect(page.locator(".histogram .tick")).to_have_count(1)
    expect(page.locator(".facet .num").last).to_have_text("15")


def test_a_search_that_the_server_stops_was_not_stopped_by_you(page: Page) -> None:
    """It says who did, that there may be more, and offers to try again."""
    done = {"type": "done", "reason": "cancelled", "scanned_bytes": 5, "total_bytes": 10, "files_done": 0}
    done |= {"files_total": 1, "hits": 0, "seconds": 0.1, "errors": [], "copies": 0}
    page.route(
        re.compile(r"/api/v1/search\?"),
        lambda route: route.fulfill(content_type="application/x-ndjson", body=f"{json.dumps(done)}\n"),
    )
    page.goto("/search?q=GET")
    expect(page.locator(STATUS)).to_contain_text("stopped by the server: there may be more")
    expect(page.locator(STATUS).get_by_role("link", name="Retry")).to_be_visible()


def test_histogram_and_facets_fill(page: Page) -> None:
    """Bars for every time with hits, counts of all lines by agent and file, also beyond the limit of hits shown."""
    page.goto("/search?q=GET&limit=200")
    expect(page.locator(".histogram .tick").first).to_be_attached()
    expect(page.locator(".facet details[data-field=agent] li", has_text="web-01")).to_be_visible()
    expect(page.locator(".facet details[data-field=path] li").first).to_contain_text("access.log")
    expect(page.locator(f"{STATUS} strong")).to_have_text(re.compile(r"^200 of [\d,]+ hits, in \d+ files?$"))
    expect(page.locator(STATUS)).to_contain_text("stopped at the limit")


def test_a_facet_narrows_and_its_minus_leaves_out(page: Page) -> None:
    """The question in the box says it, so it can be changed and sent to somebody."""
    page.goto("/search?q=state%3DFAULT")
    page.locator(".facet a.to", has_text="plc-07").first.click()
    expect(page.get_by_label("Query")).to_have_value("state=FAULT agent:plc-07")
    expect(page.locator(".group")).to_have_count(1)
    page.goto("/search?q=state%3DFAULT")
    page.get_by_label("Without Agent plc-07").click()
    expect(page.get_by_label("Query")).to_have_value("state=FAULT -agent:plc-07")
    expect(page.locator(".group")).to_have_count(1)
    page.get_by_role("link", name="Without this file").click()
    expect(page.get_by_role("heading", name="No line matches")).to_be_visible()


def test_names_that_are_hard_to_write_can_be_narrowed_to(page: Page) -> None:
    """Quotes, backslashes and spaces in a path: the term that the page writes finds that file."""
    page.goto("/search?q=percent%2C+hash")
    page.get_by_role("link", name="Only this file").click()
    expect(page.locator("a.hit-line")).to_have_count(1)
    expect(page.locator(".group .path")).to_contain_text("50%25 of #1? & more;.log")


def test_a_bar_narrows_the_time(page: Page) -> None:
    """By a click, by dragging, by the keyboard; the account says what is left."""
    page.goto(LINES)
    bars = page.locator(".histogram svg")
    expect(page.locator(".histogram .tick").first).to_be_attached()
    box = bars.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20, steps=4)
    expect(page.locator(".histogram .said")).to_contain_text("hit")
    page.mouse.up()
    page.wait_for_url(re.compile("from="))
    first = asked(page)
    assert first["from"] < first["to"]
    expect(page.locator(".time-menu summary")).to_contain_text(first["from"][:10])
    expect(page.locator(".histogram .tick").first).to_be_attached()
    bars.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    words = bars.get_attribute("aria-valuetext") or ""
    assert re.search(r": [\d,]+ hits?$", words)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: asked_of(url)["from"] != first["from"])
    second = asked(page)
    assert first["from"] <= second["from"] < second["to"] <= first["to"]
    number = words.rpartition(": ")[2]
    if not number.startswith("0 "):
        expect(page.locator(f"{STATUS} strong")).to_contain_text(re.compile(rf"(^|of ){re.escape(number)}(,| in)"))


def asked_of(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return {"from": ""} | {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}


def test_time_is_chosen_or_typed(opened: tuple[Page, Watch]) -> None:
    """A choice replaces what was typed; what says nothing stays out of the address; wrong times are said."""
    page, watch = opened
    page.goto("/search?q=GET&from=2026-01-01&to=2026-01-02")
    expect(page.locator(".time-menu summary")).to_contain_text("2026-01-01 – 2026-01-02")
    page.locator(".time-menu summary").click()
    page.get_by_role("button", name="Last 24 hours").click()
    expect(page.locator(".time-menu summary")).to_contain_text("Last 24 hours")
    assert asked(page) == {"q": "GET", "from": "now-24h"}
    page.locator(".time-menu summary").click()
    page.get_by_label("From").fill("yesterdy")
    page.get_by_label("From").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("yesterdy")
    expect(page.locator("#results")).to_have_count(0)
    watch.errors.clear()  # the answer's status is 400


def test_nothing_found_offers_to_widen(page: Page) -> None:
    """What was scanned, and a button for each thing that narrows."""
    page.goto(f"/search?q=agent:plc-07+{NEEDLE}&from=2020-01-01&to=2020-01-02&case=1")
    expect(page.get_by_role("heading", name="No line matches")).to_be_visible()
    expect(page.locator(".empty")).to_contain_text("Scanned")
    for name in ("Search all times", "Ignore upper and lower case", "Search all files"):
        page.get_by_role("link", name=name).click()
        if name != "Search all files":
            expect(page.get_by_role("heading", name="No line matches")).to_be_visible()
    expect(page.locator("a.hit-line")).to_have_count(1)


def test_exports_hold_every_line(page: Page, site: Site) -> None:
    """Text, JSON lines and CSV without a limit; the files themselves as a zip."""
    page.goto("/search?q=agent:web-01+path:access.log+GET&limit=200")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    texts = {}
    page.locator(".search-status details.menu summary").click()
    for name in ("Text, as grep prints it", "JSON lines", "CSV"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        texts[name] = download.value.path().read_text()
    rows = [json.loads(line) for line in texts["JSON lines"].splitlines()]
    assert (rows[-1]["type"], rows[-1]["reason"]) == ("done", "complete")
    hits = rows[-1]["hits"]
    assert hits > 200
    assert len(texts["Text, as grep prints it"].splitlines()) == hits
    assert len(list(csv.reader(io.StringIO(texts["CSV"], newline="")))) == hits + 1
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("in a zip")).click()
    assert download.value.path().read_bytes()[:2] == b"PK"


def test_hostile_lines_and_names_are_inert_in_counts_too(page: Page, site: Site) -> None:
    """A path of markup stands as text in the facets; nothing of it runs."""
    site.fleet.put("web-01", "<img src=x onerror=alert(1)>/\u202e.log", [b"<script>alert(2)</script> zz8\n"])
    page.goto("/search?q=zz8")
    expect(page.locator(".facet details[data-field=path] li")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator(".facet details[data-field=path] li")).to_contain_text("<U+202E>")
    expect(page.locator("a.hit-line .ht")).to_have_text("<script>alert(2)</script> zz8")
    for way in page.locator(".facet details[data-field=path] li a").all():
        for told in (way.get_attribute("title"), way.get_attribute("aria-label") or "<U+202E>"):
            assert "<U+202E>" in (told or "")
            assert "\u202e" not in (told or "")
    assert page.locator("main :is(script, img, iframe, style)").count() == 0


@pytest.mark.parametrize("phone", [False, True])
def test_the_page_is_usable_by_everybody(browser: Browser, site: Site, phone: bool, axe: str) -> None:
    """axe finds nothing to complain about: asked, searching ended, nothing found, wrong; light and dark."""
    for dark in (False, True):
        context, page, watch = visitor(browser, site.base, dark=dark, phone=phone)
        signed_in(context, site.fleet.people, "admin", site.base)
        for address in ("/search", "/search?q=GET&context=2&limit=200", "/search?q=zzzzzz", "/search?q=(x"):
            page.goto(address)
            if "GET" in address:
                expect(page.locator(".facet details").first).to_be_visible()
            if "(" not in address and "q=" in address:
                expect(page.get_by_role("button", name="Stop")).to_have_count(0)
            found = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")
            told = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found["violations"]]
            assert not told, (address, dark, told)
        context.close()
        watch.check(allowed=("400",))


def test_at_360_pixels_nothing_sticks_out(browser: Browser, site: Site) -> None:
    """With histogram, facets, context and long lines; the facets are closed and open on a tap."""
    context, page, watch = visitor(browser, site.base, phone=True)
    signed_in(context, site.fleet.people, "admin", site.base)
    for address in ("/search?q=GET&context=2&limit=200&from=2020-01-01", "/search?q=percent"):
        page.goto(address)
        expect(page.locator(".facet details").first).to_be_visible()
        expect(page.locator(".facet details").first).not_to_have_attribute("open", "")
        page.locator(".facet details summary").first.click()
        page.locator(".time-menu summary").click()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    context.close()
    watch.check()


def test_the_address_of_a_search_says_all(opened: tuple[Page, Watch]) -> None:
    """Opened anew it is the same question: case, entries, context, limit, time."""
    page, _ = opened
    page.goto("/search?q=GET&case=1&context=2&limit=200&from=2020-01-01")
    expect(page.get_by_label("Match case")).to_be_checked()
    expect(page.get_by_label("Context")).to_have_value("2")
    expect(page.get_by_label("At most")).to_have_value("200")
    page.get_by_label("Query").press("Enter")
    page.wait_for_url(re.compile("case=1"))
    assert asked(page) == {"q": "GET", "case": "1", "context": "2", "limit": "200", "from": "2020-01-01"}


def test_numbers_of_facets_are_seen_beside_a_path_of_any_length(page: Page) -> None:
    """A long path ends in an ellipsis."""
    page.goto("/search?q=GET&limit=200")
    where = page.locator(".facet details[data-field=path] .above").first
    expect(where).to_be_visible()
    where.evaluate("element => { element.textContent = 'web-01/' + 'a-long-folder/'.repeat(20); }")
    number = page.locator(".facet details[data-field=path] li .num").first.bounding_box()
    whole = page.locator(".facet").bounding_box()
    assert number is not None
    assert whole is not None
    assert number["x"] + number["width"] <= whole["x"] + whole["width"]
