"""The agent: one thread that looks, plans and hands out work, a few workers that deliver it.

The runner's thread owns scanner, roster and handles; the registry is shared with the workers, which record what the
server confirmed before they report it.
"""

from __future__ import annotations

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
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import WARNING

from logferry import __version__
from logferry.agent.config import AgentConfig, host_and_port
from logferry.agent.files import Handles
from logferry.agent.journal import Journal, text
from logferry.agent.link import Link, concerns_link
from logferry.agent.lookout import Lookout
from logferry.agent.mover import Moved
from logferry.agent.registry import Registry
from logferry.agent.roster import Roster, Work
from logferry.agent.rows import State
from logferry.agent.scan import Scanner
from logferry.agent.shipper import Failed, Outcome, Sent, Waits
from logferry.agent.slices import Disagrees, LookAgain, Task
from logferry.agent.sources import Source
from logferry.agent.status import Failing, Status, write_status
from logferry.agent.watch import Watcher, best_watcher
from logferry.agent.worker import Done, MoveJob, ShipJob, Worker
from logferry.clock import SYSTEM, Clock
from logferry.errors import Conflict
from logferry.ftp.client import FtpClient
from logferry.ftp.reconnect import Dice
from logferry.ftp.throttle import TokenBucket
from logferry.limits import (
    ALIVE_S_MAX,
    ALIVE_S_MIN,
    FINDINGS_MAX,
    GONE_KEEP_S,
    HANDLE_IDLE_S,
    SCAN_CPU_SHARE,
    STOP_S_MAX,
    WATCH_COALESCE_S,
)

if sys.platform != "win32":
    import fcntl

_INTRODUCTION = f"logferry-agent/{__version__}"
"""What the server is told about who connects."""
_WAKE_S_MAX = 1.0
"""The runner looks up at least this often."""
_STATUS_S = 1.0
_STATUS_QUIET_S = 10.0
_ONCE_LINK_FAILURES_MAX = 3


