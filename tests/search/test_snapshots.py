"""The snapshot that is kept and brought up to date is the one that would be read anew, whatever was committed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from logferry.archive import Archive, Catalog
from logferry.archive.catalog.looking import LookedAt, Looking
from logferry.clock import SYSTEM
from logferry.errors import Unreachable
from logferry.limits import SNAPSHOT_FACTS_S_MAX
from logferry.search import snapshots
from logferry.search.snapshot import Snapshot
from logferry.search.snapshots import Snapshots
from tests.postgres import Postgres
from tests.search.test_indexed import MAKER, Grown
from tests.security.amounts import amount, seed
from tests.web.served import wait_for

STEPS = amount("snapshot_steps", 25, 1_000)


@pytest.fixture(params=["sqlite", "postgresql"])
def grown(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Grown]:
    """An empty archive, its catalog in either database."""
    made = Grown(tmp_path, random.Random(seed("snapshots")))
    if request.param == "sqlite":
        yield made
        made.close()
        return
    made.close()
    postgres: Postgres = request.getfixturevalue("postgres")
    with (
        postgres.schema() as url,
        Catalog.open(url, made.clock) as made.catalog,
        Archive(str(tmp_path / "there"), made.catalog, clock=made.clock) as made.archive,
    ):
        yield made


def same(one: Snapshot, other: Snapshot) -> None:
    """In all that a search asks of it."""
    assert one.files == other.files
    assert one.places == other.places
    assert (one.indexes, one.held, one.packed) == (other.indexes, other.held, other.packed)
    assert (one.ranks_in.keys(), one.by_agent.keys()) == (other.ranks_in.keys(), other.by_agent.keys())
    for segment, ranks in one.ranks_in.items():
        np.testing.assert_array_equal(ranks, other.ranks_in[segment])
    for agent, ranks in one.by_agent.items():
        np.testing.assert_array_equal(ranks, other.by_agent[agent])
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.sizes, other.sizes)
    np.testing.assert_array_equal(one.is_in_part, other.is_in_part)
    np.testing.assert_array_equal(one.ranks(one.ids), np.arange(len(one.ids)))


def step(grown: Grown, there: set[tuple[str, str]]) -> None:
    """Anything that an archive does. ``there``: the files that are."""
    rng = grown.rng
    agent, path = (
        rng.choice(["web-01", "db"]),
        rng.choice(["a.log", "b.log", "c.gz", f"new/{rng.randrange(10**6)}.log"]),
    )
    held = (agent, path) in there
    kind = rng.randrange(10)
    if kind < 5 or not held:
        grown.put(agent, path, grown.text(rng.randrange(1, 9)), append=held and rng.random() < 0.7)
        there.add((agent, path))
    elif kind < 7:
        grown.archive.rename(agent, path, f"moved/{rng.randrange(10**6)}.log")
        there.remove((agent, path))
    elif kind < 9:
        grown.seal()
    else:
        list(grown.archive.compactor(level=1, maker=MAKER, segment_bytes=1 << 20).compact(grown.clock.now_ns()))


def test_what_is_kept_is_what_would_be_read_anew(grown: Grown) -> None:
    """Uploads, growth, rotation, renames, sealing, compaction, in any order."""
    kept = Snapshots(grown.catalog, grown.clock)
    there: set[tuple[str, str]] = set()
    for _ in range(STEPS):
        for _ in range(grown.rng.randrange(3)):
            step(grown, there)
        same(kept.now(), Snapshots(grown.catalog, grown.clock).now())


def test_new_files_and_lines_are_seen_without_reading_all(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their cost is that of what is not sealed, however much there is besides."""
    grown.put("db", "old.log", grown.text(20))
    grown.seal()
    kept = Snapshots(grown.catalog, grown.clock)
    before = kept.now()

    def never(_: Snapshots) -> Snapshot:
        raise AssertionError("all of it is read")

    with monkeypatch.context() as patch:
        patch.setattr(Snapshots, "_read", never)
        for path in ("new.log", "new.log", "old.log", "web.log.gz"):
            grown.put("web-07" if path == "web.log.gz" else "db", path, grown.text(5), append=path == "old.log")
            found = kept.now()
            assert found is not before
            assert found.files[-1].path == path
            before = found
    same(before, Snapshots(grown.catalog, grown.clock).now())


