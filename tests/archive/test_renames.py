"""Renames: publishing, moving files and folders, filing earlier generations."""

from __future__ import annotations

import pytest

from logferry.errors import Conflict, NotFound, Refused
from logferry.names import aside_name, temporary_name
from tests.archive.conftest import AGENT, Shelf

STAMP = "20261123T081400Z-1a2b3c4d"


@pytest.mark.databases
def test_rotation_moves_generations_and_old_numbers_still_resolve(shelf: Shelf) -> None:
    """``.1`` -> ``.2``, then ``log`` -> ``.1``: nothing is copied, every (path, number) ever given out resolves."""
    shelf.put("app.log.1", b"older\n")
    shelf.put("app.log", b"old\n")
    first = shelf.catalog.files.at(AGENT, "app.log")
    assert first is not None
    shelf.rename("app.log.1", "app.log.2")
    shelf.rename("app.log", "app.log.1")
    shelf.put("app.log", b"new\n")
    assert shelf.everything() == {"app.log": [b"new\n"], "app.log.1": [b"old\n"], "app.log.2": [b"older\n"]}
    assert shelf.live() == {"app.log": b"new\n", "app.log.1": b"old\n", "app.log.2": b"older\n"}
    moved = shelf.catalog.files.generation(first.id, 1)
    assert moved is not None
    assert moved.id == first.generation_id
    assert shelf.bytes_of(moved.id) == b"old\n"
    now = shelf.catalog.files.generation(first.id)
    assert now is not None
    assert now.number == 2


def test_a_moved_generation_keeps_growing_at_its_new_path(shelf: Shelf) -> None:
    """A writer that holds the rotated file open still writes to it."""
    shelf.put("app.log", b"old\n")
    shelf.rename("app.log", "app.log.1")
    shelf.put("app.log.1", b"late\n", offset=4)
    assert shelf.history("app.log.1") == [b"old\nlate\n"]


def test_a_moved_file_leaves_nothing_to_list(shelf: Shelf) -> None:
    """The old path holds nothing, so it is neither in the tree nor in the catalog's lists."""
    shelf.put("a.log", b"x")
    shelf.rename("a.log", "b.log")
    assert shelf.catalog.files.at(AGENT, "a.log") is None
    assert [file.path for file in shelf.catalog.files.folder(AGENT, "").files] == ["b.log"]
    assert shelf.size("a.log") is None


def test_moving_onto_a_file_keeps_it_as_an_earlier_generation(shelf: Shelf) -> None:
    """RNTO over an existing path overwrites nothing."""
    shelf.put("a.log", b"a")
    shelf.put("b.log", b"b")
    shelf.rename("a.log", "b.log")
    assert shelf.history("b.log") == [b"b", b"a"]
    assert shelf.live() == {"b.log": b"a"}


def test_an_aside_name_files_an_earlier_generation(shelf: Shelf) -> None:
    """The agent moves the old copy aside, then sends the new file: two generations of one path."""
    shelf.put("var/app.log", b"old")
    shelf.rename("var/app.log", f"var/{aside_name('app.log', STAMP)}")
    assert shelf.current("var/app.log") is None
    assert shelf.size("var/app.log") is None
    assert shelf.live() == {}
    shelf.put("var/app.log", b"new")
    assert shelf.history("var/app.log") == [b"old", b"new"]


def test_an_aside_name_of_a_long_name_is_understood(shelf: Shelf) -> None:
    """Names too long for the suffix travel as a hash."""
    name = "x" * 255
    shelf.put(name, b"old")
    shelf.rename(name, aside_name(name, STAMP))
    shelf.put(name, b"new")
    assert shelf.history(name) == [b"old", b"new"]


def test_an_ended_path_still_shows_what_it_holds(shelf: Shelf) -> None:
    """Nothing archived disappears from the catalog because nothing followed it."""
    shelf.put("app.log", b"old")
    shelf.rename("app.log", aside_name("app.log", STAMP))
    file = shelf.catalog.files.at(AGENT, "app.log")
    assert file is not None
    assert (file.has_current, file.size, file.number) == (False, 3, 1)
    with pytest.raises(NotFound):
        shelf.archive.stat(AGENT, "app.log")


def test_an_aside_name_of_another_file_is_just_a_name(shelf: Shelf) -> None:
    """Only ``name`` itself can be moved to ``name.~gen-…~``."""
    shelf.put("a.log", b"a")
    other = aside_name("b.log", STAMP)
    shelf.rename("a.log", other)
    assert shelf.history(other) == [b"a"]


def test_publishing_onto_a_file_keeps_it(shelf: Shelf) -> None:
    """A temporary name renamed over other content: both stay."""
    shelf.put("a.log", b"old")
    name = temporary_name("a.log")
    shelf.put(name, b"new")
    shelf.rename(name, "a.log")
    assert shelf.history("a.log") == [b"old", b"new"]


@pytest.mark.databases
@pytest.mark.parametrize("new", [b"same", b"same and more"])
def test_publishing_the_same_or_more_of_it_is_growth(shelf: Shelf, new: bytes) -> None:
    """A publish whose confirmation was lost may be repeated."""
    shelf.put("a.log", b"same")
    name = temporary_name("a.log")
    shelf.put(name, new)
    shelf.rename(name, "a.log")
    assert shelf.history("a.log") == [new]
    assert shelf.live() == {"a.log": new}
    assert shelf.size(name) is None
    assert list((shelf.folder / "incoming" / AGENT).iterdir()) == []


