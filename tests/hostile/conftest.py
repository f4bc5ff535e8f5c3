"""The hostile archive, once for all tests here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.planted import Planted


@pytest.fixture(scope="session")
def planted() -> Iterator[Planted]:
    """The archive; tests add nothing to it that others would stumble over. In memory: it is thousands of changes."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent, prefix="lf-hostile-") as folder:
        made = Planted(Path(folder) / "data")
        try:
            made.populate()
            yield made
        finally:
            made.close()
