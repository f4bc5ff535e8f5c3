"""What a client sends: a byte range of a file, of memory, or the next bytes of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from logferry.errors import Conflict, Refused
from logferry.ftp.portable import read_at
from logferry.limits import FTP_DATA_BLOCK_BYTES


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, count: int, /) -> bytes: ...


Content = int | bytes | bytearray | memoryview | Readable
"""A file descriptor (never moved, several may read it at once), bytes, or a stream."""


class Shrank(Conflict):
    """The source has fewer bytes than it said; the server was told to forget the upload. Look at the source again."""


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
        return self.content if isinstance(self.content, int) else None

    def block(self, done: int, count: int) -> memoryview:
        """Up to ``count`` bytes, at least one, from ``offset + done`` on. Raises Conflict (none are left), Refused."""
        count = min(count, self.length - done, FTP_DATA_BLOCK_BYTES)
        assert count > 0, "asked beyond the end"
        if isinstance(self.content, bytes | bytearray | memoryview):
            start = self.offset + done
            return memoryview(self.content)[start : start + count]
        if isinstance(self.content, int):
            try:
                data = read_at(self.content, count, self.offset + done)
            except OSError as error:
                raise Refused(
                    f"cannot read the source: {error.strerror}", hint="check the file and its disk"
                ) from error
        else:
            data = self.content.read(count)
        if not data:
            raise self.shrank(done)
        return memoryview(data)

    def shrank(self, done: int) -> Shrank:
        """The error for a source that ended after ``done`` bytes."""
        return Shrank(
            f"the source ended after {self.offset + done} bytes, {self.offset + self.length} were there before",
            hint="it was truncated while being sent; look at it again and send anew",
        )
