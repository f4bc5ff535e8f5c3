"""Verifying finds every kind of damage, names what is concerned, and remembers it until it is gone."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from logferry.archive.verify import Flaw
from tests.archive.conftest import AGENT, Shelf
from tests.archive.segment.making import log_text
from tests.archive.test_seal import seal

PATHS = [f"var/log/app-{number}.log" for number in range(6)]


@pytest.fixture
def filled(shelf: Shelf) -> Shelf:
    """Six files of two frames or so each, sealed, three to a segment, and one that is live."""
    for number, path in enumerate(PATHS):
        shelf.put(path, log_text(700_000, number)[:700_000])
    seal(shelf, segment_bytes=2_100_000)
    shelf.put("var/log/live.log", log_text(10_000))
    assert len(segments(shelf)) == 2
    return shelf


def segments(shelf: Shelf) -> list[Path]:
    """The objects of the store, those made first in front."""
    found = [shelf.folder / "store" / record.name for record in shelf.catalog.sealing.segments(limit=100)]
    return [path for path in found if path.exists()]


def verify(shelf: Shelf, *, deep: bool = True) -> list[Flaw]:
    """All findings, a moment later."""
    shelf.clock.advance(1)
    return list(shelf.archive.verifier().verify(deep=deep))


def flip(path: Path, at: int) -> None:
    """Flip one bit."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def test_a_sound_archive_has_no_flaws_and_is_read_whole(filled: Shelf) -> None:
    assert verify(filled, deep=False) == []
    filled.clock.advance(100)
    verifier = filled.archive.verifier()
    assert list(verifier.verify()) == []
    assert (verifier.done.segments, verifier.done.generations) == (2, 7)
    assert verifier.done.bytes >= sum(path.stat().st_size for path in segments(filled))
    assert {record.verified_ns for record in filled.catalog.sealing.segments(limit=10)} == {filled.clock.now_ns()}


def test_a_flipped_bit_anywhere_is_found_and_its_files_are_named(filled: Shelf) -> None:
    (segment, _) = segments(filled)
    whole = segment.read_bytes()
    dice = random.Random(5)
    for at in [dice.randrange(len(whole)) for _ in range(12)] + [0, len(whole) - 1]:
        flip(segment, at)
        other = Shelf(filled.folder)
        found = [flaw for flaw in verify(other) if flaw.place.startswith("store/")]
        assert found, at
        assert all(flaw.is_damage and flaw.agent == AGENT for flaw in found), at
        assert all(flaw.place == f"store/{segment.relative_to(filled.folder / 'store')}" for flaw in found), at
        assert set().union(*(flaw.paths for flaw in found)) <= set(PATHS[:3]), at
        other.close()
        segment.write_bytes(whole)
    assert verify(filled) == []
    assert filled.catalog.care.flaws() == []


def test_damage_in_one_frame_names_the_files_in_it_alone(filled: Shelf) -> None:
    (segment, _) = segments(filled)
    flip(segment, 100_000)
    (flaw,) = [flaw for flaw in verify(filled) if flaw.kind == "frame"]
    assert flaw.frame is not None
    assert len(flaw.paths) < 3
    (known,) = filled.catalog.care.flaws()
    assert (known.frame, known.place, known.agent, known.path) == (flaw.frame, flaw.place, AGENT, flaw.paths[0])
    since_ns = known.since_ns
    filled.clock.advance(1000)
    verify(filled)
    (known,) = filled.catalog.care.flaws()
    assert (known.since_ns, known.seen_ns) == (since_ns, filled.clock.now_ns())
    assert filled.catalog.care.sums(0)[3] == 1


def test_missing_cut_and_swapped_segments_are_named_even_when_quick(filled: Shelf) -> None:
    one, two = segments(filled)
    whole = one.read_bytes()
    for change, kind in (
        (one.unlink, "missing"),
        (lambda: one.write_bytes(whole[:-1]), "size"),
        (lambda: one.write_bytes(whole[:-20] + bytes(20)), "manifest"),
    ):
        change()
        other = Shelf(filled.folder)
        found = [flaw for flaw in verify(other, deep=False) if flaw.place.startswith("store/")]
        assert (found[0].kind, found[0].paths) == (kind, tuple(PATHS[:3]))
        other.close()
    one.write_bytes(two.read_bytes())
    record = filled.catalog.sealing.segments(limit=1)[0]
    if record.bytes == two.stat().st_size:
        assert [flaw.kind for flaw in verify(filled, deep=False)] == ["extent"] * 3
    else:
        assert "size" in {flaw.kind for flaw in verify(filled, deep=False)}


