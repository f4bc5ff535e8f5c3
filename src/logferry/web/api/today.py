"""``/today``: what arrived today; ``/system/disk``: how much room there is, and for how long."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from logferry.clock import rfc3339
from logferry.errors import NotFound
from logferry.limits import ZONE_CHARS_MAX
from logferry.server.disk import disk_pace, disk_room
from logferry.web.api.shapes import Shape
from logferry.web.auth import Context, Operator, Viewer
from logferry.web.today import today
from logferry.zones import zone_named

router = APIRouter(tags=["system"])


class UsualBytes(Shape):
    """Bytes that had arrived by the same time of the day, of the last ``days`` days without the lowest and highest."""

    least: int
    most: int
    days: int


class TodayState(Shape):
    """What arrived since the day began, in the zone that was asked for, from agents of which you see everything."""

    since: str
    whole: bool = Field(description="false: it is counted since later than the day began")
    bytes: int
    files: int = Field(description="files and new generations of files that began")
    errors: int = Field(description="uploads that were refused or broke off")
    usual: UsualBytes | None = Field(description="null: too few days are known yet")


class DiskPace(Shape):
    """How fast the disk fills, over the last ``days`` days; below 0: it empties."""

    bytes_per_day: int
    days: int
    days_left: int | None = Field(description="until uploads are refused, at this pace; null: never")


class DiskState(Shape):
    """The disk with the live tree; below ``floor`` bytes free, uploads get 452."""

    total: int
    free: int
    floor: int
    message: str
    pace: DiskPace | None = Field(description="null: too few days are known yet")


@router.get("/today")
def arrived_today(
    context: Context,
    who: Viewer,
    tz: Annotated[str, Query(max_length=ZONE_CHARS_MAX, description="in which the day begins at midnight")] = "UTC",
) -> TodayState:
    """What arrived today, and what usually has by this time. 404 for those who see no agent as a whole."""
    found = today(context, who, zone_named(tz))
    if found is None:
        raise NotFound("you see no agent as a whole", hint="what arrives below single paths is not counted")
    usual = found.usual
    return TodayState(
        since=rfc3339(found.since_ns),
        whole=found.is_whole,
        bytes=found.bytes,
        files=found.files,
        errors=found.errors,
        usual=UsualBytes(least=usual.least, most=usual.most, days=usual.days) if usual else None,
    )


@router.get("/system/disk")
def disk(context: Context, _who: Operator) -> DiskState:
    """How much room there is, and how fast it goes."""
    room = disk_room(context.config)
    pace = disk_pace(room, context.catalog.disk_days.kept(), context.clock.now_ns())
    return DiskState(
        total=room.total,
        free=room.free,
        floor=room.floor,
        message=room.message,
        pace=DiskPace(bytes_per_day=pace.bytes_per_day, days=pace.days, days_left=pace.days_left) if pace else None,
    )
