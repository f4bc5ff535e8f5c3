"""Marks, packed and unpacked: like a dictionary of dictionaries, but small. And an agent with very many files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.agent.config import SourceSettings
from logferry.agent.known import Known
from logferry.agent.putoff import PutOff
from logferry.agent.scan import Scanner
from logferry.agent.sources import Source
from logferry.limits import MARKS_UNPACKED_MAX
from logferry.testing.footprint import measure
from tests.agent.conftest import Node, RunningAgent, eventually

FOLDERS = [b"/a", b"/a/b", b"/ab", b"/"]
NAMES = st.binary(min_size=1, max_size=4).filter(lambda name: b"/" not in name and b"\x00" not in name)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "forget", "get", "open", "take"]),
        st.sampled_from(FOLDERS),
        NAMES,
        st.integers(-(2**63), 2**63 - 1),
    ),
    max_size=60,
)


@given(STEPS, st.dictionaries(st.tuples(st.sampled_from(FOLDERS), NAMES), st.integers(-9, 9)), st.integers(0, 6))
def test_it_is_what_a_dictionary_of_dictionaries_would_be(
    steps: list[tuple[str, bytes, bytes, int]], loaded: dict[tuple[bytes, bytes], int], unpacked_max: int
) -> None:
    """Whatever is done, however few folders may be unpacked."""
    known = Known(unpacked_max)
    right: dict[bytes, dict[bytes, int]] = {}
    for (folder, name), mark in loaded.items():
        known.load(folder, name, mark)
        right.setdefault(folder, {})[name] = mark
    for what, folder, name, mark in steps:
        if what == "set":
            known.set(folder, name, mark)
            right.setdefault(folder, {})[name] = mark
        elif what == "forget":
            assert known.forget(folder, name) == right.get(folder, {}).pop(name, None)
        elif what == "get":
            assert known.get(folder, name) == right.get(folder, {}).get(name)
        elif what == "open":
            assert known.folder(folder) == right.setdefault(folder, {})
        elif folder in known:
            assert sorted(known.take(folder)) == sorted(right.pop(folder))
        assert len(known) == sum(map(len, right.values()))
        assert set(known) == set(right)
        assert set(known.below(b"/a")) == set(right) & {b"/a", b"/a/b"}
        assert set(known.below(b"/")) == set(right)
    assert {folder: dict(known.folder(folder)) for folder in known} == right


def test_what_waits_outside_is_counted() -> None:
    """In the order in which it came."""
    waiting = PutOff()
    waiting.add(b"/a", 2, 10)
    waiting.add(b"/b", 1, 5)
    waiting.add(b"/a", 1, 1)
    assert (len(waiting), waiting.files, waiting.bytes) == (2, 4, 16)
    assert waiting.next_folder() == b"/a"
    assert (len(waiting), waiting.files, waiting.bytes) == (1, 1, 5)
    waiting.clear()
    assert waiting.next_folder() is None
    assert (waiting.files, waiting.bytes) == (0, 0)


def test_a_folder_with_more_new_files_than_one_look_takes_is_taken_in_parts(tmp_path: Path) -> None:
    """The rest is counted and seen by the next look."""
    for number in range(25):
        (tmp_path / str(number)).write_text("xx")
    source = Source.of(SourceSettings(path=str(tmp_path), to="/logs"))
    scanner = Scanner([source], look_files_max=10)
    found: set[bytes] = set()
    for left in (15, 5, 0):
        look = scanner.look(os.fsencode(tmp_path))
        assert (look.left_out, look.left_out_bytes) == (left, left * 2)
        for seen in look.seen:
            scanner.note(seen.path, seen.stat.mark)
            found.add(seen.path)
    assert len(found) == 25


def test_a_backlog_waits_outside_and_all_of_it_arrives(plain_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """New files and grown ones, many times more than may be in memory; the counts tell of all."""
    for module, name, value in (
        ("roster", "WORKS_MAX", 40),
        ("roster", "WORKS_NEW_MAX", 60),
        ("lookout", "SCAN_CHUNK_FILES", 20),
        ("lookout", "JUDGED_FILES_MAX", 15),
    ):
        monkeypatch.setattr(f"logferry.agent.{module}.{name}", value)
    expected = {}
    for number in range(600):
        name = f"d{number % 7}/{number}.log"
        expected[name] = b"%d\n" % number
        plain_node.write(name, expected[name])
    summary = plain_node.once()
    assert summary.complete, summary
    assert plain_node.current() == expected
    for name in expected:
        plain_node.write(name, b"more\n")
        expected[name] += b"more\n"
    plain_node.server.stop()
    with RunningAgent(plain_node) as running:
        eventually(lambda: _waiting(running) == (600, 3000), timeout_s=60)
        assert len(running.agent._roster.works) < 100
        plain_node.server.start()
        running.agent.hurry()
        eventually(lambda: plain_node.current() == expected, timeout_s=60)
    for name in expected:
        os.chmod(plain_node.path(name), 0o640)  # every one differs and is compared, none has grown
    again = plain_node.once()
    assert (again.complete, again.sent_bytes) == (True, 0)


def _waiting(running: RunningAgent) -> tuple[int, int]:
    """Files and bytes that the agent says are unsent."""
    if not hasattr(running.agent, "_reporter"):
        return (0, 0)
    status = running.agent._reporter.status()
    return (status.waiting, status.lag_bytes)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_agent_with_very_many_files_stays_small(tmp_path: Path) -> None:
    """40 bytes for each file on top of an idle agent and the folders in use. LOGFERRY_FILES=1000000 for all."""
    files = int(os.environ.get("LOGFERRY_FILES", "10000"))
    found = measure(tmp_path, files, max(10, files // 1000), settle_s=0.2)
    print(found)
    assert found.peak_kib * 1024 <= (40 << 20) + min(files, MARKS_UNPACKED_MAX) * 180 + files * 40
    assert found.peak_kib <= 250 * 1024
