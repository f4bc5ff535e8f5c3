"""Pages are for everybody: main flows by the keyboard alone, for each role; nothing that axe-core finds fault with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from starlette.routing import Route

from logferry.server.scope import Role
from logferry.web.app import create_app
from logferry.web.pages import routes
from tests.browser import test_manage, test_people
from tests.browser.conftest import Site
from tests.browser.fleet import NEEDLE, Fleet
from tests.browser.harness import serving, signed_in, violations, visitor
from tests.browser.viewer import Viewer
from tests.security.amounts import HEAVY

pytestmark = pytest.mark.browser

PASSWORD = "a calm harbour"
PEOPLE: dict[str, Role] = {"vera": "viewer", "otto": "operator", "adele": "admin"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The usual fleet with somebody of each role."""
    fleet = Fleet(Path(tmp_path_factory.mktemp("everybody")) / "data")
    try:
        fleet.populate()
        fleet.catalog.agents.change("web-01", tags=("prod", "site:north"), quota_bytes=1_000_000)
        for name, role in PEOPLE.items():
            fleet.people.create(name, PASSWORD, role=role)
        with serving(create_app(fleet.context)) as base:
            yield Site(base, fleet)
    finally:
        fleet.close()


# The keyboard alone -------------------------------------------------------------------------------------------------


_BEFORE = """(node) => {
  const stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
    .filter((one) => one.tabIndex >= 0 && !one.disabled && one.type !== "hidden" && one.checkVisibility());
  return Math.max(0, stops.indexOf(node) - stops.indexOf(document.activeElement) - 3);
}"""
"""About how many times one presses Tab at least: saves asking after each."""


def tab_to(page: Page, wanted: Locator, *, most: int = 40) -> None:
    """Press Tab until ``wanted`` has the focus, and shows it."""
    for _ in range(wanted.evaluate(_BEFORE)):
        page.keyboard.press("Tab")
    for _ in range(most):
        if wanted.evaluate("(node) => node === document.activeElement"):
            assert wanted.evaluate("(node) => getComputedStyle(node).outlineStyle") != "none"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab did not lead to {wanted}")


def go(page: Page, wanted: Locator) -> None:
    """Tab there, Enter."""
    wanted.wait_for()
    tab_to(page, wanted)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("name", PEOPLE)
def test_sign_in_find_open_search_download_and_sign_out_need_no_mouse(browser: Browser, site: Site, name: str) -> None:
    """As each role; and what only some may do is where they reach it, and nowhere for the others."""
    role = PEOPLE[name]
    context, page, watch = visitor(browser, site.base)
    page.goto("/")
    for text in (name, "Tab", PASSWORD, "Enter"):
        press = page.keyboard.press if text in ("Tab", "Enter") else page.keyboard.type
        press(text)
    page.get_by_role("heading", name="Overview").wait_for()
    rail, table = page.get_by_role("navigation", name="Main"), page.locator("table")

    go(page, rail.get_by_role("link", name="Files"))
    for step in ("web-02", "app", "audit.log"):
        go(page, table.get_by_role("link", name=step, exact=True))
    viewer = Viewer(page)
    expect(viewer.line(1)).to_contain_text(NEEDLE)
    download = page.get_by_role("link", name="Download")
    with page.expect_download() as told:
        go(page, download)
    assert Path(told.value.path()).read_bytes() == f"2026-11-23T08:14:01Z INFO {NEEDLE} was here\n".encode()

    page.keyboard.press("Control+k")
    page.keyboard.type(NEEDLE)
    page.keyboard.press("Enter")
    go(page, page.locator("a.hit-line"))
    expect(viewer.target).to_contain_text(NEEDLE)

    go(page, rail.get_by_role("link", name="Agents"))
    add = page.get_by_role("link", name="Add an agent")
    if role == "viewer":
        page.get_by_role("heading", name="Agents").wait_for()
        expect(add).to_have_count(0)
    else:
        go(page, add.first)
        go(page, page.get_by_role("button", name="Make"))
        expect(page.locator(".command code").first).to_contain_text("logferry agent join")
    admin = rail.get_by_role("link", name="Admin")
    if role == "admin":
        go(page, admin)
        go(page, page.get_by_role("link", name="vera"))
        page.get_by_role("heading", name="vera").wait_for()
    else:
        expect(admin).to_have_count(0)

    go(page, page.get_by_label(f"{name}: account"))
    go(page, page.get_by_role("button", name="Sign out"))
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto("/files")
    page.get_by_role("heading", name="Sign in").wait_for()
    context.close()
    watch.check()


