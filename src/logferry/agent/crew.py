"""The connections to the server under one set of settings, and who is busy with what. Replaced as a whole on reload."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable, Iterator, Sequence

from logferry import __version__
from logferry.agent.config import AgentConfig, host_and_port
from logferry.agent.elsewhere import Elsewhere
from logferry.agent.journal import Journal
from logferry.agent.leftovers import Leftovers
from logferry.agent.link import Link
from logferry.agent.registry import Registry
from logferry.agent.tally import Tally
from logferry.agent.worker import Done, Job, Worker
from logferry.clock import Clock
from logferry.ftp.client import FtpClient
from logferry.ftp.reconnect import Dice
from logferry.limits import ALIVE_S_MAX, ALIVE_S_MIN, RETIRE_S, STOP_S_MAX

_INTRODUCTION = f"logferry-agent/{__version__}"
"""What the server is told about who connects."""


class Crew:
    """Link, limit and workers. The runner's thread uses it; ``wake`` is called on the workers' threads."""

    def __init__(
        self,
        config: AgentConfig,
        registry: Registry,
        journal: Journal,
        clock: Clock,
        dice: Dice,
        stamp: Callable[[], str],
        wake: Callable[[], None],
        tally: Tally,
        elsewhere: Elsewhere,
        leftovers: Leftovers,
        *,
        skips_copies: bool = False,
        epoch: int = 0,
    ) -> None:
        """``epoch`` is that of the link: higher than any before, so that sizes on the server are asked for again."""
        self._config = config
        self._clock = clock
        self._wake = wake
        self.skips_copies = skips_copies
        self.alive_s = min(max(config.agent.scan_interval, ALIVE_S_MIN), ALIVE_S_MAX)
        self.link = Link(config.server.addresses, journal, clock, dice, tally=tally, epoch=epoch)
        self.pace = config.limits.pace(clock)
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._workers = [
            Worker(
                self._client,
                registry,
                self.link,
                journal,
                clock,
                stamp,
                self._finished,
                alive_s=self.alive_s,
                calls=number == 0,
                goodbye=f"{_INTRODUCTION} stopping",
                skips_copies=skips_copies,
                verify=config.server.verify == "hash",
                elsewhere=elsewhere,
                leftovers=leftovers,
            )
            for number in range(config.limits.connections)
        ]
        self._free = list(self._workers)
        self._jobs: dict[int, Worker] = {}
        self._retired_s = math.inf
        self._aborted = False

    def start(self) -> None:
        """Begin to take jobs."""
        for worker in self._workers:
            worker.start()

    # Jobs -----------------------------------------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """How many workers have nothing to do."""
        return len(self._free)

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return bool(self._jobs)

    def may_take(self) -> bool:
        """A free worker; while the server is not known to be there, one worker finds out for all."""
        return bool(self._free) and (self.link.up or len(self._free) == len(self._workers))

    def submit(self, job: Job) -> None:
        """Give a job to a free worker."""
        worker = self._free.pop()
        self._jobs[id(job)] = worker
        worker.submit(job)

    def received(self) -> Iterator[Done]:
        """The jobs that came back since the last time."""
        while True:
            try:
                done = self._done.get_nowait()
            except queue.Empty:
                return
            self._free.append(self._jobs.pop(id(done.job)))
            yield done

    def _finished(self, done: Done) -> None:
        self._done.put(done)
        self._wake()

    def _client(self, address: str) -> FtpClient:
        server = self._config.server
        host, port = host_and_port(address)
        return FtpClient(
            host,
            port,
            user=self._config.user,
            password=self._config.password(),
            tls=server.tls,  # type: ignore[arg-type]  # one of the three words, checked by the settings
            pins=server.pin,
            ca_file=server.ca_file,
            clock=self._clock,
            rate=self.pace if self.pace.limited else None,
            introduction=f"{_INTRODUCTION} interval={math.ceil(self.alive_s)}",
        )

    # The end --------------------------------------------------------------------------------------------------------

    def retire(self) -> None:
        """Another crew takes over: every worker ends after the job it is at, without a goodbye."""
        self._retired_s = self._clock.monotonic_s()
        for worker in self._workers:
            worker.retire()

    def is_gone(self) -> bool:
        """After ``retire``: whether nothing is under way any more. A job that takes long is cut after ``RETIRE_S``.

        What it had sent by then is asked for by its size, like after any broken connection.
        """
        if not self._jobs:
            return True
        if not self._aborted and self._clock.monotonic_s() > self._retired_s + RETIRE_S:
            self._aborted = True
            for worker in self._jobs.values():
                worker.abort()
        return False

    def stop(self) -> None:
        """Ask all workers to end after the job they are at."""
        for worker in self._workers:
            worker.stop()

    def join(self, end_s: float) -> bool:
        """Wait for all workers until ``end_s`` (``time.monotonic``); False if some are still at work."""
        return all(worker.join(max(0.0, end_s - time.monotonic())) for worker in self._workers)

    def abort(self) -> None:
        """Cut the connections under whoever is still at work."""
        for worker in self._workers:
            worker.abort()


def end_all(crews: Sequence[Crew]) -> None:
    """Stop the workers of all crews within ``STOP_S_MAX``; jobs that take longer are cut."""
    end_s = time.monotonic() + STOP_S_MAX * 0.5
    for crew in crews:
        crew.stop()
    late = [crew for crew in crews if not crew.join(end_s)]
    for crew in late:
        crew.abort()
    for crew in late:
        crew.join(end_s + STOP_S_MAX * 0.2)
