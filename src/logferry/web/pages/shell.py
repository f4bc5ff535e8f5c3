"""The frame of every page: templates, what all of them know, links that survive a sub-path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from logferry.amounts import count_in_short
from logferry.server.people import Identity
from logferry.server.scope import Role
from logferry.web.alerting import waiting_count
from logferry.web.context import WebContext
from logferry.web.pages import words
from logferry.web.pages.looks import remember_looks, shown_looks
from logferry.web.preferences import Preferences
from logferry.web.problem import request_id
from logferry.web.zone import BROWSER, ShownZone, shown_zone

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One entry of the rail."""

    path: str
    label: str
    icon: str
    needs: Role = "viewer"
    """Who sees it."""
    is_foremost: bool = False
    """On phones it stands in the bar; the others are behind "More"."""

    def holds(self, here: str) -> bool:
        """Whether the page at ``here`` is this one, or one that is reached from it."""
        if self.path == "/":
            return here == "/"
        return here.startswith(("/files", "/browse", "/view") if self.path == "/files" else self.path)


MENU = (
    MenuItem("/", "Home", "home", is_foremost=True),
    MenuItem("/agents", "Agents", "agents"),
    MenuItem("/files", "Files", "files", is_foremost=True),
    MenuItem("/search", "Search", "search", is_foremost=True),
    MenuItem("/tail", "Tail", "follow"),
    MenuItem("/saved", "Saved", "saved"),
    MenuItem("/alerts", "Alerts", "alert", needs="operator"),
    MenuItem("/admin", "Admin", "admin", needs="admin"),
)
ADMIN_TABS = (
    ("/admin/users", "People"),
    ("/admin/tokens", "Tokens"),
    ("/admin/retention", "Retention"),
    ("/admin/connections", "FTP connections"),
    ("/admin/system", "System"),
    ("/admin/audit", "Audit"),
)
"""Pages below Admin, the first is where the rail leads."""


def _templates() -> dict[str, str]:
    """All of them, read at once: a server goes on with those of its own version when another one is installed."""
    return {path.name: path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html")}


class Shell:
    """Renders pages. One per application; safe from many threads."""

    def __init__(self, context: WebContext, assets_version: str) -> None:
        self.context = context
        self._assets = assets_version
        self._templates = Environment(
            loader=DictLoader(_templates()),
            autoescape=True,  # always, whatever a template is called
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["coded"] = words.coded
        self._templates.globals.update(
            counted=words.counted,
            count_in_short=count_in_short,
            size=words.shown_bytes,
            size_range=words.size_range,
            iso=words.iso,
            ago=words.ago,
            duration=words.duration,
            shown=words.shown,
            menu=MENU,
            admin_tabs=ADMIN_TABS,
        )

    def page(
        self, request: Request, template: str, *, who: Identity | None = None, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """The page as a response. ``who`` is None on pages for strangers."""
        root = root_of(request)
        preferences = self.preferences(request, who)
        zone = self.zone(request, who)
        html = self._templates.get_template(template).render(
            who=who,
            here=request.url.path.removeprefix(root) or "/",
            letter_keys=preferences.keys,
            here_query=_here(request, root),
            base=root,
            now_ns=self.context.clock.now_ns(),
            zone=zone,
            zone_choices=_zone_choices(zone),
            stamp=lambda ns: words.stamp(ns, zone.zone),
            both_stamps=lambda ns: words.both_stamps(ns, zone.zone),
            day_time=lambda ns, now_ns: words.day_time(ns, now_ns, zone.zone),
            time_range=lambda first_ns, last_ns, now_ns: words.time_range(first_ns, last_ns, now_ns, zone.zone),
            request_id=request_id(request),
            status=status,
            alert_count=waiting_count(self.context, who) if who is not None and who.may("operator") else 0,
            link=lambda path, **query: words.address(root, path, **query),
            asset=lambda name: f"{root}/static/{self._assets}/{name}",
            **shown_looks(request, preferences),
            **values,
        )
        response = HTMLResponse(html, status, {"Cache-Control": "no-store"})
        remember_looks(request, response, preferences, root)
        return response

    def preferences(self, request: Request, who: Identity | None) -> Preferences:
        """How ``who`` likes it; strangers have said nothing. The catalog is asked once per request."""
        if who is None:
            return Preferences()
        found: Preferences | None = getattr(request.state, "preferences", None)
        if found is None:
            found = request.state.preferences = Preferences.of(self.context.catalog.preferences.of(who.user_id))
        return found

    def zone(self, request: Request, who: Identity | None) -> ShownZone:
        """The zone in which ``who`` is shown times."""
        found: ShownZone | None = getattr(request.state, "zone", None)
        if found is None:
            found = request.state.zone = shown_zone(request, who, self.preferences(request, who).zone)
        return found


def _zone_choices(zone: ShownZone) -> list[tuple[str, str]]:
    """What the top bar offers: value, words."""
    browser = f"The browser’s: {zone.browser}" if zone.browser else "The browser’s"
    named = [name for name in dict.fromkeys((zone.choice, zone.kept)) if name not in ("UTC", BROWSER)]
    return [("UTC", "UTC"), (BROWSER, browser), *((name, name) for name in named)]


def _here(request: Request, root: str) -> str:
    """The address of this page, with its query, below the root."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{words.address('', request.url.path.removeprefix(root) or '/')}{query}"


def root_of(request: Request) -> str:
    """The sub-path the program is reached under ("" without a proxy that has one)."""
    return str(request.scope.get("root_path", "")).rstrip("/")
