"""Compressed copies that need not travel: proved, never guessed. For sources with ``compressed = "skip-copies"``.

A compressed file is a copy when what it unpacks to is, byte for byte, a generation that the server holds whole. Length,
head and tail of the text find the generation in the registry; the server's SHA-256 of that file proves it. Anything
less, and the file is sent like any other. It may only have to wait a moment: while it is still being written, and
while its original is still on its way.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from logging import WARNING

from logferry.agent import identity
from logferry.agent.files import OpenFile
from logferry.agent.identity import Fingerprint, Stat
from logferry.agent.journal import Journal
from logferry.agent.registry import Registry
from logferry.agent.remote import wire
from logferry.agent.rows import Row, State
from logferry.agent.slices import Task, opened
from logferry.clock import Clock
from logferry.compressed import form_of, unpacked
from logferry.errors import Damaged, Full, Later, Refused, TooLarge
from logferry.ftp.client import FtpClient
from logferry.limits import COPY_DIGEST_BYTES_MAX, COPY_TRIES_MAX, HEAD_BYTES, TAIL_BYTES


@dataclass(frozen=True, slots=True)
class Skipped:
    """The file is a compressed copy of ``original`` (archive path) and is not sent. ``row`` says so."""

    task: Task
    row: Row
    original: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """It cannot be told yet: the file is still being written, or what it may be a copy of is still on its way."""

    task: Task
    seen: Stat


@dataclass(frozen=True, slots=True)
class _Text:
    """What identifies a text, and proves it."""

    print: Fingerprint
    sha256: str
    head: bytes


def note_digest(client: FtpClient, registry: Registry, row: Row, now_ns: int) -> None:
    """Remember the server's SHA-256 of a generation that is about to be filed as an earlier one of its path.

    From then on it has no name by which the server could be asked, and its compressed copy may come much later.

    Raises:
        Later, Unreachable: the server does not answer.
        Later, Full: it cannot be recorded.
    """
    if row.state is not State.ENDED or row.base or not 0 < row.offset <= COPY_DIGEST_BYTES_MAX:
        return
    try:
        digest = client.digest(wire(row.remote), length=row.offset)
    except Refused:
        return
    if digest is not None and digest.algorithm == "SHA-256":
        registry.note_filed(row, digest.hexadecimal.lower(), now_ns)


class Copies:
    """Judges compressed files before they are sent, on one connection."""

    def __init__(
        self, client: FtpClient, registry: Registry, journal: Journal, clock: Clock, go_on: Callable[[], bool]
    ) -> None:
        """``go_on`` tells whether to go on unpacking: the agent may have to stop."""
        self._client = client
        self._registry = registry
        self._journal = journal
        self._clock = clock
        self._go_on = go_on

    def judge(self, task: Task) -> Skipped | Undecided | None:
        """Decide about one file of which nothing was sent yet; None: send it.

        Raises:
            Later, Unreachable: the server does not answer.
        """
        file = opened(task)
        if not isinstance(file, OpenFile):
            return None  # whoever is to send it finds out the same, and says it
        name = task.row.path.rpartition(b"/")[2].decode("latin-1")
        try:
            form = form_of(name, file.read)
            text = self._text(form, file) if form else None
        except Damaged:  # it ends too early: it is still being written, or stays like that
            return self._wait(task, file) if file.stat != task.copy_seen else None
        except TooLarge:  # longer than anything that was sent so far
            return self._wait(task, file) if self._beside(task.row) is not None else None
        except (Refused, OSError):
            return None
        if text is None or not text.print.offset:
            return None
        before = file.stat
        if file.refresh() != before:
            return self._wait(task, file)
        return self._compare(task, file, text)

    def _text(self, form: str, file: OpenFile) -> _Text:
        hashing, head, tail, size = hashlib.sha256(), b"", b"", 0
        for piece in self._pieces(form, file):
            hashing.update(piece)
            size += len(piece)
            if len(head) < HEAD_BYTES:
                head = (head + piece)[:HEAD_BYTES]
            tail = (tail + piece)[-TAIL_BYTES:]
        prints = identity.EMPTY
        if size:
            prints = Fingerprint(size, identity.digest(head), identity.digest(tail))
        return _Text(prints, hashing.hexdigest(), head)

    def _pieces(self, form: str, file: OpenFile) -> Iterator[bytes]:
        for piece in unpacked(form, file.read, where="it", bytes_max=self._registry.largest_offset()):
            if not self._go_on():
                raise Later("the agent is stopping")
            yield piece

    def _compare(self, task: Task, file: OpenFile, text: _Text) -> Skipped | Undecided | None:
        may_wait = self._is_on_its_way(task.row, text)
        for row in self._registry.by_print(text.print):
            if row.id == task.row.id or row.base:
                continue
            if row.state is not State.NEW and self._holds(row, text):
                return self._skip(task, file, row.remote)
            may_wait |= row.state is State.NEW or row.misplaced
        filed = self._registry.filed_as(text.print, text.sha256)
        if filed:
            return self._skip(task, file, filed)
        return self._wait(task, file) if may_wait else None

    def _is_on_its_way(self, own: Row, text: _Text) -> bool:
        """Whether a generation that may become the original has been sent in part only."""
        beside = self._beside(own)
        if beside is not None and beside.offset < text.print.offset:
            return True
        if len(text.head) < HEAD_BYTES:
            return False
        begun = self._registry.by_head(text.print.head)
        return any(row.offset < text.print.offset and row.id != own.id for row in begun)

    def _beside(self, own: Row) -> Row | None:
        """The row of the file that has, or had, the same name without the suffix."""
        return self._registry.by_path(own.path.rpartition(b".")[0])

    def _holds(self, row: Row, text: _Text) -> bool:
        """Whether the server says that it holds exactly this text there."""
        try:
            digest = self._client.digest(wire(row.remote), length=row.offset)
        except Refused:  # it is not there, or the server does not tell
            return False
        return digest is not None and digest.algorithm == "SHA-256" and digest.hexadecimal.lower() == text.sha256

    def _skip(self, task: Task, file: OpenFile, original: str) -> Skipped | None:
        row = dataclasses.replace(
            task.row,
            state=State.SKIPPED,
            inode=file.stat.inode,
            inode_generation=file.inode_generation or task.row.inode_generation,
            seen=file.stat,
        )
        try:
            self._registry.note_copy(row.id, original)
        except (Full, Later) as error:
            self._journal.state("copies", "not recorded, so they are sent", level=WARNING, why=str(error))
            return None
        self._registry.apply([row], now_ns=self._clock.now_ns())
        self._journal.event("a compressed copy is not sent", path=row.path, archived=original)
        return Skipped(task, row, original)

    def _wait(self, task: Task, file: OpenFile) -> Undecided | None:
        return Undecided(task, file.stat) if task.copy_tries < COPY_TRIES_MAX else None
