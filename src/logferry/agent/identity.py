"""What makes a file the same file: its content, with inode and times as hints. Pure: bytes and numbers only.

A generation is known by a *fingerprint* over the bytes the server has confirmed: a hash of its head (the first
``HEAD_BYTES``, fewer while the file is shorter, so it grows with the file) and a hash of the last ``TAIL_BYTES``
before the offset. The device number never takes part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from logferry.limits import HEAD_BYTES, TAIL_BYTES

DIGEST_BYTES = 16

ReadAt = Callable[[int, int], bytes]
"""``read(offset, count)``: the bytes of a file, fewer at its end."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What ``lstat`` says about a file: the four numbers whose change means "look at it"."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @property
    def mark(self) -> int:
        """The four numbers as one, never 0 (0 stands for "look again")."""
        return mark_of(self.size, self.mtime_ns, self.ctime_ns, self.inode)


def mark_of(size: int, mtime_ns: int, ctime_ns: int, inode: int) -> int:
    """A 64-bit number for the four; never 0. Equal numbers, equal mark, in this process."""
    return hash((size, mtime_ns, ctime_ns, inode)) or 1


UNSEEN = Stat(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hashes that identify the first ``offset`` bytes of a generation."""

    offset: int
    head: bytes
    tail: bytes

    def __post_init__(self) -> None:
        assert self.offset >= 0
        assert len(self.head) == len(self.tail) == (DIGEST_BYTES if self.offset else 0)


EMPTY = Fingerprint(0, b"", b"")


def digest(data: bytes) -> bytes:
    """The hash used for heads and tails (16 bytes)."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def head_length(offset: int) -> int:
    """How many bytes the head of a fingerprint at ``offset`` covers."""
    return min(offset, HEAD_BYTES)


def tail_start(offset: int) -> int:
    """Where the tail of a fingerprint at ``offset`` begins."""
    return max(0, offset - TAIL_BYTES)


def take(read: ReadAt, offset: int) -> Fingerprint | None:
    """The fingerprint of the first ``offset`` bytes, or None if the file is shorter than that."""
    if offset == 0:
        return EMPTY
    head = read(0, head_length(offset))
    tail = read(tail_start(offset), offset - tail_start(offset))
    if len(head) != head_length(offset) or len(tail) != offset - tail_start(offset):
        return None
    return Fingerprint(offset, digest(head), digest(tail))


def agrees(read: ReadAt, fingerprint: Fingerprint) -> bool:
    """Whether the file still begins with the bytes that ``fingerprint`` was taken of, as far as both hashes tell."""
    return take(read, fingerprint.offset) == fingerprint
