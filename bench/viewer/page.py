"""The viewer in a headless Chromium: how long until lines are on the screen, what the page holds after scrolling."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page
from tests.browser.harness import DESKTOP

_ONE_LINE = b'<!doctype html><title>x</title><log-view><div class="row" data-b="0">one line</div></log-view>'
_THUMB = 0.12
_PATIENCE_MS = 120_000.0
_SETTLED_MS = 500.0
"""What Chromium works for a tab that was opened; whoever follows a link has one that is there."""
WATCH = """
(() => {
  const painted = (what) => requestAnimationFrame(() => setTimeout(() => { window[what] = performance.now(); }, 0));
  new MutationObserver(() => {
    if (!window.firstLines && document.querySelector("log-view .row")) painted("firstLines");
    if (!window.ready && document.querySelector("log-view .row[data-b]")) painted("ready");
    const first = document.querySelector("log-view .row");
    if (first !== window.rowBefore) { window.rowBefore = first; painted("changed"); }
  }).observe(document, { childList: true, subtree: true });
})();
"""
"""Notes when lines were painted first, when the script's own were, and when others came into their place."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its address, the session's cookie, its process."""

    base: str
    cookie: dict[str, Any]
    pid: int

    def cpu_ms(self) -> float:
        """Milliseconds of processor time that it took so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return 1000.0 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A server of its own on the archive in ``folder``."""
    told = folder / "address"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.viewer.serve", str(folder), str(told)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        while not told.exists() or not told.read_text().endswith("\n"):
            if process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.05)
        base, name, value = told.read_text().split()
        try:
            yield Server(base, {"name": name, "value": value, "url": base}, process.pid)
        finally:
            process.stdin.close()
            process.wait(60)


@contextmanager
def one_line() -> Iterator[str]:
    """The address of a page that is one line of text: what Chromium takes for any page."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(_ONE_LINE)))
            self.end_headers()
            self.wfile.write(_ONE_LINE)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{served.server_port}/"
        finally:
            served.shutdown()
            thread.join()


@contextmanager
def visitor(browser: Browser, there: Server) -> Iterator[Page]:
    """A fresh profile, nothing cached."""
    context: BrowserContext = browser.new_context(
        base_url=there.base, viewport={"width": DESKTOP[0], "height": DESKTOP[1]}, reduced_motion="reduce"
    )
    context.add_cookies([there.cookie])  # type: ignore[list-item]
    context.add_init_script(WATCH)
    context.set_default_timeout(_PATIENCE_MS)
    try:
        page = context.new_page()
        page.wait_for_timeout(_SETTLED_MS)
        yield page
    finally:
        context.close()


def first_screen(page: Page, address: str) -> tuple[float, float]:
    """Milliseconds from the click to painted lines, and until the script has taken over: keys and scrollbar work.

    Nothing is asked of the page before it is loaded: what Playwright needs there for that takes as long as a page.
    """
    page.goto(address, wait_until="load")
    return _painted(page)


def from_list(page: Page, folder: str, name: str) -> tuple[float, float]:
    """The same from a click on ``name`` in the list of files at ``folder``, as a file is opened: what all pages share
    is in the browser by then, and what is the viewer's alone is not."""
    page.goto(folder, wait_until="load")
    page.wait_for_timeout(_SETTLED_MS)
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(re.compile("/view/"), wait_until="load")
    return _painted(page)


def _painted(page: Page) -> tuple[float, float]:
    page.wait_for_function("() => window.firstLines && window.ready")
    return float(page.evaluate("() => window.firstLines")), float(page.evaluate("() => window.ready"))


def jump(page: Page, place: str) -> float:
    """Milliseconds from Enter in “go to” to painted lines of that place."""
    page.keyboard.press(":")
    page.keyboard.type(place)
    page.evaluate(
        "() => { window.changed = 0; document.querySelector('dialog[open]').addEventListener('close', () => "
        "{ window.left = performance.now(); }, { once: true }); }"
    )
    page.keyboard.press("Enter")
    page.wait_for_function("() => window.changed")
    return float(page.evaluate("() => window.changed - window.left"))


def press_track(page: Page, fraction: float) -> float:
    """Milliseconds from a press on the scrollbar to painted lines of that place."""
    box = page.locator("log-view .track").bounding_box()
    assert box is not None
    page.evaluate(
        "() => { window.changed = 0; document.querySelector('.track').addEventListener('pointerdown', () => "
        "{ window.left = performance.now(); }, { once: true, capture: true }); }"
    )
    page.mouse.move(box["x"] + 5, box["y"] + 2 + fraction * (box["height"] - 4))
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function("() => window.changed")
    return float(page.evaluate("() => window.changed - window.left"))


def elsewhere(dice: random.Random, before: float) -> float:
    """A place of the scrollbar that is not under its thumb."""
    while abs((found := dice.uniform(0.05, 0.95)) - before) < _THUMB:
        pass
    return found


def page_cpu_ms(page: Page) -> float:
    """Milliseconds of processor time of the page's process, Chromium's own beginning of it included."""
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in client.send("Performance.getMetrics")["metrics"]}
    client.detach()
    return 1000.0 * float(metrics["ProcessTime"])
