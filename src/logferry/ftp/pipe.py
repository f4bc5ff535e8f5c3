"""The pipe through which a long upload flows from socket to file without coming into this process (``splice``)."""

from __future__ import annotations

import contextlib
import os
import socket
from types import TracebackType
from typing import Self

from logferry.ftp.portable import fcntl
from logferry.limits import FTP_SPLICE_PIPE_BYTES

CAN_SPLICE = hasattr(os, "splice") and hasattr(fcntl, "F_SETPIPE_SZ")
"""Linux can."""


class Pipe:
    """A pipe of its own for one transfer; ``out`` is the end to read from."""

    __slots__ = ("_bytes", "_into", "out")

    def __enter__(self) -> Self:
        self.out, self._into = os.pipe2(os.O_CLOEXEC)
        # A user who has many pipes open gets no more large ones; a small one works as well, only slower.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._into, fcntl.F_SETPIPE_SZ, FTP_SPLICE_PIPE_BYTES)
        self._bytes: int = fcntl.fcntl(self._into, fcntl.F_GETPIPE_SZ)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.out)
        os.close(self._into)

    def fill(self, source: socket.socket) -> int:
        """Move what ``source`` has received into the (empty) pipe; the count of bytes, 0 at the end.

        Raises:
            BlockingIOError: nothing came within the time-out that the socket has in the kernel.
            OSError: the connection broke.
        """
        return os.splice(source.fileno(), self._into, self._bytes)
