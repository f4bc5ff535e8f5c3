"""Uploads: what arriving bytes mean for a path."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.archive import settled
from logferry.archive.incoming import Incoming
from logferry.archive.locks import BOOT_LOCK
from logferry.errors import BadName, Conflict, Differs, Full, NotFound, Refused
from logferry.names import temporary_name
from tests.archive.conftest import AGENT, Shelf


@pytest.mark.databases
def test_a_new_file_is_in_the_live_tree_and_the_catalog(shelf: Shelf) -> None:
    """A committed upload is a plain file under its own path, with a row that finds it and its SHA-256."""
    done = shelf.put("var/log/app.log", b"one\n")
    assert shelf.live() == {"var/log/app.log": b"one\n"}
    assert (done.number, done.is_new_file, done.is_new_generation) == (1, True, True)
    file = shelf.catalog.files.at(AGENT, "var/log/app.log")
    assert file is not None
    assert (file.size, file.number, file.generations, file.has_current) == (4, 1, 1, True)
    assert file.sha256 == hashlib.sha256(b"one\n").hexdigest()


def test_an_empty_file_is_a_file(shelf: Shelf) -> None:
    """0 bytes are archived as they are."""
    shelf.put("empty.log", b"")
    assert shelf.current("empty.log") == b""
    assert shelf.size("empty.log") == 0


def test_nothing_is_seen_before_the_commit(shelf: Shelf) -> None:
    """While bytes arrive neither the tree nor the catalog shows them."""
    incoming = shelf.archive.begin(AGENT, "a.log")
    incoming.write(b"half")
    assert shelf.live() == {}
    assert list(shelf.archive.entries(AGENT, "")) == []
    incoming.write(b" and half")
    incoming.commit()
    assert shelf.current("a.log") == b"half and half"


def test_an_interrupted_upload_can_be_continued(shelf: Shelf) -> None:
    """What arrived is kept unseen, SIZE tells it, REST continues, the result is whole."""
    incoming = shelf.archive.begin(AGENT, "a.log")
    incoming.write(b"0123456789")
    incoming.abandon()
    assert shelf.size("a.log") == 10
    assert shelf.catalog.files.at(AGENT, "a.log") is None
    shelf.put("a.log", b"abc", offset=10)
    assert shelf.current("a.log") == b"0123456789abc"
    assert shelf.size("a.log") == 13


def _dies(shelf: Shelf, incoming: Incoming) -> None:
    """The server, in the middle of an upload: nothing is synced."""
    incoming._sink.close()
    shelf.archive._active.clear()


def _starts_anew(shelf: Shelf) -> None:
    """The machine: whatever its life is called, the archive knows another one."""
    (Path(shelf.folder) / BOOT_LOCK).write_text("another life\n")
    shelf.archive.take_in()


def test_what_a_power_cut_left_of_an_upload_is_sent_again(shelf: Shelf) -> None:
    """The disk has its length, and nobody knows which of its bytes: no SIZE, no REST, and it begins at 0."""
    shelf.archive.take_in()
    incoming = shelf.archive.begin(AGENT, "a.log")
    incoming.write(b"0123456789")
    _dies(shelf, incoming)
    assert shelf.size("a.log") == 10, "while the machine lives, it is all there"
    _starts_anew(shelf)
    assert shelf.size("a.log") is None
    with pytest.raises(Refused, match="has 0 bytes"):
        shelf.archive.begin(AGENT, "a.log", offset=10)
    shelf.put("a.log", b"abcdefghijkl")
    assert shelf.current("a.log") == b"abcdefghijkl"
    assert (Path(shelf.folder) / "live" / AGENT / "a.log").stat().st_mode & 0o111 == 0


@pytest.fixture(params=["noted", "without notes"])
def notes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the file system holds notes about a file."""
    has: bool = request.param == "noted"
    monkeypatch.setattr(settled, "HAS_NOTES", has)
    return has


def _slice(shelf: Shelf, path: str, data: bytes, offset: int) -> Incoming:
    """Of an upload that nobody commits."""
    incoming = shelf.archive.begin(AGENT, path, offset=offset)
    incoming.write(data)
    return incoming


