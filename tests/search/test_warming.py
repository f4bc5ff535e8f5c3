"""What searches run natively is compiled beforehand, and kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from logferry.search.warming import warm

QUESTION = """
from tests.search.test_warming import warm
warm()
"""


def test_every_line_is_found_sealed_and_live() -> None:
    """It is a real search: what it asks is answered from both."""
    assert warm() == 2 * (2000 + 111 + 1400 + 1889)


def test_another_process_compiles_nothing_any_more(tmp_path: Path) -> None:
    """What one has compiled, the next one loads."""
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "logferry.search.warming"]
    subprocess.run(command, env=env, check=True)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    assert made
    subprocess.run(command, env=env, check=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == made
