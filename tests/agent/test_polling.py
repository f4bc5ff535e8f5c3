"""The agent follows what its watcher tells, with full looks so rare that they cannot be what finds it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.agent.inotify import Inotify
from logferry.agent.journal import Journal
from logferry.agent.rhythm import Rhythm
from logferry.agent.runner import Agent
from logferry.agent.status import read_status
from logferry.agent.watch import Watcher
from logferry.agent.watch_files import WatchFiles
from logferry.limits import SCAN_CPU_SHARE
from tests.agent.conftest import Node, RunningAgent, eventually, lines


class Following(RunningAgent):
    """An agent that looks at everything once, at its start; then only its watcher leads it."""

    def __init__(self, node: Node, watcher: Callable[[Journal], Watcher] = Inotify) -> None:
        node.scan_interval = "1h"
        super().__init__(node, watcher=True)
        self.agent._make_watcher = watcher

    def __enter__(self) -> Following:
        super().__enter__()
        return self


def delivered(node: Node, expected: dict[str, bytes]) -> None:
    """Wait until the server shows exactly that."""
    eventually(lambda: node.current() == expected, node.current, timeout_s=60)


watching = pytest.mark.parametrize("make", [Inotify, WatchFiles])


@watching
def test_a_hint_is_enough(plain_node: Node, make: Callable[[Journal], Watcher]) -> None:
    """New file, growth, rename, new folder with a file, deletion and another file of that name."""
    plain_node.write("app.log", lines(0, 10))
    with Following(plain_node, make):
        delivered(plain_node, {"app.log": lines(0, 10)})
        plain_node.write("app.log", lines(10, 10))
        delivered(plain_node, {"app.log": lines(0, 20)})
        os.rename(plain_node.path("app.log"), plain_node.path("app.log.1"))
        plain_node.write("app.log", lines(500, 5))
        delivered(plain_node, {"app.log": lines(500, 5), "app.log.1": lines(0, 20)})
        plain_node.write("new/deep/b.log", lines(7, 7))
        expected = {"app.log": lines(500, 5), "app.log.1": lines(0, 20), "new/deep/b.log": lines(7, 7)}
        delivered(plain_node, expected)
        os.unlink(plain_node.path("app.log"))
        plain_node.write("app.log", lines(900, 3))
        delivered(plain_node, expected | {"app.log": lines(900, 3)})
    assert plain_node.generations("app.log") == [lines(500, 5)]


@watching
def test_a_renamed_folder_moves_in_the_archive_and_is_followed(
    plain_node: Node, make: Callable[[Journal], Watcher]
) -> None:
    """Nothing of it is sent again, however deep it lies; what is written there later arrives under the new name."""
    files = {f"old/{n}/deep/{n}.log": lines(n, 50) for n in range(20)}
    for name, data in files.items():
        plain_node.write(name, data)
    with Following(plain_node, make) as running:
        delivered(plain_node, files)
        sent = sum(map(len, files.values()))
        os.rename(plain_node.path("old"), plain_node.path("new"))
        moved = {name.replace("old/", "new/"): data for name, data in files.items()}
        delivered(plain_node, moved)
        plain_node.write("new/7/deep/7.log", b"later\n")
        moved["new/7/deep/7.log"] += b"later\n"
        delivered(plain_node, moved)
        eventually(lambda: running.agent._settler.sent_bytes >= sent + 6, timeout_s=60)
        assert running.agent._settler.sent_bytes == sent + 6
        assert running.agent._lookout.generations == 0


def test_a_file_renamed_out_of_the_patterns_into_another_folder_is_followed(plain_node: Node) -> None:
    """The system's own word for it; neither its folder nor its name would have told."""
    plain_node.include = '["app.log"]'
    plain_node.write("app.log", lines(0, 10))
    plain_node.write("old/keep", b"")
    with Following(plain_node):
        delivered(plain_node, {"app.log": lines(0, 10)})
        plain_node.write("app.log", lines(10, 10))
        os.rename(plain_node.path("app.log"), plain_node.path("old/2026.txt"))
        plain_node.write("app.log", lines(500, 1))
        delivered(plain_node, {"app.log": lines(500, 1), "old/2026.txt": lines(0, 20)})
        plain_node.write("old/2026.txt", lines(20, 3))
        delivered(plain_node, {"app.log": lines(500, 1), "old/2026.txt": lines(0, 23)})


