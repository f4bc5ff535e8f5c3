"""Uploads: where arriving bytes go, and what they mean for the path when they are all there.

A *partial* holds the bytes of a path that has no current generation yet; nobody sees it until it is published whole.
Bytes for a path that has one are compared with what is stored as far as that goes, and appended to the live file
after it: whatever was compared is never written again. Where a transfer from byte 0 turns out to be other content, the
equal beginning is copied into a partial, which replaces the old generation (kept as an earlier one) when it is whole.
"""

from __future__ import annotations

import hashlib
import os
from typing import Protocol

from logferry.archive.catalog.filing import PathState
from logferry.archive.changes import Keep, Publish
from logferry.archive.current import opened_current
from logferry.archive.durable import Data
from logferry.archive.partials import beyond, open_partial
from logferry.archive.records import Received
from logferry.archive.rooms import Rooms
from logferry.archive.settled import forget, settle
from logferry.errors import Differs, OverQuota
from logferry.limits import COPY_BYTES, HASH_ARRIVING_BYTES_MAX
from logferry.names import is_temporary, split


class Sink(Protocol):
    """Where the bytes of one upload go."""

    @property
    def position(self) -> int:
        """Where the next byte lands."""
        ...

    def write(self, data: Data) -> None:
        """Take bytes at ``position``, which moves on."""
        ...

    def adds(self, count: int) -> int:
        """How many bytes more than before the archive holds when ``count`` more have arrived and are confirmed."""
        ...

    def finish(self) -> Received:
        """That was all: make it durable and findable."""
        ...

    def stop(self) -> None:
        """The transfer broke off: keep what can be continued, release everything."""
        ...

    def close(self) -> None:
        """Release everything. May be called twice."""
        ...


