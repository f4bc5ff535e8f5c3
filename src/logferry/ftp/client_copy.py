"""Whole files between a disk and a server, resumed where they were interrupted, checked before they count."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logferry.errors import Damaged, Later, NotFound, Refused
from logferry.ftp.portable import read_at, sync_folder, write_at
from logferry.ftp.reconnect import Backoff, retrying
from logferry.ftp.sending import SendSource
from logferry.limits import SLICE_BYTES, TAIL_BYTES
from logferry.names import temporary_name

if TYPE_CHECKING:
    from logferry.ftp.client import FtpClient

CopyProgress = Callable[[int, int], object]
"""Called with (bytes there, bytes of the whole file)."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that is whole: ``size`` bytes, the first ``resumed_at`` of them from an earlier try, ``attempts`` made."""

    size: int
    resumed_at: int
    attempts: int


# Upload --------------------------------------------------------------------------------------------------------------


def upload(
    client: FtpClient,
    local: str,
    remote: str,
    *,
    resume: bool,
    temporary: bool,
    attempts: int,
    progress: CopyProgress | None,
) -> Copied:
    """See FtpClient.upload."""
    try:
        descriptor = os.open(local, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {local}", hint="check the path") from error
    except OSError as error:
        raise Refused(f"cannot open {local}: {error.strerror}") from error
    try:
        return _Upload(client, descriptor, local, remote, resume, temporary, progress).run(attempts)
    finally:
        os.close(descriptor)


class _Upload:
    def __init__(
        self,
        client: FtpClient,
        descriptor: int,
        local: str,
        remote: str,
        resume: bool,
        temporary: bool,
        progress: CopyProgress | None,
    ) -> None:
        state = os.fstat(descriptor)
        self._client = client
        self._descriptor = descriptor
        self._local = local
        self._remote = remote
        self._size = state.st_size
        self._modified_ns = state.st_mtime_ns
        self._resume = resume
        self._temporary = temporary
        self._progress = progress
        self._folder = remote.rpartition("/")[0]
        self._attempts = 0
        self._resumed_at = 0

    def run(self, attempts: int) -> Copied:
        backoff = Backoff(dice=self._client.dice)
        retrying(self._once, attempts=attempts, backoff=backoff, sleep=self._client.sleep)
        return Copied(self._size, self._resumed_at, self._attempts)

    def _once(self) -> None:
        client = self._client
        client.connect()
        self._attempts += 1
        if self._attempts > 1:
            client.forget_folders()
        client.ensure_folder(self._folder)
        target = self._target()
        offset = self._offset(target)
        if self._attempts == 1:
            self._resumed_at = offset
        # An empty file, or a whole partial of which only the renaming was lost: the first needs a STOR, the other none.
        if offset < self._size or self._size == 0:
            source = SendSource(self._descriptor, offset, self._size - offset)
            client.store(target, source, rest=offset, progress=self._tell(offset))
        self._check_size(target)
        client.set_modified(target, self._modified_ns)
        if target != self._remote:
            client.rename(target, self._remote)

    def _target(self) -> str:
        """Small files go to their final name at once where uploads are atomic."""
        if not self._temporary or (self._client.features.atomic and self._size <= SLICE_BYTES):
            return self._remote
        version = f"{self._remote}\0{self._size}\0{self._modified_ns}"
        name = temporary_name(version)
        return f"{self._folder}/{name}" if "/" in self._remote else name

    def _offset(self, target: str) -> int:
        """Where to go on. On the final name of an atomic server what is there may be another version: begin anew."""
        if not (self._resume or self._attempts > 1) or (self._temporary and target == self._remote):
            return 0
        there = self._client.size(target) or 0
        return there if there <= self._size else 0

    def _check_size(self, target: str) -> None:
        there = self._client.size(target)
        if there is not None and there > self._size:
            raise Damaged(
                f"{target} has {there} bytes on the server, {self._local} has {self._size}",
                where=target,
                expected=str(self._size),
                found=str(there),
                hint="does somebody else write there?",
            )
        if there != self._size:
            raise Later(
                f"{target} has {there} of {self._size} bytes although the server confirmed it", hint="try again"
            )

    def _tell(self, offset: int) -> Callable[[int], object] | None:
        progress = self._progress
        return None if progress is None else lambda done: progress(offset + done, self._size)


# Download ------------------------------------------------------------------------------------------------------------


def download(
    client: FtpClient, remote: str, local: str, *, resume: bool, attempts: int, progress: CopyProgress | None
) -> Copied:
    """See FtpClient.download."""
    return _Download(client, remote, local, resume, progress).run(attempts)


class _Download:
    def __init__(self, client: FtpClient, remote: str, local: str, resume: bool, progress: CopyProgress | None) -> None:
        self._client = client
        self._remote = remote
        self._local = local
        self._folder = os.path.dirname(local) or "."
        self._partial = os.path.join(
            self._folder, temporary_name(f"{client.where}\0{remote}\0{os.path.basename(local)}")
        )
        self._resume = resume
        self._progress = progress
        self._attempts = 0
        self._resumed_at = 0

    def run(self, attempts: int) -> Copied:
        backoff = Backoff(dice=self._client.dice)
        try:
            descriptor = os.open(
                self._partial, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), 0o644
            )
        except OSError as error:
            raise Refused(
                f"cannot write in {self._folder}: {error.strerror}", hint="check folder and rights"
            ) from error
        try:
            if not self._resume:
                os.ftruncate(descriptor, 0)
            size, modified_ns = retrying(
                lambda: self._once(descriptor), attempts=attempts, backoff=backoff, sleep=self._client.sleep
            )
            os.fsync(descriptor)
            if modified_ns is not None:
                os.utime(descriptor if os.utime in os.supports_fd else self._partial, ns=(modified_ns, modified_ns))
        except (NotFound, Damaged):
            with contextlib.suppress(OSError):  # nothing worth keeping; a left-over is harmless
                os.unlink(self._partial)
            raise
        finally:
            os.close(descriptor)
        os.replace(self._partial, self._local)
        sync_folder(self._folder)
        return Copied(size, self._resumed_at, self._attempts)

    def _once(self, descriptor: int) -> tuple[int, int | None]:
        client = self._client
        client.connect()
        self._attempts += 1
        expected = client.size(self._remote)
        if expected is None:
            raise NotFound(f"there is no file {self._remote} on {client.where}", hint="check the path")
        modified_ns = client.modified(self._remote)
        have = os.fstat(descriptor).st_size
        if have > expected:
            os.ftruncate(descriptor, 0)
            have = 0
        writer = _Writer(descriptor, have, expected, self._progress)
        if self._attempts == 1:
            self._resumed_at = have
        try:
            client.retrieve(self._remote, writer.write, offset=writer.begin, expected=expected - writer.begin)
        except _Differs:
            # Another file stands there now: what we have is of no use. The retry below begins at zero.
            os.ftruncate(descriptor, 0)
            self._resumed_at = 0
            raise Later(f"{self._remote} changed on the server since the download began") from None
        total = writer.position
        # A log may grow while it is read; then what came must lie between the size before and the size after.
        if total != expected and not expected < total <= (client.size(self._remote) or 0):
            raise Later(f"{total} bytes of {self._remote} came, the server has {expected}", hint="try again")
        return total, modified_ns


class _Differs(Exception):
    """The bytes before the break are not the same any more."""


class _Writer:
    """Compares the last bytes that are here already with what comes, then writes behind them."""

    def __init__(self, descriptor: int, have: int, expected: int, progress: CopyProgress | None) -> None:
        self.begin = max(0, have - TAIL_BYTES)
        self.position = self.begin
        self._descriptor = descriptor
        self._have = have
        self._expected = expected
        self._progress = progress

    def write(self, data: memoryview) -> None:
        if self.position < self._have:
            known = read_at(self._descriptor, min(len(data), self._have - self.position), self.position)
            if known != data[: len(known)]:
                raise _Differs
            self.position += len(known)
            data = data[len(known) :]
        while data:
            written = write_at(self._descriptor, data, self.position)
            self.position += written
            data = data[written:]
        if self._progress is not None:
            self._progress(self.position, max(self._expected, self.position))
