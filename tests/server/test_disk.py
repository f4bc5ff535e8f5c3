"""How full the disk is, said in one sentence and only when it changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from logferry.archive.catalog import Catalog
from logferry.archive.catalog.disk_days import DAY_NS, DiskDay
from logferry.errors import Refused
from logferry.server.audit import Audit
from logferry.server.chores import Chores
from logferry.server.config import load_config
from logferry.server.disk import DiskPace, DiskRoom, disk_pace, disk_room, shown_bytes
from logferry.server.people import People


def test_a_disk_below_its_floor_is_full_and_says_what_happens() -> None:
    """With the numbers."""
    room = DiskRoom(total=1_000_000_000, free=40_000_000, floor=50_000_000)
    assert room.full
    assert room.message == (
        "disk almost full: 40.0 MB free of 1.0 GB, 50.0 MB must stay free; uploads wait (452) until there is room"
    )
    assert DiskRoom(1_000_000_000, 50_000_000, 50_000_000).message == ""


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (99_949, "99.9 KB"), (99_960, "100 KB"), (999_499, "999 KB"),
     (999_500, "1.0 MB"), (6_100_000_000, "6.1 GB"), (182 * 10**9, "182 GB"), (5 * 10**15, "5000 TB")],
)  # fmt: skip
def test_bytes_read_as_disks_are_sold(count: int, text: str) -> None:
    """Decimal units, at most four digits below a petabyte."""
    assert shown_bytes(count) == text


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the setting to change."""
    config = load_config(None, {}, {"archive": {"root": str(tmp_path / "nowhere")}})
    with pytest.raises(Refused, match=r"archive\.root"):
        disk_room(config)


def test_a_full_disk_is_said_once_and_room_again_once(tmp_path: Path, catalog: Catalog) -> None:
    """Not every five seconds."""
    said = []
    for min_free in ("99.9%", "0"):
        config = load_config(None, {}, {"archive": {"root": str(tmp_path), "min_free": min_free}})
        chores = Chores(config, catalog, People(catalog), Audit(catalog))
        chores._was_full = min_free == "0"
        with capture_logs() as lines:
            chores.look_at_disk()
            chores.look_at_disk()
        said.append([line["event"].split(",")[0] for line in lines])
    assert said[0][0].startswith("disk almost full")
    assert len(said[0]) == 1
    assert said[1] == ["there is room again"]


ROOM = DiskRoom(total=1000, free=500, floor=100)


def looks(*used: int, total: int = 1000) -> list[DiskDay]:
    """One for each day up to yesterday's, of today being day 100."""
    return [DiskDay((100 - back) * DAY_NS, one, total) for back, one in zip(range(len(used), 0, -1), used, strict=True)]


def test_the_pace_of_a_week_says_how_long_the_disk_lasts() -> None:
    """Until uploads are refused; older looks do not count, whatever happened then."""
    assert disk_pace(ROOM, looks(0, 0, 430, 440, 450, 460, 470, 480, 490), 100 * DAY_NS) == DiskPace(10, 7, 40)
    assert disk_pace(ROOM, looks(470, 480, 490), 100 * DAY_NS) == DiskPace(10, 3, 40)
    assert disk_pace(DiskRoom(1000, 50, 100), looks(920, 930, 940), 100 * DAY_NS) == DiskPace(10, 3, 0)


@pytest.mark.parametrize("used", [(500, 500, 500), (800, 700, 600)])
def test_a_disk_that_does_not_fill_lasts_for_ever(used: tuple[int, ...]) -> None:
    """Nobody is told a number of days that means nothing."""
    pace = disk_pace(ROOM, looks(*used), 100 * DAY_NS)
    assert pace is not None
    assert pace.days_left is None


def test_from_too_few_days_nothing_is_concluded() -> None:
    """Nor from those of a disk of another size, or from looks that a clock put into the future."""
    assert disk_pace(ROOM, [], 100 * DAY_NS) is None
    assert disk_pace(ROOM, looks(400, 490), 100 * DAY_NS) is None
    assert disk_pace(ROOM, looks(100, 100, 100, 100, total=999), 100 * DAY_NS) is None
    assert disk_pace(ROOM, looks(470, 480, 490), 96 * DAY_NS) is None


def test_each_day_is_looked_at_once(tmp_path: Path, catalog: Catalog) -> None:
    """By the duty that watches the disk; a new process writes nothing twice."""
    config = load_config(None, {}, {"archive": {"root": str(tmp_path), "min_free": "0"}})
    for _ in range(2):
        Chores(config, catalog, People(catalog), Audit(catalog)).look_at_disk()
    (look,) = catalog.disk_days.kept()
    assert 0 < look.used < look.total
