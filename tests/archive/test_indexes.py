"""Indexes beside their segments: there when all goes well, built again when it did not, and never in the way."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.index import Stretch
from logferry.archive.index.kernel import OPAQUE
from logferry.archive.index.layout import Blocks, Kind
from logferry.archive.index.runs import CUT_END, CUT_START
from logferry.archive.index.version import VERSION
from logferry.archive.index_making import BEGIN, IndexMaker, MakerApart, MakerHere, Making, send
from logferry.archive.mend import Mended
from logferry.archive.reindex import Reindexed
from logferry.archive.seal import Sealed
from logferry.archive.store import LocalStore
from logferry.clock import ManualClock
from logferry.errors import Damaged, Later, Unreachable
from logferry.limits import INDEX_AGAIN_S, INDEX_AGAIN_S_MAX, INDEX_LATER_S, INDEX_MEMORY_BYTES_MAX
from tests.archive.conftest import AGENT, Shelf
from tests.archive.crashing import STRIDE, grow, killed_at_each_step
from tests.archive.segment.making import log_text
from tests.archive.test_repair import without_catalog
from tests.archive.test_verify import flip, verify

HERE = MakerHere()
LOG = "var/log/app.log"


class Failing:
    """A maker whose index never gets done."""

    def __init__(self, at: str) -> None:
        self.at = at

    def begin(self, segment_id: bytes, arrivals: Mapping[str, int], zone: str = "UTC") -> Making:
        self._fail("begin")
        return self

    def add(self, content: bytes, stretches: Sequence[Stretch], /) -> None:
        self._fail("add")

    def finish(self) -> bytes:
        self._fail("finish")
        return b""

    def rest(self) -> None: ...

    def close(self) -> None: ...

    def _fail(self, step: str) -> None:
        if step == self.at:
            raise Later(f"no {step} today")


def seal(shelf: Shelf, maker: IndexMaker = HERE, *, segment_bytes: int = 1 << 20) -> Sealed:
    """Seal everything there is."""
    done = Sealed()
    for step in shelf.archive.sealer(level=1, segment_bytes=segment_bytes, maker=maker).seal(shelf.clock.now_ns() + 1):
        done += step
    return done


def reindex(shelf: Shelf, maker: IndexMaker = HERE, *, all_of_them: bool = False) -> list[Reindexed]:
    """Build what is to be built."""
    reindexer = shelf.archive.reindexer(maker)
    return [reindexer.build(record) for record in reindexer.due(all_of_them=all_of_them)]


def segments(shelf: Shelf) -> list[SegmentRecord]:
    """Those that count, the oldest first."""
    return [record for record in shelf.catalog.sealing.segments(limit=1000) if record.gone_ns is None]


def index_record(shelf: Shelf, segment: SegmentRecord) -> IndexRecord:
    """The row of its index."""
    found = shelf.catalog.indexing.of(segment.id)
    assert found is not None
    return found


def sidecars(shelf: Shelf) -> list[Path]:
    """Objects that are indexes."""
    return sorted((shelf.folder / "store").rglob("*.idx"))


def named(shelf: Shelf) -> list[Path]:
    """Those that rows name."""
    rows = [shelf.catalog.indexing.of(record.id) for record in shelf.catalog.sealing.segments(limit=1000)]
    return sorted(shelf.folder / "store" / row.name for row in rows if row is not None and row.name)


def sweep(shelf: Shelf) -> int:
    """A day later."""
    shelf.clock.advance(max(0.0, time.time() - shelf.clock.now_ns() / 1e9) + 100_000)
    return shelf.archive.sealer().sweep(86_400)


def needle(number: int) -> bytes:
    """A word that nothing else holds. Without a digit: the index knows such words, it does not guess by hashes."""
    return b"needle" + bytes([97 + number])


def found_by(shelf: Shelf, word: bytes) -> bytes:
    """All bytes of the granules that may hold a word, as the indexes tell, in the order of the segments."""
    parts: list[bytes] = []
    for record in segments(shelf):
        indexed = shelf.archive.indexed(record.id)
        assert indexed is not None
        for granule in indexed.index.word(word).granules().tolist():
            for piece in indexed.pieces(granule):
                with shelf.archive.open(piece.generation_id) as reader:
                    parts.append(reader.read_at(piece.offset, piece.length))
    return b"".join(parts)


# Sealing -------------------------------------------------------------------------------------------------------------


def test_a_sealed_segment_has_its_index_beside_it(shelf: Shelf) -> None:
    contents = {f"logs/app-{n}.log": log_text(30_000, n) + needle(n) + b" here\n" for n in range(6)}
    for path, content in contents.items():
        shelf.put(path, content)
    assert seal(shelf, segment_bytes=100_000).problems == ()
    for record in segments(shelf):
        index = index_record(shelf, record)
        assert index.name.startswith(record.name.removesuffix(".zst") + ".")
        assert (shelf.folder / "store" / index.name).stat().st_size == index.bytes
        assert (index.version, index.due_ns, index.why) == (VERSION, None, "")
    assert sidecars(shelf) == named(shelf)
    for number in range(6):
        found = found_by(shelf, needle(number))
        assert found.count(needle(number) + b" here\n") == 1
        assert len(found) < sum(map(len, contents.values()))
    assert found_by(shelf, b"nowhere") == b""
    sums = shelf.catalog.indexing.sums(VERSION)
    assert (sums.segments, sums.indexed, sums.failed) == (len(segments(shelf)), len(segments(shelf)), 0)
    assert sums.bytes == sum(path.stat().st_size for path in sidecars(shelf))


def test_the_pieces_of_all_granules_are_all_bytes_that_count(shelf: Shelf) -> None:
    contents = {f"logs/app-{n}.log": log_text(400_000, n) for n in range(3)}
    for path, content in contents.items():
        shelf.put(path, content)
    seal(shelf, segment_bytes=500_000)
    found: dict[int, bytearray] = {}
    for record in segments(shelf):
        indexed = shelf.archive.indexed(record.id)
        assert indexed is not None
        for granule in range(indexed.index.facts.granules):
            for piece in indexed.pieces(granule):
                got = found.setdefault(piece.generation_id, bytearray())
                assert len(got) == piece.offset
                with shelf.archive.open(piece.generation_id) as reader:
                    got += reader.read_at(piece.offset, piece.length)
    assert sorted(map(bytes, found.values())) == sorted(contents.values())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_lines_at_the_seams_of_segments_are_indexed(shelf: Shelf, encoding: str) -> None:
    """The index knows what came before its segment: only a line that is cut there has to be read."""
    lines = "".join(f"line v{number} of it\n" for number in range(3_000))
    mark = {"utf-8": "", "utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}[encoding]
    whole = (mark + lines).encode(encoding)
    cut = whole.index("line v1500 ".encode(encoding))
    shelf.put(LOG, whole[:cut])
    seal(shelf)
    shelf.put(LOG, whole[cut:], offset=cut)
    seal(shelf)
    (_, second) = segments(shelf)
    indexed = shelf.archive.indexed(second.id)
    assert indexed is not None
    assert not (indexed.index.runs.flags & (CUT_START | CUT_END)).any()
    assert set(indexed.index.row_types(0).tolist()) == {2}  # all of the one type that there is
    assert indexed.index.facts.lines == 1_500


@pytest.mark.parametrize("at", ["begin", "add", "finish"])
def test_an_index_that_cannot_be_built_holds_up_nothing_and_comes_later(shelf: Shelf, at: str) -> None:
    content = log_text(50_000)
    shelf.put(LOG, content)
    done = seal(shelf, Failing(at))
    assert (done.segments, done.generations) == (1, 1)
    assert f"no {at} today" in done.problems[0]
    assert shelf.live() == {}
    assert shelf.current(LOG) == content
    (record,) = segments(shelf)
    assert shelf.archive.indexed(record.id) is None
    assert shelf.catalog.indexing.sums(VERSION).failed == 1
    assert reindex(shelf) == []  # not at once again, unless somebody says so
    assert [one.id for one in shelf.archive.reindexer(HERE).due(at_once=True)] == [record.id]
    assert [one.id for one in shelf.archive.reindexer(HERE).due(all_of_them=True)] == [record.id]
    shelf.clock.advance(3601)
    (again,) = reindex(shelf, Failing(at))
    assert f"no {at} today" in again.problem
    assert shelf.catalog.indexing.problems(9) == [again.problem]
    shelf.clock.advance(3601)
    assert reindex(shelf) == []  # it failed twice
    shelf.clock.advance(3600)
    (built,) = reindex(shelf)
    assert shelf.catalog.indexing.problems(9) == []
    assert (built.segment, built.problem, built.raw_bytes) == (record.name, "", len(content))
    assert shelf.archive.indexed(record.id) is not None
    assert sidecars(shelf) == named(shelf)
    assert reindex(shelf) == []


def test_an_index_that_is_never_built_is_tried_more_and_more_seldom(shelf: Shelf) -> None:
    shelf.put(LOG, log_text(5_000))
    seal(shelf, Failing("add"))
    (record,) = segments(shelf)
    waits: list[float] = []
    for _ in range(12):
        row = index_record(shelf, record)
        assert row.due_ns is not None
        waits.append((row.due_ns - shelf.clock.now_ns()) / 1e9)
        shelf.clock.advance(waits[-1])
        assert len(reindex(shelf, Failing("add"))) == 1
    assert waits[:4] == [INDEX_AGAIN_S, 2 * INDEX_AGAIN_S, 4 * INDEX_AGAIN_S, 8 * INDEX_AGAIN_S]
    assert waits[-2:] == [INDEX_AGAIN_S_MAX, INDEX_AGAIN_S_MAX]
    with shelf.catalog._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE indexes SET version = version - 1")
    assert [bool(one.problem) for one in reindexed(shelf, Failing("add"))] == [True]
    row = index_record(shelf, record)
    assert row.due_ns == shelf.clock.now_ns() + INDEX_AGAIN_S * 1e9, "another version begins anew"


def reindexed(shelf: Shelf, maker: IndexMaker) -> list[Reindexed]:
    """Build at once what is to be built, as ``logferry reindex`` does."""
    reindexer = shelf.archive.reindexer(maker)
    return [reindexer.build(record) for record in reindexer.due(at_once=True)]


class Silent(LocalStore):
    """Does not answer when asked for one object."""

    silent = ""

    def read(self, name: str, offset: int, count: int) -> bytes:
        if name == self.silent:
            raise Unreachable("no answer")
        return super().read(name, offset, count)


def test_a_segment_that_the_store_does_not_give_comes_after_the_others(folder: Path) -> None:
    """It comes again soon, then less soon, and is not told as one that cannot be indexed."""
    store = Silent(str(folder / "store"))
    shelf = Shelf(folder, store=store)
    for number in range(2):
        shelf.put(f"{number}.log", log_text(5_000, number))
        for _ in shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1):
            pass
    oldest, newest = segments(shelf)
    store.silent = newest.name
    reindexer = shelf.archive.reindexer(HERE)
    for wait_s in (INDEX_LATER_S, 2 * INDEX_LATER_S, 4 * INDEX_LATER_S):
        assert next(reindexer.due()) == newest
        with pytest.raises(Unreachable):
            reindexer.build(newest)
        assert list(reindexer.due())[:1] in ([oldest], [])
        for record in reindexer.due():
            assert reindexer.build(record).problem == ""
        shelf.clock.advance(wait_s - 1)
        assert list(reindexer.due()) == []
        assert list(reindexer.due(at_once=True)) == [newest]
        shelf.clock.advance(1)
    assert shelf.catalog.indexing.sums(VERSION).failed == 0
    store.silent = ""
    assert reindexer.build(newest).problem == ""
    assert list(reindexer.due()) == []
    shelf.close()


def test_a_segment_that_is_gone_before_its_index_is_built_is_no_failure(shelf: Shelf) -> None:
    """Compacted when its turn comes, its object there or removed already, or while it is being indexed."""
    for number in range(3):
        shelf.put(f"{number}.log", log_text(5_000, number))
        seal(shelf)
    first, second, third = segments(shelf)

    class Meanwhile(MakerHere):
        def begin(self, segment_id: bytes, arrivals: Mapping[str, int], zone: str = "UTC") -> Making:
            for done in shelf.archive.compactor(level=2).compact(shelf.clock.now_ns()):
                assert done.problems == ()
            return super().begin(segment_id, arrivals, zone)

    def built(record: SegmentRecord, maker: IndexMaker = HERE) -> tuple[str, bool]:
        done = shelf.archive.reindexer(maker).build(record)
        return done.problem, done.is_gone

    assert built(first, Meanwhile()) == ("", True)
    assert built(second) == ("", True)
    assert built(second, Failing("add")) == ("", True)
    sweep(shelf)
    assert built(third) == ("", True)
    assert len(segments(shelf)) == 1
    assert sidecars(shelf) == named(shelf) == []


def test_segments_from_before_there_were_indexes_get_theirs_the_newest_first(shelf: Shelf) -> None:
    for number in range(4):
        shelf.put(f"logs/{number}.log", log_text(5_000, number))
        for _ in shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1):
            pass
    assert sidecars(shelf) == []
    done = reindex(shelf)
    assert [one.segment for one in done] == [record.name for record in reversed(segments(shelf))]
    assert sidecars(shelf) == named(shelf)
    assert len(named(shelf)) == 4


def test_an_index_of_another_version_is_built_again(shelf: Shelf) -> None:
    shelf.put(LOG, log_text(5_000))
    seal(shelf)
    (record,) = segments(shelf)
    old = index_record(shelf, record)
    with shelf.catalog._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE indexes SET version = version - 1")
    assert shelf.archive.indexed(record.id) is None
    assert shelf.catalog.indexing.sums(VERSION)[:2] == (1, 0)
    assert verify(shelf) == []
    assert len(reindex(shelf)) == 1
    new = index_record(shelf, record)
    assert (new.version, new.name != old.name) == (VERSION, True)
    assert sweep(shelf) == 1
    assert sidecars(shelf) == named(shelf)


def test_all_indexes_are_built_again_when_asked_and_serve_until_then(shelf: Shelf) -> None:
    shelf.put(LOG, log_text(50_000))
    seal(shelf)
    (record,) = segments(shelf)
    old = index_record(shelf, record)
    (failed,) = reindex(shelf, Failing("finish"), all_of_them=True)
    assert failed.problem
    assert index_record(shelf, record) == old
    (built,) = reindex(shelf, all_of_them=True)
    assert built.problem == ""
    assert index_record(shelf, record).name != old.name
    indexed = shelf.archive.indexed(record.id)
    assert indexed is not None
    indexed.index.verify()


# With their segments -------------------------------------------------------------------------------------------------


def test_compaction_indexes_the_new_segment_and_the_old_indexes_go_with_theirs(shelf: Shelf) -> None:
    contents = {}
    for number in range(5):
        contents[f"logs/{number}.log"] = log_text(5_000, number) + needle(number) + b" here\n"
        shelf.put(*list(contents.items())[-1])
        seal(shelf)
    before = sidecars(shelf)
    for done in shelf.archive.compactor(level=3, maker=HERE).compact(shelf.clock.now_ns()):
        assert done.problems == ()
    assert len(segments(shelf)) == 1
    assert set(before) < set(sidecars(shelf))
    assert found_by(shelf, needle(3)).count(needle(3)) == 1
    assert sweep(shelf) == 5
    assert sidecars(shelf) == named(shelf)
    assert len(list((shelf.folder / "store").rglob("*.*"))) == 2
    assert {path: shelf.current(path) for path in contents} == contents


def test_indexes_that_no_row_names_go_after_the_grace_time(shelf: Shelf) -> None:
    """An earlier one of a segment of ours, and one whose segment is gone; never one of somebody else's segment."""
    shelf.put(LOG, log_text(5_000))
    seal(shelf)
    (whole,) = sidecars(shelf)
    stem = whole.name.split(".")[0]
    earlier = whole.with_name(f"{stem}.00000000.idx")
    orphan = whole.with_name(f"{'ab' * 16}.00000000.idx")
    theirs = whole.with_name(f"{'cd' * 16}.00000000.idx")
    for path in (earlier, orphan, theirs):
        path.write_bytes(whole.read_bytes())
    whole.with_name(f"{'cd' * 16}.zst").write_bytes(b"somebody else's")
    assert shelf.archive.sealer().sweep(86_400) == 0
    assert sweep(shelf) == 2
    assert sidecars(shelf) == sorted([whole, theirs])


