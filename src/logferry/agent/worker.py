"""A thread with one long-lived connection. It takes jobs from the runner and gives back what became of them."""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from logferry.agent.copies import Copies, Skipped, Undecided, note_digest
from logferry.agent.elsewhere import Elsewhere
from logferry.agent.journal import Journal
from logferry.agent.leftovers import Leftovers
from logferry.agent.link import Link, concerns_link, is_full
from logferry.agent.mover import Moved, Mover
from logferry.agent.packing import Packing
from logferry.agent.registry import Registry
from logferry.agent.rows import Row
from logferry.agent.shipper import Failed, Outcome, Sent, Shipper
from logferry.agent.slices import Task
from logferry.clock import Clock
from logferry.errors import Full, Later, LogferryError
from logferry.ftp.client import FtpClient


@dataclass(frozen=True, slots=True)
class ShipJob:
    """Send the next slice of each task."""

    tasks: list[Task]


@dataclass(frozen=True, slots=True)
class MoveJob:
    """Bring these rows to where they belong."""

    rows: list[Row]


Job = ShipJob | MoveJob


@dataclass(frozen=True, slots=True)
class Done:
    """A job's end: outcomes of a ShipJob or moves of a MoveJob."""

    job: Job
    outcomes: list[Outcome | Skipped | Undecided]
    moves: list[Moved]


