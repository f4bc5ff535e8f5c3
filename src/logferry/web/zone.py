"""In which time zone somebody is shown times: as the top bar says for this session, else as they keep it in /me.

The API is untouched by it: its times are RFC 3339 in UTC.
"""

from __future__ import annotations

import functools
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, tzinfo
from urllib.parse import unquote

from starlette.requests import Request

from logferry.errors import Refused
from logferry.limits import ZONE_CHARS_MAX
from logferry.server.people import Identity
from logferry.zones import zone_named

ZONE_COOKIE = "logferry_zone"
"""What the top bar was set to, for as long as the browser is open."""
BROWSER_COOKIE = "logferry_browser_zone"
"""The browser's own zone, which a script tells."""
BROWSER = "browser"
"""Stands for the zone of whichever browser it is."""


@dataclass(frozen=True, slots=True)
class ShownZone:
    """``choice``: what was chosen, ``browser`` or a name. ``name`` and ``zone``: what that comes to.

    ``browser``: the zone of this browser, empty while it has not told. ``kept``: what they keep in /me.
    """

    choice: str = "UTC"
    name: str = "UTC"
    zone: tzinfo = UTC
    browser: str = ""
    kept: str = "UTC"


def shown_zone(request: Request, who: Identity | None, kept: str) -> ShownZone:
    """The zone for this request; UTC for strangers, and where a name is none of this machine's. ``kept``: see there."""
    browser = _known(unquote(request.cookies.get(BROWSER_COOKIE, "")))
    choice = known_choice(unquote(request.cookies.get(ZONE_COOKIE, ""))) if who is not None else "UTC"
    choice = choice or kept or "UTC"
    name = (browser or "UTC") if choice == BROWSER else choice
    return ShownZone(choice, name, zone_named(name), browser, kept or "UTC")


def checked_choice(text: str) -> str:
    """``browser`` or the name of a zone. Raises Refused."""
    text = text.strip()[:ZONE_CHARS_MAX]
    if text != BROWSER:
        zone_named(text)
    return text


@functools.lru_cache(maxsize=1)
def all_zones() -> tuple[str, ...]:
    """The names to choose from, by name: places, not the abbreviations and old names beside them."""
    return tuple(
        sorted(n for n in zoneinfo.available_timezones() if "/" in n and not n.startswith(("Etc/", "SystemV/")))
    )


def known_choice(text: str) -> str:
    """The choice if it is one, else nothing: as for what was kept before this machine knew fewer zones."""
    return BROWSER if text == BROWSER else _known(text)


def _known(name: str) -> str:
    """The name if there is such a zone, else nothing: cookies hold what anybody put there."""
    if not name or len(name) > ZONE_CHARS_MAX:
        return ""
    try:
        zone_named(name)
    except Refused:
        return ""
    return name
