"""``python -m tests.browser.look [folder [name]]``: pictures of every page: light, dark, phone, as every role.

Serves a small fleet from a temporary folder; leaves pictures and a contact sheet (``index.html``), nothing else.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as NotReady

from logferry.server.config import ArchiveConfig, ChannelConfig, RetentionConfig, ServerConfig
from logferry.web.app import create_app
from tests.browser.fleet import HOSTILE_NAME, HOUR_S, NEEDLE, PASSWORD, Fleet
from tests.browser.harness import chromium, serving, sign_in, visitor

MODES = {"light": (False, False), "dark": (True, False), "phone": (False, True), "phone-dark": (True, True)}
ROLES = ("operator", "viewer")
AS_ROLES = (
    "home", "account-menu", "agents", "agent-files", "agent-settings", "alerts", "files", "browse", "view-start",
    "view-merged", "search-hits", "tail-pick", "saved", "me", "help", "people", "retention", "nothing-here",
)  # fmt: skip
"""Pages that differ by role, or are refused."""
Shot = tuple[str, str, Callable[[Page], None]]


def _verified(page: Page) -> None:
    page.get_by_role("button", name="Verify").click()
    page.get_by_role("status").wait_for()


def _settled(page: Page) -> None:
    page.wait_for_load_state("networkidle")


def _lines(page: Page) -> None:
    page.locator("log-view .row[data-b]").first.wait_for()
    page.locator("log-view .place", has_text="line").wait_for()


def _merged(page: Page) -> None:
    page.locator("merged-view .row").first.wait_for()


def _zones(page: Page) -> None:
    page.get_by_label("Time zone: UTC").click()


def _found(page: Page) -> None:
    page.locator("#results .search-status strong").wait_for()
    page.locator("#results button", has_text="Stop").wait_for(state="detached")


def _counted(page: Page) -> None:
    _found(page)
    page.locator(".facet details").first.wait_for()


def _times(page: Page) -> None:
    _counted(page)
    page.locator(".time-menu summary").click()


def _exports(page: Page) -> None:
    _counted(page)
    page.locator(".search-status details.menu summary").click()


def _bar(page: Page) -> None:
    _counted(page)
    page.locator(".histogram svg").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")


def _in_file(page: Page) -> None:
    _lines(page)
    page.get_by_label("Find in this file").fill("POST")
    page.get_by_label("Find in this file").fill("500")
    page.get_by_label("Find in this file").press("Enter")
    page.locator(".hits", has_text="hit").wait_for()
    page.locator(".row.target").wait_for()


def _keys(page: Page) -> None:
    _lines(page)
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()


def _menu(page: Page) -> None:
    page.get_by_label(re.compile(": account$")).click()


def _more(page: Page) -> None:
    more = page.locator(".rail .others summary")
    if more.is_visible():  # on phones
        more.click()


def _factor(page: Page) -> None:
    page.locator("form[action$='/me/second-factor']").get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Set it up").click()
    page.locator("svg.qr").wait_for()


def _generations(page: Page) -> None:
    _lines(page)
    page.locator(".log-head details.menu summary").click()


def _followed(page: Page) -> None:
    page.locator(".tail-status", has_text="waiting").wait_for()


def _password(page: Page) -> None:
    page.get_by_text("New password…").click()
    page.get_by_role("button", name="Make a new password").click()
    page.get_by_role("status").wait_for()


def _rule(page: Page) -> None:
    page.get_by_text("Add a rule").click()
    page.get_by_label("Kind").scroll_into_view_if_needed()


def _muting(page: Page) -> None:
    page.get_by_label("Mute: plc-07 is silent").click()


MERGED = "/view?f=web-01/var/log/syslog&f=web-01/var/log/nginx/error.log&f=web-02/app/app.log&f=web-01/none"
ACCESS = "/view/web-01/var/log/nginx/access.log"
SHOTS: tuple[Shot, ...] = (
    ("home", "/", _settled),
    ("home-more", "/agents", _more),
    ("account-menu", "/", _menu),
    ("agents", "/agents", _settled),
    ("agents-tag", "/agents?tag=prod", _settled),
    ("agents-none-late", "/agents?state=paused", _settled),
    ("agent-files", "/agents/web-01", _settled),
    ("agent-health", "/agents/db-01?tab=health", _settled),
    ("agent-activity", "/agents/db-01?tab=activity", _settled),
    ("agent-new", "/agents/lab-99", _settled),
    ("agent-settings", "/agents/web-01?tab=settings", _settled),
    ("agent-password", "/agents/web-02?tab=settings", _password),
    ("alerts", "/alerts", _settled),
    ("alerts-rule", "/alerts", _rule),
    ("alerts-muting", "/alerts", _muting),
    ("agent-add", "/agents/add", _settled),
    ("files", "/files", _settled),
    ("files-found", "/files?q=nginx", _settled),
    ("files-none", "/files?q=nosuchthing", _settled),
    ("browse", "/browse/web-01/var/log/nginx", _settled),
    ("browse-hostile", "/browse/web-01/var/log/odd%20names", _settled),
    ("view-start", ACCESS, _lines),
    ("view-follow", f"{ACCESS}?at=end", _lines),
    ("view-line", f"{ACCESS}#L700-L704", _lines),
    ("view-find", ACCESS, _in_file),
    ("view-keys", ACCESS, _keys),
    ("view-older", f"{ACCESS}?gen=1", _generations),
    ("view-json", "/view/web-02/app/app.log?at=end", _lines),
    ("view-java", "/view/db-01/var/log/postgresql/postgresql-16-main.log", _lines),
    ("view-hostile", "/view/web-01/var/log/hostile.log", _lines),
    (
        "view-merged",
        MERGED,
        _merged,
    ),
    ("view-merged-hostile", "/view?f=web-01/var/log/hostile.log&s=web-01/var/log/nginx/access.log", _merged),
    ("view-merge-with", "/view?with=web-01/var/log/nginx/access.log", _settled),
    ("view-merge-none", "/view", _settled),
    ("zone-menu", "/agents", _zones),
    ("view-empty", "/view/web-01/var/log/empty.log", _settled),
    ("search", "/search", _settled),
    ("search-hits", "/search?q=agent%3Aweb*+error&context=2", _counted),
    ("search-many", "/search?q=GET&limit=200", _counted),
    ("search-bar", "/search?q=GET&limit=200", _bar),
    ("search-times", "/search?q=GET&from=2026-11-01", _times),
    ("search-export", "/search?q=GET", _exports),
    ("search-time-wrong", "/search?q=GET&from=yesterdy", _settled),
    ("search-one", f"/search?q={NEEDLE}", _found),
    ("search-none", "/search?q=agent:web-01+zzzzzz", _found),
    ("search-wrong", "/search?q=error+(agent:web*+OR", _settled),
    ("retention", "/admin/retention?preview=now", _settled),
    ("connections", "/admin/connections", _settled),
    ("system", "/admin/system", _settled),
    ("files-near", "/files?q=hostileX", _settled),
    ("tail-pick", "/tail", _settled),
    ("tail", "/tail?q=agent:web-*", _followed),
    ("tail-one", "/tail?q=hostile.log", _followed),
    ("saved", "/saved", _settled),
    ("people", "/admin/users", _settled),
    ("person", "/admin/users/admin", _settled),
    ("tokens", "/admin/tokens", _settled),
    ("audit", "/admin/audit", _settled),
    ("audit-verified", "/admin/audit", _verified),
    ("audit-none", "/admin/audit?q=nosuchthing", _settled),
    ("me", "/me", _settled),
    ("me-second-factor", "/me", _factor),
    ("me-tokens", "/me/tokens", _settled),
    ("help", "/help", _settled),
    ("nothing-here", "/view/web-01/no/such/file", _settled),
    ("hostile-query", f"/search?q={HOSTILE_NAME}", _found),
)


def main(folder: Path, only: str = "") -> int:
    """Write all pictures (those whose names begin with ``only``) into ``folder``; how many."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="logferry-look-") as data_dir:
        rules = (RetentionConfig("*/Logs/**", 9 * HOUR_S), RetentionConfig("lab-*", 336 * HOUR_S))
        (Path(data_dir) / "hook").write_text("https://chat.example/hooks/abc")
        people = ChannelConfig(mail_to=("ops@example.org",), mail_from="logs@example.org", smtp="mail.example.org")
        config = ServerConfig(
            archive=ArchiveConfig(root=str(Path(data_dir) / "data"), min_free="0%"),
            retention=rules,
            channels={"ops": ChannelConfig(webhook_file=str(Path(data_dir) / "hook")), "people": people},
        )
        fleet = Fleet(Path(data_dir) / "data", config=config)
        try:
            fleet.populate()
            fleet.remember()
            fleet.admit("web-02")
            for agent, tags in (("web-01", ["prod", "site:north"]), ("web-02", ["prod"]), ("plc-07", ["site:south"])):
                fleet.catalog.agents.change(agent, tags=tags, quota_bytes=2_000_000)
            fleet.alarm()
            code = fleet.enrolment.new_setup_code()
            with serving(create_app(fleet.context)) as base, chromium() as browser:
                written = _strangers(browser, base, folder, code)
                fleet.add_admin()
                shots = [shot for shot in SHOTS if shot[0].startswith(only)]
                written += sum(_walk(browser, base, folder, mode, "admin", shots) for mode in MODES)
                shots = [shot for shot in shots if shot[0] in AS_ROLES]
                for role in ROLES:
                    fleet.people.create(role, PASSWORD, role=role, scope=("web-*",) if role == "viewer" else ())
                    written += sum(_walk(browser, base, folder, mode, role, shots) for mode in ("light", "phone-dark"))
                return written
        finally:
            fleet.close()
            _contact_sheet(folder)


