"""A store of users that could not be asked ended sessions with "Internal error" and a traceback in the log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from logferry.errors import Later
from logferry.ftp import MemoryUsers, SessionEnded, User
from tests.ftp.kit import serving


class Away(MemoryUsers):
    """Cannot be asked while ``away``."""

    away = False

    def find(self, name: str) -> User | None:
        if self.away:
            raise Later("the database is locked")
        return super().find(name)


@pytest.mark.parametrize("login", [True, False])
def test_it_is_421_and_one_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture, login: bool) -> None:
    """Before and after the login; the event has the reason."""
    users = Away()
    with serving(tmp_path, users=users) as at, at.client(login=login) as client:
        users.away = True
        if login:
            client.send("PWD")
        else:
            client.send("USER ann", "PASS secret")
            assert client.code() == "331"
        assert client.reply() == "421 Users cannot be looked up just now; come back later."
        assert client.reply() == ""
        assert "the database is locked" in at.event(SessionEnded).reason
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info for record in told] == [None]
