"""Many files to a server, over several connections: large ones first and each for itself, small ones together.

Small files go in bundles where the server unpacks them, else with their commands sent ahead where it announces that and
publishes uploads whole; elsewhere each goes under a temporary name, like the large ones.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from logferry.errors import Later, LogferryError, Refused
from logferry.ftp.client import FtpClient
from logferry.ftp.client_copy import open_local
from logferry.ftp.client_copy import upload as upload_open
from logferry.ftp.client_store import CONNECTION_OVER, StoreItem, StoreResult
from logferry.ftp.cut import Aborted
from logferry.ftp.lanes import Clients, run_lanes
from logferry.ftp.many import FileResult, How, Job, ManyCallback, Tally
from logferry.ftp.reconnect import Backoff
from logferry.limits import (
    FTP_ATTEMPTS_MAX,
    FTP_BATCH_BYTES_MAX,
    FTP_BATCH_FILES_MAX,
    FTP_BUNDLE_FILES_MIN,
    FTP_CONNECTIONS_DEFAULT,
    FTP_SMALL_BYTES_MAX,
)

OnError = Literal["collect", "raise"]


def upload_many(
    clients: Clients,
    files: Iterable[tuple[str, str] | str],
    *,
    into: str = "",
    connections: int = FTP_CONNECTIONS_DEFAULT,
    bundles: bool = True,
    resume: bool = True,
    verify: bool = True,
    attempts: int = FTP_ATTEMPTS_MAX,
    on_error: OnError = "collect",
    on_result: Callable[[FileResult], object] | None = None,
    progress: ManyCallback | None = None,
) -> list[FileResult]:
    """Upload ``files`` over up to ``connections`` connections; one result for each, in their order.

    A file is ``(local path, path on the server)``, or a local path whose name is kept ``into`` a folder there. Folders
    are made, times are kept, interrupted files are resumed. A failure concerns one file and stands in its result, with
    ``on_error="raise"`` the first one ends everything; failures of the network are tried again up to ``attempts``
    times without progress. ``progress`` and ``on_result`` are called on the connections' threads, one at a time.

    Raises what connecting raises (Unreachable, TimedOut, Busy, NotSignedIn, Refused), before any file.
    """
    sender = Sender(bundles=bundles, resume=resume, verify=verify, attempts=attempts, on_error=on_error)
    jobs, failed = _jobs(files, into)
    return sender.run(clients, jobs, failed=failed, connections=connections, on_result=on_result, progress=progress)


def _jobs(files: Iterable[tuple[str, str] | str], into: str) -> tuple[list[Job], list[tuple[Job, LogferryError]]]:
    jobs: list[Job] = []
    failed: list[tuple[Job, LogferryError]] = []
    for place, file in enumerate(files):
        local, remote = (file, _below(into, os.path.basename(file))) if isinstance(file, str) else file
        job = Job(place, local, remote, 0, lambda local=local: open_local(local))  # type: ignore[misc]
        try:
            job.size = _size(local)
        except LogferryError as error:
            failed.append((job, error))
        else:
            jobs.append(job)
    return jobs, failed


def _below(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if folder else name


def _size(local: str) -> int:
    descriptor = open_local(local)
    try:
        state = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(state.st_mode):
        raise Refused(f"{local} is no plain file", hint="only files can be uploaded; for folders use mirror_up")
    return state.st_size


class Sender:
    """One call of ``upload_many``: what is left to send, and how."""

    def __init__(self, *, bundles: bool, resume: bool, verify: bool, attempts: int, on_error: OnError) -> None:
        assert attempts >= 1, attempts
        self._bundles = bundles
        self._resume = resume
        self._verify = verify
        self._attempts = attempts
        self._raise = on_error == "raise"
        self._lock = threading.Lock()
        self._large: deque[Job] = deque()
        self._small: deque[Job] = deque()
        self._connections = 1
        self._lost: LogferryError | None = None
        """Why the server is given up; what is left gets this error untried."""

    def run(
        self,
        clients: Clients,
        jobs: Sequence[Job],
        *,
        failed: Sequence[tuple[Job, LogferryError]] = (),
        connections: int,
        on_result: Callable[[FileResult], object] | None,
        progress: ManyCallback | None,
    ) -> list[FileResult]:
        """Send ``jobs``; ``failed`` are those that cannot be sent. Results in the order of their places."""
        self._tally = Tally([*jobs, *(job for job, _ in failed)], progress=progress, on_result=on_result)
        for job, error in failed:
            self._fail(job, error)
        self._large.extend(
            sorted((job for job in jobs if job.size > FTP_SMALL_BYTES_MAX), key=lambda job: job.size, reverse=True)
        )
        self._small.extend(job for job in jobs if job.size <= FTP_SMALL_BYTES_MAX)
        self._connections = max(1, min(connections, len(jobs)))
        if jobs and not self._over:
            run_lanes(clients, self._lane, connections=self._connections)
        if self._raise and self._tally.first_error is not None:
            raise self._tally.first_error
        for job in (*self._large, *self._small):
            assert self._lost is not None, "every lane ended, but files are left"
            self._fail(job, self._lost)
        return [self._tally.results[place] for place in sorted(self._tally.results)]

    # One connection --------------------------------------------------------------------------------------------------

    def _lane(self, client: FtpClient) -> None:
        while not self._over:
            if (job := self._next_large()) is not None:
                self._single(client, job)
            elif batch := self._next_batch(client):
                self._together(client, batch)
            else:
                return

    @property
    def _over(self) -> bool:
        return self._lost is not None or (self._raise and self._tally.first_error is not None)

    def _next_large(self) -> Job | None:
        with self._lock:
            return self._large.popleft() if self._large else None

    def _next_batch(self, client: FtpClient) -> list[Job]:
        """The next small files: a share of what is left, so that all connections end at about the same time."""
        batch: list[Job] = []
        size = 0
        with self._lock:
            count = min(FTP_BATCH_FILES_MAX, max(1, len(self._small) // (2 * self._connections)))
            if self._how(client, FTP_BUNDLE_FILES_MIN) != "single":
                count = max(count, FTP_BUNDLE_FILES_MIN)
            while self._small and len(batch) < count and size <= FTP_BATCH_BYTES_MAX:
                batch.append(self._small.popleft())
                size += batch[-1].size
        return batch

    def _how(self, client: FtpClient, files: int) -> How:
        features = client.features
        if self._bundles and files >= FTP_BUNDLE_FILES_MIN and features.bundle_folder != "":
            return "bundle"
        # Elsewhere a file would be seen, and stay, under its name while it is only half there.
        return "pipeline" if features.pipelining and features.atomic else "single"

    # Each for itself -------------------------------------------------------------------------------------------------

    def _single(self, client: FtpClient, job: Job) -> None:
        try:
            descriptor = job.open()
        except LogferryError as error:
            self._fail(job, error)
            return
        try:
            copied = upload_open(
                client,
                job.local,
                job.remote,
                descriptor=descriptor,
                resume=self._resume,
                temporary=True,
                verify=self._verify,
                attempts=self._attempts,
                progress=self._tally.watch(job),
            )
        except LogferryError as error:
            self._fail(job, error, how="single")
            self._give_up_if_over(error)
            return
        finally:
            os.close(descriptor)
        self._tally.settle(
            job,
            FileResult(job.local, job.remote, copied.size, None, copied.resumed_at, "single", copied.digest),
        )

    # Together --------------------------------------------------------------------------------------------------------

    def _together(self, client: FtpClient, batch: list[Job]) -> None:
        """Send a batch; what a broken connection left goes again, as long as each try gets some further."""
        backoff = Backoff(dice=client.dice)
        attempts = self._attempts
        while batch:
            how = self._how(client, len(batch))
            if how == "single":
                for job in batch:
                    if self._over:
                        with self._lock:
                            self._small.appendleft(job)
                    else:
                        self._single(client, job)
                return
            again = self._try(client, batch, how)
            attempts = attempts - 1 if len(again) == len(batch) else self._attempts
            if not again:
                return
            if attempts == 0 or self._over:
                for job, error in again:
                    self._fail(job, error, how=how)
                self._give_up_if_over(again[0][1])
                return
            batch = [job for job, _ in again]
            if any(isinstance(error, CONNECTION_OVER) for _, error in again):
                client.drop()  # however it was noticed, what is left of the connection is of no use
            try:
                client.forget_folders()
                client.sleep(backoff.next_s())
                client.connect()
            except LogferryError as error:
                if not isinstance(error, Later) or isinstance(error, Aborted):
                    attempts = 1  # a password that is not right any more, say: the next try is the last

    def _try(self, client: FtpClient, batch: list[Job], how: How) -> list[tuple[Job, LogferryError]]:
        """Send a batch once; return what is worth another try, with the reason."""
        again: list[tuple[Job, LogferryError]] = []
        sent: list[Job] = []
        try:
            ready = self._folders_made(client, batch) if how == "pipeline" else batch
            results = self._results(client, self._items(ready, sent), how)
            for place, result in enumerate(results):
                self._judge(sent[place], result, how, again)
        except LogferryError as error:
            # The connection is over or was never there: nothing is known of those without a result.
            known = self._tally.results.keys() | {job.place for job, _ in again}
            left = [job for job in batch if job.place not in known]
            if isinstance(error, Later) and not isinstance(error, Aborted):
                return [*again, *((job, error) for job in left)]
            for job in left:
                self._fail(job, error, how=how)
        return again

    def _results(self, client: FtpClient, items: Iterable[StoreItem], how: How) -> Iterator[StoreResult]:
        if how == "bundle":
            yield from client.store_bundle(items).results
        else:
            yield from client.store_many(items)

    def _items(self, jobs: Iterable[Job], sent: list[Job]) -> Iterator[StoreItem]:
        """Small files, read when their turn comes; those that cannot be read get their result here."""
        for job in jobs:
            try:
                descriptor = job.open()
            except LogferryError as error:
                self._fail(job, error)
                continue
            try:
                state = os.fstat(descriptor)
                data = _read_all(descriptor)
            except OSError as error:
                self._fail(job, Refused(f"cannot read {job.local}: {error.strerror}", hint="check its disk"))
                continue
            finally:
                os.close(descriptor)
            sent.append(job)
            yield StoreItem(job.remote, data, 0, len(data), modified_ns=state.st_mtime_ns, want_size=self._verify)

    def _folders_made(self, client: FtpClient, batch: list[Job]) -> list[Job]:
        """Make the folders of a batch; files whose folder cannot be made get their result here."""
        failed: dict[str, LogferryError] = {}
        ready: list[Job] = []
        for job in batch:
            folder = job.remote.rpartition("/")[0]
            if folder not in failed:
                try:
                    client.ensure_folder(folder)
                except CONNECTION_OVER:
                    raise
                except LogferryError as error:
                    failed[folder] = error
            if folder in failed:
                self._fail(job, failed[folder])
            else:
                ready.append(job)
        return ready

    def _judge(self, job: Job, result: StoreResult, how: How, again: list[tuple[Job, LogferryError]]) -> None:
        error = result.error
        length = result.item.length
        if error is None and result.size is not None and result.size != length:
            error = Later(f"{job.remote} has {result.size} of {length} bytes although the server confirmed it")
        if error is None:
            self._tally.settle(job, FileResult(job.local, job.remote, length, how=how))
        elif isinstance(error, Later) and not isinstance(error, Aborted):
            again.append((job, error))
        else:
            self._fail(job, error, how=how)

    # Results ---------------------------------------------------------------------------------------------------------

    def _fail(self, job: Job, error: LogferryError, *, how: How = "") -> None:
        self._tally.settle(job, FileResult(job.local, job.remote, job.size, error, how=how))

    def _give_up_if_over(self, error: LogferryError) -> None:
        """Tried often enough in vain: the server is gone, and the files that are left need not each find out."""
        if isinstance(error, CONNECTION_OVER):
            with self._lock:
                self._lost = self._lost or error


def _read_all(descriptor: int) -> bytes:
    blocks = []
    while block := os.read(descriptor, FTP_SMALL_BYTES_MAX):
        blocks.append(block)
    return b"".join(blocks)