# Damage --------------------------------------------------------------------------------------------------------------


def damages(path: Path) -> Iterator[str]:
    """Harm an index in every way that comes to mind; it is put right in between."""
    whole = path.read_bytes()
    path.unlink()
    yield "missing"
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        yield f"cut to {size}"
    dice = random.Random(7)
    for at in [0, 5, 30, len(whole) - 1] + [dice.randrange(len(whole)) for _ in range(10)]:
        path.write_bytes(whole)
        flip(path, at)
        yield f"flipped at {at}"


def test_a_damaged_index_is_found_told_and_built_again_and_no_byte_is_called_lost(shelf: Shelf) -> None:
    content = log_text(50_000)
    shelf.put(LOG, content)
    seal(shelf)
    (record,) = segments(shelf)
    (path,) = named(shelf)
    name = str(path.relative_to(shelf.folder / "store"))
    for how in damages(path):
        (flaw,) = verify(shelf)
        assert (flaw.kind, flaw.is_damage, flaw.agent, flaw.place) == ("index", False, AGENT, f"store/{name}"), how
        assert shelf.catalog.care.flaws() == []
        assert shelf.archive.indexed(record.id) is None, how
        assert shelf.current(LOG) == content
        (built,) = reindex(shelf)
        assert built.problem == ""
        assert verify(shelf) == []
        assert shelf.archive.indexed(record.id) is not None
        (new,) = named(shelf)
        path.unlink(missing_ok=True)
        new.rename(path)  # under the old name, for the next kind of damage
        with shelf.catalog._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE indexes SET name = ?", (name,))


