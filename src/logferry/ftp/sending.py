"""What a client sends: a byte range of a file, of memory, or the next bytes of a stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from logferry.errors import Conflict, Refused
from logferry.ftp.portable import read_at
from logferry.limits import FTP_DATA_BLOCK_BYTES


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, count: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Guarded:
    """A file that may be cut short and filled anew at any moment.

    ``holds`` is asked after the bytes were read: while it still is the file that was looked at, they were, too. Else
    Shrank is raised. That is before the end of the data, so that a server that publishes whole uploads has none; or,
    with ``each_block``, before any block goes, so that what a server keeps of a broken upload is right, too.
    """

    descriptor: int
    holds: Callable[[], bool] = field(repr=False)
    each_block: bool = True


Content = int | Guarded | bytes | bytearray | memoryview | Readable
"""A file descriptor (never moved, several may read it at once), guarded or not, bytes, or a stream."""


class Shrank(Conflict):
    """The source has fewer bytes than it said, or is another by now; the server was told to forget the upload.

    Look at the source again.
    """


@dataclass(frozen=True, slots=True)
class SendSource:
    """Exactly ``length`` bytes of ``content`` from ``offset`` on; a stream gives its next ``length`` bytes.

    What a file grows by meanwhile is not sent; a file that shrank raises Shrank when the missing bytes are reached.
    """

    content: Content = field(repr=False)
    offset: int
    length: int

    def __post_init__(self) -> None:
        assert self.offset >= 0, self.offset
        assert self.length >= 0, self.length
        if isinstance(self.content, bytes | bytearray | memoryview):
            assert self.offset + self.length <= len(self.content), "the range ends within the bytes"

    @classmethod
    def of(cls, data: bytes) -> SendSource:
        """All of ``data``."""
        return cls(data, 0, len(data))

    @property
    def descriptor(self) -> int | None:
        """The file descriptor, when the kernel could send from it by itself."""
        if isinstance(self.content, Guarded):
            return None if self.content.each_block else self.content.descriptor
        return self.content if isinstance(self.content, int) else None

    def block(self, done: int, count: int) -> memoryview:
        """Up to ``count`` bytes, at least one, from ``offset + done`` on. Raises Conflict (none are left), Refused."""
        count = min(count, self.length - done, FTP_DATA_BLOCK_BYTES)
        assert count > 0, "asked beyond the end"
        if isinstance(self.content, bytes | bytearray | memoryview):
            start = self.offset + done
            return memoryview(self.content)[start : start + count]
        data = self._read(done, count)
        if not data or (isinstance(self.content, Guarded) and self.content.each_block and not self.content.holds()):
            raise self.shrank(done)
        return memoryview(data)

    def check_end(self) -> None:
        """All of it was read. Raises Shrank if it was not what it was taken for."""
        if isinstance(self.content, Guarded) and not self.content.each_block and not self.content.holds():
            raise self.shrank(self.length)

    def _read(self, done: int, count: int) -> bytes:
        content = self.content
        if not isinstance(content, int | Guarded):
            assert not isinstance(content, bytes | bytearray | memoryview), "bytes are not read"
            return content.read(count)
        try:
            descriptor = content if isinstance(content, int) else content.descriptor
            return read_at(descriptor, count, self.offset + done)
        except OSError as error:
            raise Refused(f"cannot read the source: {error.strerror}", hint="check the file and its disk") from error

    def shrank(self, done: int) -> Shrank:
        """The error for a source that ended after ``done`` bytes."""
        return Shrank(
            f"the source ended after {self.offset + done} bytes, {self.offset + self.length} were there before",
            hint="it was truncated while being sent; look at it again and send anew",
        )
