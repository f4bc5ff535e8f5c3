"""Lines of compressed files are found, and those of compressed copies only once, whatever the query says."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.archive import Archive, Catalog
from logferry.archive.index_making import MakerHere
from logferry.clock import ManualClock
from logferry.limits import COPIES_QUIET_S, MIB
from logferry.search.events import Hit, Progress
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Buckets, Tally
from logferry.server.scope import Scope
from tests.search.test_service import EVERYTHING, Stored, done

LOG = b"".join(b"%05d something with needle\n" % n for n in range(50)) + b"00050 the end\n"


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    """An archive with a log, its compressed copy in two places, and a compressed file of its own."""
    clock = ManualClock()
    with (
        Catalog.open(f"sqlite:///{tmp_path}/catalog.db", clock) as catalog,
        Archive(str(tmp_path), catalog, clock=clock) as archive,
    ):
        made = Stored(archive, catalog, clock)
        made.put("web-01", "logs/app.log.1", LOG)
        made.put("web-01", "logs/app.log.1.gz", gzip.compress(LOG))
        made.put("web-01", "logs/app.log.2.xz", lzma.compress(LOG.replace(b"something", b"other")))
        look(made)
        yield made


def look(stored: Stored) -> None:
    """Let the server look into what is compressed."""
    stored.clock.advance(COPIES_QUIET_S)
    for seen in stored.catalog.copies.due(stored.clock.now_ns()):
        stored.archive.siblings(lambda count: None).look_into(seen)


def seal(stored: Stored) -> None:
    """Seal all there is."""
    for _ in stored.archive.sealer(level=1, segment_bytes=1 << 20, maker=MakerHere()).seal(stored.clock.now_ns() + 1):
        pass


def found(stored: Stored, query: str, **values: object) -> tuple[dict[str, int], int]:
    """Hits by path, and the copies left out."""
    events = stored.search(query, **values)
    paths: dict[str, int] = {}
    for event in events:
        if isinstance(event, Hit):
            paths[event.path] = paths.get(event.path, 0) + 1
    account = done(events)
    assert account.errors == ()
    assert account.scanned_bytes == account.total_bytes
    assert account.files_done == account.files_total
    return paths, account.copies


def test_lines_of_compressed_files_are_found_where_they_are_in_the_text(stored: Stored) -> None:
    """Number, byte and neighbours are those of the text, so that links lead there."""
    (hit,) = stored.hits("'00007 other'", context=1)
    assert (hit.path, hit.number, hit.text) == ("logs/app.log.2.xz", 8, "00007 other with needle")
    assert LOG.replace(b"something", b"other")[hit.byte :].startswith(b"00007")
    assert ([row.text for row in hit.before], [row.number for row in hit.after]) == (["00006 other with needle"], [9])


def test_no_line_of_a_copy_counts_twice(stored: Stored) -> None:
    """Of the three files two are searched; the account says so."""
    assert found(stored, "needle") == ({"logs/app.log.1": 50, "logs/app.log.2.xz": 50}, 1)
    assert found(stored, "needle", newest_first=False) == ({"logs/app.log.1": 50, "logs/app.log.2.xz": 50}, 1)
    assert found(stored, "") == ({"logs/app.log.1": 51, "logs/app.log.2.xz": 51}, 1)


def test_a_query_that_names_both_alike_still_counts_once(stored: Stored) -> None:
    """A folder, a part of the name, an agent."""
    once = {"logs/app.log.1": 50}
    assert found(stored, "needle something path:logs/") == (once, 1)
    assert found(stored, "needle something path:app.log.1") == (once, 1)
    assert found(stored, "needle something agent:web-01") == (once, 1)
    assert found(stored, "needle something", path="logs/app.log.1") == (once, 1)
    assert found(stored, "needle something -path:app.log.2") == (once, 1)


def test_a_copy_that_the_query_names_is_searched(stored: Stored) -> None:
    """By path, name or ending; alone, or beside its original; and when it is opened as a file."""
    copy = {"logs/app.log.1.gz": 50}
    assert found(stored, "needle path:app.log.1.gz") == (copy, 0)
    assert found(stored, "needle file:app.log.1.gz") == (copy, 0)
    assert found(stored, "needle ext:gz") == (copy, 0)
    assert found(stored, "needle", path="logs/app.log.1.gz") == (copy, 0)
    assert found(stored, "needle (file:app.log.1 OR file:app.log.1.gz)") == (copy | {"logs/app.log.1": 50}, 0)
    file = stored.catalog.files.at("web-01", "logs/app.log.1.gz")
    assert file is not None
    assert found(stored, "needle", file_id=file.id) == (copy, 0)


def test_a_copy_is_searched_when_its_original_is_not(stored: Stored) -> None:
    """Because the query rules it out, or the person may not see it."""
    copy = {"logs/app.log.1.gz": 50}
    assert found(stored, "something needle -file:app.log.1") == (copy, 0)
    assert found(stored, "something needle size:<500") == (copy, 0)
    assert found(stored, "something needle", scope=Scope(("web-01/**", "!web-01/logs/app.log.1"))) == (copy, 0)


def test_a_copy_is_searched_when_something_else_is_asked_of_its_original(stored: Stored) -> None:
    """What is looked for may depend on the file: then each is searched for its own."""
    query = "(size:>500 end) OR (size:<500 '00007')"
    paths, left_out = found(stored, query)
    assert (paths["logs/app.log.1"], paths["logs/app.log.1.gz"], left_out) == (1, 1, 0)


def test_an_original_that_cannot_be_read_is_replaced_by_its_copy(stored: Stored, tmp_path: Path) -> None:
    """The link never hides the only readable copy; the damage is named."""
    (tmp_path / "live/web-01/logs/app.log.1").unlink()
    events = stored.search("something needle")
    assert {event.path for event in events if isinstance(event, Hit)} == {"logs/app.log.1.gz"}
    account = done(events)
    assert (account.hits, account.copies, account.errors, len(account.remarks)) == (50, 0, (), 1)
    assert "app.log.1 generation 1" in account.remarks[0]
    assert "app.log.1.gz generation 1 was read instead" in account.remarks[0]


def counted(stored: Stored, query: str, **values: object) -> Tally:
    """How many, by minute, path and level."""
    service = SearchService(stored.archive, stored.catalog, clock=stored.clock)
    request = SearchRequest(query, EVERYTHING, **values)  # type: ignore[arg-type]
    *_, last = service.tally(request, histogram=Buckets(60), facets=("path", "level"))
    assert isinstance(last, Tally)
    return last


def test_an_original_that_cannot_be_read_is_counted_by_its_copy(stored: Stored, tmp_path: Path) -> None:
    """As hits are told: all its lines, once, by the copy's path; it was damaged, but nothing is missing."""
    before = counted(stored, "something needle")
    (tmp_path / "live/web-01/logs/app.log.1").unlink()
    found = counted(stored, "something needle")
    assert (found.lines, found.exact, found.errors, found.copies) == (50, True, (), 0)
    assert (found.scanned_bytes, found.files_done) == (found.total_bytes, found.files_total)
    assert dict(found.facets[0].top) == {"web-01/logs/app.log.1.gz": 50}
    assert found.histogram == before.histogram
    assert len(found.remarks) == 1
    assert "app.log.1.gz generation 1 was counted instead" in found.remarks[0]


