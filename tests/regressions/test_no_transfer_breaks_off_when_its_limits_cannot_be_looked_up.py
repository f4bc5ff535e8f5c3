"""Limits are looked up while a transfer runs; a store of users that failed just then took the transfer with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from logferry.errors import Later
from logferry.ftp import MemoryUsers, User
from logferry.limits import FTP_DATA_BLOCK_BYTES, FTP_WATCH_S
from tests.ftp.kit import serving


class Flaky(MemoryUsers):
    """Cannot be asked while ``away``."""

    away = False

    def find(self, name: str) -> User | None:
        if self.away:
            raise Later("the database is locked")
        return super().find(name)


@pytest.mark.parametrize("rate", ["", "100 MiB/s"])
def test_an_upload_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
    """Whether it has limits or not."""
    monkeypatch.setattr("logferry.ftp.datawork.FTP_LIMIT_LOOK_S", 0.05)
    monkeypatch.setattr("logferry.ftp.brake.FTP_LIMIT_LOOK_S", 0.05)
    users = Flaky()
    with serving(tmp_path, users=users) as at, at.client() as client:
        if rate:
            at.users.change("ann", upload_rate=rate)
        connection = client.data("STOR a")
        users.away = True
        for _ in range(3):
            connection.sendall(bytes(20 * FTP_DATA_BLOCK_BYTES))
            time.sleep(2 * FTP_WATCH_S)
        connection.close()
        reply = client.reply()
        users.away = False
        assert reply.startswith("226"), reply
        assert (at.home / "a").stat().st_size == 60 * FTP_DATA_BLOCK_BYTES