class PartialSink:
    """Bytes of a path without a current generation, or of a temporary name. Continues at ``offset``.

    Raises:
        Refused: less than ``offset`` bytes have arrived so far.
        Busy: another connection is at it.
    """

    def __init__(self, rooms: Rooms, agent: str, path: str, *, offset: int, replaces: PathState | None = None) -> None:
        self._rooms = rooms
        self._agent = agent
        self._path = path
        self._replaces = replaces
        self._is_temporary = is_temporary(split(path)[1])
        self._folder, self._name, self._fd, self._known = open_partial(rooms, agent, path, offset)
        self.position = offset
        self._from = offset
        self._hash = hashlib.sha256() if offset == 0 and not self._is_temporary else None

    def write(self, data: Data) -> None:
        if self.position < self._known:
            data = _compared(_PartialBytes(self._fd), data, self, self._known)
        if not data:
            return
        if self._hash is not None:
            if self.position + len(data) <= HASH_ARRIVING_BYTES_MAX:
                self._hash.update(data)
            else:
                self._hash = None
        self._rooms.disk.write(self._fd, data, self.position)
        self.position += len(data)

    def adds(self, count: int) -> int:
        return max(self.position + count, self._known)

    def finish(self) -> Received:
        size = max(self.position, self._known)
        if not self._is_temporary and size > self.position:
            # The client says where the file ends; what an earlier try had beyond was never confirmed.
            self._rooms.disk.truncate(self._fd, self.position)
            size = self.position
        self._sync()
        if self._is_temporary:
            settle(self._fd)
            self._sync(noted=True)
            self._rooms.disk.sync_folder(self._folder.fd)
            return Received(self._agent, self._path, size, self.position - self._from, None, None, 0, False, False)
        modified_ns = os.fstat(self._fd).st_mtime_ns
        if self._replaces is not None:
            self._check_quota(size)  # before the old one ends
            self._rooms.catalog.writer.run(Keep(self._rooms, self._replaces))
        sha256 = self._hash.hexdigest() if self._hash is not None else None
        began = self._rooms.catalog.writer.run(
            Publish(self._rooms, self._agent, self._path, (self._folder, self._name), size, modified_ns, sha256)
        )
        if self._from:
            forget(self._fd)
        return Received(
            self._agent, self._path, size, self.position - self._from, began.file_id, began.generation_id,
            began.number, began.is_new_file, True,
        )  # fmt: skip

    def _check_quota(self, size: int) -> None:
        try:
            self._rooms.catalog.quotas.check(self._agent, files=1, size=size)
        except OverQuota:
            self._rooms.disk.unlink(self._folder.fd, self._name)  # it cannot be continued
            raise

    def stop(self) -> None:
        if self._replaces is not None or max(self.position, self._known) == 0:
            # Cannot be continued: the path's size is that of what it holds already.
            self._rooms.disk.unlink(self._folder.fd, self._name)
        else:
            self._sync()
            settle(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _sync(self, *, noted: bool = False) -> None:
        """``noted``: also what is noted about the file."""
        try:
            if noted:
                self._rooms.disk.sync_file(self._fd)
            else:
                self._rooms.disk.sync_data(self._fd)
        except OSError:
            # After a failed sync nobody knows which bytes are on disk, and a second sync would not tell: start over.
            self._rooms.disk.unlink(self._folder.fd, self._name)
            raise


class GrowthSink:
    """Bytes for the current generation from ``offset`` (None: the end) on: compared where stored, then appended."""

    def __init__(self, rooms: Rooms, state: PathState, *, offset: int | None) -> None:
        self._rooms = rooms
        self._file = opened_current(rooms, state)
        self._known = self._file.state.size
        if offset is None:
            offset = self._known
        if offset > self._known:
            self.close()
            raise beyond(state.path, offset, self._known)
        self.position = offset
        self._from = offset

    def write(self, data: Data) -> None:
        if self.position < self._known:
            data = _compared(self._file, data, self, self._known)
        if data:
            self._rooms.disk.write(self._file.fd, data, self.position - self._file.base)
            self.position += len(data)

    def adds(self, count: int) -> int:
        return max(0, self.position + count - self._known)

    def finish(self) -> Received:
        state = self._file.state
        size = max(self.position, self._known)
        number = self._commit() if self.position > self._known else state.shown or 0
        return Received(
            state.agent, state.path, size, self.position - self._from, state.file_id, state.generation_id, number,
            False, False,
        )  # fmt: skip

    def stop(self) -> None:
        if self.position > self._known:
            self._commit()

    def close(self) -> None:
        self._file.close()

    @property
    def state(self) -> PathState:
        """The generation as it was when its file was locked."""
        return self._file.state

    @property
    def known(self) -> int:
        """How many bytes were confirmed before this upload."""
        return self._known

    def stored(self, start: int, count: int) -> bytes:
        """Bytes as they are stored."""
        return self._file.stored(start, count)

    def _commit(self) -> int:
        try:
            self._rooms.disk.sync_data(self._file.fd)
        except OSError:
            # See PartialSink: the bytes after the confirmed end are not to be trusted any more.
            self._rooms.disk.truncate(self._file.fd, self._known - self._file.base)
            raise
        try:
            return self._file.grow(self.position)
        except OverQuota:  # refused for sure: the room is not used up for nothing
            self._rooms.disk.truncate(self._file.fd, self._known - self._file.base)
            raise


class RewriteSink:
    """A transfer from byte 0 of a path that has a current generation: the same, more of it, or something else."""

    def __init__(self, rooms: Rooms, state: PathState) -> None:
        self._rooms = rooms
        self._growth = GrowthSink(rooms, state, offset=0)
        self._state = self._growth.state
        self._other: PartialSink | None = None

    @property
    def position(self) -> int:
        return self._sink.position

    @property
    def _sink(self) -> GrowthSink | PartialSink:
        return self._other or self._growth

    def write(self, data: Data) -> None:
        if self._other is None:
            try:
                self._growth.write(data)
                return
            except Differs:
                self._turn()
        self._sink.write(data)

    def adds(self, count: int) -> int:
        return self._sink.adds(count)

    def finish(self) -> Received:
        if self._other is None and self._growth.position < self._growth.known:
            self._turn()  # the beginning only: the file was cut off
        return self._sink.finish()

    def stop(self) -> None:
        self._sink.stop()

    def close(self) -> None:
        self._growth.close()
        if self._other is not None:
            self._other.close()

    def _turn(self) -> None:
        """It is other content: copy what was equal so far into a partial and go on there."""
        other = PartialSink(self._rooms, self._state.agent, self._state.path, offset=0, replaces=self._state)
        try:
            for start in range(0, self._growth.position, COPY_BYTES):
                count = min(COPY_BYTES, self._growth.position - start)
                other.write(self._growth.stored(start, count))
        except BaseException:
            other.stop()
            other.close()
            raise
        self._other = other
        self._growth.close()  # also lets go of the file's lock, which keeping it takes


class _Stored(Protocol):
    """Bytes that are stored already."""

    fd: int

    def stored(self, start: int, count: int) -> bytes: ...


class _PartialBytes:
    """Those of a partial."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def stored(self, start: int, count: int) -> bytes:
        """Bytes as they are stored."""
        return os.pread(self.fd, count, start)


def _compared(file: _Stored, data: Data, sink: PartialSink | GrowthSink, known: int) -> memoryview:
    """Compare ``data`` with what is stored up to ``known``, move the sink on, return what comes after it."""
    view = memoryview(data)
    count = min(len(view), known - sink.position)
    if file.stored(sink.position, count) != view[:count]:
        status = os.fstat(file.fd)  # of the file, which keeps its inode when it is renamed
        raise Differs(
            f"bytes {sink.position} to {sink.position + count} differ from what is stored",
            stored=f"{status.st_dev}:{status.st_ino}",
            hint="move the old generation aside, then send the new one from byte 0",
        )
    sink.position += count
    return view[count:]