TIMED = b"".join(b"2026-11-20 08:%02d:00 %s needle\n" % (n % 60, b"ERROR" if n % 3 else b"info:") for n in range(300))


@pytest.mark.parametrize("ending", [".zst", "tail"])
def test_what_was_counted_of_a_damaged_original_counts_once(stored: Stored, tmp_path: Path, ending: str) -> None:
    """Though the index of its sealed beginning told it, and whatever else was counted; by time, path and level, too."""
    path = "logs/grown.log"
    stored.put("web-01", path, TIMED[:5000])
    seal(stored)
    incoming = stored.archive.begin("web-01", path, append=True)
    incoming.write(TIMED[5000:])
    incoming.commit()
    stored.put("web-01", "logs/grown.log.1.gz", gzip.compress(TIMED))
    stored.put("web-01", "logs/other.log", b"2026-11-20 08:01:00 ERROR needle of this\n")
    look(stored)
    before = counted(stored, "needle -something -other")
    assert (before.lines, before.exact, before.copies) == (301, True, 2)
    if ending == "tail":
        (tail,) = (tmp_path / "tails/web-01").iterdir()
        tail.unlink()
    else:
        (segment,) = tmp_path.rglob("store/**/*.zst")
        segment.write_bytes(segment.read_bytes()[:600] + bytes(100) + segment.read_bytes()[700:])
        stored.archive = Archive(str(tmp_path), stored.catalog, clock=stored.clock)  # has nothing of it in memory
    for query in ("needle -something -other", "/nee[d]le/ -something -other"):
        found = counted(stored, query)
        assert found.lines == 301, query
        assert dict(found.facets[0].top)["web-01/logs/grown.log.1.gz"] == 300
        assert found.facets[1] == before.facets[1]
        assert found.histogram == before.histogram
        assert any("grown.log.1.gz generation 1 was counted instead" in remark for remark in found.remarks)


