"""Which compressed files are copies of others: only proved ones are, whatever the order in which they arrive."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from sqlalchemy import text

from logferry.archive import Catalog
from logferry.archive.catalog.engine import create_engine
from logferry.archive.records import CopyRecord
from logferry.limits import COPIES_AGAIN_S_MAX, COPIES_AGAIN_S_MIN, COPIES_QUIET_S, MIB
from tests.archive.before import as_of
from tests.archive.conftest import AGENT, Shelf, catalog_url

LOG = b"".join(b"%06d a line\n" % n for n in range(3000))
OTHER = b"".join(b"%06d b line\n" % n for n in range(3000))  # of the same length


def look(shelf: Shelf, *, after_s: float = COPIES_QUIET_S) -> int:
    """What the server does a while later; how many files it looked into."""
    shelf.clock.advance(after_s)
    due = shelf.catalog.copies.due(shelf.clock.now_ns())
    siblings = shelf.archive.siblings(lambda count: None)
    for seen in due:
        siblings.look_into(seen)
    return len(due)


def link_of(shelf: Shelf, path: str, number: int | None = None) -> CopyRecord | None:
    """The link of the current generation of a path, or of another."""
    file = shelf.catalog.files.at(AGENT, path)
    assert file is not None
    generation = shelf.catalog.files.generation(file.id, number)
    assert generation is not None
    return shelf.catalog.copies.links([generation.id]).get(generation.id)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("gz", gzip.compress),
        ("xz", lzma.compress),
        ("bz2", bz2.compress),
        ("zst", lambda data: zstandard.ZstdCompressor().compress(data)),
    ],
)
def test_a_compressed_copy_is_known_and_its_bytes_are_as_they_came(
    shelf: Shelf, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """Each form; the link says what it is a copy of."""
    packed = pack(LOG)
    shelf.put("logs/app.log.1", LOG)
    shelf.put(f"logs/app.log.1.{suffix}", packed)
    assert look(shelf) == 1
    link = link_of(shelf, f"logs/app.log.1.{suffix}")
    assert link is not None
    assert (link.path, link.number, link.size, link.text_size) == ("logs/app.log.1", 1, len(LOG), len(LOG))
    assert link.is_whole
    assert shelf.current(f"logs/app.log.1.{suffix}") == packed
    sums = shelf.catalog.copies.sums()
    assert (sums.files, sums.waiting, sums.copies, sums.broken) == (1, 0, 1, 0)


def test_it_is_looked_into_when_it_is_quiet_and_not_before(shelf: Shelf) -> None:
    """Nothing is unpacked that is still arriving."""
    packed = gzip.compress(LOG)
    shelf.put("app.log.1", LOG)
    shelf.put("app.log.1.gz", packed[:100])
    shelf.clock.advance(COPIES_QUIET_S - 1)
    shelf.put("app.log.1.gz", packed[100:], append=True)
    assert look(shelf, after_s=COPIES_QUIET_S - 1) == 0
    assert look(shelf, after_s=1) == 1
    assert link_of(shelf, "app.log.1.gz") is not None


@pytest.mark.databases
def test_the_original_may_come_later_or_grow_into_it(shelf: Shelf) -> None:
    """The copy arrived first; the original comes in parts. It is compared again, ever more seldom, and found."""
    shelf.put("filler", bytes(len(LOG)))  # so that the text is not too long for everything here
    shelf.put("app.log.1.gz", gzip.compress(LOG))
    shelf.put("app.log.1", LOG[:1000])
    assert look(shelf) == 1
    assert link_of(shelf, "app.log.1.gz") is None
    assert look(shelf, after_s=COPIES_AGAIN_S_MIN - 1) == 0
    assert look(shelf, after_s=1) == 1
    shelf.put("app.log.1", LOG[1000:], append=True)
    assert look(shelf, after_s=COPIES_AGAIN_S_MIN * 2) == 1
    assert link_of(shelf, "app.log.1.gz") is not None
    assert look(shelf, after_s=COPIES_AGAIN_S_MAX) == 0


def test_a_copy_longer_than_anything_here_waits_for_it_too(shelf: Shelf) -> None:
    """Its text is not unpacked further than the longest file; once the original is there, it is."""
    shelf.put("app.log.1.gz", gzip.compress(LOG))
    assert look(shelf) == 1
    shelf.put("app.log.1", LOG)
    assert look(shelf, after_s=COPIES_AGAIN_S_MIN) == 1
    assert link_of(shelf, "app.log.1.gz") is not None


def test_one_that_is_no_copy_is_left_alone_in_the_end(shelf: Shelf) -> None:
    """After a week nobody compares it any more."""
    shelf.put("app.log", OTHER)
    shelf.put("app.log.1.gz", gzip.compress(LOG))
    looks = waited_s = 0
    while waited_s < 4 * COPIES_AGAIN_S_MAX:
        looks += look(shelf, after_s=COPIES_AGAIN_S_MIN)
        waited_s += int(COPIES_AGAIN_S_MIN)
        if looks > 20:
            break
        if looks >= 14 and not shelf.catalog.copies.due(2**62):
            break
        shelf.clock.advance(3600)
        waited_s += 3600
    assert looks < 20
    assert shelf.catalog.copies.due(2**62) == []
    assert link_of(shelf, "app.log.1.gz") is None


def test_an_older_generation_is_an_original_as_well(shelf: Shelf) -> None:
    """copytruncate: the path holds something else by now, the earlier generation has the text."""
    shelf.put("app.log", LOG)
    shelf.put("app.log", OTHER)  # the next generation
    shelf.put("app.log.1.gz", gzip.compress(LOG))
    look(shelf)
    link = link_of(shelf, "app.log.1.gz")
    assert link is not None
    assert (link.path, link.number) == ("app.log", 1)


def test_a_grown_original_is_hashed_when_needed(shelf: Shelf) -> None:
    """A log that grew has no digest in the catalog; it gets one for the comparison, and it stays."""
    shelf.put("app.log.1", LOG[:5000])
    shelf.put("app.log.1", LOG[5000:], append=True)
    shelf.put("app.log.1.gz", gzip.compress(LOG))
    look(shelf)
    assert link_of(shelf, "app.log.1.gz") is not None
    file = shelf.catalog.files.at(AGENT, "app.log.1")
    assert file is not None
    assert file.sha256 is not None


def test_what_is_not_exactly_the_same_is_not_linked(shelf: Shelf) -> None:
    """The same length, a beginning, one line more, nothing at all, and a file that only has the name."""
    shelf.put("app.log", LOG)
    shelf.put("empty.log", b"")
    shelf.put("same-length.gz", gzip.compress(OTHER))
    shelf.put("beginning.gz", gzip.compress(LOG[:-20]))
    shelf.put("more.gz", gzip.compress(LOG + b"more\n"))
    shelf.put("empty.gz", gzip.compress(b""))
    shelf.put("plain.gz", LOG)
    shelf.put("app.log.gz", lzma.compress(LOG))
    assert look(shelf) == 6
    for name in ("same-length.gz", "beginning.gz", "more.gz", "empty.gz", "plain.gz", "app.log.gz"):
        assert link_of(shelf, name) is None, name


def test_a_cut_or_damaged_file_is_no_copy_and_counted(shelf: Shelf) -> None:
    """Never linked by what could be unpacked of it, even if that were all."""
    packed = gzip.compress(LOG)
    shelf.put("app.log", LOG)
    shelf.put("cut.gz", packed[:-4])
    shelf.put("garbage.gz", packed + b"something else")
    shelf.put("flipped.gz", packed[:2000] + bytes([packed[2000] ^ 16]) + packed[2001:])
    look(shelf)
    assert [link_of(shelf, name) for name in ("cut.gz", "garbage.gz", "flipped.gz")] == [None] * 3
    assert shelf.catalog.copies.sums().broken == 3


def test_a_bomb_is_given_up_at_the_longest_file_there_is(shelf: Shelf) -> None:
    """No more of it is unpacked than could be of use: eight megabytes cost no more than the longest log."""
    worked: list[int] = []
    shelf.put("app.log", LOG)
    shelf.put("bomb.xz", lzma.compress(bytes(8 * MIB), preset=0))
    shelf.clock.advance(COPIES_QUIET_S)
    for seen in shelf.catalog.copies.due(shelf.clock.now_ns()):
        shelf.archive.siblings(worked.append).look_into(seen)
    assert sum(worked) <= len(LOG) + MIB
    assert link_of(shelf, "bomb.xz") is None


def test_a_file_that_grows_after_it_was_linked_is_looked_into_anew(shelf: Shelf) -> None:
    """Another member was appended: it is no copy any more."""
    shelf.put("app.log", LOG)
    shelf.put("app.log.gz", gzip.compress(LOG))
    look(shelf)
    assert link_of(shelf, "app.log.gz") is not None
    shelf.put("app.log.gz", gzip.compress(b"more\n"), append=True)
    assert link_of(shelf, "app.log.gz") is None
    look(shelf)
    assert link_of(shelf, "app.log.gz") is None


def test_an_original_that_grows_still_holds_the_text(shelf: Shelf) -> None:
    """A late line came through an old handle: the copy's lines are all there, and the link says it has more."""
    shelf.put("app.log.1", LOG)
    shelf.put("app.log.1.gz", gzip.compress(LOG))
    look(shelf)
    shelf.put("app.log.1", b"a late line\n", append=True)
    link = link_of(shelf, "app.log.1.gz")
    assert link is not None
    assert not link.is_whole


