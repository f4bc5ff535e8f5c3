"""What a signal means depends on who still sits at the terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from logferry.agent import signals
from logferry.agent.signals import obey_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGHUP")


class Told:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.what: list[str] = []

    def stop(self) -> None:
        self.what.append("stop")

    def reload(self) -> None:
        self.what.append("reload")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("at_start", "now", "means"), [(False, False, "reload"), (True, True, "reload"), (True, False, "stop")]
)
def test_sighup_reloads_unless_the_terminal_was_closed(
    at_start: bool, now: bool, means: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service and a person at a terminal mean "reload"; a terminal that goes away takes its program with it."""
    told = Told()
    monkeypatch.setattr(signals, "_is_terminal", lambda: at_start)
    obey_signals(told)
    monkeypatch.setattr(signals, "_is_terminal", lambda: now)
    os.kill(os.getpid(), signal.SIGHUP)
    assert told.what == [means]


def test_sigterm_and_ctrl_c_stop() -> None:
    """Nothing else."""
    told = Told()
    obey_signals(told)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
    assert told.what == ["stop", "stop"]
