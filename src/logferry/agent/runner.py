"""The agent: one thread that looks, plans and hands out work, a few workers that deliver it.

The runner's thread owns scanner, roster and handles; the registry is shared with the workers, which record what the
server confirmed before they report it.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import random
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from logging import WARNING

from logferry import __version__
from logferry.agent.config import AgentConfig, host_and_port
from logferry.agent.files import Handles
from logferry.agent.journal import Journal
from logferry.agent.link import Link
from logferry.agent.lookout import Lookout
from logferry.agent.registry import Registry
from logferry.agent.reporter import Parts, Reporter, Summary
from logferry.agent.roster import Roster, Work
from logferry.agent.scan import Scanner
from logferry.agent.settler import Settler
from logferry.agent.slices import Task
from logferry.agent.sources import Source
from logferry.agent.watch import Watcher, best_watcher
from logferry.agent.worker import Done, MoveJob, ShipJob, Worker
from logferry.clock import SYSTEM, Clock
from logferry.errors import Conflict, Full, Later
from logferry.ftp.client import FtpClient
from logferry.ftp.reconnect import Backoff, Dice
from logferry.ftp.throttle import TokenBucket
from logferry.limits import (
    ALIVE_S_MAX,
    ALIVE_S_MIN,
    FULL_RETRY_S_MAX,
    GONE_KEEP_S,
    SCAN_CPU_SHARE,
    STOP_S_MAX,
    WATCH_COALESCE_S,
)

if sys.platform != "win32":
    import fcntl

__all__ = ["Agent", "Summary"]

_INTRODUCTION = f"logferry-agent/{__version__}"
"""What the server is told about who connects."""
_WAKE_S_MAX = 1.0
"""The runner looks up at least this often."""
_STATUS_S = 1.0
_STATUS_QUIET_S = 10.0
_ONCE_LINK_FAILURES_MAX = 3


class Agent:
    """One agent. ``run`` or ``once`` may be called once; ``stop`` from any thread or signal handler."""

    def __init__(
        self,
        config: AgentConfig,
        *,
        clock: Clock = SYSTEM,
        dice: Dice | None = None,
        watcher: Callable[[Journal], Watcher] = best_watcher,
        journal: Journal | None = None,
        config_path: str = "",
    ) -> None:
        """``config_path`` is named so that the agent never sends its own settings."""
        self._config = config
        self._clock = clock
        self._dice: Dice = dice if dice is not None else random.SystemRandom()
        self._journal = journal if journal is not None else Journal()
        self._make_watcher = watcher
        self._stop = threading.Event()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._rate = TokenBucket(config.limits.upload_rate, clock=clock) if config.limits.upload_rate else None
        self._never = [config.agent.state_dir, config.server.password_file, config_path]

    # Life -----------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask a running agent to end; it does within ``STOP_S_MAX`` seconds."""
        self._stop.set()
        self._wake()

    def hurry(self) -> None:
        """Try the server again now instead of after the pause. From any thread."""
        self._link.try_now()
        self._wake()

    def run(self, stop: threading.Event | None = None) -> None:
        """Follow the sources until ``stop`` is set or ``stop()`` is called.

        Raises:
            Conflict: another agent runs with the same state folder.
            Later: the registry cannot be opened at all. (For room on a full disk the agent waits.)
        """
        backoff = Backoff(max_s=FULL_RETRY_S_MAX / 2, dice=self._dice)
        begun = False
        try:
            while not self._told_to_stop(stop):
                try:
                    self._open(self._make_watcher(self._journal))
                except (Later, Full) as error:
                    if not begun and not isinstance(error, Full):
                        raise
                    self._journal.event("cannot start yet", level=WARNING, why=str(error))
                else:
                    begun = True
                    if self._followed(stop):
                        return
                # The registry could not be read or begun. Opening it anew sets a damaged one aside.
                self._pause(backoff.next_s(), stop)
        finally:
            self._close_wake()

    def _followed(self, stop: threading.Event | None) -> bool:
        """Follow until told to stop (True) or until the registry fails (False); everything is closed afterwards."""
        try:
            while not self._told_to_stop(stop):
                self._turn()
                self._sleep()
        except (Later, Full) as error:
            self._journal.event("starting over", level=WARNING, why=str(error))
            return False
        finally:
            self._close()
        return True

    def _told_to_stop(self, stop: threading.Event | None) -> bool:
        return self._stop.is_set() or (stop is not None and stop.is_set())

    def _pause(self, seconds: float, stop: threading.Event | None) -> bool:
        """Wait; returns whether to stop."""
        end = self._clock.monotonic_s() + seconds
        while not self._told_to_stop(stop) and (left := end - self._clock.monotonic_s()) > 0:
            self._stop.wait(min(left, _WAKE_S_MAX))
        return self._told_to_stop(stop)

    def once(self) -> Summary:
        """Send everything that is there now, then end. Files that change meanwhile are sent as far as they got.

        Raises: as ``run``.
        """
        from logferry.agent.watch import NoWatcher

        try:
            self._open(NoWatcher())
            try:
                while not self._stop.is_set():
                    self._turn()
                    if self._nothing_more():
                        break
                    self._sleep()
                return self._reporter.summary()
            finally:
                self._close()
        finally:
            self._close_wake()

    def _open(self, watcher: Watcher) -> None:
        config = self._config
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_fd = _lock(config.state_dir / "agent.lock")
        try:
            self._registry = Registry(config.state_dir / "registry.db", self._clock.now_ns())
        except BaseException:
            os.close(self._lock_fd)
            watcher.close()
            raise
        self._watcher = watcher
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        if (fd := watcher.fileno()) is not None:
            self._selector.register(fd, selectors.EVENT_READ)
        if self._registry.set_aside is not None:
            self._journal.event(
                "registry was damaged",
                level=WARNING,
                kept_as=str(self._registry.set_aside),
                hint="a new one is begun; every file is compared with the server before anything is sent",
            )
        with contextlib.suppress(Later, Full):  # tidying up can wait for a disk with room
            self._registry.forget(gone_before_ns=self._clock.now_ns() - int(GONE_KEEP_S * 1e9))
        self._roster = Roster(self._clock, self._dice)
        self._handles = Handles()
        scanner = Scanner(
            [Source.of(s) for s in config.sources],
            never=[os.fsencode(p) for p in self._never if p],
            entering=watcher.watch,
        )
        scanner.load(self._registry.marks())
        self._lookout = Lookout(
            scanner, self._registry, self._roster, self._handles, self._journal, self._clock, self._stamp
        )
        self._link = Link(config.server.address, self._journal, self._clock, self._dice)
        self._settler = Settler(self._registry, self._roster, self._lookout, self._handles, self._journal, self._clock)
        self._settler.load_unsettled()
        self._reporter = Reporter(
            Parts(
                config,
                self._registry,
                self._roster,
                self._lookout,
                self._handles,
                self._settler,
                self._link,
                self._journal,
                self._clock,
            )
        )
        self._workers = [self._make_worker(number) for number in range(config.limits.connections)]
        self._free = list(self._workers)
        self._jobs: dict[int, Worker] = {}
        for worker in self._workers:
            worker.start()
        self._look_s = -math.inf
        self._sweep_s = self._clock.monotonic_s()
        self._journal.event("started", agent=config.agent.id, server=config.server.address, files=scanner.files())

    def _make_worker(self, number: int) -> Worker:
        return Worker(
            self._client,
            self._registry,
            self._link,
            self._journal,
            self._clock,
            self._stamp,
            self._finished,
            alive_s=self._alive_s,
            calls=number == 0,
            goodbye=f"{_INTRODUCTION} stopping",
        )

    @property
    def _alive_s(self) -> float:
        """How often the server hears from us at least."""
        return min(max(self._config.agent.scan_interval, ALIVE_S_MIN), ALIVE_S_MAX)

    def _client(self) -> FtpClient:
        server = self._config.server
        host, port = host_and_port(server.address)
        return FtpClient(
            host,
            port,
            user=self._config.user,
            password=self._config.password(),
            tls=server.tls,  # type: ignore[arg-type]  # one of the three words, checked by the settings
            pins=server.pin,
            ca_file=server.ca_file,
            clock=self._clock,
            rate=self._rate,
            introduction=f"{_INTRODUCTION} interval={math.ceil(self._alive_s)}",
        )

    def _close(self) -> None:
        end_s = time.monotonic() + STOP_S_MAX * 0.6
        for worker in self._workers:
            worker.stop()
        late = [worker for worker in self._workers if not worker.join(max(0.0, end_s - time.monotonic()))]
        for worker in late:
            worker.abort()
        for worker in late:
            worker.join(STOP_S_MAX * 0.2)
        with contextlib.suppress(Later, Full):  # the registry may be what made us stop; what was sent is compared again
            self._receive()
        self._reporter.write(stopped=True)
        self._handles.close_all()
        self._registry.close()
        self._watcher.close()
        self._selector.close()
        os.close(self._lock_fd)
        self._journal.event("stopped", slices=self._settler.sent_slices, bytes=self._settler.sent_bytes)

    def _close_wake(self) -> None:
        self._wake_in.close()
        self._wake_out.close()

    def _stamp(self) -> str:
        moment = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC)
        return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"

    # One turn -------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._receive()
        hints = self._watcher.read()
        if self._clock.monotonic_s() >= self._look_s or hints.everywhere:
            self._look_everywhere()
        elif hints:
            self._lookout.look_at(hints.names.items())
        if self._lookout.deferred:
            self._lookout.look_deferred()
        if self._clock.monotonic_s() >= self._sweep_s:
            self._sweep_s = self._clock.monotonic_s() + min(1.0, self._config.agent.scan_interval)
            self._settler.sweep()
        self._roster.wake()
        self._hand_out()
        self._reporter.write()

    def _look_everywhere(self) -> None:
        before_s = time.thread_time()
        self._lookout.look_everywhere()
        cost_s = time.thread_time() - before_s
        # A look that costs much is made less often, so that it stays a small share of one core.
        pause_s = max(self._config.agent.scan_interval, cost_s / SCAN_CPU_SHARE)
        self._look_s = self._clock.monotonic_s() + pause_s

    def _sleep(self) -> None:
        now = self._clock.monotonic_s()
        until = min(self._look_s, self._roster.next_due_s(), now + _WAKE_S_MAX)
        if self._roster.waiting or self._roster.misplaced:
            until = min(until, now + max(self._link.wait_s(), 0.02 if self._free else _WAKE_S_MAX))
        ready = self._selector.select(max(0.0, until - now))
        for key, _ in ready:
            if key.fileobj is self._wake_out:
                try:
                    while self._wake_out.recv(4096):
                        pass
                except BlockingIOError:
                    pass
            else:
                time.sleep(WATCH_COALESCE_S)  # what follows at once is merged by the kernel

    def _wake(self) -> None:
        try:
            self._wake_in.send(b"\0")
        except (BlockingIOError, OSError):
            return  # it is full (so the runner wakes anyway) or closed (so there is no runner)

    # Handing out ------------------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        if self._stop.is_set() or self._link.wait_s() > 0:
            return
        if self._registry.behind is None and self._may_submit() and (rows := self._roster.next_moves()):
            self._submit(MoveJob(rows))
        while self._roster.waiting and self._may_submit():
            batch = self._roster.next_batch(len(self._free))
            if not batch:
                break
            self._submit(ShipJob([self._task(work) for work in batch]))

    def _may_submit(self) -> bool:
        """A free worker; while the server is not known to be there, one worker finds out for all."""
        return bool(self._free) and (self._link.up or len(self._free) == len(self._workers))

    def _submit(self, job: ShipJob | MoveJob) -> None:
        worker = self._free.pop()
        self._jobs[id(job)] = worker
        worker.submit(job)

    def _task(self, work: Work) -> Task:
        row = work.row
        return Task(
            row,
            self._handles.take(row.id),
            linked=work.linked,
            checked=self._roster.check(row.id, self._link.epoch),
            compare=work.compare,
            if_unknown_same=work.if_unknown_same,
            may_publish=work.may_publish,
            failures=work.failures,
        )

    def _nothing_more(self) -> bool:
        """For ``once``: everything is sent, or what is left cannot be sent now."""
        link = self._link.status
        if self._roster.busy or self._jobs or self._lookout.deferred:
            return False
        if link.failures and (link.failures >= _ONCE_LINK_FAILURES_MAX or link.word == "refused"):
            return True
        if self._roster.misplaced and self._registry.behind is not None:
            return self._link.wait_s() <= 0  # renames wait for the registry, and files for renames
        if self._roster.misplaced and self._roster.move_due_s <= self._clock.monotonic_s():
            return False
        return not self._roster.waiting

    def _finished(self, done: Done) -> None:
        self._done.put(done)
        self._wake()

    # Taking back ------------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        while True:
            try:
                done = self._done.get_nowait()
            except queue.Empty:
                return
            self._free.append(self._jobs.pop(id(done.job)))
            for outcome in done.outcomes:
                self._settler.settle(outcome)
            if isinstance(done.job, MoveJob):
                self._settler.settle_moves(done.moves)


def _lock(path: os.PathLike[str]) -> int:
    """Take the lock of a state folder; the descriptor holds it. Raises Conflict if another agent has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            hint = "stop it first, or give this one another state_dir"
            raise Conflict(f"another agent is running with {os.path.dirname(path)}", hint=hint) from error
    return fd
