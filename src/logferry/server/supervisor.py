"""The parts of the server as child processes: started, watched, restarted, stopped together.

One part that crashes does not take the other with it; it comes back after a pause that grows. A part that ends before
it was ever ready is a mistake of the set-up (port in use, bad folder): then everything stops and the reason is told.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError
from logferry.limits import STOP_S_MAX
from logferry.server.lifeline import ALIVE_VARIABLE, READY_VARIABLE

RESTART_S_MIN = 0.5
RESTART_S_MAX = 30.0
STEADY_S = 60.0
"""A part that ran this long starts again with the shortest pause."""
READY_S_MAX = 60.0
"""Longest wait for a part to listen; migrations of a large catalog are done before."""
KILL_AFTER_S = STOP_S_MAX - 1.0
_LINE_BYTES_MAX = 65_536


def _ignore(_news: object) -> None:
    """Nobody wants to know."""


class PartFailed(LogferryError):
    """A part could not start. Its own message stands above; correct what it names and start again."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Part:
    """One child process: ``argv`` is started as it is, ``environment`` is added to ours."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to a part: ``started``, ``ready``, ``ended``, ``stopping``; ``detail`` in words."""

    kind: str
    part: str
    detail: str = ""


@dataclass(slots=True)
class _Child:
    part: Part
    process: subprocess.Popen[bytes] | None = None
    pipe: int = -1
    line: bytes = b""
    ready: dict[str, Any] | None = None
    was_ready: bool = False
    started_s: float = 0.0
    pause_s: float = RESTART_S_MIN
    restart_at_s: float | None = None


