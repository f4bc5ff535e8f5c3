"""The page about delivery shows the cases that are walked and what was found in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_page_of_delivery_is_fresh() -> None:
    """delivery.md is what the recorded walk says; `make docs` writes it anew."""
    made = subprocess.run(
        [sys.executable, ROOT / "tools" / "delivery_page.py"], capture_output=True, text=True, check=True
    )
    assert made.stdout == (ROOT / "docs" / "design" / "delivery.md").read_text(), "run: make docs"
