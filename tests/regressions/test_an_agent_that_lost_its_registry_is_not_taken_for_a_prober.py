"""An agent loses its registry while all its logs are replaced: it finds other bytes on the server in each of them.

The server counted these conflicts by user, so after forty of them it ended the agent's sessions, one after the other,
and in the end banned its address and everybody behind it. It counts them by file now: that is what guessing needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.clock import ManualClock
from logferry.ftp import hash_password
from logferry.ftp.commons import Commons
from logferry.limits import (
    FTP_CONFLICT_DELAY_S,
    FTP_CONFLICTS_FREE,
    FTP_CONFLICTS_MAX,
    FTP_CONFLICTS_OF_USER_FREE,
)
from tests.agent.conftest import Node, lines
from tests.agent.shelves import PASSWORD, ArchiveShelf

FILES = int(os.environ.get("LOST_REGISTRY_FILES", "60"))
"""More than the conflicts that one file is allowed."""


@pytest.fixture
def archive_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node that delivers to an archive, whose passwords are checked fast: it connects anew after each refusal."""
    monkeypatch.setattr("tests.agent.shelves._LIGHT_HASH", hash_password(PASSWORD, light=True))
    base = tmp_path / "server"
    base.mkdir()
    server = ArchiveShelf(base)
    yield Node(tmp_path / "node", server)
    server.close()


def test_every_file_replaced_is_neither_slowed_nor_locked_out(
    archive_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All contents arrive, all old ones are kept, no session is ended and no reply held back."""
    # Files as small as a test can afford go the way of those too large to be sent whole.
    monkeypatch.setattr("logferry.agent.shipper.READ_WHOLE_BYTES", 0)
    monkeypatch.setattr("logferry.agent.contact.OVERLAP_BYTES", 64)
    # An agent that can compare by digest meets no conflict; one of a server or a size without digests does.
    monkeypatch.setattr("logferry.agent.contact.same_bytes", lambda *_, **__: None)
    waits: list[float] = []
    conflict = Commons.conflict

    def noted(commons: Commons, user: str, stored: str) -> float:
        waits.append(conflict(commons, user, stored))
        return waits[-1]

    monkeypatch.setattr(Commons, "conflict", noted)
    node = archive_node
    for number in range(FILES):
        node.write(f"{number}.log", lines(number, 10))
    assert node.once().complete
    for path in (node.base / "agent-state").glob("registry.db*"):
        path.unlink()
    for number in range(FILES):
        os.unlink(node.path(f"{number}.log"))
        node.write(f"{number}.log", lines(10_000 + number, 11))
    assert node.once().complete
    assert node.current() == {f"{number}.log": lines(10_000 + number, 11) for number in range(FILES)}
    assert node.generations("7.log") == [lines(7, 10)]
    assert len(waits) >= FILES > FTP_CONFLICTS_MAX
    assert not any(waits)


def test_guesses_at_one_file_are_counted_whatever_it_is_called() -> None:
    """Few are free, then they are slow, then the session ends; of another file they are free again."""
    clock = ManualClock()
    commons = Commons(processes=1, sessions_max=10, defender=None, clock=clock)
    found = [commons.conflict("ann", "1:2") for _ in range(FTP_CONFLICTS_MAX + 1)]
    assert found[:FTP_CONFLICTS_FREE] == [0.0] * FTP_CONFLICTS_FREE
    assert set(found[FTP_CONFLICTS_FREE:-1]) == {FTP_CONFLICT_DELAY_S}
    assert found[-1] == -1.0
    assert commons.conflict("ann", "1:3") == commons.conflict("bob", "1:2") == 0.0


def test_guesses_at_very_many_files_are_slow() -> None:
    """More than any agent has at once; sessions go on."""
    commons = Commons(processes=1, sessions_max=10, defender=None, clock=ManualClock())
    found = [commons.conflict("ann", str(number)) for number in range(FTP_CONFLICTS_OF_USER_FREE + 2)]
    assert found[:FTP_CONFLICTS_OF_USER_FREE] == [0.0] * FTP_CONFLICTS_OF_USER_FREE
    assert found[-1] == FTP_CONFLICT_DELAY_S
