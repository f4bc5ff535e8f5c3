"""Rows 7 to 15: the same name, other content. The old content stays a generation of that name."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.agent.files import Handles
from tests.agent.conftest import eventually, lines
from tests.agent.torture.disks import ext4, file_with_inode
from tests.agent.torture.servers import serving
from tests.agent.torture.yard import WAIT_S, Yard, YardNode, part
from tests.security.amounts import HEAVY

DAY_NS = 86_400 * 10**9
AWAY = pytest.mark.parametrize("live", [False, True], ids=["while away", "live"])


def _changes(yard: Yard, live: bool, change: Callable[[], object]) -> None:
    """What was written is delivered; then ``change()``; then that is delivered."""
    if live:
        with yard.live():
            yard.wait()
            change()
            yard.wait()
    else:
        yard.once()
        change()
        yard.once()


def _other(data: bytes) -> bytes:
    """Other lines, of the same length together."""
    return lines(20_000, 2000)[: len(data) - 1] + b"\n"


def test_row_07_copytruncate_of_a_log_that_was_delivered_keeps_it_and_begins_anew(yard: Yard, watcher: bool) -> None:
    """The copy is a file of its own; three times over."""
    with yard.live(watcher=watcher):
        for turn in range(3):
            yard.write("app.log", lines(turn * 1000, 300))
            yard.wait()
            yard.copytruncate("app.log", f"app.log-{turn}")
            yard.write("app.log", lines(turn * 1000 + 500, 20))
            yard.wait()
    yard.finish()


@pytest.mark.parametrize("more", [1, 40, 3000], ids=lambda n: f"{n} lines more")
def test_row_08_truncated_and_refilled_past_the_old_offset_at_once_is_seen_live(
    yard: Yard, watcher: bool, more: int
) -> None:
    """By content: the size alone says "grown"."""
    with yard.live(watcher=watcher):
        yard.write("app.log", lines(0, 500))
        yard.wait()
        yard.copytruncate("app.log", "app.log.1")
        yard.write("app.log", lines(20_000, 500 + more))
        yard.wait()
    yard.finish()


@pytest.mark.parametrize("before", [0, 1000], ids=["new", "grown"])
def test_row_08_truncated_and_refilled_while_it_is_sent_what_is_kept_ends_in_its_own_bytes(
    yard: Yard, before: int
) -> None:
    """The slice is long, the line slow: the agent is in the middle of it when the file becomes another one."""
    yard.node.upload_rate = "3 MB"
    if before:
        yard.write("app.log", lines(0, before))
        yard.once()
    there = _largest(yard)
    first = yard.write("app.log", lines(before, 100_000))
    with yard.live():
        eventually(lambda: _largest(yard) > there + 1_000_000, timeout_s=WAIT_S)
        yard.truncate("app.log")
        yard.write("app.log", lines(500_000, 130_000))
    yard.finish(whole=False)
    kept = [data for data in yard.node.server.generations("app.log") if len(data) > there]
    assert all(first.read().startswith(data) for data in kept)


def _largest(yard: Yard) -> int:
    """Bytes of the largest file that the server has, unfinished ones included."""
    sizes = [0]
    for root in (yard.node.base.parent / "server", yard.node.server.home):  # type: ignore[attr-defined]  # all have one
        for folder, _, names in os.walk(root):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    sizes.append(os.stat(os.path.join(folder, name)).st_size)
    return max(sizes)


@pytest.mark.parametrize("past", [0, 1, 5000], ids=["as long", "a byte longer", "longer"])
def test_row_09_truncated_while_away_and_refilled_past_the_offset_with_lines_that_end_alike(
    yard: Yard, past: int
) -> None:
    """The last 64 bytes before the offset are the same as before: 4 KiB are compared."""
    ending = b" status=200 upstream=10.0.0.17:8080 agent=kube-probe/1.31 time=0.001 ok\n"
    old = lines(0, 500) + ending
    new = lines(20_000, 600)[: len(old) - len(ending)] + ending
    assert len(new) == len(old)
    assert old[-64:] == new[-64:]
    yard.write("app.log", old)
    yard.once()
    yard.truncate("app.log")
    yard.write("app.log", new + b"x" * past)
    yard.once()
    yard.finish()


@pytest.fixture
def reusing_yard(tmp_path: Path) -> Iterator[tuple[Yard, Path]]:
    """A yard whose logs are on a file system that gives numbers again, and a folder of that file system.

    A new ext4 of their own where one may be mounted, as elsewhere others make and delete files, too.
    """
    (tmp_path / "server").mkdir()
    with serving("archive", tmp_path / "server") as server, contextlib.ExitStack() as stack:
        disk = tmp_path
        if os.geteuid() == 0:
            disk = stack.enter_context(ext4(tmp_path / "disk", tmp_path / "disk.image"))
        (disk / "spare").mkdir()
        yield Yard(YardNode(disk / "node", server), tmp_path / "ledger"), disk / "spare"


def _reuse(yard: Yard, spare: Path, name: str, inode: int, data: bytes) -> None:
    for _ in range(5):  # what took the number meanwhile lets it go again
        if file_with_inode(yard.node.path(name), inode, spare):
            break
        time.sleep(1.0)
    else:
        pytest.skip("this file system does not give an inode number again soon (tmpfs, for example)")
    yard.write(name, data)
    assert yard.stat(name).st_ino == inode


@AWAY
@pytest.mark.parametrize("name", ["app.log", "other.log"])
@pytest.mark.parametrize("alike", [False, True], ids=["other content", "same header"])
def test_row_10_a_deleted_logs_inode_number_used_again_is_not_taken_for_it(
    reusing_yard: tuple[Yard, Path], name: str, live: bool, alike: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file is longer than the old one was, so that resuming at the old offset would skip its beginning.

    While the agent holds a file open its number cannot be used again: a live one closes it first.
    """
    yard, spare = reusing_yard
    header = lines(90_000, 300) if alike else b""
    monkeypatch.setattr(Handles.__init__, "__defaults__", (8, 0.0))
    yard.write("app.log", header + lines(0, 300))
    inode = yard.stat("app.log").st_ino
    with yard.live() as running:
        yard.wait()
        eventually(lambda: len(part(running, "handles")) == 0, timeout_s=WAIT_S)
        if live:
            yard.delete("app.log")
            _reuse(yard, spare, name, inode, header + lines(20_000, 500))
            yard.wait()
    if not live:
        yard.delete("app.log")
        _reuse(yard, spare, name, inode, header + lines(20_000, 500))
    yard.finish()