def test_publishing_takes_the_time_that_was_set_on_the_temporary_name(shelf: Shelf) -> None:
    """MFMT before RNTO."""
    name = temporary_name("a.log")
    shelf.put(name, b"x")
    shelf.archive.set_modified(AGENT, name, 1_600_000_000_000_000_000)
    shelf.rename(name, "a.log")
    assert shelf.archive.stat(AGENT, "a.log").modified_ns == 1_600_000_000_000_000_000


def test_a_running_upload_of_either_name_is_ended_first(shelf: Shelf) -> None:
    """What it brought stays with the generation it was for."""
    shelf.put("a.log", b"0123")
    running = shelf.archive.begin(AGENT, "a.log", offset=4)
    running.write(b"45")
    shelf.rename("a.log", "a.log.1")
    assert shelf.history("a.log.1") == [b"012345"]
    with pytest.raises(Conflict):
        running.commit()


@pytest.mark.parametrize(
    ("source", "target"), [("nothing", "x"), (temporary_name("x"), "x"), (temporary_name("x"), temporary_name("y"))]
)
def test_what_is_not_there_cannot_be_renamed(shelf: Shelf, source: str, target: str) -> None:
    """Files, folders and temporary names alike."""
    with pytest.raises(NotFound):
        shelf.rename(source, target)


def test_a_published_file_does_not_become_temporary_again(shelf: Shelf) -> None:
    """Nobody can hide what is archived."""
    shelf.put("a.log", b"x")
    with pytest.raises(Refused):
        shelf.rename("a.log", temporary_name("a.log"))
    assert shelf.current("a.log") == b"x"


def test_renaming_to_itself_changes_nothing(shelf: Shelf) -> None:
    """No new generation, no former name."""
    shelf.put("a.log", b"x")
    shelf.rename("a.log", "a.log")
    assert shelf.history("a.log") == [b"x"]


@pytest.mark.databases
def test_a_folder_moves_with_everything_in_it(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, folders, empty ones too; generations stay the same; also when it takes several transactions."""
    monkeypatch.setattr("logferry.archive.renames.RENAME_BATCH_FILES", 3)
    for number in range(8):
        shelf.put(f"old/d{number % 2}/f{number}.log", b"%d" % number)
    shelf.archive.make_folder(AGENT, "old/empty/deep")
    before = {file.generation_id for file in shelf.catalog.files.each()}
    shelf.rename("old", "new/place")
    assert shelf.live() == {f"new/place/d{n % 2}/f{n}.log": b"%d" % n for n in range(8)}
    assert {file.generation_id for file in shelf.catalog.files.each()} == before
    assert [node.name for node in shelf.archive.entries(AGENT, "")] == ["new"]
    assert [node.name for node in shelf.archive.entries(AGENT, "new/place")] == ["d0", "d1", "empty"]
    assert shelf.archive.stat(AGENT, "new/place/empty/deep").is_folder
    assert not (shelf.folder / "live" / AGENT / "old").exists()
    with pytest.raises(NotFound):
        shelf.archive.stat(AGENT, "old")


def test_a_folder_moved_onto_another_keeps_what_was_there(shelf: Shelf) -> None:
    """File by file, as with single files."""
    shelf.put("a/x.log", b"from a")
    shelf.put("b/x.log", b"in b")
    shelf.put("b/y.log", b"only b")
    shelf.rename("a", "b")
    assert shelf.everything() == {"b/x.log": [b"in b", b"from a"], "b/y.log": [b"only b"]}


def test_a_folder_that_moved_away_can_come_back(shelf: Shelf) -> None:
    """Its name is free again, with its old file ids."""
    shelf.put("a/x.log", b"1")
    shelf.rename("a", "b")
    shelf.put("a/x.log", b"2")
    assert shelf.everything() == {"a/x.log": [b"2"], "b/x.log": [b"1"]}
    assert shelf.archive.stat(AGENT, "a").is_folder


def test_a_folder_cannot_move_into_itself_nor_onto_a_file(shelf: Shelf) -> None:
    """Both are refused before anything moves."""
    shelf.put("a/x.log", b"1")
    shelf.put("f", b"file")
    with pytest.raises(Refused):
        shelf.rename("a", "a/b")
    with pytest.raises(Conflict):
        shelf.rename("a", "f")
    assert shelf.live() == {"a/x.log": b"1", "f": b"file"}


@pytest.mark.databases
def test_removing_a_file_only_ends_it(shelf: Shelf) -> None:
    """The tree no longer shows it, the archive still has it."""
    shelf.put("a.log", b"x")
    shelf.archive.remove_file(AGENT, "a.log")
    assert shelf.live() == {}
    assert shelf.history("a.log") == [b"x"]
    with pytest.raises(NotFound):
        shelf.archive.remove_file(AGENT, "a.log")


def test_removing_a_partial_drops_it(shelf: Shelf) -> None:
    """It was never confirmed as a file."""
    shelf.put(temporary_name("a"), b"x")
    shelf.archive.remove_file(AGENT, temporary_name("a"))
    assert shelf.size(temporary_name("a")) is None


def test_only_empty_folders_can_be_removed(shelf: Shelf) -> None:
    """A folder with files stays."""
    shelf.put("d/a.log", b"x")
    with pytest.raises(Conflict):
        shelf.archive.remove_folder(AGENT, "d")
    shelf.archive.remove_file(AGENT, "d/a.log")
    shelf.archive.remove_folder(AGENT, "d")
    with pytest.raises(NotFound):
        shelf.archive.stat(AGENT, "d")
    assert shelf.history("d/a.log") == [b"x"]
