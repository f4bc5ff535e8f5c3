"""``/today`` and ``/system/disk``: what arrived, what is usual, how long the disk lasts."""

from __future__ import annotations

from logferry.archive.catalog.counting import COUNT, HOUR_NS
from logferry.archive.catalog.disk_days import DAY_NS, DiskDay
from logferry.archive.catalog.writer import Rows
from logferry.server.disk import disk_room
from tests.web.served import Served


def history(site: Served, agents: tuple[str, ...], days: int) -> None:
    """From each agent so many bytes in each hour of so many days up to yesterday's this hour."""
    now = site.context.clock.now_ns() // HOUR_NS
    rows = [
        {"hour": now - back, "agent": agent, "more_bytes": 1000, "more_files": 1, "more_errors": 0}
        for agent in agents
        for back in range(24, 24 * (days + 1))
    ]
    site.context.catalog.writer.run(Rows(lambda connection: connection.execute(COUNT, rows)))


def test_what_arrives_today_is_told_with_what_is_usual(site: Served) -> None:
    """Nothing is usual until a week is known; who sees a part is told of the agents they see whole."""
    site.put("web-01", "a.log", b"0123456789")
    site.put("db-01", "b.log", b"01234")
    found = site.client.get("/api/v1/today?tz=Asia/Tokyo").json()
    assert (found["bytes"], found["files"], found["errors"], found["usual"]) == (15, 2, 0, None)
    history(site, ("web-01", "db-01"), 15)
    found = site.client.get("/api/v1/today").json()
    assert found["whole"]
    assert found["since"].endswith("T00:00:00.000Z")
    assert found["usual"]["days"] == 14
    assert found["usual"]["least"] == found["usual"]["most"]
    half = site.as_("half", scope=("web-*/**",)).get("/api/v1/today").json()
    assert half["bytes"] == 10
    assert abs(2 * half["usual"]["least"] - found["usual"]["least"]) < 1000
    parts = site.as_("parts", scope=("web-*/var/**",)).get("/api/v1/today")
    assert parts.status_code == 404
    assert site.client.get("/api/v1/today?tz=Nowhere/Else").status_code == 400


def test_how_long_the_disk_lasts_is_told_from_some_days_on(site: Served) -> None:
    """To operators."""
    assert site.client.get("/api/v1/system/disk").json()["pace"] is None
    assert site.as_("looker").get("/api/v1/system/disk").status_code == 403
    room, now_ns = disk_room(site.context.config), site.context.clock.now_ns()
    for back in (5, 4):
        used = room.total - room.free - back * 10**9
        site.context.catalog.disk_days.note(DiskDay(now_ns - back * DAY_NS, used, room.total))
    pace = site.client.get("/api/v1/system/disk").json()["pace"]
    assert pace["days"] == 5
    assert pace["days_left"] >= 0
    assert abs(pace["bytes_per_day"] - 10**9) < 10**9  # others write to this disk, too
