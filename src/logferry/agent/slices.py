"""Getting one slice of one file ready: open, look, verify, read. All that happens on the node before a byte is sent."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from logferry.agent import identity
from logferry.agent.files import OpenFile, open_file
from logferry.agent.identity import Fingerprint
from logferry.agent.rows import Row
from logferry.errors import Later, NotFound
from logferry.ftp.sending import Content, Guarded
from logferry.limits import READ_WHOLE_BYTES, SLICE_BYTES


@dataclass(slots=True)
class Task:
    """One file for a worker: send its next slice.

    ``checked``: SIZE was asked for it since the last (re)connect. ``compare``: head and tail agree but something was
    written; ``if_unknown_same`` says what to believe where the server cannot compare.
    """

    row: Row
    file: OpenFile | None = None
    linked: bool = False
    checked: bool = False
    compare: bool = False
    if_unknown_same: bool = False
    may_publish: bool = True
    """Whether the final name is free: another generation may still have to leave it."""
    failures: int = 0
    """How often it did not work so far."""
    maybe_copy: bool = False
    """Whether it is not sent if it is a compressed copy; ``copies`` judges, for the ``copy_tries``-th time."""
    copy_tries: int = 0
    copy_seen: identity.Stat | None = None
    """What it was when it could not be told the last time."""
    prove: bool = False
    """What the row says was confirmed by another server: compare with this one first."""


@dataclass(slots=True)
class Slice:
    """Bytes ready to go: [``offset``, ``offset + length``) of ``file``, which had ``size`` bytes when looked at."""

    task: Task
    file: OpenFile
    size: int
    offset: int
    length: int
    data: bytes | None
    """The bytes themselves if they are few; else they are read while they are sent, and verified block by block."""
    print: Fingerprint
    """What the confirmed bytes will look like once this slice is confirmed."""

    @property
    def end(self) -> int:
        """Where the slice ends."""
        return self.offset + self.length

    @property
    def content(self) -> Content:
        """What is sent, from byte ``offset`` of the file on: nothing of another generation, whatever happens to it."""
        if self.data is not None:
            return self.data
        whole_and_new = self.offset == 0 and self.end == self.size
        return Guarded(self.file.fd, self.still_true, each_block=not whole_and_new)

    def still_true(self) -> bool:
        """Whether the file still is what was verified before sending. Raises Later."""
        if self.data is not None:
            return True
        return identity.agrees(self.file.read, self.task.row.print) and identity.agrees(self.file.read, self.print)


@dataclass(frozen=True, slots=True)
class Disagrees:
    """The open file does not begin with the confirmed bytes: another generation. ``why`` is for the log."""

    task: Task
    file: OpenFile
    why: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The path does not hold the row's file now (renamed, replaced, deleted): a look has to decide."""

    task: Task


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The file cannot be read now."""

    task: Task
    error: Later


def opened(task: Task) -> OpenFile | LookAgain | Unreadable:
    """The row's file, open and freshly looked at."""
    row = task.row
    file = task.file
    try:
        if file is None:
            if not row.path:
                return LookAgain(task)
            file = open_file(row.path, linked=task.linked)
        else:
            file.refresh()
    except NotFound:
        return LookAgain(task)
    except Later as error:
        return Unreadable(task, error)
    if row.inode != file.stat.inode:
        file.close()
        task.file = None
        return LookAgain(task)
    task.file = file
    return file


def next_slice(task: Task, file: OpenFile, *, at_least: int = 0) -> Slice | Disagrees | Unreadable:
    """The next slice of ``file`` after the row's offset: whole up to ``SLICE_BYTES``, longer only for ``at_least``.

    Bytes are read first and the confirmed ones verified afterwards, so that a file truncated and refilled meanwhile
    cannot slip in between.
    """
    row, size = task.row, file.stat.size
    if size < row.offset:
        return Disagrees(task, file, "shorter than what was confirmed")
    length = min(size - row.offset, max(SLICE_BYTES, at_least))
    data: bytes | None = None
    try:
        if length <= READ_WHOLE_BYTES:
            data = file.read(row.offset, length)
            if len(data) < length:
                return Disagrees(task, file, "shrank while it was read")
        if not identity.agrees(file.read, row.print):
            return Disagrees(task, file, "head or tail differ")
        prints = _print_after(file, row.offset, length, data)
    except Later as error:
        return Unreadable(task, error)
    if prints is None:
        return Disagrees(task, file, "shrank while it was verified")
    return Slice(task, file, size, row.offset, length, data, prints)


def _print_after(file: OpenFile, offset: int, length: int, data: bytes | None) -> Fingerprint | None:
    if length == 0 and offset == 0:
        return identity.EMPTY
    if data is None:
        return identity.take(file.read, offset + length)

    def read(start: int, count: int) -> bytes:
        """What was read stays what it was, whatever the file holds by now."""
        before = file.read(start, min(count, max(0, offset - start))) if start < offset else b""
        begin = max(start, offset) - offset
        return before + data[begin : begin + count - len(before)]

    return identity.take(read, offset + length)


def confirmed(piece: Slice, row: Row, remote: str) -> Row:
    """``row`` after the server confirmed ``piece`` at the archive path ``remote``."""
    whole = piece.end == piece.size
    return dataclasses.replace(
        row,
        remote=remote,
        print=piece.print,
        inode=piece.file.stat.inode,
        inode_generation=piece.file.inode_generation or row.inode_generation,
        seen=piece.file.stat if whole else identity.UNSEEN,
    )
