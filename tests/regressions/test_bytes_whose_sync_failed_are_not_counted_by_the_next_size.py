"""After an append whose sync failed, SIZE still counted its bytes; the REST behind them was confirmed without them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.ftp.kit import reset, serving, until


@pytest.mark.parametrize("command", ["APPE log", "STOR log"])
def test_an_append_that_could_not_be_synced_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """SIZE is what it was, and going on from there brings the whole."""
    with serving(tmp_path) as at, at.client() as client:
        assert client.upload("STOR log", b"first ").startswith("226")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _broken)
            if command.startswith("STOR"):
                client.command("REST 6")
            assert client.upload(command, b"second ").startswith("451")
        assert client.command("SIZE log") == "213 6"
        client.command("REST 6")
        assert client.upload("STOR log", b"second ").startswith("226")
        assert (at.home / "log").read_bytes() == b"first second "


def test_an_append_that_was_cut_and_could_not_be_synced_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for what an interrupted append has brought."""
    with serving(tmp_path) as at, at.client() as client:
        assert client.upload("STOR log", b"first ").startswith("226")
        monkeypatch.setattr(os, "fdatasync", _broken)
        connection = client.data("APPE log")
        connection.sendall(b"second ")
        until(lambda: (at.home / "log").stat().st_size == 13, "the bytes have not come")
        reset(connection)
        assert client.code() == "426"
        assert client.command("SIZE log") == "213 6"


def test_what_lies_behind_an_overwritten_part_is_not_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A REST into the middle that fails leaves the end, which was confirmed before."""
    with serving(tmp_path) as at, at.client() as client:
        assert client.upload("STOR log", b"0123456789").startswith("226")
        client.command("REST 2")
        monkeypatch.setattr(os, "fsync", _broken)
        assert client.upload("STOR log", b"23").startswith("451")
        assert client.command("SIZE log") == "213 10"


def _broken(_fd: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
