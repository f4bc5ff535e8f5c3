"""A FIFO under the name of a partial hung the session for ever; a hard link there had its target overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.ftp.local_upload import partial_name
from tests.ftp.kit import serving


def _fifo(path: Path, _outside: Path) -> None:
    os.mkfifo(path)


def _hard_link(path: Path, outside: Path) -> None:
    os.link(outside, path)


def _symbolic_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def _folder(path: Path, _outside: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("plant", [_fifo, _hard_link, _symbolic_link, _folder])
def test_the_upload_goes_beside_what_was_planted(tmp_path: Path, plant: Callable[[Path, Path], None]) -> None:
    """STOR succeeds, the file outside stays as it is, and continuing at the planted name is refused."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"outside")
    with serving(tmp_path) as at, at.client() as client:
        plant(at.home / os.fsdecode(partial_name(b"a")), outside)
        client.command("REST 3")
        port = client.port()
        assert client.command("STOR a").split()[0] in ("450", "550")
        assert port
        assert client.upload("STOR a", b"content").startswith("226")
        assert (at.home / "a").read_bytes() == b"content"
        assert client.command("DELE a").startswith("250")
        assert client.command("DELE a").startswith("550")
    assert outside.read_bytes() == b"outside"