class Worker:
    """Runs on its own thread between ``start`` and ``stop``."""

    def __init__(
        self,
        connect: Callable[[str], FtpClient],
        registry: Registry,
        link: Link,
        journal: Journal,
        clock: Clock,
        stamp: Callable[[], str],
        finished: Callable[[Done], None],
        *,
        leftovers: Leftovers,
        alive_s: float = math.inf,
        calls: bool = False,
        goodbye: str = "",
        verify: bool = True,
        elsewhere: Elsewhere | None = None,
        skips_copies: bool = False,
    ) -> None:
        """``connect`` makes a client (not yet connected) of an address; ``finished`` hears of every job, on our thread.

        After ``alive_s`` without a job the server hears that we live; a worker that ``calls`` connects for that.
        ``goodbye`` is what the server is told (CLNT) before the connection ends for good. ``verify``: compare digests.
        ``skips_copies``: some compressed copies are not to be sent.
        """
        self._verify = verify
        self._elsewhere = elsewhere
        self._leftovers = leftovers
        self._address = ""
        self._met = ""
        """The server of this connection, and which restore its archive comes of."""
        """What ``_client`` is connected to."""
        self._packing = Packing()
        self._connect = connect
        self._registry = registry
        self._link = link
        self._journal = journal
        self._clock = clock
        self._stamp = stamp
        self._finished = finished
        self._alive_s = alive_s
        self._calls = calls
        self._goodbye = goodbye
        self._skips_copies = skips_copies
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._client: FtpClient | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="logferry-agent-worker", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Give it a job."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Ask the thread to end after the job it is at."""
        self._stopping = True
        self._jobs.put(None)

    def retire(self) -> None:
        """Ask the thread to end after the jobs it has; the agent goes on, so the server is told no goodbye."""
        self._goodbye = ""
        self._jobs.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False if it is still busy."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def abort(self) -> None:
        """Cut the connection under whatever the thread is doing."""
        client = self._client
        if client is not None:
            client.abort()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                done = self._work(job)
            except Exception as fault:  # noqa: BLE001 (a fault in here must not end the thread and stall everything)
                self._journal.event("fault", level=logging.ERROR, error=traceback.format_exc().splitlines())
                done = self._none_done(job, Later(f"internal fault: {fault!r}", hint="please report it"))
                self._drop()
            self._finished(done)
        if self._client is not None:
            with contextlib.suppress(LogferryError):  # saying goodbye is a courtesy
                if self._goodbye and self._client.connected and self._client.features.has("CLNT"):
                    self._client.command(f"CLNT {self._goodbye}")
                self._client.close()

    def _next(self) -> Job | None:
        """The next job; while there is none, the server hears from us now and then."""
        while True:
            try:
                return self._jobs.get(timeout=None if math.isinf(self._alive_s) else self._alive_s)
            except queue.Empty:
                self._say_alive()

    def _say_alive(self) -> None:
        connected = self._client is not None and self._client.connected
        if self._stopping or self._link.wait_s() > 0 or not (connected or self._calls):
            return
        try:
            self._connected().noop()
        except LogferryError as error:
            self._drop()
            if not self._stopping:
                self._link.failed(error)
        else:
            self._link.worked()

    def _work(self, job: Job) -> Done:
        try:
            client = self._connected()
        except LogferryError as error:
            if not self._stopping:
                self._link.failed(error)
            return self._none_done(job, error)
        done = self._do(job, client)
        troubles = [o.error for o in done.outcomes if isinstance(o, Failed) and concerns_link(o.error)]
        troubles += [m.error for m in done.moves if m.error is not None and concerns_link(m.error)]
        if troubles:
            if not self._stopping:
                self._link.failed(troubles[0])
            if not all(is_full(trouble) for trouble in troubles):  # a full server is still there to be asked
                self._drop()
        elif any(isinstance(o, Sent) for o in done.outcomes) or done.moves:
            self._link.worked()
        return done

    def _do(self, job: Job, client: FtpClient) -> Done:
        if isinstance(job, ShipJob):
            shipper = Shipper(
                client,
                self._registry,
                self._journal,
                self._clock,
                self._stamp,
                self._leftovers,
                verify=self._verify,
                packing=self._packing,
                confirmed=self._confirmed,
            )
            held, tasks = self._without_copies(job.tasks, client)
            return Done(job, [*held, *shipper.ship(tasks)], [])
        unproved = self._elsewhere.holds if self._elsewhere is not None else lambda _: False
        leaving = (lambda row: self._note_digest(client, row)) if self._skips_copies else None
        mover = Mover(client, self._registry, self._journal, self._clock, self._stamp, unproved, leaving=leaving)
        return Done(job, [], mover.move(job.rows))

    def _note_digest(self, client: FtpClient, row: Row) -> None:
        try:
            note_digest(client, self._registry, row, self._clock.now_ns())
        except Full as error:  # then its compressed copy is sent
            self._journal.state("copies", "not recorded", level=logging.WARNING, why=str(error))

    def _without_copies(
        self, tasks: list[Task], client: FtpClient
    ) -> tuple[list[Outcome | Skipped | Undecided], list[Task]]:
        """Outcomes of those that are compressed copies, or may yet be, and the tasks that are left to send."""
        if not any(task.maybe_copy for task in tasks):
            return [], tasks
        copies = Copies(client, self._registry, self._journal, self._clock, lambda: not self._stopping)
        outcomes: list[Outcome | Skipped | Undecided] = []
        left: list[Task] = []
        for task in tasks:
            try:
                outcome: Outcome | Skipped | Undecided | None = copies.judge(task) if task.maybe_copy else None
            except LogferryError as error:
                outcome = Failed(task, task.row, error)
            if outcome is None:
                left.append(task)
            else:
                outcomes.append(outcome)
        return outcomes, left

    def _none_done(self, job: Job, error: LogferryError) -> Done:
        if isinstance(job, ShipJob):
            return Done(job, [Failed(task, task.row, error) for task in job.tasks], [])
        return Done(job, [], [Moved(row, row, error) for row in job.rows])

    def _connected(self) -> FtpClient:
        if self._stopping:
            raise Later("the agent is stopping")
        address = self._link.address
        if address != self._address:
            self._drop()
        if self._client is None or not self._client.connected:
            self._address = address
            self._client = self._connect(address)
            self._client.connect()
        # An archive that was restored from a copy is another server: it may lack what was confirmed.
        mark = self._client.features.mark
        self._met = f"{address} {mark}" if mark else address
        if self._elsewhere is not None and self._elsewhere.met(self._met):
            self._journal.event("every file is compared with this server", level=logging.WARNING, address=self._met)
        return self._client

    def _confirmed(self, row_ids: list[int]) -> None:
        """Rows that the server of this connection has confirmed."""
        if self._elsewhere is not None:
            self._elsewhere.confirmed(row_ids, self._met)

    def _drop(self) -> None:
        if self._client is not None:
            self._client.drop()
            self._client = None
