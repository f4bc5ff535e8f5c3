"""Files kept open: which are let go, and that it is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.agent.config import load_config
from logferry.agent.files import Handles, open_file
from logferry.agent.holding import Held, HeldLimits, excess
from logferry.agent.status import read_status
from logferry.errors import BadConfig
from tests.agent.conftest import Node, RunningAgent, eventually, lines

LIMITS = HeldLimits(bytes=100, time_s=60.0, files=3)


@pytest.mark.parametrize(
    ("held", "gone"),
    [
        ([], {}),
        ([Held(1, 50.0, 60, 5), Held(2, 50.0, 40, 5)], {}),
        ([Held(1, 39.0, 1, 5), Held(2, 41.0, 1, 5)], {1: "held too long"}),
        ([Held(1, 50.0, 70, 5), Held(2, 60.0, 40, 5)], {1: "deleted files take too much room"}),
        ([Held(1, 50.0, 70, 5), Held(2, 60.0, 40, 0)], {2: "deleted files take too much room"}),
        ([Held(1, 50.0, 101, 5)], {1: "deleted files take too much room"}),
        ([Held(n, 50.0 + n, 0, 5) for n in range(5)], dict.fromkeys((0, 1), "too many deleted files are open")),
        ([Held(1, 30.0, 99, 5), Held(2, 50.0, 99, 5)], {1: "held too long"}),
    ],
)
def test_who_is_let_go(held: list[Held], gone: dict[int, str]) -> None:
    """Whoever waits too long; then those with nothing unsent and those that wait longest, until the rest fits."""
    assert {one.row_id: why for one, why in excess(held, LIMITS, 100.0)} == gone


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 80), st.integers(0, 9)), max_size=12),
    st.integers(0, 200),
    st.integers(0, 6),
)
def test_what_stays_keeps_within_the_budget(values: list[tuple[float, int, int]], room: int, files: int) -> None:
    """Of room, time and number; and nobody goes for nothing."""
    held = [Held(number, *value) for number, value in enumerate(values)]
    gone = {one.row_id for one, _ in excess(held, HeldLimits(room, 60.0, files), 100.0)}
    left = [one for one in held if one.row_id not in gone]
    assert sum(one.space for one in left) <= room
    assert len(left) <= files
    assert all(100.0 - one.since_s <= 60.0 for one in left)
    if sum(one.space for one in held) <= room and len(held) <= files:
        assert gone == {one.row_id for one in held if 100.0 - one.since_s > 60.0}


def test_files_that_can_be_opened_again_are_closed_first(tmp_path: Path) -> None:
    """The longest unused of them; one without a name only when there is no other."""
    handles = Handles(limit=3)
    for row_id in range(4):
        (tmp_path / str(row_id)).write_text("x")
        handles.nameless.update({0: 0.0, 1: 0.0} if row_id == 2 else {})
        closed = handles.keep(row_id, open_file(os.fsencode(tmp_path / str(row_id))), float(row_id))
    assert closed == [2]
    assert handles.make_room()
    assert [n for n in range(4) if handles.get(n)] == [0, 1]
    handles.nameless[9] = 0.0
    assert handles.keep(9, open_file(os.fsencode(tmp_path / "2")), 9.0) == []
    assert not handles.make_room()
    assert handles.keep(8, open_file(os.fsencode(tmp_path / "3")), 9.0) == [8] or handles.get(8) is None
    handles.close_all()
    assert len(handles) == 0


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, object]]:
    """What the agent logged under that name."""
    found = [json.loads(r.message) for r in caplog.records if r.message.startswith("{")]
    return [event for event in found if event["event"] == name]


def away(node: Node) -> None:
    """The server goes away."""
    node.server.stop()


def open_of_the_tree(node: Node) -> int:
    """How many deleted files of the node this process (which the agent is part of) has open."""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        count += target.startswith(str(node.logs)) and target.endswith(" (deleted)")
    return count


def test_files_deleted_while_the_server_is_away_arrive_when_it_is_back(plain_node: Node) -> None:
    """Grown ones with their last lines, new ones whole; the status says what is held meanwhile."""
    plain_node.write("app.log", lines(0, 100))
    state_dir = plain_node.base / "agent-state"
    with RunningAgent(plain_node, watcher=True) as running:
        eventually(lambda: plain_node.current() == {"app.log": lines(0, 100)}, timeout_s=60)
        away(plain_node)
        plain_node.write("app.log", lines(100, 10))
        plain_node.write("new.log", lines(500, 700))
        eventually(lambda: len(running.agent._handles) == 2, timeout_s=60)
        eventually(lambda: not running.agent._roster.busy, timeout_s=60)
        os.unlink(plain_node.path("app.log"))
        os.unlink(plain_node.path("new.log"))
        eventually(lambda: read_status(state_dir).held_deleted == 2, timeout_s=60)
        assert read_status(state_dir).held_bytes >= len(lines(500, 700))
        plain_node.server.start()
        running.agent.hurry()
        expected = {"app.log": lines(0, 110), "new.log": lines(500, 700)}
        eventually(lambda: plain_node.current() == expected, plain_node.current, timeout_s=60)
        assert running.agent._handles.dropped_files == 0


class Limited(RunningAgent):
    """An agent with limits of its own."""

    def __init__(self, node: Node, **limits: str) -> None:
        super().__init__(node, watcher=True)
        environment = {f"LOGFERRY_LIMITS__{name.upper()}": value for name, value in limits.items()}
        self.agent._config = load_config(node.config_path, environment)


@pytest.mark.parametrize(
    ("limits", "dropped"),
    [({"held_bytes": "8192"}, 18), ({"held_time": "1s"}, 20), ({"open_files": "8"}, 14)],
    ids=["room", "time", "number"],
)
def test_more_than_the_budget_is_dropped_and_said(
    plain_node: Node, caplog: pytest.LogCaptureFixture, limits: dict[str, str], dropped: int
) -> None:
    """Twenty files deleted while the server is away: never more held than allowed, each loss said with its size."""
    state_dir = plain_node.base / "agent-state"
    away(plain_node)
    plain_node.config()
    with Limited(plain_node, **limits) as running:
        eventually((state_dir / "status.json").exists, timeout_s=60)
        for number in range(20):
            plain_node.write(f"{number}.log", lines(number, 100))
        eventually(lambda: len(running.agent._roster.works) == 20, timeout_s=60)
        eventually(lambda: not running.agent._roster.busy, timeout_s=60)
        assert len(running.agent._handles) == (8 if "open_files" in limits else 20)
        for number in range(20):
            os.unlink(plain_node.path(f"{number}.log"))
        eventually(lambda: running.agent._handles.dropped_files >= dropped, timeout_s=60)
        if "open_files" in limits:
            eventually(lambda: open_of_the_tree(plain_node) == 6, timeout_s=60)
        # A worker that tries again has taken them for a moment.
        eventually(lambda: open_of_the_tree(plain_node) == len(running.agent._handles), timeout_s=60)
    said = [*events(caplog, "unsent bytes were dropped"), *events(caplog, "gone with unsent bytes")]
    status = read_status(state_dir)
    assert status.dropped_files == len(said) >= dropped
    assert status.dropped_bytes == sum(int(str(event["bytes"])) for event in said)


def test_what_was_held_to_the_end_of_the_budget_still_arrives(plain_node: Node) -> None:
    """Of twenty deleted files two fit into the room; these two are whole."""
    away(plain_node)
    plain_node.config()
    with Limited(plain_node, held_bytes="8192") as running:
        eventually((plain_node.base / "agent-state/status.json").exists, timeout_s=60)
        for number in range(20):
            plain_node.write(f"{number}.log", lines(number, 100))
        eventually(lambda: len(running.agent._handles) == 20, timeout_s=60)
        eventually(lambda: not running.agent._roster.busy, timeout_s=60)
        for number in range(20):
            os.unlink(plain_node.path(f"{number}.log"))
        eventually(lambda: running.agent._handles.dropped_files == 18, timeout_s=60)
        plain_node.server.start()
        running.agent.hurry()
        eventually(lambda: len(plain_node.current()) == 2, plain_node.current, timeout_s=60)
        for name, data in plain_node.current().items():
            assert data == lines(int(name.partition(".")[0]), 100)


@pytest.mark.parametrize(
    ("setting", "why"),
    [("open_files = 7", "open_files"), ("held_bytes = -1", "negative"), ('held_time = "soon"', "soon")],
)
def test_wrong_limits_are_refused(plain_node: Node, setting: str, why: str) -> None:
    """With what would be right."""
    plain_node.config()
    text = plain_node.config_path.read_text()
    plain_node.config_path.write_text(f"limits.{setting}\n{text}")
    with pytest.raises(BadConfig, match=why):
        load_config(plain_node.config_path)


def test_all_that_was_seen_before_the_server_was_found_away_is_held(plain_node: Node) -> None:
    """Thirty new files in one batch: the connection breaks at the first, the others were not opened for sending yet."""
    plain_node.write("first.log", b"first\n")
    expected = {"first.log": b"first\n"} | {f"{n}.log": lines(n * 100, 3) for n in range(30)}
    with RunningAgent(plain_node, watcher=True) as running:
        eventually(lambda: len(plain_node.current()) == 1, timeout_s=60)
        away(plain_node)
        for name, data in expected.items():
            if name not in plain_node.current():
                plain_node.write(name, data)
        agent = running.agent
        eventually(
            lambda: not agent._link.up and len(agent._roster.works) == 30 and not agent._roster.busy, timeout_s=60
        )
        waiting = list(agent._roster.works)
        eventually(lambda: all(agent._handles.get(row_id) for row_id in waiting), timeout_s=60)
        for n in range(30):
            os.unlink(plain_node.path(f"{n}.log"))
        plain_node.server.start()
        agent.hurry()
        eventually(lambda: plain_node.current() == expected, lambda: len(plain_node.current()), timeout_s=60)
        assert agent._handles.dropped_files == 0