def test_what_was_synced_when_an_upload_broke_off_outlives_a_power_cut(shelf: Shelf, notes: bool) -> None:
    """Also when somebody goes on with it and the power goes again: all of it, where that can be told."""
    shelf.archive.take_in()
    _slice(shelf, "a.log", b"0123456789", 0).abandon()
    _starts_anew(shelf)
    assert shelf.size("a.log") == 10
    _dies(shelf, _slice(shelf, "a.log", b"abc", 10))
    _starts_anew(shelf)
    assert shelf.size("a.log") == (10 if notes else None)
    shelf.put("a.log", b"xyz", offset=10 if notes else 0)
    assert shelf.current("a.log") == (b"0123456789xyz" if notes else b"xyz")


def test_begun_anew_nothing_that_was_synced_before_counts(shelf: Shelf, notes: bool) -> None:
    """Other bytes lie there now, and nobody knows which of them."""
    shelf.archive.take_in()
    _slice(shelf, "a.log", b"0123456789", 0).abandon()
    _dies(shelf, _slice(shelf, "a.log", b"abcdefghijkl", 0))
    _starts_anew(shelf)
    assert shelf.size("a.log") is None


TEMPORARY = temporary_name("a.log")


def test_slices_confirmed_under_a_temporary_name_outlive_the_machine(shelf: Shelf, notes: bool) -> None:
    """They are confirmed: it may be all that is left of the log. What was on its way behind them does not count."""
    shelf.archive.take_in()
    shelf.put(TEMPORARY, b"01234")
    _starts_anew(shelf)
    assert shelf.size(TEMPORARY) == 5
    shelf.put(TEMPORARY, b"56789", offset=5)
    if notes:
        _dies(shelf, _slice(shelf, TEMPORARY, b"never confirmed", 10))
    _starts_anew(shelf)
    assert shelf.size(TEMPORARY) == 10
    shelf.rename(TEMPORARY, "a.log")
    assert shelf.current("a.log") == b"0123456789"


def test_an_empty_file_confirmed_under_a_temporary_name_outlives_the_machine(shelf: Shelf) -> None:
    """It is whole."""
    shelf.archive.take_in()
    shelf.put(TEMPORARY, b"")
    _dies(shelf, _slice(shelf, TEMPORARY, b"never confirmed", 0))
    _starts_anew(shelf)
    assert shelf.size(TEMPORARY) is None
    shelf.put(TEMPORARY, b"")
    _starts_anew(shelf)
    assert shelf.size(TEMPORARY) == 0


def test_what_a_power_cut_left_under_a_temporary_name_is_not_published(shelf: Shelf) -> None:
    """Nobody was told that it is there."""
    shelf.archive.take_in()
    _dies(shelf, _slice(shelf, TEMPORARY, b"half", 0))
    _starts_anew(shelf)
    with pytest.raises(NotFound):
        shelf.archive.stat(AGENT, TEMPORARY)
    with pytest.raises(NotFound):
        shelf.rename(TEMPORARY, "a.log")
    assert shelf.live() == {}


def test_a_published_file_says_nothing_about_being_settled(shelf: Shelf, notes: bool) -> None:
    """However it came into the live tree, it is a file like any other."""
    _slice(shelf, "a.log", b"012", 0).abandon()
    shelf.put("a.log", b"345", offset=3)
    shelf.put(TEMPORARY, b"678")
    shelf.rename(TEMPORARY, "b.log")
    shelf.put(temporary_name("c"), b"678 and more")
    shelf.rename(temporary_name("c"), "b.log")
    for name in ("a.log", "b.log"):
        live = Path(shelf.folder, "live", AGENT, name)
        assert live.stat().st_mode & 0o111 == 0
        assert os.listxattr(live) == []


def test_what_others_are_sending_while_a_server_starts_is_not_touched(shelf: Shelf, notes: bool) -> None:
    """Where nobody knows when the machine was started, every start of a process may be the first."""
    shelf.archive.take_in()
    incoming = _slice(shelf, "a.log", b"01234", 0)
    _starts_anew(shelf)
    incoming.write(b"56789")
    incoming.commit()
    assert shelf.current("a.log") == b"0123456789"


def test_what_a_hand_put_among_the_uploads_stops_no_server(shelf: Shelf) -> None:
    """Links, folders, files of other names: they are nobody's upload."""
    shelf.put("a.log", b"there is a folder now")
    folder = Path(shelf.folder, "incoming", AGENT)
    (folder / "readme").write_text("by hand")
    (folder / ("0" * 32)).symlink_to("readme")
    (folder / ("1" * 32)).mkdir()
    _starts_anew(shelf)
    assert sorted(path.name for path in folder.iterdir()) == ["0" * 32, "1" * 32, "readme"]


