"""A tar (POSIX pax) as a stream, plain or compressed. A tar tells a member's size before its bytes, so a member that
breaks off is filled with NUL up to it; whoever packs says so in ``ERRORS.txt``."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from typing import Protocol

from logferry.errors import Refused
from logferry.limits import COPY_BYTES, TAR_GZIP_LEVEL, TAR_ZSTD_LEVEL

_BLOCK = tarfile.BLOCKSIZE
_ZEROS = bytes(COPY_BYTES)


class TarStream:
    """Begin, data, end of each member; ``close`` at last. All return what is to be sent."""

    def begin(self, name: str, size: int, modified_ns: int, *, level: int = 0) -> bytes:  # noqa: ARG002 - as in a zip
        """The header of a member of ``size`` bytes."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        info.mtime = max(0, modified_ns // 10**9)
        self._left = size
        self._padding = -size % _BLOCK
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def data(self, block: bytes) -> bytes:
        """The next bytes of the member."""
        assert len(block) <= self._left
        self._left -= len(block)
        return block

    def end(self) -> Iterator[bytes]:
        """The member is over: NUL for what is missing of it, and to the end of its last block."""
        fill = self._left + self._padding
        while fill:
            part = _ZEROS[: min(fill, len(_ZEROS))]
            fill -= len(part)
            yield part

    def close(self) -> Iterator[bytes]:
        """The end of the whole."""
        yield bytes(2 * _BLOCK)

    def drop(self) -> None:
        """It will not be finished."""


class Compressor(Protocol):
    """zlib's and zstandard's streams alike."""

    def compress(self, data: bytes, /) -> bytes:
        """What comes out for ``data``, perhaps nothing yet."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


class CompressedTar:
    """A ``TarStream`` through a compressor."""

    def __init__(self, compressor: Compressor) -> None:
        self._tar = TarStream()
        self._compressor = compressor

    def begin(self, name: str, size: int, modified_ns: int, *, level: int = 0) -> bytes:
        """As TarStream."""
        return self._compressor.compress(self._tar.begin(name, size, modified_ns, level=level))

    def data(self, block: bytes) -> bytes:
        """As TarStream."""
        return self._compressor.compress(self._tar.data(block))

    def end(self) -> Iterator[bytes]:
        """As TarStream."""
        return map(self._compressor.compress, self._tar.end())

    def close(self) -> Iterator[bytes]:
        """As TarStream, and the compressor's own end."""
        yield from map(self._compressor.compress, self._tar.close())
        yield self._compressor.flush()

    def drop(self) -> None:
        """It will not be finished."""


def gzip_tar() -> CompressedTar:
    """A ``.tar.gz``."""
    return CompressedTar(zlib.compressobj(TAR_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS))


def zstd_tar() -> CompressedTar:
    """A ``.tar.zst``. Raises Refused without the package zstandard."""
    try:
        import zstandard
    except ImportError as error:
        raise Refused(
            "tar.zst needs the package zstandard", hint="pip install 'logferry[server]', or take tar"
        ) from error
    return CompressedTar(zstandard.ZstdCompressor(level=TAR_ZSTD_LEVEL, write_checksum=True).compressobj())