def test_what_is_not_sealed_is_asked_for_row_by_row_only_where_it_is_new(
    grown: Grown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's lock is handed over at each row: a search after any commit would wait for it some hundred times."""
    for number in range(20):
        grown.put("db", f"{number}.log", grown.text(5))
    grown.seal()
    for number in range(10, 40):
        grown.put("db", f"{number}.log", grown.text(5), append=number < 20)
    kept = Snapshots(grown.catalog, grown.clock)
    kept.now()
    asked: list[Sequence[int]] = []
    these = Looking.these

    def seen(of: Looking, ids: Sequence[int]) -> list[LookedAt]:
        asked.append(ids)
        return these(of, ids)

    monkeypatch.setattr(Looking, "these", seen)
    before = kept.now()
    grown.catalog.agents.add("nothing-of-it")
    assert kept.now() is before
    grown.put("db", "15.log", grown.text(5), append=True)
    assert kept.now() is not before
    assert not any(asked)
    grown.put("db", "new.log", grown.text(5))
    assert kept.now().files[-1].path == "new.log"
    assert [len(ids) for ids in asked if ids] == [1]
    same(kept.now(), Snapshots(grown.catalog, grown.clock).now())


def test_a_search_that_failed_leaves_the_news_to_the_next(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's server hung up when the facts of a new file were read: later it is found, and what grew."""
    grown.put("db", "grows.log", b"a\n")
    kept = Snapshots(grown.catalog, grown.clock)
    kept.now()
    grown.put("db", "grows.log", b"bbb\n", append=True)
    grown.put("db", "new.log", b"c\n")

    def fails(_: Looking, ids: Sequence[int]) -> list[LookedAt]:
        raise Unreachable(f"the server hung up; {len(ids)} file was asked for")

    with monkeypatch.context() as patch:
        patch.setattr(Looking, "these", fails)
        with pytest.raises(Unreachable, match="1 file was"):
            kept.now()
    same(kept.now(), Snapshots(grown.catalog, grown.clock).now())


def test_the_facts_of_many_new_files_are_read_some_at_a_time(grown: Grown) -> None:
    """Fewer than there are at once, as many, and one more."""
    for number in range(101):
        grown.put("db", f"{number}.log", b"a\n")
    everything = sorted(grown.catalog.looking.generations())
    for count in (0, 1, 49, 50, 51, 100, 101):
        wanted = everything[:count]
        assert sorted(grown.catalog.looking.these([row.id for row in wanted])) == wanted
    assert not grown.catalog.looking.these([10**9])


def test_many_files_corrected_facts_are_read_in_the_background(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for them; whoever asks for them gets them at once."""
    monkeypatch.setattr(snapshots, "SNAPSHOT_AT_ONCE_MAX", 0)
    grown.put("db", "old.log", grown.text(20))
    grown.seal()
    kept = Snapshots(grown.catalog, grown.clock)
    kept.now()
    readers: list[str] = []
    read = Snapshots._read

    def seen(of: Snapshots) -> Snapshot:
        readers.append(threading.current_thread().name)
        return read(of)

    monkeypatch.setattr(Snapshots, "_read", seen)
    grown.put("db", "new.log", grown.text(5))
    grown.clock.advance(SNAPSHOT_FACTS_S_MAX + 1)
    assert kept.now().files[-1].path == "new.log"
    wait_for(lambda: readers == ["search-facts"] and not _is_running("search-facts"))
    grown.put("db", "new.log", grown.text(5), append=True)
    same(kept.now(), Snapshots(grown.catalog, grown.clock).now())
    readers.clear()
    grown.put("db", "new.log", grown.text(5), append=True)
    kept.now(exact_facts=True)
    assert readers == [threading.current_thread().name]


def _is_running(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_a_large_one_is_kept_as_long_as_searches_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And let go of after that."""
    monkeypatch.setattr(snapshots, "SNAPSHOT_GENERATIONS_MAX", 0)
    monkeypatch.setattr(snapshots, "SNAPSHOT_IDLE_S", 0.2)
    made = Grown(tmp_path, random.Random(1))
    made.put("db", "a.log", b"x\n")
    kept = Snapshots(made.catalog, SYSTEM)
    assert kept.now() is kept.now()
    wait_for(lambda: kept._now is None)
    assert len(kept.now().files) == 1
    made.close()