def test_an_interrupted_upload_continued_earlier_must_send_the_same(shelf: Shelf) -> None:
    """Bytes sent again are compared with those that arrived before."""
    incoming = shelf.archive.begin(AGENT, "a.log")
    incoming.write(b"0123456789")
    incoming.abandon()
    with pytest.raises(Differs):
        shelf.put("a.log", b"5678XY", offset=5)
    shelf.put("a.log", b"56789abc", offset=5)
    assert shelf.current("a.log") == b"0123456789abc"


def test_the_end_of_a_continued_upload_is_where_the_client_stops(shelf: Shelf) -> None:
    """Bytes of an earlier, longer try beyond that were never confirmed and do not count."""
    incoming = shelf.archive.begin(AGENT, "a.log")
    incoming.write(b"0123456789")
    incoming.abandon()
    shelf.put("a.log", b"456", offset=4)
    assert shelf.current("a.log") == b"0123456"


def test_starting_over_forgets_the_partial(shelf: Shelf) -> None:
    """STOR from byte 0 begins a new partial."""
    incoming = shelf.archive.begin(AGENT, "a.log")
    incoming.write(b"old old old")
    incoming.abandon()
    shelf.put("a.log", b"new")
    assert shelf.current("a.log") == b"new"


@pytest.mark.databases
def test_growth_continues_the_generation(shelf: Shelf) -> None:
    """REST n + STOR at the end appends; the generation stays the same."""
    first = shelf.put("a.log", b"one\n")
    second = shelf.put("a.log", b"two\n", offset=4)
    assert second.generation_id == first.generation_id
    assert not second.is_new_generation
    assert shelf.history("a.log") == [b"one\ntwo\n"]
    assert shelf.live() == {"a.log": b"one\ntwo\n"}


def test_appe_appends_at_the_end(shelf: Shelf) -> None:
    """APPE needs no offset; on a path without file it makes one."""
    shelf.put("a.log", b"one\n", append=True)
    shelf.put("a.log", b"two\n", append=True)
    assert shelf.history("a.log") == [b"one\ntwo\n"]


def test_bytes_sent_again_are_not_stored_twice(shelf: Shelf) -> None:
    """A slice whose confirmation got lost may be repeated, also with new bytes behind it."""
    shelf.put("a.log", b"0123456789")
    shelf.put("a.log", b"56789", offset=5)
    shelf.put("a.log", b"6789abc", offset=6)
    assert shelf.history("a.log") == [b"0123456789abc"]


def test_overlap_with_other_bytes_is_a_conflict(shelf: Shelf) -> None:
    """Stored bytes are never overwritten."""
    shelf.put("a.log", b"0123456789")
    with pytest.raises(Conflict):
        shelf.put("a.log", b"5678X", offset=5)
    assert shelf.history("a.log") == [b"0123456789"]


@pytest.mark.parametrize("held", [b"", b"0123"])
def test_a_gap_is_refused(shelf: Shelf, held: bytes) -> None:
    """An offset beyond what is stored cannot be continued."""
    if held:
        shelf.put("a.log", held)
    with pytest.raises(Refused):
        shelf.archive.begin(AGENT, "a.log", offset=5)


def test_an_interrupted_append_keeps_what_arrived(shelf: Shelf) -> None:
    """The bytes are a true prefix of the log, so they count."""
    shelf.put("a.log", b"one\n")
    incoming = shelf.archive.begin(AGENT, "a.log", offset=4)
    incoming.write(b"tw")
    incoming.abandon()
    assert shelf.size("a.log") == 6
    shelf.put("a.log", b"o\n", offset=6)
    assert shelf.history("a.log") == [b"one\ntwo\n"]


def test_the_same_content_again_changes_nothing(shelf: Shelf) -> None:
    """STOR of an identical file is no new generation."""
    shelf.put("a.log", b"same")
    again = shelf.put("a.log", b"same")
    assert not again.is_new_generation
    assert shelf.history("a.log") == [b"same"]


