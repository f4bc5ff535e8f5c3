"""Old clients set times with ``MDTM <time> <name>``: nobody who listened heard of it."""

from __future__ import annotations

from pathlib import Path

from logferry.ftp import TimeSet
from tests.ftp.kit import serving


def test_listeners_hear_of_it_once(tmp_path: Path) -> None:
    """With path and time; looking at a time, also at that of a file with such a name, is nothing to tell."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "a").write_bytes(b"")
        (at.home / "20240101000000 b").write_bytes(b"")
        for line in ("MDTM a", "MDTM 20240101000000 b", "MDTM 20240102030405 a"):
            assert client.command(line).startswith("213"), line
        client.command("QUIT")
        assert at.event(TimeSet) == TimeSet(1, "ann", "127.0.0.1", path="/a", modified_ns=1704164645 * 10**9)
        assert [event for event in at.seen if isinstance(event, TimeSet)] == at.seen[-1:]
        at.users.change("ann", permissions="elr")
        with at.client() as reader:
            assert reader.command("MDTM 20240102030405 a").startswith("550")
