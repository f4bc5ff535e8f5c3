"""Time zones by the names that IANA gives them."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, tzinfo

from logferry.errors import Refused


def zone_named(name: str) -> tzinfo:
    """The zone of that name, ``UTC`` or for example ``Europe/Berlin``. Raises Refused when this machine knows none."""
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Refused(f"no time zone {name!r} is known", hint="a name such as Europe/Berlin, or UTC") from error
