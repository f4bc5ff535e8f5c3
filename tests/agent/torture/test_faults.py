"""Rows 17, 18 and 39 to 43: kills, files that go or cannot be read, queues and disks that are full, network mounts."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.agent.inotify import Inotify
from logferry.agent.journal import Journal
from tests.agent.conftest import eventually, lines
from tests.agent.torture.disks import filled, mounted, small_disk
from tests.agent.torture.yard import FOLLOWS_RENAMES, WAIT_S, AgentProgram, Yard, part
from tests.security.amounts import HEAVY, amount

BACKLOG_LINES = amount("backlog", 30_000, 300_000)


def test_row_17_an_agent_killed_five_times_in_a_trickle_loses_and_doubles_nothing(yard: Yard) -> None:
    """A line now and then, all the time, also while it is dead."""
    written = 0
    for _ in range(5):
        agent = AgentProgram(yard.node, small_slices=True)
        end = time.monotonic() + (1.0 if HEAVY else 0.2)
        while time.monotonic() < end:
            yard.write("app.log", lines(written, 2))
            written += 2
            time.sleep(0.01)
        agent.kill()
    print(f"{written} lines")
    yard.finish()


def test_row_18_an_agent_killed_twice_in_a_backlog_loses_and_doubles_nothing(yard: Yard) -> None:
    """Killed when some of it has arrived; another log grows meanwhile."""
    yard.write("app.log", lines(0, BACKLOG_LINES))
    whole = yard.ledger.lives[0].size
    yard.node.upload_rate = str(whole)
    for share in (0.2, 0.5):
        agent = AgentProgram(yard.node, small_slices=True)
        eventually(functools.partial(_holds, yard, share * whole), timeout_s=WAIT_S)
        agent.kill()
        yard.write("other.log", lines(0, 10))
    yard.node.upload_rate = ""
    summary = yard.once()
    assert summary.sent_bytes < whole
    yard.finish()


def _holds(yard: Yard, size: float) -> bool:
    """Whether the server has so many bytes of the logs, whatever their name."""
    return sum(len(data) for data in yard.node.current().values()) >= size


def test_row_39_a_deleted_source_stays_in_the_archive(yard: Yard, watcher: bool) -> None:
    """With the folder that it was in; a new one of that name does not replace it."""
    with yard.live(watcher=watcher):
        yard.write("app.log", lines(0, 100))
        yard.write("sub/dir/deep.log", lines(200, 100))
        yard.wait()
        yard.delete("app.log")
        yard.delete("sub/dir/deep.log")
        shutil.rmtree(yard.node.path("sub"))
        yard.write("marker.log", b"x")
        yard.wait()
    assert yard.node.current()["app.log"] == lines(0, 100)
    assert yard.node.current()["sub/dir/deep.log"] == lines(200, 100)
    yard.write("app.log", lines(500, 10))
    yard.finish()


def _without_override() -> list[str]:
    """For root: a program that has to keep to the permissions of files, as everybody else."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, as root may read everything")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def test_row_40_an_unreadable_file_and_a_dangling_link_are_named_and_the_others_go_on(yard: Yard) -> None:
    """Counted in the status; sent as soon as it is readable."""
    yard.node.include = '["*.log"]'
    yard.write("secret.log", lines(0, 10))
    yard.write("closed/inside.log", lines(100, 10))
    os.chmod(yard.node.path("secret.log"), 0)
    os.chmod(yard.node.path("closed"), 0)
    os.symlink("nothing", yard.node.path("dangling.log"))
    with AgentProgram(yard.node, *_without_override()):
        for number in range(3):
            yard.write(f"fine-{number}.log", lines(number, 5))
        eventually(lambda: len(yard.node.current()) == 3, yard.node.current, timeout_s=WAIT_S)
        eventually(lambda: len(yard.status().failing) == 1 and len(yard.status().findings) == 2, timeout_s=WAIT_S)
        status = yard.status()
        assert ("secret.log" in status.failing[0].path, "not readable" in status.failing[0].why) == (True, True)
        assert any("dangling.log: link to" in finding for finding in status.findings), status
        assert any("closed: entry is not readable" in finding for finding in status.findings), status
        os.chmod(yard.node.path("secret.log"), 0o600)
        os.chmod(yard.node.path("closed"), 0o700)
        yard.wait()
    os.unlink(yard.node.path("dangling.log"))
    yard.finish()


