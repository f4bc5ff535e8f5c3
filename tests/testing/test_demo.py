"""The demo's own parts: which nodes it makes of a folder, which word it looks for, what it refuses to remove."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from logferry.errors import Refused
from logferry.testing.demo import nodes
from logferry.testing.demo.__main__ import MARK, fresh


def tree(root: Path, *machines: str) -> Path:
    for machine in machines:
        (root / machine / "app").mkdir(parents=True)
        (root / machine / "app" / "a.log").write_text(f"common word00000\n{machine}unique77 here\n" * 3)
    return root


def test_up_to_three_folders_are_an_agent_each(tmp_path: Path) -> None:
    """Named after the folder, with what an id cannot hold replaced."""
    fleet = nodes.of_folder(tree(tmp_path, "web 1", "db"))
    assert [node.agent for node in fleet.nodes] == ["db", "web-1"]


def test_more_folders_are_shared_by_three_agents(tmp_path: Path) -> None:
    """Every folder is watched by exactly one, and loose files are not passed over in silence."""
    names = [f"m{i}" for i in range(8)]
    root = tree(tmp_path, *names)
    (root / "README").write_text("x")
    fleet = nodes.of_folder(root)
    assert len(fleet.nodes) == 3
    assert sorted(folder.name for node in fleet.nodes for folder in node.watched) == names
    assert len(fleet.sizes()) == 8
    assert "1 file(s)" in fleet.notes[0]


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_machines_is_refused(tmp_path: Path, name: str) -> None:
    """With what it should look like."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused):
        nodes.of_folder(tmp_path / name)


def test_the_word_is_counted_in_lines_whatever_its_case(tmp_path: Path) -> None:
    """As many hits as a search must find."""
    fleet = nodes.of_folder(tree(tmp_path, "db"))
    (tmp_path / "db" / "more.log").write_text("WORD00000 twice word00000\nnothing\n")
    nodes.choose_word(fleet, most=7)
    content = b"".join(Path(os.fsdecode(disk)).read_bytes().lower() for _, disk in fleet.nodes[0].files())
    assert fleet.hits == sum(fleet.word.encode() in line for line in content.splitlines())


def test_the_demo_never_removes_what_it_has_not_made(tmp_path: Path) -> None:
    """A folder with its name but without its mark stays."""
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "mine.txt").write_text("keep")
    with pytest.raises(Refused):
        fresh(tmp_path / ".demo")
    assert (tmp_path / ".demo" / "mine.txt").exists()
    made = fresh(tmp_path / "other")
    (made / "data").mkdir()
    assert [p.name for p in fresh(tmp_path / "other").iterdir()] == [MARK]


@pytest.mark.slow
def test_the_demo_runs_once_on_a_folder_of_logs(tmp_path: Path) -> None:
    """Server and agents come up on free ports, everything arrives, exit 0, nothing is written into the logs."""
    root = tree(tmp_path / "logs", "one", "two", "three", "four")
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-m", "logferry.testing.demo", "--once", "--logs", str(root)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything arrived, byte for byte" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
    for part in (tmp_path / ".demo" / "data" / "run").glob("*.json"):
        told = json.loads(part.read_text())
        assert not (isinstance(told, dict) and "pid" in told and Path(f"/proc/{told['pid']}").exists())