def test_a_segment_without_manifest_has_its_lost_frames_named(filled: Shelf) -> None:
    (segment, _) = segments(filled)
    data = bytearray(segment.read_bytes())
    data[-30:] = bytes(30)
    data[100_000:100_010] = bytes(10)
    segment.write_bytes(data)
    found = [flaw for flaw in verify(filled) if flaw.place.startswith("store/")]
    assert [flaw.kind for flaw in found] == ["manifest", "frame"]
    assert found[0].paths == tuple(PATHS[:3])
    assert len(found[1].paths) < 3


def test_bytes_of_another_generation_under_the_same_checksums_are_found(filled: Shelf) -> None:
    """The catalog's extents are compared with the manifest's: a catalog that was altered shows."""
    with filled.catalog._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE extents SET raw_offset = raw_offset + 1 WHERE generation_id = 2")
    found = [flaw for flaw in verify(filled, deep=False) if flaw.kind == "extent"]
    assert [flaw.paths for flaw in found] == [(PATHS[1],)]


def test_live_files_are_verified_too(filled: Shelf) -> None:
    live = filled.folder / "live" / AGENT / "var/log/live.log"
    os.truncate(live, 10)
    (live.parent / "unknown.log").write_bytes(b"x")
    found = {flaw.kind: flaw for flaw in verify(filled, deep=False)}
    assert (found["short"].agent, found["short"].paths) == (AGENT, ("var/log/live.log",))
    assert found["short"].is_damage
    assert found["unknown"].paths == ("var/log/unknown.log",)
    assert not found["unknown"].is_damage


@pytest.mark.databases
def test_time_boxed_runs_go_on_where_the_last_one_stopped(filled: Shelf) -> None:
    """What was verified longest ago comes first, so enough short runs see everything."""
    seen = []
    for _ in range(2):
        filled.clock.advance(10)
        verifier = filled.archive.verifier(
            until_s=filled.clock.monotonic_s() + 1, pace=lambda _count: filled.clock.advance(0.5)
        )
        assert list(verifier.verify()) == []
        assert verifier.done.ran_out
        assert verifier.done.segments == 1
        records = filled.catalog.sealing.segments(limit=10)
        seen.append(max(records, key=lambda record: record.verified_ns).id)
    assert sorted(seen) == [1, 2]


def test_a_sample_reads_about_its_share(shelf: Shelf) -> None:
    for number in range(60):
        shelf.put(f"{number}.log", b"x")
    verifier = shelf.archive.verifier()
    assert list(verifier.verify(share=0.5, dice=random.Random(1))) == []
    assert 15 <= verifier.done.generations <= 45


@pytest.mark.databases
def test_flaws_of_segments_that_are_gone_are_forgotten(filled: Shelf) -> None:
    """Compaction leaves nothing of a segment it could still read; what it let go of is no damage any more."""
    (segment, _) = segments(filled)
    flip(segment, segment.stat().st_size - 5)
    verify(filled)
    assert filled.catalog.care.flaws() != []
    with filled.catalog._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE segments SET gone_ns = 1 WHERE id = 1")
    assert filled.catalog.care.forget_absent() == 1
    assert filled.catalog.care.flaws() == []


def test_what_was_found_damaged_is_told_by_every_run_until_it_is_well(filled: Shelf) -> None:
    """Also by one that is too quick, too short or too small to find it again."""
    (segment, _) = segments(filled)
    flip(segment, 100_000)
    found = [flaw for flaw in verify(filled) if flaw.kind == "frame"]
    assert len(found) == 1
    place = found[0].place
    assert verify(filled)[0].place == place
    for runs in range(3):
        (again,) = verify(filled, deep=False)
        assert (again.place, again.frame, again.is_damage, again.agent) == (place, found[0].frame, True, AGENT), runs
        assert "not well since" in again.what
    hurried = filled.archive.verifier(until_s=filled.clock.monotonic_s())
    assert [flaw.place for flaw in hurried.verify()] == [place]
    assert hurried.done.ran_out
    sampled = filled.archive.verifier().verify(share=1e-12, dice=random.Random(1))
    assert [flaw.place for flaw in sampled] == [place]
    flip(segment, 100_000)
    assert [flaw for flaw in verify(filled) if flaw.place == place] == []
    assert [flaw for flaw in verify(filled, deep=False) if flaw.place == place] == []