class Supervisor:
    """Runs ``parts`` until SIGTERM, SIGINT or ``stop``. Single-threaded but for ``stop``, which anybody may call."""

    def __init__(
        self,
        parts: list[Part],
        *,
        on_notice: Callable[[Notice], None] | None = None,
        clock: Clock = SYSTEM,
        kill_after_s: float = KILL_AFTER_S,
    ) -> None:
        assert len({part.name for part in parts}) == len(parts), "parts have different names"
        self._children = {part.name: _Child(part) for part in parts}
        self._tell = on_notice or _ignore
        self._clock = clock
        self._kill_after_s = kill_after_s
        self._selector = selectors.DefaultSelector()
        self._alive_read, self._alive_write = os.pipe()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._stopping = False
        self._impatient = False

    def run(self, on_ready: Callable[[dict[str, dict[str, Any]]], None] | None = None) -> None:
        """Start the parts and return when all have ended.

        Args:
            on_ready: called once, when every part listens, with what each announced (``{"ftp": {"port": …}}``).

        Raises:
            PartFailed: a part ended, or did not listen in time, before it was ever ready. All others are stopped then.
        """
        handlers = self._take_signals()
        try:
            for child in self._children.values():
                self._start(child)
            self._watch(on_ready or _ignore)
        finally:
            self._stop_all()
            self._give_signals_back(handlers)
            self._close()

    def stop(self) -> None:
        """Ask ``run`` to stop the parts and return. From any thread or signal handler."""
        if self._stopping:
            self._impatient = True
        self._stopping = True
        try:
            os.write(self._wake_write, b"x")
        except (BlockingIOError, OSError):  # the pipe is full (it wakes anyway) or ``run`` is over
            return

    def pids(self) -> dict[str, int]:
        """The process ids of the parts that run now."""
        return {name: c.process.pid for name, c in self._children.items() if c.process is not None}

    # The loop ------------------------------------------------------------------------------------------------------

    def _watch(self, on_ready: Callable[[dict[str, dict[str, Any]]], None]) -> None:
        told = False
        while not self._stopping:
            for key, _ in self._selector.select(self._wait_s()):
                if key.data is None:
                    os.read(self._wake_read, 4096)
                else:
                    self._listen(key.data)
            now_s = self._clock.monotonic_s()
            for child in self._children.values():
                if child.restart_at_s is not None and child.restart_at_s <= now_s and not self._stopping:
                    self._start(child)
                elif child.process is not None and not child.was_ready and now_s > child.started_s + READY_S_MAX:
                    raise PartFailed(
                        f"the {child.part.name} part did not get ready within {READY_S_MAX:.0f} s",
                        hint="look at its messages above",
                    )
            if not told and all(child.was_ready for child in self._children.values()):
                told = True
                on_ready({name: dict(child.ready or {}) for name, child in self._children.items()})

    def _wait_s(self) -> float | None:
        now_s = self._clock.monotonic_s()
        ends = [c.restart_at_s for c in self._children.values() if c.restart_at_s is not None]
        ends += [c.started_s + READY_S_MAX for c in self._children.values() if not c.was_ready]
        return max(0.0, min(ends) - now_s + 0.001) if ends else None

    def _listen(self, child: _Child) -> None:
        """Read what the part says; end of file means that it is gone."""
        data = os.read(child.pipe, _LINE_BYTES_MAX)
        if not data:
            self._ended(child)
            return
        child.line = (child.line + data)[-_LINE_BYTES_MAX:]
        if child.line.endswith(b"\n"):
            child.ready = json.loads(child.line.splitlines()[-1])
            child.line = b""
            child.was_ready = True
            self._tell(Notice("ready", child.part.name))

    def _ended(self, child: _Child) -> None:
        status = self._reap(child)
        if self._stopping:
            return
        how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
        if not child.was_ready:
            failure = PartFailed(f"the {child.part.name} part ended {how} before it listened", hint="see its message")
            failure.exit_code = status if status > 0 else 1
            raise failure
        now_s = self._clock.monotonic_s()
        if now_s - child.started_s > STEADY_S:
            child.pause_s = RESTART_S_MIN
        child.restart_at_s = now_s + child.pause_s
        self._tell(Notice("ended", child.part.name, f"ended {how}, starts again in {child.pause_s:g} s"))
        child.pause_s = min(child.pause_s * 2, RESTART_S_MAX)

    # Starting and stopping -----------------------------------------------------------------------------------------

    def _start(self, child: _Child) -> None:
        read_end, write_end = os.pipe()
        environment = {**os.environ, **child.part.environment}
        environment |= {READY_VARIABLE: str(write_end), ALIVE_VARIABLE: str(self._alive_read)}
        try:
            # A session of its own: Ctrl-C on the terminal reaches us alone, and we stop the parts in order.
            child.process = subprocess.Popen(
                child.part.argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=(write_end, self._alive_read),
                start_new_session=True,
            )
        except OSError as error:
            os.close(read_end)
            raise PartFailed(f"cannot start the {child.part.name} part: {error}") from error
        finally:
            os.close(write_end)
        child.pipe, child.line, child.restart_at_s = read_end, b"", None
        child.started_s = self._clock.monotonic_s()
        self._selector.register(read_end, selectors.EVENT_READ, child)
        self._tell(Notice("started", child.part.name, f"process {child.process.pid}"))

    def _reap(self, child: _Child) -> int:
        """Forget the process of ``child`` and return its exit status (negative: the signal)."""
        assert child.process is not None
        try:
            status = child.process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:  # it closed the pipe but lives: no part of ours does that
            child.process.kill()
            status = child.process.wait()
        self._selector.unregister(child.pipe)
        os.close(child.pipe)
        child.process, child.pipe = None, -1
        return status

    def _stop_all(self) -> None:
        """SIGTERM to all, SIGKILL to those that are left after ``kill_after_s`` or a second signal."""
        self._stopping, self._impatient = True, False
        running = [child for child in self._children.values() if child.process is not None]
        for child in running:
            assert child.process is not None
            self._tell(Notice("stopping", child.part.name))
            child.process.terminate()
        deadline_s = self._clock.monotonic_s() + self._kill_after_s
        while running:
            left_s = 0.0 if self._impatient else deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                for child in running:
                    assert child.process is not None
                    child.process.kill()
                    self._reap(child)
                return
            for key, _ in self._selector.select(left_s):
                if key.data is None:
                    os.read(self._wake_read, 4096)
                elif not os.read(key.fd, _LINE_BYTES_MAX):
                    self._reap(key.data)
            running = [child for child in running if child.process is not None]

    def _take_signals(self) -> dict[int, Any]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        try:
            return {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:  # not the main thread (an embedding program, a test): its owner calls ``stop``
            return {}

    @staticmethod
    def _give_signals_back(handlers: Mapping[int, Any]) -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def _close(self) -> None:
        self._selector.close()
        for descriptor in (self._alive_read, self._alive_write, self._wake_read, self._wake_write):
            os.close(descriptor)