def test_a_copy_that_cannot_be_read_either_is_named(stored: Stored, tmp_path: Path) -> None:
    """Then the count is a lower bound; nobody says that it stands in."""
    (tmp_path / "live/web-01/logs/app.log.1").unlink()
    (tmp_path / "live/web-01/logs/app.log.1.gz").unlink()
    found = counted(stored, "needle")
    account = done(stored.search("needle"))
    assert (found.lines, found.exact, account.hits) == (50, False, 50)
    for errors, remarks in ((found.errors, found.remarks), (account.errors, account.remarks)):
        assert (len(errors), len(remarks)) == (2, 0)
        assert "app.log.1 generation 1" in errors[0]
        assert "app.log.1.gz generation 1" in errors[1]


def test_what_was_counted_of_an_original_is_not_forgotten_for_a_copy_that_cannot_be_read(
    stored: Stored, tmp_path: Path
) -> None:
    """Of a file that is damaged in one place all the rest is counted."""
    stored.put("web-01", "logs/grown.log", TIMED[: 33 * 150])
    seal(stored)
    grow(stored, "logs/grown.log", TIMED[33 * 150 :])
    stored.put("web-01", "logs/grown.log.1.gz", gzip.compress(TIMED))
    look(stored)
    (tail,) = (tmp_path / "tails/web-01").iterdir()
    tail.unlink()
    (tmp_path / "live/web-01/logs/grown.log.1.gz").unlink()
    service = SearchService(stored.archive, stored.catalog, clock=stored.clock)
    *_, found = service.tally(SearchRequest("needle -something -other", EVERYTHING), facets=("path",))
    assert isinstance(found, Tally)
    assert (found.lines, found.exact, found.reason, found.remarks) == (150, False, "complete", ())
    assert dict(found.facets[0].top) == {"web-01/logs/grown.log": found.lines}
    assert ["grown.log generation 1" in found.errors[0], "grown.log.1.gz generation 1" in found.errors[1]] == [True] * 2


