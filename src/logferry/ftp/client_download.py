"""Whole files from a server to a disk, resumed where they were interrupted, checked before they get their name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from logferry.errors import Damaged, Later, NotFound
from logferry.ftp.client_copy import Copied, CopyProgress
from logferry.ftp.client_digest import file_digest
from logferry.ftp.client_place import LocalPlace, disk_trouble
from logferry.ftp.portable import read_at, write_at
from logferry.ftp.reconnect import Backoff, retrying
from logferry.limits import TAIL_BYTES
from logferry.names import temporary_name

if TYPE_CHECKING:
    from logferry.ftp.client import FtpClient


def download(
    client: FtpClient,
    remote: str,
    local: str,
    *,
    folder: int | None = None,
    resume: bool,
    verify: bool,
    attempts: int,
    progress: CopyProgress | None,
) -> Copied:
    """See FtpClient.download. With ``folder`` (an open descriptor) ``local`` is shown only, but for its last part."""
    name = os.path.basename(local)
    partial = temporary_name(f"{client.where}\0{remote}\0{name}")
    place = LocalPlace(os.path.dirname(local) or ".", name, partial, folder)
    return _Download(client, remote, place, resume, verify, progress).run(attempts)


class _Download:
    def __init__(
        self,
        client: FtpClient,
        remote: str,
        place: LocalPlace,
        resume: bool,
        verify: bool,
        progress: CopyProgress | None,
    ) -> None:
        self._client = client
        self._remote = remote
        self._place = place
        self._resume = resume
        self._verify = verify
        self._progress = progress
        self._attempts = 0
        self._resumed_at = 0
        self._digest = ""

    def run(self, attempts: int) -> Copied:
        backoff = Backoff(dice=self._client.dice)
        descriptor = self._place.open_partial()
        try:
            if not self._resume:
                os.ftruncate(descriptor, 0)
            size, modified_ns = retrying(
                lambda: self._once(descriptor), attempts=attempts, backoff=backoff, sleep=self._client.sleep
            )
            os.fsync(descriptor)
            if modified_ns is not None:
                self._place.set_modified(descriptor, modified_ns)
        except (NotFound, Damaged):
            self._place.discard()
            raise
        except OSError as error:
            raise disk_trouble(f"cannot write {self._place.shown}", error) from error
        finally:
            os.close(descriptor)
        self._place.publish()
        return Copied(size, self._resumed_at, self._attempts, self._digest)

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
        if self._verify:
            self._check_digest(descriptor, total, resumed=have > 0)
        return total, modified_ns

    def _check_digest(self, descriptor: int, total: int, *, resumed: bool) -> None:
        there = self._client.digest(self._remote, length=total)
        if there is None:
            return
        here = file_digest(descriptor, there.algorithm, total)
        if here == there:
            self._digest = here.algorithm
            return
        if self._client.size(self._remote) != total:
            return  # it grew meanwhile: a digest of the whole file says nothing about its beginning
        if resumed:
            os.ftruncate(descriptor, 0)
            raise Later(f"{self._remote} is not what was begun here: its {there.algorithm} differs", hint="try again")
        raise Damaged(
            f"{self._remote} arrived with another {there.algorithm} than the server's",
            where=self._place.shown,
            expected=there.hexadecimal,
            found=here.hexadecimal,
            hint="fetch it again; if it happens twice, something between that disk and here changes bytes",
        )


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
