"""HASH and its older relatives: digests of files and ranges, computed on the session's thread and remembered.

``hashlib`` and ``zlib`` let other threads run while they work on a block, so a session that hashes slows nobody down
but its own client; between two blocks it looks at the control connection, so ABOR and the server's stop end it soon.

What is hashed is what SIZE speaks of: bytes that are durable and that a REST could continue from. ``LocalFilesystem``
syncs them first, and takes those of an interrupted upload where there is no file of that name yet.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol, runtime_checkable

from logferry.errors import Conflict, NotFound, NotPermitted, Refused
from logferry.ftp.filesystem import Download, Filesystem
from logferry.ftp.protocol.actions import HashFile, HashRange
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.transfers import Watch
from logferry.limits import FTP_DATA_BLOCK_BYTES, FTP_HASH_CACHE_MAX, FTP_HASH_FRESH_S


@runtime_checkable
class HashFilesystem(Protocol):
    """A file system with a say in what may be hashed. One without it lets hash whoever may read."""

    def open_hash(self, path: str, algorithm: str, start: int, stop: int | None, *, may_read: bool) -> Download:
        """Open ``path`` to hash its bytes from ``start`` to ``stop`` (not included; None: the end).

        ``may_read`` tells whether the user has the permission ``r``. Think before granting more: who may hash any
        range of a file reads it byte by byte.

        Raises:
            NotFound: there is none.
            NotPermitted: not for this user.
        """
        ...


class OutOfRange(Refused):
    """The range begins behind the end of the file. Ask SIZE."""

    ftp_reply = 554


class _Crc32:
    """CRC-32 (ISO 3309) with the methods of ``hashlib`` that are used here."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


_MAKERS: dict[str, Callable[[], _Hash]] = {
    "SHA-256": hashlib.sha256,
    "SHA-1": lambda: hashlib.sha1(usedforsecurity=False),
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "CRC32": _Crc32,
}


class HashCache:
    """Digests of files that have not changed since; shared by all sessions, bounded, the longest unused goes first."""

    def __init__(self, entries_max: int = FTP_HASH_CACHE_MAX) -> None:
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._digests: OrderedDict[Hashable, str] = OrderedDict()
        self.hits = 0

    def get(self, key: Hashable) -> str | None:
        """The digest remembered for ``key``."""
        with self._lock:
            found = self._digests.get(key)
            if found is not None:
                self._digests.move_to_end(key)
                self.hits += 1
            return found

    def put(self, key: Hashable, digest: str) -> None:
        """Remember one more."""
        with self._lock:
            self._digests[key] = digest
            self._digests.move_to_end(key)
            if len(self._digests) > self._entries_max:
                self._digests.popitem(last=False)


def answer(
    wanted: HashFile,
    files: Filesystem,
    watch: Watch,
    cache: HashCache,
    *,
    may_read: Callable[[str], bool],
    now_ns: Callable[[], int],
) -> Reply:
    """The reply to ``wanted``; ``may_read`` tells whether the user may read a path. Errors of the file system pass.

    Raises:
        Interrupted: ABOR came, the client went away, or the server stops.
        OutOfRange, Conflict: it became shorter meanwhile.
    """
    wish, download = _open(wanted, files, may_read)
    try:
        size = download.size
        start, stop = wish.start, size if wish.stop is None else min(wish.stop, size)
        if start > stop or (start == stop and start > 0):
            raise OutOfRange(f"{start} is beyond the end: the file has {size} bytes")
        digest = _digest(wanted.algorithm, download, start, stop, watch, cache, now_ns)
    finally:
        download.close()
    if wanted.verb != "HASH":
        return Reply(250, (digest.upper(),))
    return Reply(213, (f"{wanted.algorithm} {start}-{max(stop - 1, 0)} {digest} {wish.shown}",))


def _open(wanted: HashFile, files: Filesystem, may_read: Callable[[str], bool]) -> tuple[HashRange, Download]:
    *likely, last = wanted.ranges
    for wish in likely:
        try:
            return wish, _open_one(wish, wanted.algorithm, files, may_read=may_read(wish.path))
        except NotFound:
            continue  # the numbers behind it were no part of the name
    return last, _open_one(last, wanted.algorithm, files, may_read=may_read(last.path))


def _open_one(wish: HashRange, algorithm: str, files: Filesystem, *, may_read: bool) -> Download:
    if isinstance(files, HashFilesystem):
        return files.open_hash(wish.path, algorithm, wish.start, wish.stop, may_read=may_read)
    if not may_read:
        raise NotPermitted("Permission denied")
    return files.open_download(wish.path)


def _digest(
    algorithm: str,
    download: Download,
    start: int,
    stop: int,
    watch: Watch,
    cache: HashCache,
    now_ns: Callable[[], int],
) -> str:
    before = _facts(download)
    key = (before, algorithm, start, stop)
    if before is not None and (found := cache.get(key)) is not None:
        return found
    hashing = _MAKERS[algorithm]()
    position = start
    while position < stop:
        watch.glance(position - start)
        block = download.read_at(position, min(FTP_DATA_BLOCK_BYTES, stop - position))
        if not block:
            raise Conflict("the file became shorter while it was hashed")
        hashing.update(block)
        position += len(block)
    digest = hashing.hexdigest()
    if before is not None and before == _facts(download) and _settled(before, now_ns()):
        cache.put(key, digest)
    return digest


_Facts = tuple[int, int, int, int, int]


def _facts(download: Download) -> _Facts | None:
    """What tells this file in this state from all others, whatever path or user asks: None where nothing does.

    The change time (ctime) is among it: nobody can set that back, as MFMT does with the modification time.
    """
    descriptor = download.fileno()
    if descriptor is None:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _settled(facts: _Facts, now_ns: int) -> bool:
    return now_ns - facts[4] > FTP_HASH_FRESH_S * 1_000_000_000
