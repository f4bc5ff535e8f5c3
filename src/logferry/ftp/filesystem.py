"""The file system behind an FTP session, as small protocols; ``LocalFilesystem`` is the one for a folder on disk.

Paths are virtual and absolute (``/a/b``, ``/`` is the home), text decoded from the wire as UTF-8 with surrogate
escapes, and already normalised: no empty, ``.`` or ``..`` component ever arrives here. Methods raise the errors of
``logferry.errors`` or ``OSError``; both become one FTP reply. One object serves one session and is
called by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder as listings show it: ``size`` in bytes, ``modified_ns`` since 1970 UTC.

    ``unique`` is the MLSD ``unique`` fact (the same for two names of one file), or empty.
    """

    name: str
    is_folder: bool
    size: int
    modified_ns: int
    mode: int = 0o644
    unique: str = ""


class Download(Protocol):
    """An open file to send. ``size`` is fixed when it is opened: later growth is not sent."""

    size: int

    def fileno(self) -> int | None:
        """A descriptor that ``sendfile`` may read at any offset, or None: then ``read_at`` is used."""
        ...

    def read_at(self, offset: int, count: int) -> bytes:
        """At most ``count`` bytes from ``offset``; empty only at the end."""
        ...

    def close(self) -> None:
        """Release the file. May be called twice."""
        ...


class Upload(Protocol):
    """An upload under way. Exactly one of ``commit`` and ``abandon`` is called last.

    One that is a file may have a method ``splice(pipe, count)`` besides: take ``count`` bytes that wait in the pipe,
    like ``write``, so that long plain uploads need not be copied into this process and out again. Whoever wraps an
    upload to see its bytes leaves it out; a subclass with a ``write`` of its own need not mind.

    It may also have a method ``sync()``: after the last byte, make all that came durable without showing it, which is
    what takes time in ``commit``. On a plain connection the server then looks once more whether the client is still
    there, and calls ``commit`` or ``abandon``; where it raises, ``abandon``.
    """

    @property
    def position(self) -> int:
        """Offset in the file where the next byte lands."""
        ...

    def write(self, data: memoryview | bytes) -> None:
        """Take all of ``data``; the buffer is used again after return.

        Raises:
            Full: no room (452).
            Differs: they are not those stored at this offset (of one file not too often, see ``Commons.conflict``).
        """
        ...

    def commit(self) -> None:
        """Make the bytes and whatever finds them durable, then visible. Only after it returns is 226 sent."""
        ...

    def abandon(self) -> None:
        """The transfer did not arrive whole: keep what can be resumed, show nothing as complete. Raises nothing."""
        ...


class Filesystem(Protocol):
    """What one logged-in user sees."""

    atomic: bool
    """Whether a new upload stays invisible until it is whole (FEAT ``X-LOGFERRY atomic``)."""

    def stat(self, path: str) -> Entry:
        """The entry at ``path``. Raises NotFound."""
        ...

    def entries(self, path: str) -> Iterator[Entry]:
        """What the folder holds, in any order. Raises NotFound, also when ``path`` is a file."""
        ...

    def size(self, path: str) -> int:
        """Bytes that a REST can continue from: the file's size, or that of an interrupted upload of it."""
        ...

    def open_download(self, path: str) -> Download:
        """Open a file for RETR."""
        ...

    def open_upload(self, path: str, *, offset: int, append: bool) -> Upload:
        """Open a file for STOR (``offset`` 0), REST n + STOR (``offset`` n) or APPE (``append``)."""
        ...

    def make_folder(self, path: str) -> None:
        """Create one folder. Raises Conflict when the name is taken."""
        ...

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        ...

    def remove_file(self, path: str) -> None:
        """Remove a file."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Give ``source`` the name ``target``, durably."""
        ...

    def set_modified(self, path: str, ns: int) -> None:
        """Set the modification time to ``ns`` since 1970 UTC."""
        ...


# What a file system may offer besides. Each is looked for where it is used, and done without where it is missing.


@runtime_checkable
class SpaceFilesystem(Protocol):
    """A file system that knows how much may still be stored."""

    def free_bytes(self, path: str) -> int:
        """How many bytes still fit into the folder ``path``: free disk, or what a quota leaves. Raises NotFound."""
        ...


@runtime_checkable
class ExpectingFilesystem(Protocol):
    """A file system that can tell before an upload whether it would fit."""

    def expect(self, path: str, size_bytes: int) -> None:
        """An upload to ``path`` will bring that much.

        Raises:
            Full: the disk has no room for it (452).
            TooLarge: the quota has none (552).
        """
        ...


@dataclass(frozen=True, slots=True)
class Usage:
    """What a home holds: bytes of files, whole or interrupted, and how many files and folders."""

    size_bytes: int
    files: int


@runtime_checkable
class CountingFilesystem(Protocol):
    """A file system that counts itself faster, and more exactly, than by walking over ``entries``."""

    def usage(self) -> Usage:
        """Count everything now; may take long."""
        ...


@runtime_checkable
class PartialFilesystem(Protocol):
    """A file system that keeps interrupted uploads under hidden names."""

    def partial_size(self, path: str) -> int | None:
        """Bytes kept of an interrupted upload of ``path``, None where there is none."""
        ...

    def drop_partial(self, path: str) -> bool:
        """Throw an interrupted upload away, unless somebody writes to it now; whether that was done."""
        ...
