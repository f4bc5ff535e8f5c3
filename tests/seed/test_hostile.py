"""An older archive in which somebody lays traps while root takes it over; and an agent that fills what is put aside."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.archive import Archive, Catalog
from logferry.cli.main import run
from logferry.errors import LogferryError, TooLarge
from logferry.limits import OLD_CONFIG_BYTES_MAX, OLD_CONFIGS_MAX
from logferry.seed.reading import ConfigCopy, StoredFile, stored
from logferry.server import older_tree
from logferry.server.catalogs import catalog_url
from logferry.server.seeding import TreeImport
from logferry.server.several import QUARANTINE, put_aside

SECRET = b"root:only root may read this\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An older archive of one agent, and beside it what only root may read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "2.txt").write_bytes(SECRET)
    tree = tmp_path / "older"
    (tree / "plc-01" / "b").mkdir(parents=True)
    for name in ("1.txt", "2.txt"):
        (tree / "plc-01" / "b" / name).write_bytes(name.encode())
    return tree


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """On the same file system."""
    (tmp_path / "data").mkdir()
    with (
        Catalog.open(catalog_url(str(tmp_path / "data"))) as catalog,
        Archive(str(tmp_path / "data"), catalog) as archive,
    ):
        catalog.agents.add("plc-01")
        yield archive


def swap(tree: Path) -> None:
    """What somebody does who may write to the older archive: a folder becomes a link that leads out."""
    (tree / "plc-01" / "b").rename(tree / "away")
    (tree / "plc-01" / "b").symlink_to(tree.parent / "outside")


def files(tree: Path) -> list[StoredFile]:
    """Those of the agent, as they were looked at."""
    return [one for one in stored(str(tree), "plc-01") if isinstance(one, StoredFile)]


def test_a_file_swapped_for_a_link_after_it_was_looked_at_is_not_read(tree: Path) -> None:
    found = files(tree)
    assert [older_tree.content(one, 100) for one in found] == [b"1.txt", b"2.txt"]
    (tree / "plc-01" / "b" / "1.txt").unlink()
    (tree / "plc-01" / "b" / "1.txt").symlink_to(tree.parent / "outside" / "2.txt")
    with pytest.raises((LogferryError, OSError)):
        older_tree.content(found[0], 100)
    swap(tree)
    with pytest.raises((LogferryError, OSError)):
        older_tree.content(found[1], 100)
    (tree / "plc-01").rename(tree / "gone")
    (tree / "plc-01").symlink_to(tree / "gone")
    with pytest.raises(OSError):
        older_tree.content(found[0], 100)


def test_a_file_that_grew_after_it_was_looked_at_is_not_read_whole(tree: Path) -> None:
    found = files(tree)
    (tree / "plc-01" / "b" / "1.txt").write_bytes(b"x" * 101)
    with pytest.raises(TooLarge):
        older_tree.content(found[0], 100)


@pytest.mark.parametrize("in_place", [False, True], ids=["copied", "moved"])
def test_a_folder_swapped_for_a_link_during_the_import_leads_nowhere(
    tree: Path, archive: Archive, in_place: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the outside gets into the archive, and nothing is taken away there."""
    monkeypatch.setattr("logferry.server.seeding.BUNDLE_MEMBER_BYTES_MAX", 0)  # each by itself, not as a batch
    swapping: Callable[[int, int], None] = lambda files, _bytes: swap(tree) if files == 1 else None  # noqa: E731
    done = TreeImport(archive, str(tree.parent / "data"), in_place=in_place, tell=swapping).take(str(tree), "plc-01")
    assert done.failed == 1, done.said
    assert done.files == 1
    assert archive.catalog.files.at("plc-01", "b/2.txt") is None
    assert (tree.parent / "outside" / "2.txt").read_bytes() == SECRET


def test_settings_that_agents_uploaded_go_aside_each_under_its_own_name(tree: Path, archive: Archive) -> None:
    """Two paths are never one name; what is far too large stays, and is not read."""
    for path in ("a/b/AgentConfig.txt", "a_b/AgentConfig.txt", "a/b_AgentConfig.txt", "AgentConfig_big.txt"):
        place = tree / "plc-01" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.encode() * (1 if "big" not in path else OLD_CONFIG_BYTES_MAX))
    data = tree.parent / "data"
    done = TreeImport(archive, str(data), move_configs=True).take(str(tree), "plc-01")
    aside = {file.read_bytes() for file in (data / QUARANTINE / "plc-01").iterdir()}
    assert aside == {b"a/b/AgentConfig.txt", b"a_b/AgentConfig.txt"}
    assert done.failed == 1
    assert (tree / "plc-01" / "AgentConfig_big.txt").exists()
    assert not (tree / "plc-01" / "a" / "b" / "AgentConfig.txt").exists()
    assert any(isinstance(one, ConfigCopy) for one in stored(str(tree), "plc-01"))


def test_a_pipe_in_place_of_settings_is_refused_and_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "trap"
    folder.mkdir()
    os.mkfifo(folder / "ServerConfig.txt")
    assert run(["import-seed", str(folder)]) != 0
    assert "is no plain file" in capsys.readouterr().err


def test_an_agent_cannot_fill_the_disk_with_settings_that_are_put_aside(tmp_path: Path) -> None:
    """A name that is there may be written anew."""
    folder = str(tmp_path / "plc-01")
    for number in range(OLD_CONFIGS_MAX):
        put_aside(folder, f"AgentConfig{number}.txt", b"one")
    with pytest.raises(TooLarge):
        put_aside(folder, "AgentConfig_more.txt", b"one")
    put_aside(folder, "AgentConfig3.txt", b"two")
    assert len(os.listdir(folder)) == OLD_CONFIGS_MAX
    assert (tmp_path / "plc-01" / "agentconfig3.txt").read_bytes() == b"two"


def test_a_stored_tree_outside_of_the_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its address, or by a link: whoever wrote that file may mean another folder than its name says."""
    (tmp_path / "private" / "keys").mkdir(parents=True)
    for number, log_dir in enumerate((str(tmp_path / "private"), "../private", "link")):
        folder = tmp_path / f"trap{number}"
        folder.mkdir()
        (folder / "link").symlink_to(tmp_path / "private")
        (folder / "ServerConfig.txt").write_text(f"LOG_DIR:{log_dir}\n")
        assert run(["import-seed", str(folder), "--to", str(tmp_path / "new")]) == 0
        assert "is that the older archive?" in capsys.readouterr().out