def test_a_file_that_had_its_name_for_a_moment_only_is_sent_under_the_next_one(plain_node: Node) -> None:
    """Written and rotated between two looks, to a name that no pattern matches: all of them arrive."""
    plain_node.include = '["app.log"]'
    with Following(plain_node):
        eventually(lambda: (plain_node.base / "agent-state/status.json").exists())
        for turn in range(30):
            plain_node.write("app.log", lines(turn * 100, 20))
            os.rename(plain_node.path("app.log"), plain_node.path(f"old-{turn:02d}"))
        delivered(plain_node, {f"old-{turn:02d}": lines(turn * 100, 20) for turn in range(30)})


def test_a_stranger_with_the_inode_of_a_deleted_file_is_not_sent(plain_node: Node) -> None:
    """File systems give an inode number away again at once; the patterns still say what is sent."""
    plain_node.include = '["*.log"]'
    names = [f"{number}.log" for number in range(20)]
    for name in names:
        plain_node.write(name, lines(0, 10))
    assert plain_node.once().complete
    inodes = {os.stat(plain_node.path(name)).st_ino for name in names}
    for name in names:
        os.unlink(plain_node.path(name))
    for number in range(20):
        plain_node.write(f"{number}.private", b"not for the archive " * 100)
    reused = [n for n in range(20) if os.stat(plain_node.path(f"{n}.private")).st_ino in inodes]
    assert plain_node.once().complete
    assert sorted(plain_node.current()) == sorted(names)
    if not reused:
        pytest.skip("this file system did not use an inode number again")


def test_folders_without_a_watch_are_polled_and_the_status_says_how_many(
    plain_node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """Growth, new files, renames and new folders in them are found; when there are watches again, polling ends."""
    folders = [f"d{number}" for number in range(6)]
    expected = {}
    for folder in folders:
        plain_node.write(f"{folder}/app.log", lines(0, 5))
        expected[f"{folder}/app.log"] = lines(0, 5)
    made: list[Inotify] = []

    def few(journal: Journal) -> Inotify:
        made.append(Inotify(journal, watches_max=3))
        return made[0]

    state_dir = plain_node.base / "agent-state"
    with Following(plain_node, few) as running:
        delivered(plain_node, expected)
        eventually(lambda: read_status(state_dir).polled == 4, timeout_s=60)
        assert "out of watches" in read_status(state_dir).watching
        for folder in folders:
            plain_node.write(f"{folder}/app.log", lines(5, 5))
            plain_node.write(f"{folder}/new.log", b"new\n")
            expected |= {f"{folder}/app.log": lines(0, 10), f"{folder}/new.log": b"new\n"}
        delivered(plain_node, expected)
        for folder in folders:
            os.rename(plain_node.path(f"{folder}/app.log"), plain_node.path(f"{folder}/app.log.1"))
            plain_node.write(f"{folder}/deep/er/x.log", b"deep\n")
            expected[f"{folder}/app.log.1"] = expected.pop(f"{folder}/app.log")
            expected[f"{folder}/deep/er/x.log"] = b"deep\n"
        delivered(plain_node, expected)
        made[0]._watches_max = None
        eventually(lambda: not made[0].polled, timeout_s=60)
        eventually(lambda: running.agent._journal.states().get("watching", "") == "", timeout_s=60)
        for folder in folders:
            plain_node.write(f"{folder}/new.log", b"newer\n")
            expected[f"{folder}/new.log"] = b"new\nnewer\n"
        delivered(plain_node, expected)
    said = [r.message for r in caplog.records if '"thing": "watching"' in r.message]
    assert len([text for text in said if "out of watches" in text]) == 1


def test_nothing_is_missed_when_the_queue_overflows(plain_node: Node) -> None:
    """More events at once than the system's queue holds, by a writer that is faster than the agent."""
    room = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    plain_node.write("d/first.log", b"first\n")
    with Following(plain_node) as running:
        delivered(plain_node, {"d/first.log": b"first\n"})
        stopped = running.agent._lookout.look_at
        busy = running.agent._watcher
        assert isinstance(busy, Inotify)
        script = f"for n in range({room}): open('{os.fsdecode(plain_node.path('d'))}/t', 'w').close(); "
        script += f"open('{os.fsdecode(plain_node.path('d'))}/u', 'w').close()"

        def slow(*args: object, **kwargs: object) -> None:
            running.agent._lookout.look_at = stopped  # type: ignore[method-assign]
            subprocess.run(["python3", "-c", script], check=True)
            plain_node.write("d/during.log", b"during\n")
            stopped(*args, **kwargs)  # type: ignore[arg-type]

        running.agent._lookout.look_at = slow  # type: ignore[method-assign]
        plain_node.write("d/trigger.log", b"trigger\n")
        files = {"d/first.log": b"first\n", "d/trigger.log": b"trigger\n", "d/during.log": b"during\n"}
        delivered(plain_node, files | {"d/t": b"", "d/u": b""})
        eventually(lambda: busy.overflows == 1, timeout_s=60)
        eventually(lambda: (status := running.agent.status()) is not None and status.overflows == 1, timeout_s=60)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.floats(0.01, 1000))