def test_row_41_an_overflow_of_the_event_queue_is_followed_by_a_full_look(yard: Yard) -> None:
    """The agent stands still while more happens than the queue holds: it has no other way to know of the last files."""
    size = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    yard.node.scan_interval = "1h"
    for name in ("a.log", "b.log"):
        yard.write(name, lines(0, 10))
    with AgentProgram(yard.node) as agent:
        yard.wait()
        witness = Inotify(Journal())
        witness.watch(os.fsencode(yard.node.logs))
        with agent.paused():
            for turn in range(size // 2 + 100):  # by turns, as equal events behind each other are merged
                for name in ("a.log", "b.log"):
                    yard.dated(name, turn * 1000)
            for number in range(20):
                yard.write(f"unseen-{number}.log", lines(number * 100, 50))
                yard.write("a.log", lines(100 + number, 1))
            yard.rename("b.log", "b.log.1")
        assert witness.read().everywhere, "the queue did not overflow"
        witness.close()
        yard.wait()
    yard.finish()


def test_row_42_a_full_disk_under_the_registry_does_not_stop_shipping(yard: Yard) -> None:
    """New files and growth arrive meanwhile, renames once they can be recorded; nothing twice when it starts anew."""
    with small_disk(yard.node.base / "agent-state", "8m") as disk:
        yard.write("app.log", lines(0, 100))
        with yard.live() as running:
            yard.wait()
            with filled(disk):
                for number in range(300):
                    yard.write(f"{'long' * 40}{number}.log", lines(number * 10, 5))
                yard.write("app.log", lines(100, 100))
                yard.wait()
                assert part(running, "registry").behind is not None
                yard.rename("app.log", "app.log.1")
                yard.write("app.log", lines(5000, 10))
            yard.write("app.log.1", lines(200, 100))
            yard.wait()
            eventually(lambda: part(running, "registry").behind is None, timeout_s=WAIT_S)
        yard.finish()


@pytest.fixture
def remount(yard: Yard, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Makes the logs appear, in one moment, as a network mount shows them after it came back: the same bytes, names and
    times, but other inode numbers and another device."""
    with contextlib.ExitStack() as stack:
        disks = [stack.enter_context(small_disk(tmp_path / name, "40m")) for name in ("one", "two")]
        numbers = itertools.count()

        def again() -> None:
            number = next(numbers)
            copy = disks[number % 2] / str(number)
            shutil.copytree(yard.node.logs, copy)
            before = os.stat(yard.node.logs)
            stack.enter_context(mounted(yard.node.logs, kind="none", source=str(copy), options="bind"))
            after = os.stat(yard.node.logs)
            assert (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino)

        yield again


@pytest.mark.parametrize("live", [False, True], ids=["while away", "live"])
def test_row_43_inodes_and_device_that_change_again_and_again_send_nothing_twice(
    yard: Yard, remount: Callable[[], None], live: bool
) -> None:
    """Path and content are what counts. Growth goes on, also growth in the moment of the change; rotation, too."""
    for number in range(5):
        yard.write(f"sub/{number}.log", lines(number * 1000, 200 * number))

    def happen() -> Iterator[None]:
        for turn in range(3):
            remount()
            yield
            yard.write("sub/2.log", lines(50_000 + turn * 10, 10))
            yield
            yard.write("sub/3.log", lines(60_000 + turn * 10, 10))
            remount()
            yield
        yard.rotate("sub/2.log")
        yard.write("sub/2.log", lines(90_000, 10))
        yield

    if live:
        with yard.live(watcher=False):
            yard.wait()
            for _ in happen():
                yard.wait()
                time.sleep(4 * 0.05)  # some looks at what does not change
        sent = yard.status().sent_bytes
    else:
        sent = yard.once().sent_bytes
        for _ in happen():
            sent += yard.once().sent_bytes
            assert yard.arrived()
    yard.finish()
    assert sent == sum(life.size for life in yard.ledger.lives)


def test_row_43_a_file_deleted_on_a_network_mount_keeps_its_path_though_it_is_still_open(yard: Yard) -> None:
    """An NFS client gives a file that is deleted while somebody has it open a name of its own, until it is closed. That
    is no rename: the archived bytes stay where they are, and what comes through the old handle still arrives."""
    with yard.live(watcher=False), yard.program("app.log") as program:
        program.write(lines(0, 100))
        yard.wait()
        program.write(lines(100, 10))
        unlinked = yard.node.path(".nfs00000000a1b2c3d400000001")
        os.rename(yard.node.path("app.log"), unlinked)
        yard.ledger.removed(b"app.log")
        yard.wait()
        yard.write("app.log", lines(5000, 10))
        program.write(lines(110, 10))
        yard.wait()
        os.unlink(unlinked)
        yard.wait()
    assert not [name for name in yard.node.current() if ".nfs" in name]
    yard.finish()


STALE = [
    pytest.param("openat", id="when it is opened"),
    pytest.param(
        "fstat,newfstatat",
        id="when it is looked at",
        marks=pytest.mark.skipif(not FOLLOWS_RENAMES, reason="looks do not bear that yet"),
    ),
    pytest.param("pread64", id="when it is read"),
]


@pytest.mark.parametrize("call", STALE)
def test_row_43_a_handle_gone_stale_is_an_error_of_that_file_for_that_time(yard: Yard, call: str) -> None:
    """The kernel answers ESTALE to calls about one file now and then, as it does when a server was exported anew.

    Injected by strace into the real agent: there is no network mount here, its caches and locks are not tested.
    """
    if shutil.which("strace") is None:
        pytest.skip("needs strace: tools/programs.sh strace")
    log = yard.node.path("stale.log").decode()
    yard.write("stale.log", lines(0, 10))
    inject = f"inject={call}:error=ESTALE:when=4+9"
    trace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-P", log, "-e", inject]
    with AgentProgram(yard.node, *trace) as agent:
        for turn in range(6):
            yard.write("stale.log", lines(10 + turn * 10, 10))
            yard.write(f"fine-{turn}.log", lines(turn * 100, 10))
            yard.rename(f"fine-{turn}.log", f"fine-{turn}.log.1")
            yard.wait()
        yard.delete("stale.log")
        yard.write("stale.log", lines(5000, 10))
        yard.wait()
        assert agent.process.poll() is None
        assert "Traceback" not in agent.said, agent.said
        assert '"fault"' not in agent.said, agent.said
    yard.finish()
