"""A yard for each row of the matrix; with ``HEAVY=1`` (``make torture``) on other servers, and without a watcher."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent import roster
from tests.agent.shelves import Shelf
from tests.agent.torture.servers import serving
from tests.agent.torture.yard import Yard, YardNode
from tests.security.amounts import HEAVY

KINDS = ["archive", "folder", "foreign", "vsftpd"] if HEAVY else ["archive"]


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    """Ours on the archive; in a heavy run also ours on a folder and two of others."""
    base = tmp_path / "server"
    base.mkdir()
    with serving(request.param, base) as running:
        yield running


@pytest.fixture
def yard(tmp_path: Path, server: Shelf) -> Yard:
    """A node that delivers to ``server``."""
    return Yard(YardNode(tmp_path / "node", server), tmp_path / "ledger")


@pytest.fixture(params=["inotify", "polling"] if HEAVY else ["inotify"])
def watcher(request: pytest.FixtureRequest) -> bool:
    """Whether a live agent has the system's watcher; in a heavy run also without it."""
    return bool(request.param == "inotify")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that could not be sent is tried again at once by agents of this process; minutes change nothing."""
    monkeypatch.setattr(roster, "BACKOFF_S_MIN", 0.02)
    monkeypatch.setattr(roster, "FILE_BACKOFF_S_MAX", 0.2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A heavy run takes as long as it takes."""
    for item in items:
        if HEAVY and os.path.dirname(__file__) in str(item.path):
            item.add_marker(pytest.mark.timeout(0))
