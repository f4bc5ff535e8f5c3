"""Compressed files (gzip, xz, bzip2, zstd): known by name and first bytes, unpacked in pieces of bounded size.

Pure: bytes come from a function. gzip, xz and bzip2 come with Python; zstd needs the package ``zstandard``, or Python
3.14. Streams that follow each other (``cat a.gz b.gz``) are one, as the programs of those names have it.
"""

from __future__ import annotations

import hashlib
import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from logferry.errors import Damaged, LogferryError, Refused, TooLarge
from logferry.limits import (
    UNPACK_EMPTY_STREAMS_MAX,
    UNPACK_INPUT_BYTES,
    UNPACK_MEMORY_BYTES_MAX,
    UNPACK_PIECE_BYTES,
    UNPACK_RATIO_FREE_BYTES,
    UNPACK_RATIO_MAX,
    UNPACK_STEP_BYTES,
    UNPACK_WINDOW_BYTES_MAX,
)

ReadAt = Callable[[int, int], bytes]
"""``read(offset, count)``: the bytes of a file, fewer only at its end."""

SUFFIXES = {".gz": "gzip", ".xz": "xz", ".bz2": "bzip2", ".zst": "zstd"}
"""What the name of a compressed file ends with, in any case, and how it is compressed."""
MAGIC_BYTES = 6
_MAGIC = {b"\x1f\x8b\x08": "gzip", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd"}


def form_by_name(name: str) -> str:
    """``gzip``, ``xz``, ``bzip2`` or ``zstd`` by the end of the name; empty for other names."""
    if not name.endswith(("z", "2", "t", "Z", "T")):  # nearly all names: nothing to cut apart
        return ""
    stem, dot, suffix = name.rpartition(".")
    return SUFFIXES.get(dot + suffix.lower(), "") if stem else ""


def form_of(name: str, read: ReadAt) -> str:
    """How a file is compressed: what its name says, where its first bytes say the same. Else empty."""
    by_name = form_by_name(name)
    if not by_name:
        return ""
    head = read(0, MAGIC_BYTES)
    return by_name if any(head.startswith(magic) and form == by_name for magic, form in _MAGIC.items()) else ""


@dataclass(frozen=True, slots=True)
class Content:
    """A whole text: its length in bytes and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


def content_of(pieces: Iterable[bytes]) -> Content:
    """The length and digest of all pieces together."""
    hashing, size = hashlib.sha256(), 0
    for piece in pieces:
        hashing.update(piece)
        size += len(piece)
    return Content(size, hashing.hexdigest())


def unpacked(form: str, read: ReadAt, *, where: str, bytes_max: int | None = None) -> Iterator[bytes]:
    """The text of a compressed file, in pieces of at most ``UNPACK_PIECE_BYTES``.

    Args:
        form: ``gzip``, ``xz``, ``bzip2`` or ``zstd``.
        read: gives its bytes.
        where: the file, for errors.
        bytes_max: the longest text that is of use.

    Raises:
        Damaged: it is cut off or is no such file; what came before was right.
        TooLarge: more than ``bytes_max``, or so much more than the file holds that it is a bomb.
        Refused: it cannot be unpacked here (no zstd, or it needs too much memory).
    """
    taken = given = 0

    def counted(offset: int, count: int) -> bytes:
        nonlocal taken
        data = read(offset, count)
        taken = max(taken, offset + len(data))
        return data

    for piece in _pieces(form, counted, where):
        given += len(piece)
        if bytes_max is not None and given > bytes_max:
            raise TooLarge(f"{where} unpacks to more than {bytes_max} bytes", hint="fetch the file and unpack it there")
        if given > max(UNPACK_RATIO_FREE_BYTES, taken * UNPACK_RATIO_MAX):
            raise TooLarge(
                f"{where} unpacks to more than {UNPACK_RATIO_MAX} times its size",
                hint="it looks like a decompression bomb; the file itself is kept as it is",
            )
        yield piece


def _pieces(form: str, read: ReadAt, where: str) -> Iterator[bytes]:
    if form == "zstd":
        return _zstd_pieces(read, where)
    begin, errors = _stream_of(form)
    return _stream_pieces(begin, errors, read, where)


class _Stream(Protocol):
    """One compressed stream as ``bz2`` and ``lzma`` have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """``zlib`` behind the interface of ``bz2`` and ``lzma``."""

    def __init__(self) -> None:
        self._stream: Any = zlib.decompressobj(wbits=31)
        self._waiting = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        piece: bytes = self._stream.decompress(self._waiting + data, max_length)
        self._waiting = self._stream.unconsumed_tail
        self.needs_input = not self._waiting and len(piece) < max_length
        return piece


Begin = Callable[[], _Stream]


def _stream_of(form: str) -> tuple[Begin, type[Exception]]:
    """What begins a stream of this form, and what it raises. Loaded when needed: most programs never do."""
    if form == "gzip":
        return _Gzip, zlib.error
    if form == "xz":
        import lzma

        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=UNPACK_MEMORY_BYTES_MAX), lzma.LZMAError
    import bz2

    return bz2.BZ2Decompressor, OSError


