"""A Chromium and a served fleet for each module (no longer: the driver keeps an event loop running meanwhile)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from logferry.web.app import create_app
from tests.browser.fleet import Fleet
from tests.browser.harness import CHROMIUM, Watch, chromium, serving, signed_in, visitor

expect.set_options(timeout=20_000)  # on a busy machine the browser waits for its turn; a test that passes does not wait


@dataclass(frozen=True, slots=True)
class Site:
    """A running server and the archive behind it."""

    base: str
    fleet: Fleet


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; the tests are skipped, and counted as such, where there is none."""
    if not CHROMIUM:
        pytest.skip("no Chromium here: apt-get install chromium")
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The usual fleet with an administrator."""
    fleet = Fleet(Path(tmp_path_factory.mktemp("fleet")) / "data")
    try:
        fleet.populate()
        fleet.add_admin()
        with serving(create_app(fleet.context)) as base:
            yield Site(base, fleet)
    finally:
        fleet.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which looks for what keeps people from using a page."""
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()


@pytest.fixture
def opened(browser: Browser, site: Site) -> Iterator[tuple[Page, Watch]]:
    """A page of the administrator, and the watch over it; at the end nothing forbidden may have happened."""
    context, page, watch = visitor(browser, site.base)
    signed_in(context, site.fleet.people, "admin", site.base)
    yield page, watch
    context.close()
    watch.check()


@pytest.fixture
def page(opened: tuple[Page, Watch]) -> Page:
    """A watched page of the administrator, still blank."""
    return opened[0]
