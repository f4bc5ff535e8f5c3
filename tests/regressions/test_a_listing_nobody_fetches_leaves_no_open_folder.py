"""A LIST whose data connection never came left its folder open: a client could use up all descriptors of the server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.ftp.kit import serving, until


@pytest.mark.parametrize("command", ["LIST d", "MLSD d", "NLST d", "LIST d/*"])
def test_an_aborted_listing_closes_its_folder(tmp_path: Path, command: str) -> None:
    """Some of them, and as many descriptors as before."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "d").mkdir()
        (at.home / "d" / "a").touch()
        client.download("NLST d")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(4):
            client.port()
            client.send(command, "ABOR")
            assert [client.code() for _ in range(3)] == ["150", "426", "226"]
        until(lambda: len(os.listdir("/proc/self/fd")) <= before, "folders are left open")