def _stream_pieces(begin: Begin, errors: type[Exception], read: ReadAt, where: str) -> Iterator[bytes]:
    offset, data, empty = 0, b"", 0
    stream: _Stream | None = None
    while True:
        if not data:
            data = read(offset, UNPACK_INPUT_BYTES)
            offset += len(data)
            if not data:
                break
        if stream is None:
            data = data.lstrip(b"\x00")  # padding between streams and behind the last
            if not data:
                continue
            stream = begin()
        while True:
            try:
                piece = stream.decompress(data, UNPACK_PIECE_BYTES)
            except errors as error:
                raise _damaged(where, error) from error
            data = b""
            if piece:
                empty = -1
                yield piece
            if stream.eof or stream.needs_input:
                break
        if stream.eof:
            data, stream = stream.unused_data, None
            empty += 1
            if empty > UNPACK_EMPTY_STREAMS_MAX:
                raise TooLarge(
                    f"{where} has over {UNPACK_EMPTY_STREAMS_MAX} empty streams behind each other",
                    hint="it looks like a decompression bomb; the file itself is kept as it is",
                )
    if stream is not None:
        raise _cut_off(where)


# zstd ---------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def zstd_library() -> Any | None:
    """``zstandard`` or ``compression.zstd``, or None where there is neither."""
    for name in ("zstandard", "compression.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _zstd_pieces(read: ReadAt, where: str) -> Iterator[bytes]:
    library = zstd_library()
    if library is None:
        raise Refused(f"{where} cannot be unpacked here", hint="install the package zstandard")
    if hasattr(library, "DecompressionParameter"):
        options = {library.DecompressionParameter.window_log_max: UNPACK_WINDOW_BYTES_MAX.bit_length() - 1}
        yield from _stream_pieces(lambda: library.ZstdDecompressor(options=options), library.ZstdError, read, where)
    else:
        decompressor = library.ZstdDecompressor(max_window_size=UNPACK_WINDOW_BYTES_MAX)
        yield from _stream_pieces(lambda: _Zstandard(decompressor), library.ZstdError, read, where)


class _Zstandard:
    """A frame, by the package ``zstandard``, behind the interface of ``bz2`` and ``lzma``.

    It gives at once all that a piece of input expands to, which a bomb makes 32,000 times as much. So it gets little.
    """

    def __init__(self, decompressor: Any) -> None:
        self._stream: Any = decompressor.decompressobj()
        self._waiting = memoryview(b"")
        self._out = b""

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof) and not self._out

    @property
    def needs_input(self) -> bool:
        return not self._waiting and not self._out

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data) + bytes(self._waiting)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        if data:
            self._waiting = memoryview(bytes(self._waiting) + data)
        while self._waiting and not self._out and not self._stream.eof:
            part, self._waiting = self._waiting[:UNPACK_STEP_BYTES], self._waiting[UNPACK_STEP_BYTES:]
            self._out = self._stream.decompress(part)
        piece, self._out = self._out[:max_length], self._out[max_length:]
        return piece


def _cut_off(where: str) -> Damaged:
    return Damaged(f"{where} ends too early", where=where, hint="it was cut off; what is there is right")


def _damaged(where: str, error: Exception) -> LogferryError:
    text = str(error)
    if "emory" in text:  # of xz: "Memory usage limit exceeded"; of zstd: "Frame requires too much memory"
        return Refused(f"{where} needs too much memory to unpack", hint="fetch the file and unpack it there")
    return Damaged(f"{where} cannot be unpacked to its end: {text}", where=where, hint="fetch it and look")
