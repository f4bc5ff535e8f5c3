"""A lost catalog is built anew from segments and files alone; damage costs no more than what is damaged."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from logferry.archive.catalog.writer import Change
from logferry.archive.committing import CommitSegment
from logferry.archive.rebuild import Rebuilt
from logferry.archive.segment import Builder, HeldGeneration
from logferry.errors import Damaged
from logferry.names import aside_name
from tests.archive.conftest import AGENT, Shelf
from tests.archive.segment.making import log_text
from tests.archive.test_crashes import FINAL, STAMP
from tests.archive.test_seal import _sealing_steps, seal

SEGMENTS = int(os.environ.get("LOGFERRY_REPAIR_SEGMENTS", "40"))


def facts(shelf: Shelf) -> dict[str, list[tuple[Any, ...]]]:
    """Everything the catalog knows of files: generations by path, with where their bytes lie; folders; numbers."""
    with shelf.catalog._engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT f.path, f.number, f.shown, f.held, g.number, g.size, g.ended_ns IS NULL, g.state, g.place,"
            " g.sealed, CASE WHEN g.sealed > 0 THEN g.uid END, g.id"
            " FROM files f LEFT JOIN generations g ON g.file_id = f.id ORDER BY f.path, g.number"
        ).all()
        lying = connection.exec_driver_sql(
            'SELECT x.generation_id, x."offset", x.length, x.raw_offset, s.name'
            " FROM extents x JOIN segments s ON s.id = x.segment_id ORDER BY 1, 2"
        ).all()
        segments = connection.exec_driver_sql(
            "SELECT name, bytes, raw_bytes, sha256 FROM segments WHERE gone_ns IS NULL ORDER BY name"
        ).all()
        names = connection.exec_driver_sql(
            "SELECT f.path, n.number, g.uid FROM former_names n JOIN files f ON f.id = n.file_id"
            " JOIN generations g ON g.id = n.generation_id WHERE g.sealed > 0 ORDER BY 1, 2"
        ).all()
    folder = shelf.catalog.files.folder_record(AGENT, "")
    assert folder is not None
    return {
        "files": [(*row[:-1], tuple(tuple(one[1:]) for one in lying if one[0] == row[-1])) for row in rows],
        "segments": [tuple(row) for row in segments],
        "former": [tuple(row) for row in names],
        "sums": [(folder.files, folder.bytes)],
    }


def without_catalog(shelf: Shelf) -> tuple[Shelf, list[Rebuilt]]:
    """The same archive after its catalog was deleted and built anew."""
    other = shelf.lose_catalog()
    assert other.everything() == {}
    return other, list(other.archive.rebuild())


def busy(shelf: Shelf) -> None:
    """Files in every state: live, kept, sealed, with tails, in parts, moved and ended after sealing."""
    for number in range(5):
        shelf.put(f"var/log/app-{number}.log", log_text(3_000, number))
    shelf.put("var/log/large.log", log_text(60_000, 9))
    shelf.put("var/log/two.log", log_text(100, 10))
    shelf.put("var/log/two.log", log_text(200, 11))
    seal(shelf, segment_bytes=20_000)
    shelf.put("var/log/app-0.log", b"more\n", offset=shelf.size("var/log/app-0.log") or 0)
    shelf.rename("var/log/app-1.log", "var/log/app-1.log.1")
    shelf.put("var/log/app-1.log", b"new\n")
    shelf.rename("var/log/app-2.log", f"var/log/{aside_name('app-2.log', STAMP)}")
    shelf.put("var/log/app-2.log", b"other\n")
    shelf.put("var/log/app-2.log", b"again other\n")
    shelf.put("var/log/app-3.log", b"quite other\n")
    shelf.rename("var/log/app-4.log", "var/log/app-4.log.1")
    shelf.rename("var/log/app-4.log.1", "var/log/app-4.log.2")
    shelf.put("live.log", b"live\n")
    shelf.put("var/packed.gz", b"no gzip")


@pytest.mark.databases
def test_a_rebuilt_catalog_is_the_old_one(shelf: Shelf) -> None:
    busy(shelf)
    before, knew = shelf.everything(), facts(shelf)
    other, (found,) = without_catalog(shelf)
    assert found.problems == []
    assert (found.agent, found.files) == (AGENT, len(before))
    assert other.everything() == before
    assert facts(other) == knew
    assert list(other.archive.check(digests=True)) == []
    # And it goes on: the next upload, rename and seal find what they expect.
    other.put("var/log/app-0.log", b"and more\n", offset=other.size("var/log/app-0.log") or 0)
    other.put("var/log/app-1.log", b"next\n", append=True)
    seal(other)
    assert other.history("var/log/app-0.log") == [before["var/log/app-0.log"][0] + b"and more\n"]
    assert other.history("var/log/app-1.log") == [b"new\nnext\n"]
    other.close()


def test_renamed_and_ended_again_after_a_rebuild_it_is_rebuilt_again(shelf: Shelf) -> None:
    busy(shelf)
    other, _ = without_catalog(shelf)
    other.rename("var", "srv")
    other.clock.advance(5)
    for _ in other.archive.compactor(level=2, segment_bytes=200_000).compact(other.clock.now_ns()):
        pass
    before, knew = other.everything(), facts(other)
    third, (found,) = without_catalog(other)
    assert found.problems == []
    assert third.everything() == before
    # Numbers that live files had before they were moved away are in no manifest and no journal: all but column 1.
    held = [[(row[0], *row[2:]) for row in some["files"] if row[3]] for some in (facts(third), knew)]
    assert held[0] == held[1]
    assert facts(third)["segments"] == knew["segments"]
    third.close()


def test_a_whole_day_with_seals_in_between_is_rebuilt_after_each_step(shelf: Shelf) -> None:
    for number, (name, step) in enumerate(_sealing_steps()):
        step(shelf)
        if number % 5 and number < 40:
            continue
        before = shelf.everything()
        shelf, found = without_catalog(shelf)
        assert [one.problems for one in found] in ([[]], []), name
        assert shelf.everything() == before, name
        assert [f for f in shelf.archive.check(digests=True) if f.is_damage] == [], name
    assert shelf.everything() == FINAL
    shelf.close()


def test_the_catalog_of_many_segments_is_rebuilt_equal(shelf: Shelf) -> None:
    """Set LOGFERRY_REPAIR_SEGMENTS=1000 for the full count."""
    dice = random.Random(7)
    for number in range(SEGMENTS):
        for _ in range(dice.randrange(1, 5)):
            shelf.put(f"logs/{dice.randrange(50)}/{dice.randrange(SEGMENTS)}.log", log_text(500, dice.randrange(99)))
        seal(shelf)
        assert len(shelf.catalog.sealing.segments(limit=SEGMENTS + 1)) == number + 1
    before, knew = shelf.everything(), facts(shelf)
    start = time.monotonic()
    other, (found,) = without_catalog(shelf)
    print(f"{found.segments} segments, {found.generations} generations: {time.monotonic() - start:.1f} s")
    assert (found.segments, found.problems) == (SEGMENTS, [])
    assert other.everything() == before
    assert facts(other) == knew
    other.close()


def test_looking_writes_nothing(shelf: Shelf) -> None:
    busy(shelf)
    expected = shelf.everything()
    other = shelf.lose_catalog()
    (found,) = other.archive.rebuild(write=False)
    assert found.files == len(expected)
    assert other.everything() == {}
    other.close()


# Damage -------------------------------------------------------------------------------------------------------------


def two_segments(shelf: Shelf) -> list[Path]:
    """Three files of 700,000 bytes in each of two segments; the first one's object first."""
    for number in range(6):
        shelf.put(f"{number}.log", log_text(700_000, number)[:700_000])
    seal(shelf, segment_bytes=2_100_000)
    return [shelf.folder / "store" / record.name for record in shelf.catalog.sealing.segments(limit=9)]