def test_a_longer_copy_with_the_same_beginning_is_growth(shelf: Shelf) -> None:
    """A client that always sends whole files makes the generation grow."""
    shelf.put("a.log", b"one\n")
    shelf.put("a.log", b"one\ntwo\n")
    assert shelf.history("a.log") == [b"one\ntwo\n"]


@pytest.mark.databases
@pytest.mark.parametrize("new", [b"other", b"on", b"", b"onX\n", b"one\nX", b"Xne\ntwo\nand more"])
def test_other_content_is_a_new_generation(shelf: Shelf, new: bytes) -> None:
    """The old one stays readable under its number."""
    shelf.put("a.log", b"one\ntwo\n")
    done = shelf.put("a.log", new)
    assert (done.number, done.is_new_generation, done.is_new_file) == (2, True, False)
    assert shelf.history("a.log") == [b"one\ntwo\n", new]
    assert shelf.live() == {"a.log": new}
    old, now = shelf.generations("a.log")
    assert (old.current, now.current) == (False, True)
    assert old.place == f"generations/{AGENT}/a.log.~1~"
    assert old.ended_ns is not None


def test_an_interrupted_replacement_leaves_the_old_generation(shelf: Shelf) -> None:
    """Only whole content replaces."""
    shelf.put("a.log", b"one\ntwo\n")
    incoming = shelf.archive.begin(AGENT, "a.log")
    incoming.write(b"something else")
    incoming.abandon()
    assert shelf.history("a.log") == [b"one\ntwo\n"]
    assert shelf.size("a.log") == 8
    assert list((shelf.folder / "incoming" / AGENT).iterdir()) == []


def test_a_second_upload_of_the_same_path_supersedes_the_first(shelf: Shelf) -> None:
    """A reconnecting agent is served at once; the dead connection's upload is over."""
    shelf.put("a.log", b"0123")
    stuck = shelf.archive.begin(AGENT, "a.log", offset=4)
    stuck.write(b"45")
    shelf.put("a.log", b"4567", offset=4)
    with pytest.raises(Conflict):
        stuck.write(b"67")
    with pytest.raises(Conflict):
        stuck.commit()
    stuck.abandon()
    assert shelf.history("a.log") == [b"01234567"]


def test_a_temporary_name_is_seen_by_nobody_but_its_sender(shelf: Shelf) -> None:
    """SIZE and REST work on it; listings and catalog do not know it."""
    name = temporary_name("var/a.log")
    shelf.put(f"var/{name}", b"0123")
    assert shelf.size(f"var/{name}") == 4
    shelf.put(f"var/{name}", b"4567", offset=4)
    assert shelf.size(f"var/{name}") == 8
    assert shelf.live() == {}
    assert shelf.archive.stat(AGENT, f"var/{name}").size == 8
    assert shelf.catalog.files.find().files == ()
    shelf.rename(f"var/{name}", "var/a.log")
    assert shelf.history("var/a.log") == [b"01234567"]
    assert shelf.size(f"var/{name}") is None


def test_an_empty_temporary_file_can_be_published(shelf: Shelf) -> None:
    """0 bytes under a temporary name have a size, 0."""
    name = temporary_name("a.log")
    shelf.put(name, b"")
    assert shelf.size(name) == 0
    shelf.rename(name, "a.log")
    assert shelf.current("a.log") == b""


def test_a_slice_sent_again_to_a_temporary_name_cuts_nothing_off(shelf: Shelf) -> None:
    """Slices end before the file does, so a repeated one leaves what comes after it."""
    name = temporary_name("a.log")
    shelf.put(name, b"01234567")
    shelf.put(name, b"0123456789"[2:5], offset=2)
    assert shelf.size(name) == 8


def test_a_full_disk_refuses_before_anything_is_written(folder: Path) -> None:
    """Below ``min_free`` nothing is begun; reading goes on."""
    shelf = Shelf(folder)
    shelf.put("a.log", b"kept")
    shelf.close()
    shelf = Shelf(folder, min_free_bytes=2**60)
    with pytest.raises(Full):
        shelf.put("b.log", b"no room")
    assert shelf.archive.free_bytes() < 0
    assert shelf.current("a.log") == b"kept"
    shelf.close()