def test_looking_takes_no_more_than_its_share_of_a_core(costs: list[float], interval_s: float) -> None:
    """Whatever each look costs, over any run of looks with the pauses behind them; and none is made too soon."""
    pace = Rhythm(interval_s)
    now = spent = 0.0
    for cost in costs:
        now += cost
        spent += cost
        pace.looked(now, cost)
        assert pace.due_s - now >= interval_s * 0.999
        now = pace.due_s
    assert spent <= SCAN_CPU_SHARE * now * 1.001


def test_an_agent_without_any_watcher_follows_by_looking(plain_node: Node) -> None:
    """The interval it is told."""
    plain_node.write("app.log", b"a")
    with RunningAgent(plain_node) as running:
        delivered(plain_node, {"app.log": b"a"})
        plain_node.write("app.log", b"b")
        delivered(plain_node, {"app.log": b"ab"})
        assert isinstance(running.agent, Agent)


def test_a_long_look_lets_the_rest_go_on(plain_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after every folder: what is written, renamed and deleted meanwhile arrives once and right."""
    monkeypatch.setattr("logferry.agent.lookout.LOOK_SLICE_S", 0.0)
    expected = {}
    for number in range(60):
        name = f"d{number // 6}/{number}.log"
        plain_node.write(name, lines(number, 5))
        expected[name] = lines(number, 5)
    plain_node.scan_interval = "10ms"
    with RunningAgent(plain_node, watcher=True) as running:
        delivered(plain_node, expected)
        for turn in range(10):
            old, new = f"d{turn}/{turn * 6}.log", f"d{(turn + 5) % 10}/{turn}.moved"
            os.rename(plain_node.path(old), plain_node.path(new))
            expected[new] = expected.pop(old)
            for number in range(turn * 6 + 1, turn * 6 + 6):
                plain_node.write(f"d{turn}/{number}.log", b"more\n")
                expected[f"d{turn}/{number}.log"] += b"more\n"
            plain_node.write(f"new{turn}/deep/x.log", b"x\n")
            expected[f"new{turn}/deep/x.log"] = b"x\n"
        os.rename(plain_node.path("d3"), plain_node.path("e3"))
        expected = {name.replace("d3/", "e3/"): data for name, data in expected.items()}
        delivered(plain_node, expected)
        assert running.agent._lookout.generations == 0
    again = plain_node.once()
    assert (again.complete, again.sent_slices) == (True, 0)
    assert plain_node.current() == expected
