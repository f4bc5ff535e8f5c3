"""What arrived within each hour is counted with what arrived."""

from __future__ import annotations

from pathlib import Path

import pytest

from logferry.archive import Archive, Catalog
from logferry.archive.catalog.counting import HOUR_NS
from logferry.archive.catalog.disk_days import DAY_NS, DiskDay
from logferry.archive.catalog.intake import Arrived
from logferry.clock import ManualClock
from logferry.errors import OverQuota
from logferry.limits import DISK_DAYS_KEPT

pytestmark = pytest.mark.databases
START_NS = 500_000 * HOUR_NS


def put(archive: Archive, agent: str, path: str, data: bytes, *, append: bool = False) -> None:
    incoming = archive.begin(agent, path, append=append)
    incoming.write(data)
    incoming.commit()


def test_every_upload_counts_in_its_hour(database: str, folder: Path) -> None:
    """Bytes that were not there; a file once, and a new generation of it; by agent, and on after a restart."""
    clock = ManualClock(START_NS)
    for _ in range(2):
        with Catalog.open(database, clock) as catalog, Archive(str(folder), catalog, clock=clock) as archive:
            if not catalog.agents.list():
                catalog.agents.add("web-01")
                catalog.agents.add("db-01")
            put(archive, "web-01", "a.log", b"12345\n")  # the second time: a new generation
            put(archive, "web-01", "a.log", b"67\n", append=True)
            put(archive, "db-01", "b.log", b"x\n")  # the second time: what is there already
            clock.advance(3600)
    with Catalog.open(database, clock) as catalog:
        assert catalog.intake.since() == 500_000
        assert catalog.intake.hours(0, 1 << 40) == {500_000: Arrived(11, 2, 0), 500_001: Arrived(9, 1, 0)}
        assert catalog.intake.hours(500_001, 500_002, ["web-01"]) == {500_001: Arrived(9, 1, 0)}
        assert catalog.intake.hours(500_001, 500_001) == {}
        assert catalog.intake.hours(0, 1 << 40, []) == {}


def test_renames_and_removals_count_for_nothing(database: str, folder: Path) -> None:
    """Nothing arrived, and what arrived did so whatever becomes of it."""
    clock = ManualClock(START_NS)
    with Catalog.open(database, clock) as catalog, Archive(str(folder), catalog, clock=clock) as archive:
        catalog.agents.add("web-01")
        put(archive, "web-01", "a.log", b"12345\n")
        archive.rename("web-01", "a.log", "a.log.1")
        assert catalog.intake.hours(0, 1 << 40) == {500_000: Arrived(6, 1, 0)}


def test_what_is_refused_does_not_count_as_arrived(database: str, folder: Path) -> None:
    """The count is in the transaction that is taken back."""
    clock = ManualClock(START_NS)
    with Catalog.open(database, clock) as catalog, Archive(str(folder), catalog, clock=clock) as archive:
        catalog.agents.add("web-01")
        catalog.agents.change("web-01", quota_bytes=4)
        incoming = archive.begin("web-01", "a.log")
        incoming.write(b"12\n")
        catalog.agents.change("web-01", quota_bytes=1)
        with pytest.raises(OverQuota):
            incoming.commit()
        assert catalog.intake.since() is None


def test_errors_count_beside_what_arrived(database: str, folder: Path) -> None:
    """Also in an hour in which nothing else happened."""
    clock = ManualClock(START_NS)
    with Catalog.open(database, clock) as catalog, Archive(str(folder), catalog, clock=clock) as archive:
        catalog.agents.add("web-01")
        catalog.agents.erred("web-01", 2)
        catalog.writer.flush()
        put(archive, "web-01", "a.log", b"1\n")
        catalog.agents.erred("web-01", 1)
        catalog.writer.flush()
        assert catalog.intake.hours(0, 1 << 40) == {500_000: Arrived(2, 1, 3)}


def test_old_hours_go(database: str) -> None:
    clock = ManualClock(START_NS)
    with Catalog.open(database, clock) as catalog:
        for _ in range(3):
            catalog.agents.erred("web-01", 1)
            catalog.writer.flush()
            clock.advance(3600)
        assert catalog.intake.forget(500_002) == 2
        assert catalog.intake.since() == 500_002


def test_the_first_look_of_a_day_at_the_disk_is_kept(database: str) -> None:
    """And what was seen long ago goes."""
    with Catalog.open(database) as catalog:
        days = catalog.disk_days
        assert days.kept() == []
        looks = [DiskDay(day * DAY_NS + 5, 10 * day, 1000) for day in (1, 2, 3 + DISK_DAYS_KEPT)]
        for look in looks:
            days.note(look)
            days.note(look._replace(seen_ns=look.seen_ns + 60 * 10**9, used=7))
        assert days.kept() == looks[2:]
        days.note(DiskDay((4 + DISK_DAYS_KEPT) * DAY_NS, 50, 1000))
        assert [look.used for look in days.kept()] == [10 * (3 + DISK_DAYS_KEPT), 50]
