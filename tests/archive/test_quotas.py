"""No agent holds more than its quota, counted exactly; what does not fit is refused whole, and waits for room."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from logferry.archive.catalog.quotas import Quota
from logferry.archive.catalog.tables import files, generations
from logferry.archive.many import WholeFile
from logferry.archive.retention import Rule
from logferry.errors import Busy, Conflict, LogferryError, OverQuota
from logferry.names import aside_name, temporary_name
from tests.archive.before import as_of
from tests.archive.conftest import AGENT, Shelf
from tests.archive.segment.making import log_text
from tests.archive.test_crashes import STAMP, STEPS
from tests.archive.test_repair import without_catalog
from tests.archive.test_seal import seal

LOG = "var/log/app.log"


def held(shelf: Shelf) -> tuple[int, int]:
    """What the agent holds by its sums, which must be what is there."""
    with shelf.catalog._engine.connect() as connection:
        count, size = connection.execute(
            select(func.count(), func.coalesce(func.sum(generations.c.size), 0)).select_from(
                generations.join(files, files.c.id == generations.c.file_id)
            )
        ).one()
    usage = shelf.catalog.quotas.usage(AGENT)
    assert (usage.files, usage.bytes) == (count, size)
    record = shelf.catalog.agents.get(AGENT)
    assert record is not None
    assert (record.held_files, record.held_bytes) == (count, size)
    return int(count), int(size)


def test_what_an_agent_holds_is_counted_through_everything_that_happens_to_it(shelf: Shelf) -> None:
    """Live, kept, sealed, moved, extended, deleted, rebuilt."""
    for number, (_, step) in enumerate(STEPS):
        step(shelf)
        held(shelf)
        if number % 2:
            seal(shelf, segment_bytes=40)
            held(shelf)
    before = held(shelf)
    other, _ = without_catalog(shelf)
    assert held(other) == before
    other.clock.advance(max(0.0, time.time() - other.clock.now_ns() / 1e9) + 10_000_000)
    list(other.archive.retention([Rule("**", 3600)]).run())
    assert held(other) == (0, 0)
    other.close()


def test_growth_stops_at_the_quota_and_goes_on_when_it_is_raised(shelf: Shelf) -> None:
    shelf.catalog.agents.change(AGENT, quota_bytes=1000)
    shelf.put(LOG, b"a" * 600)
    with pytest.raises(OverQuota, match=r"web-01 is used up: it holds 600 of 1,000 bytes"):
        shelf.put(LOG, b"b" * 401, offset=600)
    assert shelf.size(LOG) == 600
    assert shelf.current(LOG) == b"a" * 600
    assert shelf.live() == {LOG: b"a" * 600}
    shelf.put(LOG, b"b" * 400, offset=600)
    assert held(shelf) == (1, 1000)
    shelf.put(LOG, b"a" * 600 + b"b" * 400)  # the same again adds nothing
    with pytest.raises(OverQuota):
        shelf.put(LOG, b"c", offset=1000)
    shelf.catalog.agents.change(AGENT, quota_bytes=0)
    shelf.put(LOG, b"c", offset=1000)
    shelf.catalog.quotas.default = Quota(bytes=1001)
    shelf.put(LOG, b"d", offset=1001)  # its own bound counts
    shelf.catalog.agents.change(AGENT, quota_bytes=None)
    with pytest.raises(OverQuota):
        shelf.put(LOG, b"e", offset=1002)


def test_many_small_writes_of_one_upload_are_bounded_too(shelf: Shelf) -> None:
    shelf.catalog.agents.change(AGENT, quota_bytes=1000)
    incoming = shelf.archive.begin(AGENT, LOG)
    for _ in range(10):
        incoming.write(b"x" * 100)
    with pytest.raises(OverQuota):
        incoming.write(b"x")
    with pytest.raises(OverQuota):
        incoming.commit()
    incoming.abandon()
    assert shelf.current(LOG) is None
    assert shelf.size(LOG) == 1000  # it goes on there when there is room
    with pytest.raises(OverQuota):
        shelf.put(LOG, b"x" * 10, offset=1000)
    shelf.catalog.agents.change(AGENT, quota_bytes=1010)
    shelf.put(LOG, b"x" * 10, offset=1000)
    assert shelf.current(LOG) == b"x" * 1010


def test_uploads_that_nobody_finishes_count_as_well(shelf: Shelf) -> None:
    """Else a stolen password fills the disk with beginnings."""
    shelf.catalog.agents.change(AGENT, quota_bytes=1000)
    for number in range(3):
        incoming = shelf.archive.begin(AGENT, f"{number}.log")
        incoming.write(b"x" * 300)
        incoming.abandon()
    incoming = shelf.archive.begin(AGENT, "more.log")
    with pytest.raises(OverQuota):
        incoming.write(b"x" * 300)
    incoming.abandon()


def test_a_new_generation_a_rename_and_a_bundle_are_refused_whole(shelf: Shelf) -> None:
    shelf.put(LOG, b"a" * 600)
    shelf.catalog.agents.change(AGENT, quota_bytes=1000)
    with pytest.raises(OverQuota):
        shelf.put(LOG, b"b" * 500)
    assert shelf.history(LOG) == [b"a" * 600]
    shelf.catalog.agents.change(AGENT, quota_bytes=0)
    temporary = temporary_name("new")
    shelf.put(temporary, b"c" * 401)
    shelf.catalog.agents.change(AGENT, quota_bytes=1000)
    with pytest.raises(OverQuota):
        shelf.rename(temporary, "new.log")
    assert shelf.current("new.log") is None
    shelf.catalog.agents.change(AGENT, quota_bytes=1001)
    shelf.rename(temporary, "new.log")
    assert shelf.current("new.log") == b"c" * 401
    shelf.catalog.agents.change(AGENT, quota_bytes=1301)
    outcomes = shelf.archive.store_many(AGENT, [WholeFile(f"many/{n}", b"%d" % n * 100) for n in range(5)])
    assert [isinstance(outcome, LogferryError) for outcome in outcomes] == [False] * 3 + [True] * 2
    assert all(isinstance(outcome, OverQuota) for outcome in outcomes[3:])
    assert held(shelf) == (5, 1301)
    assert list(shelf.archive.check(digests=True)) == []


def test_files_are_bounded_generations_counted(shelf: Shelf) -> None:
    shelf.catalog.agents.change(AGENT, quota_files=2)
    shelf.put(LOG, b"one\n")
    shelf.put(LOG, b"two\n")
    with pytest.raises(OverQuota, match="2 of 2 files"):
        shelf.put("other.log", b"x")
    with pytest.raises(OverQuota):
        shelf.put(LOG, b"three\n")
    assert shelf.history(LOG) == [b"one\n", b"two\n"]
    assert shelf.current(LOG) == b"two\n"
    shelf.put(LOG, b"more\n", offset=4)
    shelf.rename(LOG, "var/log/app.log.1")
    shelf.rename("var/log/app.log.1", f"var/log/{aside_name('app.log.1', STAMP)}")
    assert held(shelf) == (2, 13)


def test_what_retention_deletes_makes_room(shelf: Shelf) -> None:
    shelf.catalog.agents.change(AGENT, quota_bytes=60_000)
    shelf.put("old.log", log_text(50_000))
    seal(shelf)
    with pytest.raises(OverQuota):
        shelf.put("new.log", b"x" * 30_000)
    shelf.clock.advance(7200)
    list(shelf.archive.retention([Rule("*/old.log", 3600)]).run())
    shelf.put("new.log", b"x" * 30_000)
    assert held(shelf) == (1, 30_000)


def test_several_processes_at_once_never_pass_the_quota(folder: Path) -> None:
    shelves = [Shelf(folder) for _ in range(3)]
    shelves[0].catalog.agents.change(AGENT, quota_bytes=20_000, quota_files=30)
    refused = [0, 0, 0]

    def work(number: int) -> None:
        dice = random.Random(number)
        for turn in range(60):
            try:
                shelves[number].put(f"{number}/{dice.randrange(20)}.log", b"x" * dice.randrange(700), append=True)
            except OverQuota:
                refused[number] += 1
            except (Busy, Conflict):
                continue
            assert turn >= 0

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count, size = held(shelves[0])
    assert count <= 30
    assert size <= 20_000
    assert sum(refused) > 0
    assert list(shelves[0].archive.check(digests=True, repair=True)) is not None
    for shelf in shelves:
        shelf.close()


def test_catalogs_of_before_are_counted_when_they_are_opened(folder: Path) -> None:
    shelf = Shelf(folder)
    shelf.put(LOG, b"one\n")
    shelf.put(LOG, b"another\n")
    shelf.close()
    as_of(folder / "catalog.db", "0005")
    other = Shelf(folder)
    assert held(other) == (2, 12)
    other.close()
