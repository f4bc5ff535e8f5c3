"""A server in this process and a Chromium that is watched: every dialog, console error and foreign request is noted."""

from __future__ import annotations

import logging
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright
from starlette.types import ASGIApp

from logferry.server.people import People
from logferry.web.auth import COOKIE
from logferry.web.wire import PatientWire

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = (1360, 820)
PHONE = (360, 740)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve ``app`` on a free port of the loopback address; yields ``http://127.0.0.1:<port>``."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # asyncio sends at once (TCP_NODELAY) only where the socket names its protocol; else each answer waits for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    server = uvicorn.Server(uvicorn.Config(app, http=PatientWire, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        structlog.configure(**before)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Watch:
    """What a page must never do, as it happens."""

    host: str
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    def over(self, page: Page) -> Page:
        """Watch ``page``."""
        page.on("dialog", lambda dialog: self._dialog(dialog))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._request(request.url))
        page.on("response", lambda response: self.answers.update({response.url: response.status}))
        return page

    def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(f"{dialog.type}: {dialog.message}")
        dialog.dismiss()

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc != self.host:
            self.foreign.append(url)

    def check(self, *, allowed: tuple[str, ...] = ()) -> None:
        """Raise AssertionError when anything happened; ``allowed`` are parts of console errors that are expected."""
        errors = [error for error in self.errors if not any(part in error for part in allowed)]
        assert not self.dialogs, self.dialogs
        assert not self.foreign, self.foreign
        assert not errors, errors


def visitor(
    browser: Browser, base: str, *, dark: bool = False, phone: bool = False
) -> tuple[BrowserContext, Page, Watch]:
    """A fresh browser profile with one watched page."""
    width, height = PHONE if phone else DESKTOP
    context = browser.new_context(
        base_url=base,
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        has_touch=phone,
        is_mobile=phone,
        device_scale_factor=2 if phone else 1,
    )
    watch = Watch(urlsplit(base).netloc)
    return context, watch.over(context.new_page()), watch


def violations(page: Page, axe: str, *, within: str = "html") -> list[str]:
    """What axe-core finds on the page against WCAG 2.2 AA: the rule, and where it is broken."""
    page.evaluate(axe)
    found: list[str] = page.evaluate(
        "async (within) => (await axe.run(within, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}))"
        ".violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 200)).join(' ')}`)",
        within,
    )
    return found


def signed_in(context: BrowserContext, people: People, name: str, base: str) -> None:
    """Give the profile a session of ``name`` without the form (whose password check is slow on purpose)."""
    session = people.begin_session(people.get(name))
    context.add_cookies([{"name": COOKIE, "value": session.secret, "url": base}])


def sign_in(page: Page, name: str, password: str) -> None:
    """Through the sign-in form, like a person."""
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()