def test_a_copy_of_the_beginning_stands_in_for_no_more(stored: Stored, tmp_path: Path) -> None:
    """The original has grown since: what the copy has is told, and that it is not all. A whole copy is taken first."""
    grow(stored, "logs/app.log.1", LOG[:-1].replace(b"something", b"something new"))
    (tmp_path / "live/web-01/logs/app.log.1").rename(tmp_path / "kept")
    found = counted(stored, "something needle")
    account = done(stored.search("something needle"))
    assert (found.lines, found.exact, account.hits) == (50, False, 50)
    for errors, remarks in ((found.errors, found.remarks), (account.errors, account.remarks)):
        assert (len(errors), len(remarks)) == (1, 1)
        assert "app.log.1 generation 1" in errors[0]
        assert "only the beginning" in remarks[0]
    (tmp_path / "kept").rename(tmp_path / "live/web-01/logs/app.log.1")
    stored.put("web-01", "logs/app.log.0.gz", gzip.compress((tmp_path / "live/web-01/logs/app.log.1").read_bytes()))
    look(stored)
    (tmp_path / "live/web-01/logs/app.log.1").unlink()
    found = counted(stored, "something needle")
    account = done(stored.search("something needle"))
    assert (found.lines, found.exact, found.errors, account.hits, account.errors) == (100, True, (), 100, ())


def grow(stored: Stored, path: str, data: bytes) -> None:
    """Append to a file of web-01."""
    incoming = stored.archive.begin("web-01", path, append=True)
    incoming.write(data)
    incoming.commit()


def test_a_count_that_was_begun_anew_and_cut_short_tells_the_better_one(stored: Stored, tmp_path: Path) -> None:
    """What is already known is not forgotten for what could not be finished."""
    stored.put("web-01", "logs/many.log", b"needle\n" * 1000)
    (tmp_path / "live/web-01/logs/app.log.1").unlink()
    service = SearchService(stored.archive, stored.catalog, clock=stored.clock)
    request = SearchRequest("needle", EVERYTHING)
    begun = 0
    for event in service.tally(request):
        if isinstance(event, Progress):
            begun += event.scanned_bytes == 0
            if begun == 2:
                request.cancel.set()
        else:
            last = event
    assert (last.reason, last.lines, last.exact, len(last.errors)) == ("cancelled", 1050, False, 1)


def test_two_copies_without_an_original_in_sight_count_once(stored: Stored) -> None:
    """Two archived copies of a log that the person may not see."""
    stored.put("web-01", "old/app.log.1.xz", lzma.compress(LOG))
    look(stored)
    hits, left_out = found(stored, "something needle", scope=Scope(("web-01/**", "!web-01/logs/app.log.1")))
    assert (sum(hits.values()), len(hits), left_out) == (50, 1, 1)


def test_equal_files_of_two_agents_are_both_searched(stored: Stored) -> None:
    """What happened on two nodes happened twice."""
    stored.put("web-02", "logs/app.log.1.gz", gzip.compress(LOG))
    look(stored)
    assert sum(found(stored, "something needle")[0].values()) == 100


def test_a_copy_that_nobody_has_looked_into_yet_is_searched(stored: Stored) -> None:
    """Rather twice for a moment than never."""
    stored.put("web-01", "logs/app.log.9.gz", gzip.compress(LOG))
    assert sum(found(stored, "something needle")[0].values()) == 100


def test_a_cut_off_file_is_searched_as_far_as_it_goes_and_named(stored: Stored) -> None:
    """What could be unpacked is found; the account says that it is not all."""
    big = b"".join(b"%07d cutlines\n" % n for n in range(100_000))
    stored.put("web-01", "logs/cut.gz", gzip.compress(big)[:-1000])
    events = stored.search("cutlines", limit=200_000)
    account = done(events)
    assert 90_000 < account.hits < 100_000
    assert len(account.errors) == 1
    assert "logs/cut.gz generation 1" in account.errors[0]


def test_a_bomb_stops_no_search(stored: Stored) -> None:
    """It is named and passed over; everything else is found."""
    stored.put("web-01", "logs/bomb.xz", lzma.compress(bytes(66 * MIB), preset=0))
    account = done(stored.search("something needle"))
    assert (account.hits, len(account.errors)) == (50, 1)
    assert "bomb.xz" in account.errors[0]
