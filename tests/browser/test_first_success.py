"""The way of the README leads somewhere: from a wheel in an empty folder to a found line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.harness import CHROMIUM

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: apt-get install chromium")
def test_a_newcomer_finds_a_line_by_what_the_readme_says() -> None:
    """Wheel, server, set-up link, joined node, written line, search; the dependencies are those of the tests."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "first_success.py", "--offline"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "from nothing to a found line, after download" in done.stdout
