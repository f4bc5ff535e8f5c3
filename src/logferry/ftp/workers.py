"""Threads for sessions that are active just now. They come when needed and go when idle."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

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
        self._free = 0

    def submit(self, job: Job) -> None:
        """Have ``job`` done by a free thread, a new one, or the next that gets free."""
        self._jobs.put(job)
        with self._lock:
            if self._free >= self._jobs.qsize() or len(self._threads) >= self._threads_max:
                return
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._threads.add(thread)
        thread.start()

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

    def _next(self) -> Job | None:
        """The next job; None when there was none for long, or the end has come."""
        with self._lock:
            self._free += 1
        try:
            job = self._jobs.get(timeout=_IDLE_S_MAX)
        except queue.Empty:
            job = None
        with self._lock:
            self._free -= 1
            if job is None:
                # A job put in this very moment is not lost: submit sees that nobody is free and starts a thread.
                self._threads.discard(threading.current_thread())
        return job
