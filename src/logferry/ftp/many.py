"""Copies of many files: what is to be copied, what became of each, how far all of them are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from logferry.errors import LogferryError

How = Literal["", "bundle", "pipeline", "single"]


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file: it is whole at the other end if and only if ``error`` is None.

    ``size`` in bytes; ``resumed_at`` of them came from an earlier try. ``how`` it went: in a ``bundle`` with others,
    by ``pipeline`` (commands sent ahead), or ``single``. ``digest``: the algorithm of the digests compared, if any.
    """

    local: str
    remote: str
    size: int = 0
    error: LogferryError | None = None
    resumed_at: int = 0
    how: How = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ManyProgress:
    """How far the copying of many files is. ``name``: the file that moved last; ``bytes`` grows when files do."""

    files_done: int
    files: int
    bytes_done: int
    bytes: int
    failed: int
    name: str


ManyCallback = Callable[[ManyProgress], object]
"""Called on the threads of the connections, one call at a time."""


@dataclass(slots=True)
class Job:
    """One file to copy. ``place`` is its number among the results."""

    place: int
    local: str
    remote: str
    size: int
    open: Callable[[], int] = field(repr=False)
    """A descriptor: of the file, for an upload; of the folder it goes to, for a download (-1: by its path)."""


class Tally:
    """Collects results and tells progress, for any number of threads."""

    def __init__(
        self, jobs: Iterable[Job], *, progress: ManyCallback | None, on_result: Callable[[FileResult], object] | None
    ) -> None:
        listed = list(jobs)
        self._lock = threading.Lock()
        self._progress = progress
        self._on_result = on_result
        self._sizes = {job.place: job.size for job in listed}
        self._done: dict[int, int] = {}
        self._files = len(listed)
        self._bytes = sum(self._sizes.values())
        self._bytes_done = 0
        self._failed = 0
        self.results: dict[int, FileResult] = {}
        self.first_error: LogferryError | None = None

    def watch(self, job: Job) -> Callable[[int, int], object] | None:
        """A progress callback for the copy of one file; None when nobody listens."""
        if self._progress is None:
            return None
        return lambda done, size: self._moved(job, done, size)

    def settle(self, job: Job, result: FileResult) -> None:
        """This is what became of ``job``; to be called once for each."""
        with self._lock:
            assert job.place not in self.results, job
            self.results[job.place] = result
            if result.error is not None:
                self._failed += 1
                self.first_error = self.first_error or result.error
            else:
                self._count(job, result.size, result.size)
            self._tell(job.local)
            if self._on_result is not None:
                self._on_result(result)

    def _moved(self, job: Job, done: int, size: int) -> None:
        with self._lock:
            self._count(job, done, size)
            self._tell(job.local)

    def _count(self, job: Job, done: int, size: int) -> None:
        self._bytes += size - self._sizes[job.place]
        self._sizes[job.place] = size
        self._bytes_done += done - self._done.get(job.place, 0)
        self._done[job.place] = done

    def _tell(self, name: str) -> None:
        if self._progress is not None:
            self._progress(
                ManyProgress(len(self.results), self._files, self._bytes_done, self._bytes, self._failed, name)
            )
