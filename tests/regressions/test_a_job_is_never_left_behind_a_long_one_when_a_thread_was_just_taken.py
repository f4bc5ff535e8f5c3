"""A free thread used to count as free a moment longer than the job it had taken counted as waiting.

A job handed in at that moment got no thread of its own and waited until somebody's long transfer was over; one handed
in while the last thread was giving up waited for the next job.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import pytest

from logferry.ftp import workers
from logferry.ftp.workers import Job, Workers
from tests.ftp.kit import WAIT_S, until


class _Slow(queue.SimpleQueue[Job | None]):
    """A queue whose takers can be held up just after they got something, or nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.hold = threading.Event()
        self.held = threading.Event()
        self.go = threading.Event()

    def get(self, block: bool = True, timeout: float | None = None) -> Job | None:
        try:
            return super().get(block, timeout)
        finally:
            if self.hold.is_set():
                self.hold.clear()
                self.held.set()
                assert self.go.wait(WAIT_S)


def _calling(work: Callable[[], object]) -> Job:
    def job(_buffer: memoryview, _crowded: bool) -> None:
        work()

    return job


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> _Slow:
    """The queue of the next ``Workers``."""
    made = _Slow()
    monkeypatch.setattr(queue, "SimpleQueue", lambda: made)
    return made


def test_a_job_is_never_left_behind_a_long_one_when_a_thread_was_just_taken(slow: _Slow) -> None:
    """It gets a thread of its own."""
    pool = Workers(4, "test")
    finish, ran = threading.Event(), threading.Event()
    pool.submit(_calling(lambda: None))
    until(lambda: pool._free == 1, "no thread is free")
    slow.hold.set()
    pool.submit(_calling(finish.wait))
    assert slow.held.wait(WAIT_S)
    pool.submit(_calling(ran.set))
    slow.go.set()
    try:
        assert ran.wait(3.0)
    finally:
        finish.set()
        pool.stop(WAIT_S)


def test_a_job_is_done_when_it_comes_just_as_the_last_thread_gives_up(
    slow: _Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread looks once more."""
    monkeypatch.setattr(workers, "_IDLE_S_MAX", 0.05)
    pool = Workers(4, "test")
    ran = threading.Event()
    pool.submit(_calling(slow.hold.set))  # the next time that the thread gets nothing it is held up
    assert slow.held.wait(WAIT_S)
    pool.submit(_calling(ran.set))
    slow.go.set()
    assert ran.wait(3.0)
    pool.stop(WAIT_S)


def test_a_thread_that_cannot_be_started_leaves_the_job_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's bound on threads must not end whoever hands jobs in: that is the loop of the whole server."""
    pool = Workers(4, "test")
    finish, ran = threading.Event(), threading.Event()
    pool.submit(_calling(finish.wait))
    until(lambda: pool.count == 1, "no thread")

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as bounded:
        bounded.setattr(threading.Thread, "start", refuse)
        pool.submit(_calling(ran.set))
    assert pool.count == 1
    finish.set()
    assert ran.wait(WAIT_S)
    pool.stop(WAIT_S)
