"""The agent's benchmark measures what it says: tried with a few files and a bare server of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.agent import latency, network, places, trees
from bench.agent.bench import Bench
from bench.agent.ours import Ours, files_below
from bench.agent.processes import measured, staying, until, until_quiet
from bench.figures import Options

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
BURN = "import time\nwhile time.process_time() < 0.3: pass"


def test_a_run_is_measured_with_its_children(tmp_path: Path) -> None:
    """CPU seconds of a child of the program count; the wall time is that of the whole."""
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"]
    cost = measured(command, log=tmp_path / "log", environment=os.environ)
    assert cost.cpu_s >= 0.3
    assert cost.wall_s >= 0.3


def test_a_program_that_fails_gets_no_figure(tmp_path: Path) -> None:
    """What it said is shown."""
    with pytest.raises(SystemExit, match="returned 3: no such luck"):
        measured(["sh", "-c", "echo no such luck; exit 3"], log=tmp_path / "log", environment=os.environ)


def test_a_program_that_stays_is_seen_at_rest(tmp_path: Path) -> None:
    """Its CPU time stands still, its memory and its handles are there."""
    command = [sys.executable, "-c", f"{BURN}\ntime.sleep(60)"]
    with staying(command, log=tmp_path / "log", environment=os.environ) as program:
        until_quiet(program, for_s=0.2)
        assert program.cpu_s() >= 0.3
        assert program.rss_mb() > 1
        assert program.handles() >= 3
        with program.paused():
            assert "T" in Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_files_grow_and_are_compared_to_the_last_byte(tmp_path: Path) -> None:
    """A copy with one wrong byte ends the run."""
    growing = trees.Growing(tmp_path / "tree", files=12, base_bytes=1_000, more_bytes=500)
    growing.begin()
    growing.grow()
    copy = tmp_path / "copy"
    for path in growing.paths:
        there = copy / path.relative_to(growing.tree)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
    assert growing.arrived(copy, 1_500)
    assert not growing.arrived(copy, 1_000)
    growing.verify(copy)
    there.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(SystemExit, match="differs"):
        growing.verify(copy)


def test_our_agent_sends_what_grew_and_only_that(tmp_path: Path) -> None:
    """``agent once`` twice: the second time the appended bytes go; the count of bytes on the wire is plausible."""
    growing = trees.Growing(tmp_path / "tree", files=10, base_bytes=300_000, more_bytes=1_000)
    growing.begin()
    with places.bare("ours", tmp_path) as place:
        agent = Ours(tmp_path / "agent", growing.tree, place)
        before = network.travelled()
        agent.once()
        assert network.travelled() - before >= 3_000_000
        growing.grow()
        agent.once()
        assert growing.arrived(place.folder, 301_000)
        growing.verify(place.folder)
        confirmed = agent.confirmed(growing.paths[0])
        assert confirmed.offset() == 301_000
        confirmed.close()


def test_a_remembered_tree_is_unchanged(tmp_path: Path) -> None:
    """The registry that is made for a tree says that nothing is to be sent; looks are measured one by one."""
    tree = tmp_path / "tree"
    trees.many(tree, 40, 4, 100, filled=False)
    with places.bare("ours", tmp_path) as place:
        agent = Ours(tmp_path / "agent", tree, place)
        assert agent.remember(files_below(tree)) == 40
        agent.once()
        command = [sys.executable, "-m", "bench.agent.cycle", str(agent.file), "3"]
        done = subprocess.run(command, env=agent.environment, capture_output=True, text=True, check=True)
        assert not place.folder.exists(), "something was sent"
    said = json.loads(done.stdout)
    assert len(said["cpu_s"]) == len(said["wall_s"]) == 3
    assert all(value > 0 for value in said["cpu_s"])
    assert said["rss_mb"] <= said["peak_mb"]


def test_files_that_were_touched_are_noticed(tmp_path: Path) -> None:
    """So nobody passes who sends again what is unchanged."""
    trees.many(tmp_path / "tree", 4, 2, 100)
    before_ns = trees.newest_change_ns(tmp_path / "tree")
    time.sleep(0.02)  # the clock of the file system has steps
    os.utime(tmp_path / "tree/dir0001/app-0000001.log")
    assert trees.newest_change_ns(tmp_path / "tree") > before_ns


def test_the_latency_of_a_line_is_that_of_the_slower_end(tmp_path: Path) -> None:
    """Lines that are there at once take next to no time, lines that are held back take that long."""
    path = tmp_path / "log"
    path.write_bytes(b"begun\n")
    held: list[float] = []

    def late() -> int:
        size = path.stat().st_size
        if not held or held[-1] != size:
            held.append(size)
            time.sleep(0.05)
        return size

    took = latency.written(path, 3, {"": lambda: path.stat().st_size, "late_": late})
    assert took["p50_ms"] < took["late_p50_ms"]
    assert took["late_p50_ms"] >= 50
    assert took["max_ms"] >= took["p50_ms"]


def test_waiting_has_an_end() -> None:
    """A figure that never comes about is an error that names what was waited for."""
    with pytest.raises(SystemExit, match="the moon falls"):
        until("the moon falls", lambda: False, within_s=0.05)


def test_a_peer_that_fails_is_left_out_and_ours_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a peer said is kept with the raw results; without a figure of ours there is no benchmark."""
    monkeypatch.setattr(network, "apart", lambda: False)  # the tests stay in the network they are in

    def failing() -> dict[str, float]:
        raise SystemExit("it lost a byte")

    bench = Bench(tmp_path, Options(rounds=2))
    found = bench.compare("race", {"ours": lambda: {"wall_s": 2.0}, "peer": failing, "slow": lambda: {"wall_s": 3.0}})
    assert bench.raw["race: peer"] == "it lost a byte"
    figure = bench.figure("race", found, "wall_s", "s", 2.5)
    assert (figure.ours, dict(figure.peers), figure.met) == (2.0, {"slow": 3.0}, True)
    assert bench.best_peer(found, "wall_s") == 3.0
    with pytest.raises(SystemExit, match="lost a byte"):
        bench.compare("race", {"ours": failing})
