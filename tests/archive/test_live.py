"""The trees of files: nothing leads out of them, whatever somebody has planted inside."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.archive.durable import Disk
from logferry.archive.live import LiveTree, openat2, resolver, walk
from logferry.errors import Conflict, LogferryError, NotPermitted
from tests.archive.conftest import AGENT, Shelf

Resolve = Callable[[int, bytes], int]
RESOLVERS: list[Resolve] = [walk] if resolver() is walk else [walk, openat2]


@pytest.fixture(params=RESOLVERS, ids=lambda resolve: resolve.__name__)
def tree(request: pytest.FixtureRequest, folder: Path) -> LiveTree:
    """A tree in ``folder/root``, with each way of resolving that this kernel has."""
    return LiveTree(str(folder / "root"), Disk(), resolve=request.param)


def test_folders_are_made_and_found(tree: LiveTree, folder: Path) -> None:
    """Every parent of a made folder is handed over to be synced."""
    synced: list[int] = []
    made = tree.make("a/b/c", lambda parent: synced.append(parent.fd))
    assert (folder / "root/a/b/c").is_dir()
    assert len(synced) == 3
    found = tree.folder("a/b/c")
    assert found is made
    assert tree.folder("a/x") is None


def test_a_folder_removed_by_another_process_is_made_again(tree: LiveTree, folder: Path) -> None:
    """An open folder without a name is not written into."""
    tree.make("a/b", lambda _: None)
    (folder / "root/a/b").rmdir()
    made = tree.make("a/b", lambda _: None)
    os.close(made.open(b"f", os.O_CREAT | os.O_WRONLY))
    assert (folder / "root/a/b/f").exists()


@pytest.mark.parametrize("path", ["link", "link/below", "d/link", "d/link/below"])
def test_a_symbolic_link_is_never_followed(tree: LiveTree, folder: Path, path: str) -> None:
    """Neither as the folder itself nor on the way, neither absolute nor relative nor inside the tree."""
    (folder / "outside/below").mkdir(parents=True)
    tree.make("d", lambda _: None)
    (folder / "root/link").symlink_to(folder / "outside")
    (folder / "root/d/link").symlink_to("../../outside")
    with pytest.raises(NotPermitted):
        tree.folder(path)


@pytest.mark.parametrize("path", ["..", "a/../..", "../outside", "/etc", "a/./../../x"])
def test_no_path_leads_out(tree: LiveTree, folder: Path, path: str) -> None:
    """Not even one that the checks above would never let through."""
    (folder / "outside").mkdir()
    tree.make("a", lambda _: None)
    try:
        assert tree.folder(path) is None or not os.path.samefile(f"/proc/self/fd/{_fd(tree, path)}", folder)
    except (OSError, LogferryError):
        return


def _fd(tree: LiveTree, path: str) -> int:
    found = tree.folder(path)
    assert found is not None
    inside = os.path.realpath(f"/proc/self/fd/{found.fd}")
    assert "/root" in inside
    return found.fd


def test_a_planted_link_to_a_file_is_not_opened(tree: LiveTree, folder: Path) -> None:
    """O_NOFOLLOW on the last component too."""
    (folder / "secret").write_text("secret")
    (folder / "root/log").symlink_to(folder / "secret")
    top = tree.folder("")
    assert top is not None
    with pytest.raises(NotPermitted):
        top.open(b"log")


def test_a_planted_pipe_does_not_hang(tree: LiveTree, folder: Path) -> None:
    """Opening it says what it is."""
    os.mkfifo(folder / "root/log")
    top = tree.folder("")
    assert top is not None
    with pytest.raises(NotPermitted):
        top.open(b"log")


def test_a_path_through_a_file_is_a_conflict(tree: LiveTree, folder: Path) -> None:
    """A clash of names is no attack."""
    (folder / "root/f").write_text("x")
    with pytest.raises(Conflict):
        tree.folder("f/below")


def test_a_folder_swapped_for_a_link_all_the_time_never_leads_out(tree: LiveTree, folder: Path) -> None:
    """Ten thousand openings race against somebody who exchanges a folder and a link to the outside."""
    (folder / "outside/d").mkdir(parents=True)
    outside = os.stat(folder / "outside/d").st_ino
    (folder / "root/x/d").mkdir(parents=True)
    os.symlink(folder / "outside", folder / "link")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(folder / "root/x", folder / "aside")
            os.rename(folder / "link", folder / "root/x")
            os.rename(folder / "root/x", folder / "link")
            os.rename(folder / "aside", folder / "root/x")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(5_000):
            tree.close()
            try:
                found = tree.folder("x/d")
            except (NotPermitted, Conflict, OSError):
                continue
            if found is not None:
                assert os.fstat(found.fd).st_ino != outside
    finally:
        stop.set()
        thread.join()
    tree.close()
    assert tree.folder("x/d") is not None


def test_many_list_one_folder_at_once(tree: LiveTree, folder: Path) -> None:
    """Each sees every name: they share the open folder, not the place in it."""
    tree.make("d", lambda _: None)
    for number in range(300):
        (folder / f"root/d/{number}").touch()
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.extend(len(list(tree.walk("d"))) for _ in range(20))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {300}


@pytest.mark.parametrize("planted", ["live/web-01/var", "live/web-01/var/log", "live/web-01/var/log/a.log"])
def test_uploads_refuse_what_was_planted(shelf: Shelf, planted: str) -> None:
    """A link anywhere on the path of a live file: nothing is written through it, nothing is read through it."""
    outside = shelf.folder / "outside"
    outside.mkdir()
    (outside / "a.log").write_text("theirs")
    place = shelf.folder / planted
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside / "a.log" if planted.endswith(".log") else outside)
    with pytest.raises(LogferryError):
        shelf.put("var/log/a.log", b"ours")
    assert (outside / "a.log").read_text() == "theirs"
    assert sorted(outside.iterdir()) == [outside / "a.log"]


def test_a_live_file_replaced_by_a_link_is_not_served(shelf: Shelf) -> None:
    """Reading goes through the same openings."""
    (shelf.folder / "secret").write_text("secret")
    done = shelf.put("a.log", b"public")
    live = shelf.folder / "live" / AGENT / "a.log"
    live.unlink()
    live.symlink_to(shelf.folder / "secret")
    assert done.generation_id is not None
    with pytest.raises(NotPermitted):
        shelf.bytes_of(done.generation_id)
