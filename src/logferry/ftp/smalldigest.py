"""The digest of a small upload as it comes in, for clients that asked to have it in the reply: it costs no HASH."""

from __future__ import annotations

import hashlib

from logferry.limits import FTP_SMALL_DIGEST_BYTES_MAX


class SmallDigest:
    """SHA-256 of up to ``FTP_SMALL_DIGEST_BYTES_MAX`` bytes; of a larger upload, which HASH is for, there is none."""

    __slots__ = ("_count", "_hash")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._count = 0

    def update(self, data: memoryview) -> None:
        """More bytes came."""
        self._count += len(data)
        if self._count <= FTP_SMALL_DIGEST_BYTES_MAX:
            self._hash.update(data)

    def words(self, start: int) -> str:
        """``SHA-256 0-99 <hexadecimal>`` for an upload that began at byte ``start``; empty where there is none."""
        if not 0 < self._count <= FTP_SMALL_DIGEST_BYTES_MAX:
            return ""
        return f"SHA-256 {start}-{start + self._count - 1} {self._hash.hexdigest()}"
