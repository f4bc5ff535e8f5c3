"""A wrong password was refused sooner for users with a light hash than for names nobody has."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from logferry.ftp import ServerLimits, User, passwords
from logferry.ftp import session as sessions
from logferry.ftp.protocol.actions import Pause
from tests.ftp.kit import serving

DELAY_S = 0.4


def test_a_refusal_comes_a_fixed_time_after_the_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the check takes, below the delay: the pause is counted from the question."""
    deadlines: list[float] = []
    asked: list[float] = []
    really_do = sessions.Session._do

    def note(self: sessions.Session, action: object, buffer: memoryview) -> None:
        really_do(self, action, buffer)  # type: ignore[arg-type]
        if isinstance(action, Pause):
            deadlines.append(self.deadline_s)

    def slow(stored: str, password: str) -> bool:
        asked.append(time.monotonic())
        time.sleep(DELAY_S / 4)
        return False

    monkeypatch.setattr(sessions.Session, "_do", note)
    monkeypatch.setattr(passwords, "verify_password", slow)
    limits = ServerLimits(login_delay_s=DELAY_S)
    with serving(tmp_path, limits=limits) as at:
        at.users.add(User("bob", str(at.home), password_hash=""))
        for name in ("nobody", "bob"):
            with at.client(login=False) as client:
                client.command(f"USER {name}")
                assert client.command("PASS x").startswith("530")
    # For a stranger the check is the wasted one; for bob, with an empty hash, it takes no time at all.
    assert len(deadlines) == 2
    assert deadlines[0] - asked[0] < DELAY_S + DELAY_S / 8