@pytest.mark.databases
def test_links_follow_renames_of_both(shelf: Shelf) -> None:
    """Rotation goes on: names change, the link does not."""
    shelf.put("app.log.1", LOG)
    shelf.put("app.log.1.gz", gzip.compress(LOG))
    look(shelf)
    shelf.rename("app.log.1.gz", "app.log.2.gz")
    shelf.rename("app.log.1", "app.log.old")
    link = link_of(shelf, "app.log.2.gz")
    assert link is not None
    assert link.path == "app.log.old"
    assert look(shelf) == 0


def test_a_file_that_gets_its_name_by_a_rename_is_looked_into(shelf: Shelf) -> None:
    """gzip writes under another name first, some tools do."""
    shelf.put("app.log.1", LOG)
    shelf.put("app.log.1.tmp", gzip.compress(LOG))
    shelf.rename("app.log.1.tmp", "app.log.1.gz")
    assert look(shelf) == 1
    assert link_of(shelf, "app.log.1.gz") is not None


def test_equal_files_of_two_agents_are_not_linked(shelf: Shelf) -> None:
    """What another agent has is nobody's original here."""
    shelf.catalog.agents.add("web-02")
    shelf.put("app.log", LOG)
    incoming = shelf.archive.begin("web-02", "app.log.gz")
    incoming.write(gzip.compress(LOG))
    incoming.commit()
    assert look(shelf) == 1
    file = shelf.catalog.files.at("web-02", "app.log.gz")
    assert file is not None
    assert shelf.catalog.copies.links([file.generation_id]) == {}