def _strangers(browser: Browser, base: str, folder: Path, code: str) -> int:
    shots = (
        ("setup", f"/setup?code={code}"), ("setup-used", "/setup?code=wrong"), ("login", "/login"),
        ("reset-used", "/reset?code=wrong"),
    )  # fmt: skip
    for mode, (dark, phone) in MODES.items():
        context, page, _watch = visitor(browser, base, dark=dark, phone=phone)
        for name, path in shots:
            page.goto(path)
            page.screenshot(path=folder / f"{name}-{mode}.png")
        context.close()
    return len(shots) * len(MODES)


def _walk(browser: Browser, base: str, folder: Path, mode: str, name: str, shots: Iterable[Shot]) -> int:
    dark, phone = MODES[mode]
    context, page, _watch = visitor(browser, base, dark=dark, phone=phone)
    page.goto("/login")
    page.screenshot(path=folder / f"login-{mode}.png")
    sign_in(page, name, PASSWORD)
    written = 0
    for shot, path, ready in shots:
        page.goto(path)
        try:
            ready(page)
        except NotReady as error:  # the picture shows what was there instead
            print(f"{shot} ({mode}) did not get ready: {str(error).splitlines()[-1].strip()}", file=sys.stderr)
        shown = shot if name == "admin" else f"{name}-{shot}"
        page.screenshot(path=folder / f"{shown}-{mode}.png")
        written += 1
    context.close()
    return written


def _contact_sheet(folder: Path) -> None:
    """``index.html``: all pictures there are, a row a page, a column a mode."""
    rows: dict[str, dict[str, str]] = {}
    for picture in sorted(folder.glob("*.png")):
        mode = max((mode for mode in MODES if picture.stem.endswith(f"-{mode}")), key=len, default="")
        rows.setdefault(picture.stem.removesuffix(f"-{mode}"), {})[mode] = picture.name
    cells = "".join(
        f"<tr><th>{escape(name)}"
        + "".join(
            f'<td><a href="{escape(found[mode])}"><img loading="lazy" src="{escape(found[mode])}" alt="{mode}"></a>'
            if mode in found
            else "<td>"
            for mode in MODES
        )
        for name, found in rows.items()
    )
    head = "<th>page" + "".join(f"<th>{mode}" for mode in MODES)
    style = "body{font:14px sans-serif;background:#888}th{text-align:left;vertical-align:top}img{height:260px}"
    page = (
        f"<!doctype html><meta charset=utf-8><title>Pages</title><style>{style}</style><table><tr>{head}{cells}</table>"
    )
    (folder / "index.html").write_text(page)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "look")
    print(f"{main(target, *sys.argv[2:3])} pictures, all of them in {target}/index.html")