def test_a_quick_look_finds_what_is_missing_cut_or_damaged_in_front(shelf: Shelf) -> None:
    shelf.put(LOG, log_text(50_000))
    seal(shelf)
    (path,) = named(shelf)
    whole = path.read_bytes()
    assert verify(shelf, deep=False) == []
    flip(path, 20)
    assert [flaw.kind for flaw in verify(shelf, deep=False)] == ["index"]
    path.write_bytes(whole)
    reindex(shelf)
    (path,) = named(shelf)
    path.unlink()
    assert [flaw.kind for flaw in verify(shelf, deep=False)] == ["index"]
    assert [flaw.kind for flaw in verify(shelf, deep=False)] == ["index"]  # until it is there again
    reindex(shelf)
    assert verify(shelf, deep=False) == []


def block(path: Path, kind: Kind) -> int:
    """A byte in the middle of the first block of a kind."""
    data = path.read_bytes()
    blocks = Blocks(lambda offset, count: data[offset : offset + count], len(data), where="it")
    offset, stored, _, _ = blocks._entries[kind, 0]
    return offset + stored // 2


@pytest.mark.parametrize("where", ["header", "lines"])
def test_a_reader_of_lines_that_meets_damage_does_without_and_has_it_built_again(shelf: Shelf, where: str) -> None:
    """In front, where it is opened, or only in the block that tells of lines."""
    content = log_text(3_000_000)
    shelf.put(LOG, content)
    seal(shelf, segment_bytes=1 << 22)
    (path,) = named(shelf)
    flip(path, 10 if where == "header" else block(path, Kind.GRANULES))
    (file,) = shelf.catalog.files.each()
    with shelf.archive.lines(file.generation_id) as lines:
        assert lines.total == content.count(b"\n")
    assert shelf.catalog.indexing.sums(VERSION).indexed == 0
    assert len(reindex(shelf)) == 1
    assert shelf.catalog.indexing.sums(VERSION).indexed == 1


