"""What searches run natively is compiled beforehand, and kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import logferry
from logferry.search.warming import warm


def test_every_line_is_found_sealed_and_live() -> None:
    """It is a real search: what it asks is answered from both."""
    assert warm() == 2 * (2000 + 2000 + 111 + 1400 + 1889 + 200)


def test_another_process_compiles_nothing_any_more() -> None:
    """What one has compiled, the next one loads."""
    warm()
    kept = Path(os.environ.get("NUMBA_CACHE_DIR") or logferry.__path__[0])
    made = {path: path.stat().st_mtime_ns for path in kept.rglob("*.nbc")}
    assert made
    subprocess.run([sys.executable, "-P", "-m", "logferry.search.warming"], check=True)
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*.nbc")} == made