@pytest.mark.databases
def test_a_link_goes_with_its_original(shelf: Shelf) -> None:
    """When the original is deleted, nothing says any more that the copy is one."""
    shelf.put("app.log.1", LOG)
    shelf.put("app.log.1.gz", gzip.compress(LOG))
    look(shelf)
    link = link_of(shelf, "app.log.1.gz")
    assert link is not None
    engine = create_engine(catalog_url(shelf.folder))
    with engine.connect() as connection:
        connection.execute(text("UPDATE files SET shown = NULL, held = 0 WHERE id = :f"), {"f": link.file_id})
        connection.execute(text("DELETE FROM generations WHERE id = :g"), {"g": link.original_id})
        connection.commit()
    engine.dispose()
    assert link_of(shelf, "app.log.1.gz") is None


def test_what_was_broken_off_is_done_after_a_restart(shelf: Shelf) -> None:
    """The work stands in the catalog until it is done."""

    class Stop(Exception):
        pass

    def stop(count: int) -> None:
        raise Stop

    shelf.put("app.log.1", LOG)
    shelf.put("app.log.1.gz", gzip.compress(LOG))
    shelf.clock.advance(COPIES_QUIET_S)
    (seen,) = shelf.catalog.copies.due(shelf.clock.now_ns())
    with pytest.raises(Stop):
        shelf.archive.siblings(stop).look_into(seen)
    assert shelf.catalog.copies.sums().waiting == 1
    assert look(shelf, after_s=0) == 1
    assert link_of(shelf, "app.log.1.gz") is not None


def test_one_that_grew_while_it_was_looked_into_stays_due(shelf: Shelf) -> None:
    """What was found out is about bytes that are no longer all."""
    packed = gzip.compress(LOG)
    shelf.put("app.log.1", LOG)
    shelf.put("app.log.1.gz", packed)
    shelf.clock.advance(COPIES_QUIET_S)
    (seen,) = shelf.catalog.copies.due(shelf.clock.now_ns())

    grown: list[int] = []

    def grow(count: int) -> None:
        if not grown:
            grown.append(count)
            shelf.put("app.log.1.gz", gzip.compress(b"x\n"), append=True)

    shelf.archive.siblings(grow).look_into(seen)
    assert link_of(shelf, "app.log.1.gz") is None
    assert look(shelf) == 1


def test_a_catalog_from_before_learns_of_its_compressed_files(folder: Path) -> None:
    """The migration puts all that are there in line, and nothing else."""
    old = Shelf(folder)
    old.put("app.log.1", LOG)
    old.put("app.log.1.GZ", gzip.compress(LOG))
    old.put("agz", b"x")
    old.close()
    as_of(folder / "catalog.db", "0001")
    Catalog.open(f"sqlite:///{folder}/catalog.db").close()
    new = Shelf(folder)
    assert look(new) == 1
    assert link_of(new, "app.log.1.GZ") is not None
    new.close()
