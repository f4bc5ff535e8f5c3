"""What a person sets for one agent, checked: group, tags, quotas, zone, speed, how often it is expected, pause."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from logferry.errors import BadName, Refused
from logferry.ftp.timetable import check_rates
from logferry.limits import EXPECT_EVERY_S_MAX, TAG_CHARS_MAX, TAGS_MAX
from logferry.server.enrolment import checked_group

_TAG = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:=-]{{0,{TAG_CHARS_MAX - 1}}}")
SETTINGS = ("group", "tags", "quota_bytes", "quota_files", "zone", "upload_rate", "expect_every_s", "paused")
"""As ``Catalog.agents.change`` calls them."""


def checked_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the catalog takes them; what it checks itself (zones) is left to it.

    Raises:
        BadName: a group or tag may not be called so.
        BadConfig: a rate or timetable is none.
        Refused: a number is out of range.
    """
    found = dict(values)
    if "group" in found:
        found["group"] = checked_group(found["group"])
    if "tags" in found:
        found["tags"] = checked_tags(found["tags"])
    if "upload_rate" in found:
        rate = found["upload_rate"].strip()
        check_rates(upload_rate=rate or "0")
        found["upload_rate"] = "" if rate == "0" else rate
    every_s = found.get("expect_every_s")
    if every_s is not None and not 1 <= every_s <= EXPECT_EVERY_S_MAX:
        raise Refused(f"{every_s:g} s is no time to expect an agent in", hint="one second to a year; null: as usual")
    return found


def checked_tags(tags: Sequence[str]) -> list[str]:
    """Without repetitions, in order. Raises BadName, Refused."""
    found = sorted(set(tags))
    wrong = next((tag for tag in found if not _TAG.fullmatch(tag)), None)
    if wrong is not None:
        hint = f"up to {TAG_CHARS_MAX} letters, digits, '.', '_', '-', ':' or '=', a letter or digit first"
        raise BadName(f"{wrong[:80]!r} is no tag", hint=hint)
    if len(found) > TAGS_MAX:
        raise Refused(f"{len(found)} tags are too many for one agent", hint=f"{TAGS_MAX} at most")
    return found
