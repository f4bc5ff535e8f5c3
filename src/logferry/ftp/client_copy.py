"""Whole files from a disk to a server, resumed where they were interrupted, checked before they count."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logferry.errors import Damaged, Later, LogferryError, NotFound, Refused
from logferry.ftp.client_digest import file_digest
from logferry.ftp.portable import read_at
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
    """A copy that is whole: ``size`` bytes, the first ``resumed_at`` of them from an earlier try, ``attempts`` made.

    ``digest`` names the algorithm whose digests here and there were compared; empty: the server computes none, or was
    not asked.
    """

    size: int
    resumed_at: int
    attempts: int
    digest: str = ""


def open_local(local: str, folder: int | None = None) -> int:
    """A descriptor to read ``local`` with (beneath the open ``folder``, through no link). Raises NotFound, Refused."""
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    if folder is not None:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(local, flags | getattr(os, "O_NONBLOCK", 0), dir_fd=folder)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {local}", hint="check the path") from error
    except OSError as error:
        raise Refused(f"cannot open {local}: {error.strerror}", hint="check its rights") from error


def upload(
    client: FtpClient,
    local: str,
    remote: str,
    *,
    descriptor: int,
    resume: bool,
    temporary: bool,
    verify: bool,
    attempts: int,
    progress: CopyProgress | None,
) -> Copied:
    """See FtpClient.upload. ``descriptor`` reads the file, ``local`` is its name in messages."""
    return _Upload(client, descriptor, local, remote, resume, temporary, verify, progress).run(attempts)


class _Upload:
    def __init__(
        self,
        client: FtpClient,
        descriptor: int,
        local: str,
        remote: str,
        resume: bool,
        temporary: bool,
        verify: bool,
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
        self._verify = verify
        self._progress = progress
        self._folder = remote.rpartition("/")[0]
        self._attempts = 0
        self._resumed_at = 0
        self._anew = False
        """What is on the server turned out to be of no use."""

        self._digest = ""

    def run(self, attempts: int) -> Copied:
        backoff = Backoff(dice=self._client.dice)
        retrying(self._once, attempts=attempts, backoff=backoff, sleep=self._client.sleep)
        return Copied(self._size, self._resumed_at, self._attempts, self._digest)

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
        elif self._progress is not None:
            self._progress(offset, self._size)
        self._check_size(target)
        if self._verify:
            self._check_digest(target, resumed=offset > 0)
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
        if self._anew:
            self._anew = False
            return 0
        if not (self._resume or self._attempts > 1) or (self._temporary and target == self._remote):
            return 0
        there = self._client.size(target) or 0
        if there > self._size or (not self._temporary and not self._continues(target, there)):
            return 0
        return there

    def _continues(self, target: str, there: int) -> bool:
        """Whether the last bytes before the break are those of this file; whoever may not read there is believed."""
        begin = max(0, there - TAIL_BYTES)
        if there == 0 or begin == there:
            return True
        tail = bytearray()
        try:
            self._client.retrieve(target, lambda block: tail.extend(block), offset=begin, expected=there - begin)
        except Refused:
            return True
        return read_at(self._descriptor, there - begin, begin) == tail

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

    def _check_digest(self, target: str, *, resumed: bool) -> None:
        there = self._client.digest(target, length=self._size)
        if there is None:
            return
        here = file_digest(self._descriptor, there.algorithm, self._size)
        if here == there:
            self._digest = here.algorithm
            return
        if target != self._remote:
            with contextlib.suppress(LogferryError):  # of no use to anybody; a left-over is harmless
                self._client.remove(target)
        changed = os.fstat(self._descriptor).st_mtime_ns != self._modified_ns
        if changed or resumed:
            self._anew = True
            why = "changed while it was sent" if changed else "does not continue what was on the server"
            raise Later(f"{self._local} {why}: {there.algorithm} of {self._remote} differs", hint="send it again")
        raise Damaged(
            f"{self._remote} has another {there.algorithm} on the server than {self._local}",
            where=self._remote,
            expected=here.hexadecimal,
            found=there.hexadecimal,
            hint="send it again; if it happens twice, something between here and that disk changes bytes",
        )

    def _tell(self, offset: int) -> Callable[[int], object] | None:
        progress = self._progress
        return None if progress is None else lambda done: progress(offset + done, self._size)
