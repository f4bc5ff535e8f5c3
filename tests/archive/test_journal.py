"""The journal keeps whole lines whatever a crash cut off, and extents that overlap cover each byte once."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

from logferry.archive.durable import Disk
from logferry.archive.findings import FoundExtent, FoundSegment, covering
from logferry.archive.journal import Journal, Note
from logferry.archive.live import LiveTree

NOTES = [Note("a" * 32, "var/log/app.log", 1, None), Note("b" * 32, "odd \u2028 \\x0a name", 7, 1_760_000_000)]


def journal(folder: Path) -> Journal:
    return Journal(LiveTree(str(folder / "journal"), Disk()), Disk())


def test_notes_come_back_in_order(tmp_path: Path) -> None:
    one = journal(tmp_path)
    assert list(one.read("web-01")) == []
    one.write("web-01", NOTES[:1])
    one.write("web-01", [])
    one.write("web-01", NOTES[1:])
    one.write("web-02", NOTES[1:])
    assert list(journal(tmp_path).read("web-01")) == NOTES


def test_a_line_that_was_cut_off_costs_no_other(tmp_path: Path) -> None:
    journal(tmp_path).write("web-01", NOTES)
    path = tmp_path / "journal" / "web-01.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        journal(tmp_path).write("web-01", NOTES)
        found = list(journal(tmp_path).read("web-01"))
        assert found[-2:] == NOTES, cut
        assert len(found) == 2 + (cut >= first - 1) + (cut >= len(whole) - 1), cut


def test_overlapping_extents_cover_every_byte_once_and_newer_segments_count() -> None:
    dice = random.Random(3)
    for _ in range(300):
        segments = [FoundSegment(str(n), 1, 1000, "", n) for n in range(5)]
        given = []
        for segment in segments:
            start = dice.randrange(90)
            given.append(FoundExtent(start, dice.randrange(1, 40), dice.randrange(100), segment))
        chosen = covering(given)
        assert all(one.end <= other.offset for one, other in itertools.pairwise(chosen))
        for byte in range(130):
            over = [e for e in given if e.offset <= byte < e.end]
            by = [e for e in chosen if e.offset <= byte < e.end]
            assert len(by) == bool(over)
            if over and len(given) != len(chosen):
                best = max(over, key=lambda e: e.segment.created_ns)
                assert by[0].segment == best.segment
                assert byte - by[0].offset + by[0].raw_offset == byte - best.offset + best.raw_offset
