"""Many files from a server, over several connections, large ones first."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from logferry.errors import LogferryError
from logferry.ftp.client import FtpClient
from logferry.ftp.client_download import download
from logferry.ftp.client_store import CONNECTION_OVER
from logferry.ftp.lanes import Clients, run_lanes
from logferry.ftp.many import FileResult, Job, ManyCallback, Tally
from logferry.ftp.many_up import OnError
from logferry.limits import FTP_ATTEMPTS_MAX, FTP_CONNECTIONS_DEFAULT


def download_many(
    clients: Clients,
    files: Iterable[tuple[str, str]],
    *,
    connections: int = FTP_CONNECTIONS_DEFAULT,
    resume: bool = True,
    verify: bool = True,
    attempts: int = FTP_ATTEMPTS_MAX,
    on_error: OnError = "collect",
    on_result: Callable[[FileResult], object] | None = None,
    progress: ManyCallback | None = None,
) -> list[FileResult]:
    """Download ``files``, each ``(path on the server, local path)``; one result for each, in their order.

    As ``upload_many``, the other way round. The local folders must be there. Sizes are known to ``progress`` only when
    a file begins. Raises what connecting raises, before any file.
    """
    jobs = [Job(place, local, remote, 0, lambda: -1) for place, (remote, local) in enumerate(files)]
    fetcher = Fetcher(resume=resume, verify=verify, attempts=attempts, on_error=on_error)
    return fetcher.run(clients, jobs, connections=connections, on_result=on_result, progress=progress)


class Fetcher:
    """One call of ``download_many``: what is left to fetch, and how."""

    def __init__(self, *, resume: bool, verify: bool, attempts: int, on_error: OnError) -> None:
        assert attempts >= 1, attempts
        self._resume = resume
        self._verify = verify
        self._attempts = attempts
        self._raise = on_error == "raise"
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._lost: LogferryError | None = None

    def run(
        self,
        clients: Clients,
        jobs: Sequence[Job],
        *,
        connections: int,
        on_result: Callable[[FileResult], object] | None,
        progress: ManyCallback | None,
    ) -> list[FileResult]:
        """Fetch ``jobs``. Results in the order of their places."""
        self._tally = Tally(jobs, progress=progress, on_result=on_result)
        self._jobs.extend(sorted(jobs, key=lambda job: job.size, reverse=True))
        if jobs:
            run_lanes(clients, self._lane, connections=max(1, min(connections, len(jobs))))
        if self._raise and self._tally.first_error is not None:
            raise self._tally.first_error
        for job in self._jobs:
            assert self._lost is not None, "every lane ended, but files are left"
            self._fail(job, self._lost)
        return [self._tally.results[place] for place in sorted(self._tally.results)]

    def _lane(self, client: FtpClient) -> None:
        while (job := self._next()) is not None:
            self._fetch(client, job)

    def _next(self) -> Job | None:
        with self._lock:
            if self._lost is not None or (self._raise and self._tally.first_error is not None):
                return None
            return self._jobs.popleft() if self._jobs else None

    def _fetch(self, client: FtpClient, job: Job) -> None:
        folder = -1
        try:
            folder = job.open()
            copied = download(
                client,
                job.remote,
                job.local,
                folder=None if folder < 0 else folder,
                resume=self._resume,
                verify=self._verify,
                attempts=self._attempts,
                progress=self._tally.watch(job),
            )
        except LogferryError as error:
            self._fail(job, error)
            if isinstance(error, CONNECTION_OVER):
                with self._lock:
                    self._lost = self._lost or error
            return
        finally:
            if folder >= 0:
                os.close(folder)
        self._tally.settle(
            job, FileResult(job.local, job.remote, copied.size, None, copied.resumed_at, "single", copied.digest)
        )

    def _fail(self, job: Job, error: LogferryError) -> None:
        self._tally.settle(job, FileResult(job.local, job.remote, job.size, error))
