"""The page about attacks claims nothing that no test shows: every test it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "design" / "ftp-security.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:\w+/)+test_\w+(?:\.py|…))`", PAGE)))


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_is_there(name: str) -> None:
    """By its path below tests/; … stands for the rest of a long name."""
    found = list((ROOT / "tests").glob(name.replace("…", "*.py")))
    assert len(found) == 1, f"{name}: {len(found)} files"
    assert re.search(r"^def test_|^    def test_", found[0].read_text(), re.MULTILINE), f"{name} holds no test"


def test_every_claim_names_its_proof() -> None:
    """The last cell of each row names a test, or the one of the row above (same file)."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(rows) > 30
    for row in rows:
        proof = row.rstrip(" |").rpartition("|")[2]
        assert re.search(r"test_|same file|^ proof$", proof), row


def test_every_test_under_attack_is_named() -> None:
    """Whoever adds one to tests/security, tests/faults or tests/fuzz tells what it is for."""
    for folder in ("security", "faults", "fuzz"):
        for path in sorted((ROOT / "tests" / folder).glob("test_*.py")):
            assert f"{folder}/{path.name}" in PAGE, f"{folder}/{path.name} is not on the page"