@dataclass(frozen=True, slots=True)
class Summary:
    """What ``once`` did. ``left`` files (``left_bytes``) are still unsent; ``problems`` say why."""

    sent_slices: int
    sent_bytes: int
    files: int
    left: int
    left_bytes: int
    renames: int
    generations: int
    problems: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether everything that was there is on the server."""
        return self.left == 0 and not self.problems


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
        self._sent_slices = 0
        self._sent_bytes = 0
        self._last_path = ""
        self._started_ns = clock.now_ns()
        self._status_s = -math.inf
        self._status_key: object = None
        self._stopped = False

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
            Later, Full: the registry cannot be opened at all.
        """
        self._open(self._make_watcher(self._journal))
        try:
            while not self._stop.is_set() and not (stop is not None and stop.is_set()):
                self._turn()
                self._sleep()
        finally:
            self._close()

    def once(self) -> Summary:
        """Send everything that is there now, then end. Files that change meanwhile are sent as far as they got.

        Raises: as ``run``.
        """
        from logferry.agent.watch import NoWatcher

        self._open(NoWatcher())
        try:
            while not self._stop.is_set():
                self._turn()
                if self._nothing_more():
                    break
                self._sleep()
            return self._summary()
        finally:
            self._close()

    def _open(self, watcher: Watcher) -> None:
        config = self._config
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_fd = _lock(config.state_dir / "agent.lock")
        self._watcher = watcher
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        if (fd := watcher.fileno()) is not None:
            self._selector.register(fd, selectors.EVENT_READ)
        self._registry = Registry(config.state_dir / "registry.db", self._clock.now_ns())
        if self._registry.set_aside is not None:
            self._journal.event(
                "registry was damaged",
                level=WARNING,
                kept_as=str(self._registry.set_aside),
                hint="a new one is begun; every file is compared with the server before anything is sent",
            )
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
        self._load_unsettled()
        self._workers = [self._make_worker(number) for number in range(config.limits.connections)]
        self._free = list(self._workers)
        self._jobs: dict[int, Worker] = {}
        for worker in self._workers:
            worker.start()
        self._ended: dict[int, float] = {}
        self._look_s = -math.inf
        self._sweep_s = self._clock.monotonic_s()
        self._journal.event("started", agent=config.agent.id, server=config.server.address, files=scanner.files())

    def _load_unsettled(self) -> None:
        for row in self._registry.unsettled():
            if row.state is State.ENDED and row.remote in ("", row.want) and not row.going:
                self._registry.apply(remove=[row.id], now_ns=self._clock.now_ns())
            else:
                self._roster.update(row)

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
        self._receive()
        self._stopped = True
        self._write_status(force=True)
        self._handles.close_all()
        self._registry.close()
        self._watcher.close()
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()
        os.close(self._lock_fd)
        self._journal.event("stopped", slices=self._sent_slices, bytes=self._sent_bytes)

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
        self._sweep()
        self._roster.wake()
        self._hand_out()
        self._write_status()

    def _look_everywhere(self) -> None:
        before_s = time.thread_time()
        self._lookout.look_everywhere()
        cost_s = time.thread_time() - before_s
        # A look that costs much is made less often, so that it stays a small share of one core.
        pause_s = max(self._config.agent.scan_interval, cost_s / SCAN_CPU_SHARE)
        self._look_s = self._clock.monotonic_s() + pause_s
        if self._registry.behind is not None and self._registry.apply(now_ns=self._clock.now_ns()):
            self._journal.state("registry", "")

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
        checked = work.checked_epoch == self._link.epoch
        work.checked_epoch = self._link.epoch
        return Task(
            row,
            self._handles.take(row.id),
            linked=work.linked,
            checked=checked,
            compare=work.compare,
            if_unknown_same=work.if_unknown_same,
            may_publish=work.may_publish,
            failures=work.failures,
        )

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
                self._settle(outcome)
            if isinstance(done.job, MoveJob):
                self._settle_moves(done.moves)

    def _settle(self, outcome: Outcome) -> None:
        task = outcome.task
        row_id = task.row.id
        work = self._roster.works.get(row_id)
        held_for = row_id
        self._roster.busy.discard(row_id)
        match outcome:
            case Sent():
                self._settle_sent(outcome, work)
            case Failed():
                self._settle_failed(outcome, work)
            case Disagrees():
                made = self._lookout.disagreed(task, outcome.file, outcome.why)
                self._roster.drop(row_id) if made is None else None
                held_for = row_id if made is None else made
                if made is None and task.file is not None:
                    task.file.close()
                    task.file = None
            case Waits():
                self._roster.update(outcome.row)
            case LookAgain():
                self._roster.drop(row_id)
                if task.row.path:
                    self._lookout.deferred.add(task.row.path)
        if task.file is not None:
            for closed in self._handles.keep(held_for, task.file, self._clock.monotonic_s()):
                self._closed(closed)
        self._roster.release(row_id)

    def _settle_sent(self, outcome: Sent, work: Work | None) -> None:
        row = outcome.row
        self._sent_slices += 1
        self._sent_bytes += outcome.sent
        self._last_path = row.want
        self._roster.update(row)
        if row.path and row.seen.size == row.offset and row.state is State.LIVE:
            self._lookout.scanner.note(row.path, row.seen.mark)
        if work is None:
            return
        if work.failures:
            self._journal.state(text(row.path), "")
        work.failures, work.error, work.due_s, work.compare = 0, "", 0.0, False
        work.size = max(row.offset + outcome.left, work.grown)
        if work.lag == 0 and row.state is not State.NEW:
            self._roster.drop(row.id)

    def _settle_failed(self, outcome: Failed, work: Work | None) -> None:
        row = outcome.row
        if work is None:
            return
        self._roster.update(row)
        work.checked_epoch = -1
        if concerns_link(outcome.error):
            return
        wait_s = self._roster.failed(work, str(outcome.error))
        thing = text(row.path or os.fsencode(row.want))
        self._journal.state(thing, "failing", level=WARNING, why=str(outcome.error), retry_s=round(wait_s, 1))

    def _settle_moves(self, moves: list[Moved]) -> None:
        self._roster.moving = False
        failed = [move for move in moves if move.error is not None]
        for move in moves:
            self._roster.busy.discard(move.before.id)
            if move.row is None:
                self._roster.forget(move.before.id)
                continue
            self._roster.update(move.row)
            if move.row.state is State.NEW and move.row.path:  # the server lost it: send it anew
                self._lookout.deferred.add(move.row.path)
            if move.row.state is State.ENDED and not move.row.misplaced:
                # Remembered for a moment: its file may yet turn up under another name.
                self._ended[move.row.id] = self._clock.monotonic_s() + HANDLE_IDLE_S
            self._roster.release(move.before.id)
        if not failed:
            self._roster.moves_worked()
            self._journal.state("renames", "")
        elif not any(concerns_link(move.error) for move in failed if move.error is not None):
            self._roster.moves_failed()
            self._journal.state("renames", "failing", level=WARNING, why=str(failed[0].error))

    # Open files ------------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Files without a name that are still written to; handles that have been idle for long."""
        now = self._clock.monotonic_s()
        if now < self._sweep_s:
            return
        self._sweep_s = now + min(1.0, self._config.agent.scan_interval)
        for row_id in list(self._lookout.held_gone):
            row = self._registry.by_id(row_id)
            if row is None or row.state not in (State.GONE, State.ENDED) or self._handles.get(row_id) is None:
                if row_id not in self._roster.busy:
                    self._lookout.held_gone.discard(row_id)
            elif row_id not in self._roster.busy:
                self._lookout.watch_held(row)
        for row_id in [r for r, until in self._ended.items() if until < now and self._handles.get(r) is None]:
            del self._ended[row_id]
            self._closed(row_id)
        for row_id in self._handles.idle(now):
            if row_id not in self._roster.works:
                self._handles.close(row_id)
                self._closed(row_id)

    def _closed(self, row_id: int) -> None:
        """The open file of a row was closed: an ended generation can be forgotten once it is in its place."""
        row = self._registry.by_id(row_id)
        if row is None or row.state is not State.ENDED:
            return
        if row_id in self._roster.works:
            self._journal.event("unsent bytes were dropped", level=WARNING, path=row.want, bytes=row.offset)
            self._roster.drop(row_id)
        if not row.misplaced and row_id not in self._ended:
            self._registry.apply(remove=[row_id], now_ns=self._clock.now_ns())
            self._roster.forget(row_id)

    # Reporting -------------------------------------------------------------------------------------------------------

    def _nothing_more(self) -> bool:
        link = self._link.status
        if self._roster.busy or self._jobs or self._lookout.deferred:
            return False
        if link.failures and (link.failures >= _ONCE_LINK_FAILURES_MAX or link.word == "refused"):
            return True
        if self._roster.misplaced and self._roster.move_due_s <= self._clock.monotonic_s():
            return False
        return not self._roster.waiting

    def _summary(self) -> Summary:
        works = self._roster.works.values()
        problems = [f"{text(w.row.path)}: {w.error}" for w in works if w.error]
        problems += [finding.text() for finding in self._lookout.findings.values()]
        if self._link.status.word != "connected" and self._link.status.why:
            problems.insert(0, self._link.status.why)
        return Summary(
            sent_slices=self._sent_slices,
            sent_bytes=self._sent_bytes,
            files=self._lookout.scanner.files(),
            left=len(works),
            left_bytes=self._roster.lag_bytes,
            renames=self._lookout.moves,
            generations=self._lookout.generations,
            problems=tuple(problems[:FINDINGS_MAX]),
        )

    def status(self) -> Status:
        """The state now. For the runner's thread; others read ``status.json``."""
        link = self._link.status
        works = self._roster.works.values()
        failing = [Failing(text(w.row.path or w.row.want), w.error, w.failures) for w in works if w.error]
        states = self._journal.states()
        behind = self._registry.behind
        return Status(
            agent=self._config.agent.id,
            version=__version__,
            pid=os.getpid(),
            server=self._config.server.address,
            link=link.word,
            link_why=link.why,
            link_since_ns=link.since_ns,
            started_ns=self._started_ns,
            written_ns=self._clock.now_ns(),
            stopped=self._stopped,
            files=self._lookout.scanner.files(),
            waiting=len(works),
            held=len(self._handles),
            lag_bytes=self._roster.lag_bytes,
            sent_files=self._sent_slices,
            sent_bytes=self._sent_bytes,
            generations=self._lookout.generations,
            renames=self._lookout.moves,
            last_path=self._last_path,
            registry_state=str(behind) if behind else "",
            watching=states.get("watching", ""),
            failing=tuple(failing[:FINDINGS_MAX]),
            findings=tuple(finding.text() for finding in self._lookout.findings.values()),
        )

    def _write_status(self, *, force: bool = False) -> None:
        now = self._clock.monotonic_s()
        if not force and now < self._status_s + _STATUS_S:
            return
        key = (self._link.status, self._sent_slices, len(self._roster.works), len(self._lookout.findings))
        if not force and key == self._status_key and now < self._status_s + _STATUS_QUIET_S:
            return
        self._status_s, self._status_key = now, key
        try:
            write_status(self._config.state_dir, self.status())
            self._journal.state("status.json", "")
        except OSError as error:
            self._journal.state("status.json", "not written", level=WARNING, why=str(error.strerror))


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