def test_a_search_that_meets_damage_does_without_and_has_it_built_again(shelf: Shelf) -> None:
    """Of a block that nobody reads before somebody asks for a word; lines are told all the same."""
    content = log_text(3_000_000)
    shelf.put(LOG, content)
    seal(shelf, segment_bytes=1 << 22)
    (path,) = named(shelf)
    (record,) = segments(shelf)
    flip(path, block(path, Kind.TYPE_TEXT))
    indexed = shelf.archive.indexed(record.id)
    assert indexed is not None
    (file,) = shelf.catalog.files.each()
    with shelf.archive.lines(file.generation_id) as lines:
        assert lines.total == content.count(b"\n")
    with pytest.raises(Damaged) as damage:
        indexed.index.word(b"nowhere")
    indexed.distrust(damage.value)
    assert shelf.archive.indexed(record.id) is None
    assert [one.problem for one in reindex(shelf)] == [""]
    assert shelf.archive.indexed(record.id) is not None


def mend(shelf: Shelf, *, write: bool = True) -> list[Mended]:
    """All that repair does."""
    return list(shelf.archive.mend(write=write, maker=HERE))


def test_repair_builds_damaged_indexes_again_and_calls_nothing_lost(shelf: Shelf) -> None:
    shelf.put(LOG, log_text(50_000))
    seal(shelf)
    assert mend(shelf) == []
    (path,) = named(shelf)
    flip(path, path.stat().st_size - 3)
    for _ in range(2):
        (found,) = mend(shelf, write=False)
        assert (found.kind, found.mended, found.is_damage) == ("index", False, False)
        assert shelf.catalog.indexing.sums(VERSION)[1:] == (1, path.stat().st_size, 0), "it only looks"
    (mended,) = mend(shelf)
    assert (mended.kind, mended.mended, mended.is_damage) == ("index", True, False)
    assert mend(shelf) == []
    assert verify(shelf) == []