# axe-core -----------------------------------------------------------------------------------------------------------


def _lines(page: Page) -> None:
    page.locator("log-view .row[data-b]").first.wait_for()


def _keys(page: Page) -> None:
    _lines(page)
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()


def _found(page: Page) -> None:
    _lines(page)
    Viewer(page).find("500")


def _account(page: Page) -> None:
    page.get_by_label("adele: account").click()


def _nothing(_page: Page) -> None:
    """It is there when it is loaded."""


ACCESS = "/view/web-01/var/log/nginx/access.log"
PAGES: dict[str, tuple[Callable[[Page], None], ...]] = {
    "/": (_nothing, _account),
    "/agents": (_nothing,),
    "/agents?state=paused": (_nothing,),
    "/agents?tag=prod": (_nothing,),
    "/agents/db-01?tab=activity": (_nothing,),
    "/agents/web-01": (_nothing,),
    "/agents/db-01?tab=health": (_nothing,),
    "/agents/lab-99": (_nothing,),
    "/agents/add": (_nothing,),
    "/files": (_nothing,),
    "/browse/web-01/var/log/odd%20names": (_nothing,),
    "/browse/web-01": (_nothing,),
    ACCESS: (_lines, _found, _keys),
    f"{ACCESS}?gen=1": (_lines,),
    "/view?f=web-01/var/log/hostile.log&s=web-01/var/log/nginx/access.log": (_nothing,),
    "/view/web-01/var/log/hostile.log": (_lines,),
    "/view/web-01/var/log/empty.log": (_nothing,),
    "/view/web-01/no/such/file": (_nothing,),
    "/api": (_nothing,),
}
"""Pages that no other file here has axe-core look at, and what is done on them before it does."""
STRANGERS = ("/login?next=/agents", "/login/code", "/reset?code={reset}", "/reset?code=x", "/setup?code=x")
ELSEWHERE = ("/login/oidc", "/login/oidc/back", "/admin", "/{path:path}")
"""Those that are no page of their own (``test_oidc`` looks at where the first two lead)."""
MODES = tuple(itertools.product((False, True), repeat=2))
"""(dark, phone)"""


def in_turn(addresses: Iterable[str], *, dark: bool, phone: bool) -> list[str]:
    """Those of ``addresses`` that are looked at in this mode: each in one of the four, with ``HEAVY=1`` in all."""
    every = 1 if HEAVY else len(MODES)
    return list(addresses)[0 if HEAVY else MODES.index((dark, phone)) :: every]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("dark", "phone"), MODES)
def test_nothing_keeps_anybody_from_using_a_page(
    browser: Browser, site: Site, axe: str, *, dark: bool, phone: bool
) -> None:
    """WCAG 2.2 AA, light and dark, wide and at 360 px, where nothing sticks out sideways."""
    wrong: list[str] = []
    stranger, page, watch = visitor(browser, site.base, dark=dark, phone=phone)
    reset = site.fleet.people.new_reset_code("vera")
    for address in in_turn(STRANGERS, dark=dark, phone=phone):
        page.goto(address.format(reset=reset))
        wrong += _look(page, axe, address)
    stranger.close()
    watch.check(allowed=("401",))
    context, page, watch = visitor(browser, site.base, dark=dark, phone=phone)
    signed_in(context, site.fleet.people, "adele", site.base)
    for address in in_turn(PAGES, dark=dark, phone=phone):
        for way in PAGES[address]:
            page.goto(address)
            way(page)
            wrong += _look(page, axe, f"{address} {way.__name__}")
    context.close()
    assert not wrong, "\n".join(wrong)
    watch.check(allowed=("404",))


def _look(page: Page, axe: str, where: str) -> list[str]:
    """What is wrong with the page as it is now."""
    wrong = [f"{where}: {one}" for one in violations(page, axe)]
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    return [*wrong, f"{where} sticks out by {wide} px"] if wide > 0 else wrong


def test_every_page_is_looked_at(site: Site) -> None:
    """A page that is added is looked at, here or in another file."""
    looked = [*PAGES, *STRANGERS, *ELSEWHERE, *test_manage.ADDRESSES, *test_people.ADDRESSES, "/search"]
    paths = [address.partition("?")[0] for address in looked]
    for route in routes(site.fleet.context, "version"):
        if isinstance(route, Route) and "GET" in (route.methods or ()) and route.path not in ELSEWHERE:
            assert any(route.path_regex.match(path) for path in paths), f"{route.path}: add it to PAGES"