@AWAY
def test_row_11_a_new_file_with_the_same_two_kib_of_header_is_not_confused(yard: Yard, live: bool) -> None:
    """Replaced, and a second file beside it with that header, too."""
    header = b"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username\r\n" * 26
    assert len(header) > 2048
    yard.write("app.log", header + lines(0, 40))

    def replaced() -> None:
        yard.replace("app.log", header + lines(5000, 90))
        yard.write("other.log", header + lines(7000, 40))
        yard.write("short.log", header)

    _changes(yard, live, replaced)
    yard.finish()


@AWAY
def test_row_12_replaced_by_a_file_of_the_same_size_and_newer_is_a_new_generation(yard: Yard, live: bool) -> None:
    """All its bytes are sent, the old ones kept."""
    yard.write("app.log", lines(0, 400))
    _changes(yard, live, lambda: yard.replace("app.log", _other(lines(0, 400))))
    yard.finish()


@AWAY
@pytest.mark.parametrize("how", ["replaced", "in place"])
@pytest.mark.parametrize("where", ["everything", "the middle"])
def test_row_13_same_size_and_same_time_is_seen_by_inode_or_ctime_and_content(
    yard: Yard, live: bool, how: str, where: str
) -> None:
    """Also where only bytes between the first and the last 4 KiB differ; a server that cannot compare cannot know."""
    old = lines(0, 2000)
    if where == "the middle":
        if type(yard.node.server).__name__ != "ArchiveShelf":
            pytest.skip("a server that neither compares nor hashes")
        new = old[:20_000] + b"0" * 100 + old[20_100:]
    else:
        new = _other(old)
    yard.write("app.log", old)
    before = yard.stat("app.log")
    change = yard.replace if how == "replaced" else yard.overwrite
    _changes(yard, live, lambda: change("app.log", new, mtime_ns=before.st_mtime_ns))
    assert (yard.stat("app.log").st_size, yard.stat("app.log").st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    yard.finish()


@AWAY
def test_row_14_growth_with_a_time_set_back_thirty_days_is_sent(yard: Yard, live: bool) -> None:
    """Size decides."""
    yard.write("app.log", lines(0, 50))

    def grow() -> None:
        yard.write("app.log", lines(50, 50))
        yard.dated("app.log", time.time_ns() - 30 * DAY_NS)

    _changes(yard, live, grow)
    yard.finish()


@AWAY
@pytest.mark.parametrize("size", [0, 1, 4096, 5000, 9999] if HEAVY else [0, 5000])
def test_row_15_a_file_that_shrinks_begins_a_new_generation(yard: Yard, live: bool, size: int) -> None:
    """Whatever is left of it is sent from 0; what was there is kept."""
    yard.write("app.log", lines(0, 400)[:10_000])
    _changes(yard, live, lambda: yard.truncate("app.log", size))
    yard.write("app.log", lines(800, 10))
    yard.finish()


def test_row_09_impossible_refilled_with_the_very_same_lines_only_what_is_longer_is_saved(yard: Yard) -> None:
    """500 equal lines cut while nobody looked, 700 equal lines written: the first 500 cannot be told from the old ones.

    They are in the archive once instead of twice; nothing else is missing.
    """
    line = b"heartbeat ok\n"
    yard.write("app.log", line * 500)
    yard.once()
    yard.truncate("app.log")
    yard.write("app.log", line * 700)
    yard.once()
    made = yard.account()
    assert made.wrong == []
    assert [(life.size, have) for life, have in made.short] == [(len(line) * 500, 0)]
    print(f"saved {len(line) * 700} of {len(line) * 1200} bytes")