def test_a_rebuilt_catalog_takes_whole_indexes_over_and_leaves_the_rest(shelf: Shelf) -> None:
    for number in range(4):
        shelf.put(f"logs/{number}.log", log_text(20_000, number) + needle(number) + b" here\n")
        seal(shelf)
    (one, two, three, _) = (shelf.folder / "store" / index_record(shelf, record).name for record in segments(shelf))
    flip(one, one.stat().st_size // 2)
    two.write_bytes(three.read_bytes())  # whole, but of another segment
    three.with_name(three.name.split(".")[0] + ".00000000.idx").write_bytes(b"nonsense")
    lonely = shelf.folder / "store" / "db-07" / "2026" / "11" / f"{'ab' * 16}.00000000.idx"
    lonely.parent.mkdir(parents=True)
    lonely.write_bytes(three.read_bytes())
    other, rebuilt = without_catalog(shelf)
    assert [(done.agent, done.segments, done.problems) for done in rebuilt] == [(AGENT, 4, [])]
    sums = other.catalog.indexing.sums(VERSION)
    assert (sums.segments, sums.indexed) == (4, 2)
    assert len(reindex(other)) == 2
    assert found_by(other, needle(2)).count(needle(2)) == 1
    assert found_by(other, needle(1)).count(needle(1)) == 1
    sweep(other)
    assert [path for path in sidecars(other) if path != lonely] == named(other)  # older than the catalog, and nobody's
    other.close()


# Cut off anywhere ----------------------------------------------------------------------------------------------------

FIRST, MORE, OTHER = log_text(3_000), log_text(2_000, 2), log_text(4_000, 3)


def _send(shelf: Shelf) -> None:
    grow(shelf, LOG, FIRST, shelf.size(LOG) or 0)
    grow(shelf, "other.log", OTHER, shelf.size("other.log") or 0)


def _send_more(shelf: Shelf) -> None:
    grow(shelf, LOG, FIRST + MORE, shelf.size(LOG) or 0)


def _seal(shelf: Shelf) -> None:
    assert seal(shelf, segment_bytes=4_000).problems == ()


def _compact(shelf: Shelf) -> None:
    for done in shelf.archive.compactor(level=2, segment_bytes=100_000, maker=HERE).compact(shelf.clock.now_ns()):
        assert done.problems == ()


def _reindex_all(shelf: Shelf) -> None:
    for done in reindex(shelf, all_of_them=True):
        assert done.problem == ""


def _sweep(shelf: Shelf) -> None:
    sweep(shelf)


STEPS: list[tuple[str, Callable[[Shelf], None]]] = [
    ("send", _send),
    ("seal", _seal),
    ("send more", _send_more),
    ("seal again", _seal),
    ("compact", _compact),
    ("reindex", _reindex_all),
    ("sweep", _sweep),
]


@pytest.mark.slow
def test_killed_at_every_step_no_index_is_wrong_and_none_stays_behind(quick_folders: Path, folder: Path) -> None:
    """SIGKILL before each durable step of sealing, compacting, indexing anew and sweeping; then it goes on."""
    template = quick_folders / "index-template"
    template.mkdir()
    Shelf(template).close()
    rehearsal = Shelf(folder)  # loads the compiled kernels, once for all children
    for _, step in STEPS:
        step(rehearsal)
    rehearsal.close()
    kills = 0
    for kill_at, done, place in killed_at_each_step(template, folder, STEPS):
        shelf = Shelf(place)
        where = (kill_at, STEPS[done][0])
        assert [flaw for flaw in shelf.archive.verifier().verify() if flaw.is_damage or flaw.kind == "index"] == [], (
            where
        )
        for _, step in STEPS[done:]:
            step(shelf)
        assert shelf.everything() == {LOG: [FIRST + MORE], "other.log": [OTHER]}, where
        reindex(shelf)
        sweep(shelf)
        told = shelf.catalog.indexing.sums(VERSION)
        assert (told.segments, told.indexed) == (len(segments(shelf)), len(segments(shelf))), where
        assert sidecars(shelf) == named(shelf), where
        assert len(sidecars(shelf)) == len(segments(shelf)) == len(list((shelf.folder / "store").rglob("*.zst"))), where
        assert verify(shelf) == [], where
        shelf.close()
        kills += 1
    assert (kills + 1) * STRIDE > 60


# A process of its own ------------------------------------------------------------------------------------------------


@pytest.fixture
def apart() -> Iterator[MakerApart]:
    maker = MakerApart()
    yield maker
    maker.close()


def test_a_process_of_its_own_builds_the_same_index(shelf: Shelf, apart: MakerApart) -> None:
    for number in range(3):
        shelf.put(f"logs/{number}.log", log_text(300_000, number))
    shelf.put("logs/empty.log", b"")
    assert seal(shelf, apart).problems == ()
    (record,) = segments(shelf)
    there = (shelf.folder / "store" / index_record(shelf, record).name).read_bytes()
    pid = apart.pid
    assert reindex(shelf, all_of_them=True)[0].problem == ""
    assert (shelf.folder / "store" / index_record(shelf, record).name).read_bytes() == there
    assert reindex(shelf, apart, all_of_them=True)[0].problem == ""
    assert apart.pid == pid  # it is kept
    assert (shelf.folder / "store" / index_record(shelf, record).name).read_bytes() == there


class Killing(MakerApart):
    """Its process is killed in the middle of an index."""

    def begin(self, segment_id: bytes, arrivals: Mapping[str, int], zone: str = "UTC") -> Making:
        making = super().begin(segment_id, arrivals, zone)
        assert self.pid is not None
        os.kill(self.pid, signal.SIGKILL)
        return making


def test_a_process_that_dies_costs_one_index_and_the_next_is_built(shelf: Shelf, apart: MakerApart) -> None:
    shelf.put(LOG, log_text(50_000))
    assert seal(shelf, apart).problems == ()
    more = log_text(50_000, 2)
    shelf.put("other.log", more)
    killing = Killing()
    done = seal(shelf, killing)
    killing.close()
    assert done.segments == 1
    assert "ended (-9)" in done.problems[0]
    assert shelf.current("other.log") == more
    shelf.clock.advance(3601)
    assert [one.problem for one in reindex(shelf, apart)] == [""]


def test_a_process_that_dies_while_it_has_nothing_to_do_costs_nothing(shelf: Shelf, apart: MakerApart) -> None:
    """The machine had too little memory for a moment."""
    shelf.put(LOG, log_text(50_000))
    assert seal(shelf, apart).problems == ()
    pid = apart.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until_ended(pid)
    shelf.put("other.log", log_text(50_000, 2))
    assert seal(shelf, apart).problems == ()
    assert apart.pid != pid


def test_the_process_is_the_first_to_go_and_gets_so_much_memory(apart: MakerApart) -> None:
    apart.begin(bytes(16), {})
    making = apart.begin(bytes(16), {"": time.time_ns()})
    making.add(b"a line\n", [Stretch("", 0, 7, True, True)])
    assert making.finish()  # so it is past its beginning
    assert Path(f"/proc/{apart.pid}/oom_score_adj").read_text() == "1000\n"
    (told,) = (line for line in Path(f"/proc/{apart.pid}/limits").read_text().splitlines() if "Max data size" in line)
    assert told.split()[3] == str(INDEX_MEMORY_BYTES_MAX)


def test_a_process_that_wants_more_memory_ends_and_says_so() -> None:
    program = (
        "import sys, logferry.archive.index_worker as worker, logferry.archive.index_making as making\n"
        "worker.INDEX_MEMORY_BYTES_MAX = 1 << 28\n"
        "worker.bound()\n"
        "making.MakerHere.begin = lambda *_: bytearray(1 << 29)\n"
        "worker.serve(sys.stdin.buffer, sys.stdout.buffer)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stderr is not None
        send(child.stdin, BEGIN, bytes(16) + b"{}")
        assert child.wait(60) == 1
        assert child.stderr.read().rstrip().endswith(b"MemoryError")


class Ticking(ManualClock):
    """Much time passes whenever somebody looks."""

    def monotonic_s(self) -> float:
        self.advance(1_000)
        return super().monotonic_s()


def test_an_index_that_takes_too_long_in_all_is_given_up(shelf: Shelf) -> None:
    """However short each of its frames takes."""
    apart = MakerApart(index_s=4_500, clock=Ticking())
    shelf.put(LOG, log_text(4_000_000))
    done = seal(shelf, apart, segment_bytes=1 << 23)
    assert done.segments == 1
    assert "took too long and was ended (-9)" in done.problems[0]
    shelf.put("other.log", log_text(50_000, 2))
    assert seal(shelf, apart).problems == ()
    apart.close()


def test_a_process_that_hangs_is_ended(shelf: Shelf) -> None:
    apart = MakerApart()
    shelf.put(LOG, log_text(50_000))
    assert seal(shelf, apart).problems == ()
    pid = apart.pid
    assert pid is not None
    assert apart._child is not None
    apart._child._step_s = 0.5
    os.kill(pid, signal.SIGSTOP)
    shelf.put("other.log", log_text(50_000, 2))
    assert "took too long and was ended (-9)" in seal(shelf, apart).problems[0]
    apart.close()


def test_an_idle_process_is_let_go(shelf: Shelf) -> None:
    maker = MakerApart(idle_s=60, clock=shelf.clock)
    shelf.put(LOG, log_text(5_000))
    seal(shelf, maker)
    maker.rest()
    assert maker.pid is not None
    shelf.clock.advance(61)
    maker.rest()
    assert maker.pid is None


def test_a_line_that_is_cut_between_segments_has_to_be_read(shelf: Shelf) -> None:
    whole = b"".join(b"line v%d of it\n" % number for number in range(3_000))
    cut = whole.index(b"1500")
    shelf.put(LOG, whole[:cut])
    seal(shelf)
    shelf.put(LOG, whole[cut:], offset=cut)
    seal(shelf)
    for record, row in zip(segments(shelf), (-1, 0), strict=True):
        indexed = shelf.archive.indexed(record.id)
        assert indexed is not None
        types = indexed.index.row_types(0).tolist()
        assert types[row] == OPAQUE
        assert types.count(OPAQUE) == 1


def test_what_a_process_said_at_its_end_is_told() -> None:
    maker = MakerApart()
    making = maker.begin(b"too short for an id", {})
    with pytest.raises(Later, match=r"ended \(1\): .*Error"):
        making.finish()
    maker.begin(bytes(16), {})  # the next one is a new process
    maker.close()


def test_what_it_said_is_told_in_few_words_and_without_signs_for_a_terminal() -> None:
    maker = MakerApart()
    making = maker.begin(bytes(16), {})
    assert maker._child is not None
    maker._child._told.write(b"\x1b[31mred\n" + b"\x1b[31m\xff red" * 100_000 + b"\n")
    maker._child._told.flush()
    assert maker.pid is not None
    os.kill(maker.pid, signal.SIGKILL)
    with pytest.raises(Later) as told:
        making.finish()
    assert "red" in str(told.value)
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 600
    maker.close()


def test_a_process_does_not_outlive_whoever_started_it() -> None:
    program = (
        "import sys, time; from logferry.archive.index_making import MakerApart; maker = MakerApart();"
        "maker.begin(bytes(16), {}); print(maker.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    until_ended(pid)


def until_ended(pid: int) -> None:
    """Wait until a process has ended."""
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_nobody_watches_ends_when_a_frame_takes_for_ever() -> None:
    """Whoever started it was killed, and compiled code never looks at its input again."""
    program = (
        "import sys, logferry.archive.index_worker as worker, logferry.archive.index_making as making\n"
        "worker.INDEX_STEP_S_MAX = 0.2\n"
        "making.MakerHere.begin = lambda *_: sum(iter(int, 1))\n"
        "worker.serve(sys.stdin.buffer, sys.stdout.buffer)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        send(child.stdin, BEGIN, bytes(16) + b"{}")
        assert child.wait(60) == -signal.SIGALRM


def test_an_exchange_that_is_broken_off_ends_the_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C: it may wait for somebody who reads what it made."""
    maker = MakerApart()
    making = maker.begin(bytes(16), {})
    pid = maker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("logferry.archive.index_making.send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        making.add(b"", [])
    maker.close()
    assert not is_running(pid)


def test_nothing_is_imported_from_the_folder_somebody_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be one of the archive, with files that an agent has sent."""
    (tmp_path / "json.py").write_text("raise SystemExit('an agent was here')\n")
    monkeypatch.chdir(tmp_path)
    maker = MakerApart()
    making = maker.begin(bytes(16), {"": time.time_ns()})
    making.add(b"a line\n", [Stretch("", 0, 7, True, True)])
    assert making.finish()
    maker.close()


def bad_sector(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """From now on the disk cannot read this file."""
    inode, whole = path.stat().st_ino, os.pread

    def pread(fd: int, count: int, offset: int) -> bytes:
        if os.fstat(fd).st_ino == inode:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return whole(fd, count, offset)

    monkeypatch.setattr(os, "pread", pread)


def test_a_file_on_a_bad_sector_keeps_no_other_from_being_sealed(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.log", "bad.log", "c.log"):
        shelf.put(name, log_text(20_000, len(name)))
    bad_sector(monkeypatch, shelf.folder / "live" / AGENT / "bad.log")
    done = seal(shelf)
    assert done.segments == 1
    assert [problem.startswith("the disk refused") for problem in done.problems] == [True]
    assert sorted(shelf.live()) == ["bad.log"]


def test_a_segment_on_a_bad_sector_keeps_no_other_from_its_index(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.log", "b.log"):
        shelf.put(name, log_text(20_000, len(name)))
        for _ in shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1):
            pass
    _, newest = segments(shelf)
    bad_sector(monkeypatch, shelf.folder / "store" / newest.name)
    assert [bool(one.problem) for one in reindex(shelf)] == [True, False]
    assert index_record(shelf, newest).due_ns is not None, "it is tried again later"


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# Zones ---------------------------------------------------------------------------------------------------------------

_LOCAL = b"2026-07-01 12:00:00 noon somewhere\n2026-12-01 12:00:00 noon in winter\n2026-07-01T12:00:00Z in UTC\n"


def seconds_of(shelf: Shelf, segment: SegmentRecord) -> list[int]:
    """What its index tells of the times of its lines, in seconds since 1970."""
    found = shelf.archive.indexed(segment.id)
    assert found is not None
    index = found.index
    return [int(second) for granule in range(index.facts.granules) for second in index.row_seconds(granule)]


def utc(*texts: str) -> list[int]:
    return [int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in texts]


@pytest.mark.parametrize("apart", [False, True])
def test_times_without_a_zone_are_in_that_of_their_agent(shelf: Shelf, *, apart: bool) -> None:
    """A changed zone holds for what is indexed from then on; reindexing reads what is older anew. DST counts."""
    shelf.clock.advance(max(0.0, 1_797_000_000 - shelf.clock.now_ns() / 1e9))  # in December 2026
    in_utc = utc("2026-07-01T12:00:00", "2026-12-01T12:00:00", "2026-07-01T12:00:00")
    in_berlin = utc("2026-07-01T10:00:00", "2026-12-01T11:00:00", "2026-07-01T12:00:00")
    in_tokyo = utc("2026-07-01T03:00:00", "2026-12-01T03:00:00", "2026-07-01T12:00:00")
    with contextlib.closing(MakerApart() if apart else MakerHere()) as maker:
        shelf.put("one.log", _LOCAL)
        seal(shelf, maker)
        (first,) = segments(shelf)
        assert (index_record(shelf, first).zone, seconds_of(shelf, first)) == ("UTC", in_utc)
        shelf.catalog.agents.change(AGENT, zone="Europe/Berlin")
        shelf.put("two.log", _LOCAL)
        seal(shelf, maker)
        _, second = segments(shelf)
        assert (index_record(shelf, second).zone, seconds_of(shelf, second)) == ("Europe/Berlin", in_berlin)
        assert seconds_of(shelf, first) == in_utc
        reindexer = shelf.archive.reindexer(maker)
        assert list(reindexer.due()) == []  # the server does not do it by itself
        assert [one.id for one in reindexer.in_other_zones()] == [first.id]
        for one in reindexer.in_other_zones():
            assert reindexer.build(one).problem == ""
        assert seconds_of(shelf, first) == in_berlin
        assert list(reindexer.in_other_zones()) == []
        shelf.catalog.agents.change(AGENT, zone=None)
        shelf.catalog.zones.default = "Asia/Tokyo"
        assert [one.id for one in reindexer.in_other_zones()] == [second.id, first.id]
        for one in list(reindexer.in_other_zones()):
            reindexer.build(one)
        assert [seconds_of(shelf, one) for one in (first, second)] == [in_tokyo, in_tokyo]


@pytest.mark.parametrize("apart", [False, True])
def test_a_zone_that_is_not_known_here_gives_a_segment_without_an_index(shelf: Shelf, *, apart: bool) -> None:
    """As on a machine without a database of zones; the bytes are sealed all the same."""
    shelf.catalog.zones.default = "Mars/Base"
    with contextlib.closing(MakerApart() if apart else MakerHere()) as maker:
        shelf.put("one.log", _LOCAL)
        seal(shelf, maker)
        (first,) = segments(shelf)
        assert "Mars/Base" in index_record(shelf, first).why
        shelf.catalog.zones.default = "UTC"
        assert [one.problem for one in reindex(shelf, maker, all_of_them=True)] == [""]
    assert shelf.everything() == {"one.log": [_LOCAL]}


def test_indexes_of_a_rebuilt_catalog_are_of_no_known_zone(shelf: Shelf) -> None:
    """They serve, and count as old until they are built again."""
    shelf.put("one.log", _LOCAL)
    seal(shelf)
    other, _ = without_catalog(shelf)
    (first,) = segments(other)
    assert index_record(other, first).zone == ""
    assert [one.id for one in other.archive.reindexer(HERE).in_other_zones()] == [first.id]
    other.close()
