"""``python -m tests.browser.scanning CORPUS FOLDER [mode ...]``: pictures of the search page over a large corpus.

CORPUS holds a folder for each agent. It is put into an archive below FOLDER, which is kept for the next time; the
pictures show the first hits, the middle of the scan, what Stop leaves, and the end; light, dark and on a phone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page

from logferry.server.config import ArchiveConfig, SearchConfig, ServerConfig
from logferry.web.app import create_app
from tests.browser.fleet import PASSWORD, Fleet
from tests.browser.harness import chromium, serving, sign_in, visitor

QUERY = r"/(root|error|GET).*[0-9]7[0-9]7[0-9]7.*[0-9]{3}7/"
BLOCK_BYTES = 1 << 20
SCAN_S_MAX = 3600.0
WAIT_MS = 1_000 * SCAN_S_MAX
MODES = {"light": (False, False), "dark": (True, False), "phone": (False, True), "phone-dark": (True, True)}


def _blocks(place: Path) -> Iterator[bytes]:
    with place.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def deliver(fleet: Fleet, corpus: Path) -> int:
    """Put all files of the corpus that are not there yet into the archive; how many bytes it holds."""
    done = 0
    for place in sorted(path for path in corpus.glob("*/**/*") if path.is_file()):
        agent, _, path = place.relative_to(corpus).as_posix().partition("/")
        if fleet.catalog.agents.get(agent) is None:
            fleet.catalog.agents.add(agent)
        if fleet.catalog.files.at(agent, path) is None:
            fleet.put(agent, path, _blocks(place))
        done += place.stat().st_size
    return done


def _walk(browser: Browser, base: str, folder: Path, mode: str) -> None:
    dark, phone = MODES[mode]
    context, page, _watch = visitor(browser, base, dark=dark, phone=phone)
    page.set_default_timeout(WAIT_MS)
    sign_in(page, "admin", PASSWORD)

    def picture(name: str) -> None:
        page.screenshot(path=folder / f"scan-{name}-{mode}.png")
        print(f"{mode} {name}: {page.locator('.search-status').inner_text()!r}", flush=True)

    page.goto(f"/search?q={quote(QUERY)}&limit=5000")
    picture("begin")
    page.locator("#results a.hit-line").first.wait_for()
    picture("first")
    page.locator(".histogram .tick").first.wait_for(state="attached")
    _beyond(page, 0.05)
    picture("middle")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Stop").wait_for(state="detached")
    picture("stopped")
    began_s = time.monotonic()
    page.reload()
    page.locator("#results button", has_text="Stop").wait_for()
    page.locator("#results button", has_text="Stop").wait_for(state="detached")
    picture("end")
    print(f"{mode}: the whole took {time.monotonic() - began_s:.1f} s", flush=True)
    context.close()


def _beyond(page: Page, share: float) -> None:
    """Wait until so much is scanned, or it has ended."""
    page.wait_for_function(
        "share => (document.querySelector('.search-status progress')?.value ?? 1) > share"
        " || !document.querySelector('.search-status button .icon')",
        arg=share,
    )


def main(corpus: Path, folder: Path, *modes: str) -> None:
    """Deliver, look."""
    folder.mkdir(parents=True, exist_ok=True)
    data_dir = folder / "data"
    config = ServerConfig(
        archive=ArchiveConfig(root=str(data_dir), min_free="0%"), search=SearchConfig(time_limit=SCAN_S_MAX)
    )
    fleet = Fleet(data_dir, config=config)
    try:
        if not fleet.people.has_admin():
            fleet.add_admin()
        began_s = time.monotonic()
        print(f"{deliver(fleet, corpus):,} bytes in the archive, {time.monotonic() - began_s:.1f} s", flush=True)
        with serving(create_app(fleet.context)) as base, chromium() as browser:
            for mode in modes or MODES:
                _walk(browser, base, folder, mode)
    finally:
        fleet.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
