"""Threads for sessions that are active just now. They come when needed and go when idle."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from logferry.ftp.memory import give_memory_back
from logferry.limits import FTP_DATA_BLOCK_BYTES

log = logging.getLogger("logferry.ftp")

_IDLE_S_MAX = 10.0

Job = Callable[[memoryview, bool], None]
"""Called with a buffer that is the thread's own, and whether other jobs wait in line."""


class Workers:
    """At most ``threads_max`` threads; jobs beyond that wait in line."""

    def __init__(self, threads_max: int, name: str) -> None:
        self._threads_max = threads_max
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        # Both under the lock, so that a job counts as waiting exactly as long as its thread counts as free.
        self._free = 0
        self._waiting = 0

    def submit(self, job: Job) -> None:
        """Have ``job`` done by a free thread, a new one, or the next that gets free."""
        with self._lock:
            self._waiting += 1
            self._jobs.put(job)
            if self._free >= self._waiting or len(self._threads) >= self._threads_max:
                return
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:
            # The machine has no thread left; whoever calls must not end by that. The job waits for the others.
            with self._lock:
                self._threads.discard(thread)
            log.error("no thread could be started: %s", error)  # noqa: TRY400  # where does not matter

    @property
    def count(self) -> int:
        """Threads alive."""
        return len(self._threads)

    def stop(self, timeout_s: float) -> None:
        """Let every thread end after its job; wait for them at most ``timeout_s``."""
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join(timeout_s)

    def _run(self) -> None:
        buffer = memoryview(bytearray(FTP_DATA_BLOCK_BYTES))
        while True:
            job = self._next()
            if job is None:
                break
            try:
                job(buffer, self._jobs.qsize() > self._free)
            except Exception:
                # A job answers for its own errors; one that slips through must not take the thread with it.
                log.exception("a session's job failed")
        if not self._threads:
            # The last one to go: it is quiet now.
            give_memory_back()

    def _next(self) -> Job | None:
        """The next job; None when there was none for long, or the end has come."""
        with self._lock:
            self._free += 1
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_S_MAX)
            except queue.Empty:
                with self._lock:
                    if self._waiting >= self._free:
                        continue  # a job has come in this very moment, and its sender counted on us
                    self._leave()
                    return None
            with self._lock:
                if job is None:
                    self._leave()
                else:
                    self._free -= 1
                    self._waiting -= 1
            return job

    def _leave(self) -> None:
        """This thread ends. Called under the lock."""
        self._free -= 1
        self._threads.discard(threading.current_thread())
