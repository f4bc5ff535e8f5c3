"""First contact: what does the server really have of a file, and where does delivery go on?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from logging import WARNING

from logferry.agent import identity
from logferry.agent.files import OpenFile
from logferry.agent.journal import Journal
from logferry.agent.likeness import same_bytes
from logferry.agent.registry import Registry
from logferry.agent.remote import move_aside, whole_size, wire
from logferry.agent.rows import Row, State
from logferry.agent.slices import Disagrees, Task
from logferry.errors import Conflict, LogferryError, Refused
from logferry.ftp.client import FtpClient
from logferry.ftp.client_store import CONNECTION_OVER
from logferry.ftp.sending import SendSource
from logferry.limits import DIGEST_WHOLE_BYTES_MAX, TAIL_BYTES

OVERLAP_BYTES = 16 * TAIL_BYTES
"""How much of what the server has is compared when the registry knows nothing of it."""


class Contact:
    """Compares registry, node and server, and corrects ``task.row`` to what is true. Errors of FtpClient go through."""

    def __init__(
        self,
        client: FtpClient,
        registry: Registry,
        journal: Journal,
        stamp: Callable[[], str],
        *,
        verify: bool = False,
    ) -> None:
        """``stamp`` makes stamps for ``names.aside_name``. ``verify``: compare digests where the server has them."""
        self._verify = verify
        self._client = client
        self._registry = registry
        self._journal = journal
        self._stamp = stamp
        self._keeps = client.features.keeps

    def reconcile(self, task: Task, file: OpenFile) -> int | Disagrees:
        """First contact since the last (re)connect: what does the server really have?

        Rolls ``task.row`` back where the server has less. Returns how long the next slice must be at least, so that it
        covers what the server has beyond the recorded offset.
        """
        row = task.row
        have = self._client.size(wire(row.remote))
        if have is None and row.state is State.ENDED and self._keeps:
            have = 0
            row = task.row = _late(row)
        if have is None:
            self._journal.event("missing on the server", level=WARNING, path=row.remote, bytes=row.offset)
            state = State.NEW if row.state is State.LIVE else row.state
            task.row = dataclasses.replace(row, remote="", print=identity.EMPTY, seen=identity.UNSEEN, state=state)
            return 0
        have += row.base
        if have < row.offset:
            if not identity.agrees(file.read, row.print) or (prints := identity.take(file.read, have)) is None:
                return Disagrees(task, file, "head or tail differ")
            self._journal.event(
                "rolled back", level=WARNING, path=row.remote, recorded_bytes=row.offset, server_bytes=have
            )
            task.row = dataclasses.replace(row, print=prints, seen=identity.UNSEEN)
            return 0
        if have > file.stat.size:
            return Disagrees(task, file, f"the server has {have} bytes, the file {file.stat.size}")
        return have - row.offset

    def prove(self, task: Task, file: OpenFile) -> int | Disagrees:
        """The row speaks of another server: find this one's bytes as usual, then compare them with the file's.

        Returns how long the next slice must be at least. Where this server has nothing, or something else (which is
        moved aside), the file is sent from the beginning.
        """
        row = task.row
        try:
            if row.going and row.remote and row.state is State.LIVE:
                return self._under_either(task, file)
            found = self.resolve(task, file) if row.going else self.reconcile(task, file)
            if isinstance(found, Disagrees) or not task.row.remote:
                return found
            return self._compared(task, file, found)
        except LogferryError:
            task.row = row  # nothing is known yet
            raise

    def _under_either(self, task: Task, file: OpenFile) -> int | Disagrees:
        """A rename was begun, perhaps on the other server: which of the two names has the bytes here, if any?"""
        row = task.row
        for path in (row.going, row.remote):
            settled = any(other.remote == path and not other.going for other in self._others(row, path))
            if not settled and self._holds(path, file, whole_size(self._client, path)):
                task.row = dataclasses.replace(row, remote=path, going="", seen=identity.UNSEEN)
                return self.reconcile(task, file)
        self._journal.event("missing on the server", level=WARNING, path=row.remote, bytes=row.offset)
        task.row = _unsent(row)
        return self.adopt(task, file)

    def _compared(self, task: Task, file: OpenFile, beyond: int) -> int:
        """``task.row`` is what sizes say, and the server has ``beyond`` bytes more: is it the content, too?"""
        row, have = task.row, task.row.offset + beyond
        start = max(0, have - OVERLAP_BYTES)
        same = self._same_digest(row.remote, file, have)
        if same is None and self._keeps and (prints := identity.take(file.read, start)) is not None:
            # The server compares by itself what is sent once more, and refuses if it differs.
            task.row = dataclasses.replace(row, print=prints, seen=identity.UNSEEN)
            return have - start
        if same or (same is None and not self._keeps and self._equal_tail(row.remote, file, start, have)):
            return beyond
        self._journal.event("other content on this server", level=WARNING, path=row.remote, bytes=have)
        task.row = _unsent(row)
        return self.adopt(task, file)

    def resolve(self, task: Task, file: OpenFile) -> int:
        """A first upload or its publishing was begun, nobody recorded its end, and perhaps the file was renamed since.

        Returns how long the next slice must be at least.
        """
        row = task.row
        try:
            task.row = dataclasses.replace(row, going="")
            return self._resolve(task, file, row)
        except LogferryError:
            task.row = row  # it is as much in doubt as before
            raise

    def _resolve(self, task: Task, file: OpenFile, row: Row) -> int:
        if not row.remote:
            have = whole_size(self._client, row.going)
            if self.taken(row, row.going) and not self._proved(row, file, have):
                return 0
            return self._continue_at(task, file, row.going, have) or 0
        if self._client.size(wire(row.remote)) is None and whole_size(self._client, row.going) is not None:
            task.row = dataclasses.replace(row, remote=row.going, going="", state=State.LIVE)
        found = self.reconcile(task, file)
        return 0 if isinstance(found, Disagrees) else found

    def adopt(self, task: Task, file: OpenFile) -> int:
        """Nothing is recorded, but the server may have this name: continue there if the content is the same.

        Returns how long the next slice must be at least. Other content is moved aside.
        """
        want = task.row.want
        have = whole_size(self._client, want)
        if have and self.taken(task.row, want):
            raise Conflict(f"{want} is still in use", hint="it is tried again after the next look")
        at_least = self._continue_at(task, file, want, have)
        if at_least is not None:
            return at_least
        aside = move_aside(self._client, want, self._stamp())
        self._journal.event("unknown content moved aside", level=WARNING, path=want, aside=aside, bytes=have)
        return 0

    def _continue_at(self, task: Task, file: OpenFile, path: str, have: int | None) -> int | None:
        """Take what the server has at ``path`` for the beginning of the file, if it is; None: it is something else."""
        if not have:
            return 0
        start = max(0, have - OVERLAP_BYTES)
        if have > file.stat.size:
            return None
        same = self._same_digest(path, file, have)
        if same is False or (same is None and not self._keeps and not self._equal_tail(path, file, start, have)):
            return None
        # A server that keeps generations compares the overlap itself and refuses if it differs.
        known = start if self._keeps and same is None else have
        prints = identity.take(file.read, known)
        if prints is None:
            return None
        self._journal.event("found on the server", path=path, bytes=have)
        state = State.LIVE if task.row.path else State.ENDED
        task.row = dataclasses.replace(task.row, remote=path, state=state, print=prints)
        return have - known

    def taken(self, row: Row, path: str) -> bool:
        """Whether another row's bytes are, or may be, at ``path``."""
        return bool(self._others(row, path))

    def _others(self, row: Row, path: str) -> list[Row]:
        return [other for other in self._registry.by_place(path) if other.id != row.id]

    def _proved(self, row: Row, file: OpenFile, have: int | None) -> bool:
        """Of several first uploads in doubt under one name, as of a log rotated between two crashes: is it ours?"""
        path = row.going
        return not any(other.remote == path for other in self._others(row, path)) and self._holds(path, file, have)

    def _holds(self, path: str, file: OpenFile, have: int | None) -> bool:
        """Whether the ``have`` bytes at ``path`` are the beginning of the file.

        A server that keeps generations tells without changing anything: it takes equal bytes again and refuses others.
        From byte 1 on, since from byte 0 on it would take other content for the next generation. Of any other server
        the bytes are read back, where it allows that.
        """
        if not have or have > file.stat.size:
            return False
        start = max(1, have - OVERLAP_BYTES)
        if not self._keeps:
            return self._equal_tail(path, file, start - 1, have)
        data = file.read(start, have - start)
        if not data or len(data) != have - start:
            return False
        try:
            self._client.store(wire(path), SendSource.of(data), rest=start)
        except CONNECTION_OVER:
            raise
        except Refused:
            return False
        return True

    def _same_digest(self, path: str, file: OpenFile, have: int) -> bool | None:
        """Whether all the server has is the beginning of the file; None: it cannot be told, or is not to be asked."""
        if not self._verify:
            return None
        return same_bytes(self._client, path, file, have, at_most=DIGEST_WHOLE_BYTES_MAX)

    def _equal_tail(self, path: str, file: OpenFile, start: int, end: int) -> bool:
        parts: list[bytes] = []
        try:
            self._client.retrieve(wire(path), lambda block: parts.append(bytes(block)), offset=start)
        except CONNECTION_OVER:
            raise
        except LogferryError:
            return False  # may not be read: then it counts as other content
        return b"".join(parts) == file.read(start, end - start)


def _unsent(row: Row) -> Row:
    """Nothing of it is on the server."""
    return dataclasses.replace(
        row, remote="", going="", print=identity.EMPTY, seen=identity.UNSEEN, state=State.NEW, target=0
    )


def _late(row: Row) -> Row:
    """Where to put what was written to a generation after the server filed it: a file of its own beside it."""
    path = row.want.replace(".~gen-", ".~late-")
    return dataclasses.replace(row, base=row.offset, remote=path, want=path)