def break_segment(path: Path, at: int) -> None:
    """Damage a frame and the manifest."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    data[-40:] = bytes(40)
    path.write_bytes(data)


def readable(shelf: Shelf, path: str, whole: bytes) -> int:
    """How many blocks of the file are read, each as it was."""
    (generation,) = shelf.generations(path)
    good = 0
    with shelf.archive.open(generation.id) as reader:
        for offset in range(0, len(whole), 10_000):
            try:
                data = reader.read_at(offset, 10_000)
            except Damaged:
                continue
            assert data == whole[offset : offset + 10_000]
            good += 1
    return good


def test_whole_frames_of_a_damaged_segment_are_kept_by_a_rebuild(shelf: Shelf) -> None:
    one, _ = two_segments(shelf)
    break_segment(one, 100_000)
    other, (found,) = without_catalog(shelf)
    assert found.saved_frames > 0
    assert any("manifest" in problem or "seek table" in problem for problem in found.problems)
    assert any("are lost" in problem for problem in found.problems)
    counts = [readable(other, f"{number}.log", log_text(700_000, number)[:700_000]) for number in range(6)]
    assert counts[3:] == [70, 70, 70]
    assert 100 < sum(counts[:3]) < 210
    other.close()


def test_a_damaged_segment_is_mended_beside_its_catalog(shelf: Shelf) -> None:
    one, _ = two_segments(shelf)
    break_segment(one, 100_000)
    other = Shelf(shelf.folder)
    looked = list(other.archive.mend(write=False))
    assert one.exists()
    assert [m.mended for m in looked if m.kind == "manifest"] == [False]
    mended = list(other.archive.mend())
    assert [m.mended for m in mended if m.kind == "manifest"] == [True]
    assert any(m.is_damage and "are lost" in m.text for m in mended)
    counts = [readable(other, f"{number}.log", log_text(700_000, number)[:700_000]) for number in range(6)]
    assert counts[3:] == [70, 70, 70]
    assert 100 < sum(counts[:3]) < 210
    assert one.with_name(one.name + ".damaged").exists()
    again = list(other.archive.mend())
    assert [m for m in again if m.mended] == []
    assert {m.kind for m in again} == {"extent", "missing"}
    other.close()


@pytest.mark.databases
def test_extents_that_the_catalog_lost_are_found_again(shelf: Shelf) -> None:
    two_segments(shelf)
    knew = facts(shelf)
    with shelf.catalog._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM extents WHERE generation_id IN (1, 5)")
        connection.exec_driver_sql("DELETE FROM extents WHERE segment_id = 2")
        connection.exec_driver_sql("DELETE FROM segments WHERE id = 2")
    other = Shelf(shelf.folder)
    mended = list(other.archive.mend())
    assert all(m.mended and not m.is_damage for m in mended)
    assert sorted(m.place for m in mended) == [f"{AGENT}/{number}.log" for number in (0, 3, 4, 5)]
    assert facts(other) == knew
    assert list(other.archive.mend()) == []
    other.close()


def test_a_missing_segment_is_named_and_everything_else_is_there(shelf: Shelf) -> None:
    one, _ = two_segments(shelf)
    one.unlink()
    other, (found,) = without_catalog(shelf)
    assert found.files == 3
    assert sorted(other.everything()) == ["3.log", "4.log", "5.log"]
    other.close()


def test_a_hole_in_the_middle_leaves_the_rest_readable(shelf: Shelf) -> None:
    whole = log_text(90_000)
    shelf.put("large.log", whole)
    seal(shelf, segment_bytes=30_000)
    records = shelf.catalog.sealing.segments(limit=9)
    start, end = records[0].raw_bytes, records[0].raw_bytes + records[1].raw_bytes  # cut at line ends
    (shelf.folder / "store" / records[1].name).unlink()
    other, (found,) = without_catalog(shelf)
    assert [p for p in found.problems if f"bytes {start} to {end} are lost" in p]
    (generation,) = other.generations("large.log")
    assert generation.size == len(whole)
    with other.archive.open(generation.id) as reader:
        assert reader.read_at(0, start) == whole[:start]
        assert reader.read_at(end, 99_999) == whole[end:]
    assert [finding.kind for finding in other.archive.check()] == ["missing"]
    other.close()


@pytest.mark.databases
def test_a_new_catalog_sweeps_no_object_that_was_there_before_it(shelf: Shelf) -> None:
    """Whoever starts a server on an archive that lost its catalog loses no segment by that."""
    paths = two_segments(shelf)
    other = shelf.lose_catalog()
    other.clock.advance(10 * 365 * 86400)
    assert other.archive.sealer().sweep(3600) == 0
    assert all(path.exists() for path in paths)
    other.close()


def test_frames_of_another_agent_are_not_taken(shelf: Shelf) -> None:
    one, _ = two_segments(shelf)
    builder = Builder(b"x" * 16, "web-02", 1, level=1)
    parts = list(builder.add(HeldGeneration("0" * 32, "evil.log", 1, 5, 1, 1, 1, None, ""), 0, b"evil\n"))
    parts += builder.finish()[1]
    one.write_bytes(b"".join(parts)[:-50] + one.read_bytes()[:-40])
    other, (found,) = without_catalog(shelf)
    assert found.saved_frames > 0
    assert "evil.log" not in other.everything()
    other.close()


def dies_before_the_commit(shelf: Shelf) -> None:
    """A sealer that has written its segment, and is gone before anybody knows of it."""
    run = shelf.catalog.writer.run

    def dying(change: Change[object]) -> object:
        if isinstance(change, CommitSegment):
            raise KeyboardInterrupt
        return run(change)

    shelf.catalog.writer.run = dying  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(KeyboardInterrupt):
            seal(shelf)
    finally:
        shelf.catalog.writer.run = run  # type: ignore[method-assign]


@pytest.mark.parametrize("committed_since", [False, True])
def test_a_tail_that_an_uncommitted_segment_has_the_beginning_of_is_kept(shelf: Shelf, committed_since: bool) -> None:
    """Nothing but the tail has what came after that segment was written."""
    whole = log_text(20_000)
    shelf.put("app.log", whole[:10_000])
    seal(shelf)
    shelf.put("app.log", whole[10_000:15_000], offset=10_000)
    dies_before_the_commit(shelf)
    shelf.put("app.log", whole[15_000:], offset=15_000)
    if committed_since:
        seal(shelf)
        whole += b"a later tail\n"
        shelf.put("app.log", b"a later tail\n", append=True)
    other, found = without_catalog(shelf)
    assert [one.problems for one in found] == [[]]
    assert other.history("app.log") == [whole]
    other.archive.sealer().clean_up()
    assert other.history("app.log") == [whole]
    other.put("app.log", b"more\n", append=True)
    assert other.history("app.log") == [whole + b"more\n"]
    assert list(other.archive.check(digests=True)) == []
    other.close()


def test_no_object_is_read_while_the_catalog_is_locked(shelf: Shelf) -> None:
    """Uploads wait for whoever writes: hashing a segment there would hold all of them up."""
    whole = log_text(20_000)
    shelf.put("app.log", whole)
    seal(shelf)
    with shelf.catalog._engine.connect() as connection:
        for table in ("extents", "segments"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.commit()
    store = shelf.archive._rooms.segments.store
    read = store.read
    held: list[bool] = []

    def watching(name: str, offset: int, count: int) -> bytes:
        held.append(shelf.catalog.writer._lock.locked())
        return read(name, offset, count)

    store.read = watching  # type: ignore[method-assign]
    assert [mended.mended for mended in shelf.archive.mend()] == [True]
    assert held
    assert not any(held)
    assert shelf.history("app.log") == [whole]
    assert list(shelf.archive.verifier().verify()) == []
