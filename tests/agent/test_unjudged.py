"""Files that are deleted before anybody could decide what they are: they were opened at the first hint."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent.config import SourceSettings
from logferry.agent.files import open_file
from logferry.agent.identity import EMPTY, UNSEEN
from logferry.agent.rows import Row, State
from logferry.agent.scan import Seen, lstat
from logferry.agent.sources import Source
from logferry.agent.unjudged import Unjudged
from logferry.ftp import Filesystem, User
from logferry.ftp.local import LocalFilesystem
from logferry.ftp.local_upload import LocalUpload
from logferry.limits import HANDLE_IDLE_S, UNJUDGED_MAX
from tests.agent.conftest import Node, RunningAgent, eventually, lines
from tests.agent.shelves import LocalShelf


class Gate:
    """Uploads wait here while it is closed."""

    opened = threading.Event()
    reached = threading.Event()


class GatedFilesystem(LocalFilesystem):
    """A folder into which nothing comes while the gate is closed."""

    def open_upload(self, path: str, *, offset: int, append: bool) -> LocalUpload:
        Gate.reached.set()
        assert Gate.opened.wait(60)
        return super().open_upload(path, offset=offset, append=append)


class GatedShelf(LocalShelf):
    """A server that takes its time."""

    def _filesystem(self, user: User) -> Filesystem:
        return GatedFilesystem(str(self.home))


@pytest.fixture
def gated_node(tmp_path: Path) -> Iterator[Node]:
    """A node whose server's gate is closed."""
    (tmp_path / "server").mkdir()
    Gate.opened.clear()
    Gate.reached.clear()
    shelf = GatedShelf(tmp_path / "server")
    yield Node(tmp_path / "node", shelf)
    Gate.opened.set()
    shelf.stop()


def test_a_file_deleted_while_its_rotation_had_to_wait_is_sent_all_the_same(gated_node: Node) -> None:
    """A log is rotated twice while its first file is being sent; the second file is deleted meanwhile."""
    node = gated_node
    node.write("app.log", lines(0, 5))
    with RunningAgent(node, watcher=True) as running:
        assert Gate.reached.wait(60)
        os.rename(node.path("app.log"), node.path("app.log.1"))
        node.write("app.log", lines(5, 6))
        path = node.path("app.log")
        eventually(lambda: path in running.agent._lookout.deferred, timeout_s=60)
        os.unlink(path)
        node.write("app.log", lines(11, 7))
        Gate.opened.set()
        wanted = sorted([lines(0, 5), lines(5, 6), lines(11, 7)])
        eventually(lambda: sorted([*node.current().values(), *node.generations("app.log")]) == wanted, node.current, 60)
        now = node.current()
    assert (now["app.log"], now["app.log.1"]) == (lines(11, 7), lines(0, 5))
    again = node.once()
    assert (again.complete, again.sent_bytes) == (True, 0)


def test_only_files_of_no_row_are_held_and_not_for_ever(tmp_path: Path) -> None:
    """Few at a time; a deleted one is given away once, one that keeps its name is let go after a while."""
    now_s = 0.0
    held = Unjudged(lambda: now_s)
    source = Source.of(SourceSettings(path=str(tmp_path), to="/logs"))

    def seen(name: str) -> Seen:
        path = os.fsencode(tmp_path / name)
        (tmp_path / name).write_text(name)
        stat = lstat(path)
        assert stat is not None
        return Seen(path, stat, source)

    one, two, three = seen("one"), seen("two"), seen("three")
    file = open_file(three.path)
    row = Row(1, three.path, "three", "", State.NEW, file.stat.inode, file.inode_generation, UNSEEN, EMPTY)
    file.close()
    for each in (one, one, two):
        held.hold(each, [row], linked=False)
    held.hold(three, [row], linked=False)
    assert len(held) == 2
    assert list(held.deleted()) == []
    os.unlink(one.path)
    ((was, file),) = held.deleted()
    assert (was, file.read(0, 9)) == (one, b"one")
    file.close()
    now_s = HANDLE_IDLE_S + 1
    assert (list(held.deleted()), len(held)) == ([], 0)
    for number in range(UNJUDGED_MAX + 2):
        held.hold(seen(str(number)), [], linked=False)
    assert len(held) == UNJUDGED_MAX
    held.close_all()
    assert len(held) == 0
