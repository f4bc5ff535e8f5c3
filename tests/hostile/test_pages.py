"""Every page with hostile words in every place: nothing runs, nothing is made of them, nothing sticks out.

The pages are those the application has: one that is added is walked as well. Each is opened in a real browser, narrow
and wide; besides, payloads are the path and the parameters of some page (``HEAVY=1``: of every page), whose answer the
browser reads without showing it. ``HEAVY=1`` also opens the viewer, an agent and a search for each payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

import logferry.web
from logferry.server.porter import Porter
from logferry.web.app import create_app
from tests.browser.conftest import browser as browser
from tests.browser.harness import Watch, serving, signed_in, visitor
from tests.hostile.payloads import HOST, payloads, whole_words, words
from tests.hostile.planted import AGENT, JSON_LINES, LINES, NAMES, Planted, agent_ids, names
from tests.hostile.seen import WATCH, sticking_out, traces, traces_at
from tests.security.amounts import HEAVY, amount
from tests.web.lobby import Lobby
from tests.web.routes import flat

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VALUES = {"agent": AGENT, "path": f"{NAMES}", "name": "user-0", "rest": "v1"}
VISITS = {
    "/": ("/",),
    "/agents/{agent}": (f"/agents/{AGENT}", *(f"/agents/{agent}?tab=health" for agent in agent_ids()[40::70])),
    "/files": ("/files?q=names",),
    "/browse/{agent}/{path:path}": (f"/browse/{AGENT}/{NAMES}", f"/browse/{AGENT}/app"),
    "/view/{agent}/{path:path}": (),  # see the tests of lines
    "/search": ("/search",),  # see the test of searches
    "/admin/audit": ("/admin/audit", "/admin/audit?before=80"),
    "/admin/retention": ("/admin/retention?preview=week",),
    "/admin/connections": ("/admin/connections",),
    "/reset": ("/reset?code=<script>pwned(1)</script>",),
    "/{path:path}": ("/nothing/<b pwned>",),
}
"""What is opened of a page where its address alone does not show all."""
ROWS = {
    f"/browse/{AGENT}/{NAMES}": 300,
    "/agents": len(agent_ids()),
    "/saved": len(agent_ids()) - 10,
    "/admin/connections": len(agent_ids()),
    "/admin/system": len(agent_ids()),
    "/admin/retention?preview=week": 2 * len(agent_ids()),
}
"""How many rows there are at least: what was planted is looked at."""
_PARAMETERS = re.compile(r"""(?:asked|query_params\.get|getlist)\(\s*"(\w+)"|_FIELDS = \(([^)]*)\)""")


class Site:
    """A served archive, and the names of its pages."""

    def __init__(self, base: str, app: FastAPI, planted: Planted) -> None:
        self.base = base
        self.planted = planted
        self.pages = sorted(
            {
                route.path
                for route in flat(app.router.routes)
                if getattr(route, "dependant", None) is None
                and "GET" in (route.methods or {"GET"})
                and not route.path.endswith(".json")
            }
        )
        self.parameters = _parameters()


def _parameters() -> list[str]:
    """The names of all parameters that any page asks for."""
    found: set[str] = {"sort", "agent", "modified", "size"}
    for path in Path(logferry.web.__file__).parent.rglob("*.py"):
        for one, several in _PARAMETERS.findall(path.read_text()):
            found.update([one] if one else re.findall(r'"(\w+)"', several))
    return sorted(found)


ADDRESS_CHARS_MAX = 16_000


@pytest.fixture(scope="module")
def site(planted: Planted) -> Iterator[Site]:
    """The hostile archive, with agents that speak and clients that are connected."""
    app = create_app(planted.context)
    planted.own_words(app.state.nurse)
    porter = Porter(Lobby(planted.sessions()), planted.config.data_dir)
    porter.start()
    try:
        with serving(app) as base:
            yield Site(base, app, planted)
    finally:
        porter.stop()


@pytest.fixture(scope="module")
def watched(browser: Browser, site: Site) -> Iterator[tuple[Page, Watch]]:
    """One page for all, of the administrator: a watch over everything that it does."""
    context, page, watch = visitor(browser, site.base)
    context.add_init_script(WATCH)
    signed_in(context, site.planted.people, "admin", site.base)
    yield page, watch
    context.close()


@pytest.fixture
def page(watched: tuple[Page, Watch]) -> Iterator[Page]:
    """The page; after each test nothing may have happened that must not. Answers of 400 and 404 are asked for."""
    page, watch = watched
    yield page
    watch.check(allowed=("Failed to load resource: the server responded with a status of 4",))


def _addresses(site: Site) -> Iterator[str]:
    for path in site.pages:
        yield from VISITS.get(path, (re.sub(r"\{(\w+)(:\w+)?\}", lambda m: VALUES[m[1]], path),))


def _settle(page: Page) -> None:
    page.wait_for_load_state("load")
    if page.locator("#results").count():
        expect(page.locator("#results button", has_text="Stop")).to_have_count(0)


def test_every_page_shows_hostile_words_as_text(page: Page, site: Site) -> None:
    """At 360 and at 1280 px, with everything planted in it."""
    wrong = []
    assert set(VISITS) <= set(site.pages), "visits of pages that are not there"
    for address in _addresses(site):
        page.goto(address)
        _settle(page)
        assert page.locator("tbody tr").count() >= ROWS.get(address, 0), address
        wrong += [f"{address}: {trace}" for trace in traces(page)] + sticking_out(page)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", [LINES, JSON_LINES])
def test_every_line_of_a_file_is_text(page: Page, path: str) -> None:
    """In the viewer, from the first to the last, wrapped and not."""
    wrong = []
    page.set_viewport_size({"width": 1280, "height": 2400})
    page.goto(f"/view/{AGENT}/{path}?at=end")
    page.locator("log-view .row[data-b]").first.wait_for()
    last = int(page.locator("log-view .row[aria-rowindex]").last.get_attribute("aria-rowindex") or 0)
    assert last >= len(payloads())
    for number in range(1, last + 1, 100):
        page.evaluate("(number) => { location.hash = `#L${number}`; }", number)
        page.locator(f'log-view .row[aria-rowindex="{number}"]').wait_for()
        wrong += traces(page)
    wrong += sticking_out(page)
    page.keyboard.press("z")
    wrong += sticking_out(page) + traces(page)
    assert not wrong, "\n".join(wrong)


def test_hits_and_their_facets_are_text(page: Page) -> None:
    """A search that finds every line of every file, names included."""
    wrong = []
    page.goto(f"/search?{urlencode({'q': f'agent:{AGENT}', 'context': 1, 'limit': 1000})}")
    expect(page.locator("#results .search-status strong")).to_contain_text("hit")
    expect(page.locator("#results button", has_text="Stop")).to_have_count(0)
    for more in page.locator(".group .more:visible").all():
        more.click()
    assert page.locator("a.hit-line").count() > len(payloads())
    wrong += traces(page) + sticking_out(page)
    assert not wrong, "\n".join(wrong)


def test_lines_that_arrive_are_text(page: Page, site: Site) -> None:
    """In the tail of two files, one of which has a hostile name."""
    page.goto(f"/tail?{urlencode({'q': f'agent:{AGENT} path:names'})}")
    page.locator(".tail-status", has_text="waiting").wait_for()
    path = next(text for text in page.locator("#followed li").evaluate_all("(all) => all.map((x) => x.dataset.path)"))
    site.planted.put(AGENT, path, [raw + b"\n" for raw in payloads()] + [b"the last of them\n"], append=True)
    expect(page.locator("#tail")).to_contain_text("the last of them")
    wrong = traces(page) + sticking_out(page)
    assert not wrong, "\n".join(wrong)


def test_every_payload_in_an_address_is_text(page: Page, site: Site) -> None:
    """As the path and as every parameter of a page, of searches, folders and files that are there too."""
    per_page = amount("payload_pages", 1, len(site.pages))
    page.goto("/help")
    addresses = []
    for number, text in enumerate(words()[:: 1 if HEAVY else 2]):
        raw = text.encode("utf-8", "surrogateescape")
        for shift in range(per_page):
            path = site.pages[(number + shift) % len(site.pages)]
            filled = re.sub(r"\{(\w+)(:\w+)?\}", lambda m: quote(raw, safe=""), path)  # noqa: B023 - used at once
            asked = site.parameters if number % 2 else ["q"]
            addresses.append(f"{filled}?{urlencode([(name, raw) for name in asked])}")
    addresses += [f"/view/{AGENT}/{NAMES}/{quote(path)}" for path in names()[:: 1 if HEAVY else 10]]
    addresses += [f"/agents/{agent}?tab=health" for agent in agent_ids()[:: 1 if HEAVY else 10]]
    # What is longer is refused by whatever reads requests, unless it comes in one piece: before it gets to a page.
    kept = [one for one in addresses if not one.startswith("//") and len(one) <= ADDRESS_CHARS_MAX]
    wrong = traces_at(page, kept)
    wrong += traces(page)
    assert not wrong, "\n".join(wrong)


def test_what_is_searched_for_is_text(page: Page) -> None:
    """The words of a search, found or not, right or wrong, on the page that answers."""
    wrong = []
    chosen = whole_words()[:: 1 if HEAVY else 90]
    for text in chosen:
        phrase = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for query in (phrase, text) if HEAVY else (phrase,):
            page.goto(f"/search?{urlencode({'q': f'path:{LINES} {query}'})}")
            _settle(page)
            wrong += [f"{query[:80]}: {trace}" for trace in traces(page)] + sticking_out(page)
    assert not wrong, "\n".join(wrong)


def test_no_page_to_return_to_is_elsewhere(page: Page, site: Site) -> None:
    """After signing in, and from a saved address: never another site."""
    page.goto("/help")
    found = page.evaluate(
        """async (texts) => {
          const found = [];
          for (const text of texts) {
            const answer = await fetch(`/login?next=${encodeURIComponent(text)}`);
            if (new URL(answer.url).origin !== location.origin) found.push(text);
          }
          return found;
        }""",
        [text for text in whole_words() if HOST in text and "<" not in text],
    )
    assert not found
