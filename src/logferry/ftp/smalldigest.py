"""The digest of a small upload as it comes in, for clients that asked to have it in the reply: it costs no HASH."""

from __future__ import annotations

import hashlib

from logferry.limits import FTP_SMALL_DIGEST_BYTES_MAX


class SmallDigest:
    """SHA-256 of up to ``FTP_SMALL_DIGEST_BYTES_MAX`` bytes; of a larger upload, which HASH is for, there is none."""

    __slots__ = ("_count", "_hash", "_most")

    def __init__(self, most: float = FTP_SMALL_DIGEST_BYTES_MAX) -> None:
        """``most`` bytes are hashed; ``math.inf`` for all of a bundle."""
        self._hash = hashlib.sha256()
        self._count = 0
        self._most = most

    def update(self, data: memoryview) -> None:
        """More bytes came."""
        self._count += len(data)
        if self._count <= self._most:
            self._hash.update(data)

    def words(self, start: int) -> str:
        """``SHA-256 0-99 <hexadecimal>`` for an upload that began at byte ``start``; empty where there is none."""
        if not 0 < self._count <= self._most:
            return ""
        return f"SHA-256 {start}-{start + self._count - 1} {self.hexadecimal}"

    @property
    def hexadecimal(self) -> str:
        """The digest of what came, if that was not too much."""
        return self._hash.hexdigest()
