"""What every program sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ftp.programs.running import CONTENT


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to send."""
    path = tmp_path / "source.bin"
    path.write_bytes(CONTENT)
    return path