@pytest.mark.databases
def test_an_unknown_agent_cannot_publish(shelf: Shelf) -> None:
    """Its bytes are not lost either: they stay a partial."""
    incoming = shelf.archive.begin("stranger", "a.log")
    incoming.write(b"x")
    with pytest.raises(NotFound):
        incoming.commit()
    assert not (shelf.folder / "live" / "stranger" / "a.log").exists()
    assert shelf.archive.size("stranger", "a.log") == 1


@pytest.mark.parametrize("path", ["", "/a", "a//b", "../a", "a/..", ".", "a\nb", "a\x00b", "x" * 256])
def test_a_path_that_is_none_is_refused(shelf: Shelf, path: str) -> None:
    """Nothing that could lead out of the tree or into a protocol line gets in."""
    with pytest.raises((BadName, Refused)):
        shelf.archive.begin(AGENT, path)


@pytest.mark.parametrize("agent", ["", "..", ".", "a/b", "a b", "x" * 64])
def test_an_agent_id_that_is_none_is_refused(shelf: Shelf, agent: str) -> None:
    """Also when somebody above forgot to check."""
    with pytest.raises(BadName):
        shelf.archive.begin(agent, "a.log")


@pytest.mark.databases
@pytest.mark.parametrize(
    "path",
    ["-rf", "a b", "a'\"b", "[x]*?", "a\\b", "%41", "CON", "x.", "ü/ß€😀", ".hidden", "...", "~", "a" * 255, "a.~1~"],
)
def test_hostile_but_legal_names_are_stored_as_they_are(shelf: Shelf, path: str) -> None:
    """Any archive name is a file name, in the tree, the catalog and among the older generations."""
    shelf.put(f"d/{path}", b"first")
    shelf.put(f"d/{path}", b"second")
    assert shelf.history(f"d/{path}") == [b"first", b"second"]
    assert shelf.live() == {f"d/{path}": b"second"}


def test_names_that_collide_among_the_older_generations_both_stay(shelf: Shelf) -> None:
    """A log really called ``a.~1~`` and the first generation of ``a`` do not get in each other's way."""
    shelf.put("a.~1~", b"one")
    shelf.put("a.~1~", b"two")
    shelf.put("a", b"three")
    (shelf.folder / "generations" / AGENT / "b.~1~").write_bytes(b"somebody put this here")
    shelf.put("b", b"four")
    shelf.put("a", b"five")
    shelf.put("b", b"six")
    assert shelf.history("a.~1~") == [b"one", b"two"]
    assert shelf.history("a") == [b"three", b"five"]
    assert shelf.history("b") == [b"four", b"six"]


def test_a_file_and_a_folder_cannot_share_a_name(shelf: Shelf) -> None:
    """Neither way round; what was there first stays."""
    shelf.put("a", b"file")
    with pytest.raises(Conflict):
        shelf.put("a/b", b"below")
    shelf.put("d/x", b"below")
    with pytest.raises(Conflict):
        shelf.put("d", b"file")
    assert shelf.live() == {"a": b"file", "d/x": b"below"}


@given(
    old=st.binary(max_size=40),
    new=st.binary(max_size=60),
    shared=st.integers(min_value=0, max_value=40),
    cuts=st.lists(st.integers(min_value=0, max_value=60), max_size=6),
)
def test_whole_files_sent_in_any_pieces_mean_the_same(
    quick_folders: Path, old: bytes, new: bytes, shared: int, cuts: list[int]
) -> None:
    """However the transfer is cut: longer or equal with the same beginning is growth, all else a new generation."""
    new = old[:shared] + new
    shelf = _shared_shelf(quick_folders)
    path = f"{next(_numbers)}.log"
    shelf.put(path, old)
    incoming = shelf.archive.begin(AGENT, path)
    position = 0
    for cut in [*sorted(cuts), len(new)]:
        incoming.write(new[position : max(position, cut)])
        position = max(position, min(cut, len(new)))
    incoming.commit()
    assert shelf.history(path) == ([new] if new.startswith(old) else [old, new])


_numbers = itertools.count()
_shelves: list[Shelf] = []


def _shared_shelf(folders: Path) -> Shelf:
    if not _shelves:
        folder = folders / "shared"
        folder.mkdir()
        _shelves.append(Shelf(folder))
    return _shelves[0]


@pytest.fixture(autouse=True, scope="module")
def _close_shared_shelf() -> Iterator[None]:
    yield
    while _shelves:
        _shelves.pop().close()
