"""A compressed stream as it arrives: bytes in, decompressed pieces of bounded size out to a function.

gzip (RFC 1952) comes with Python; zstd (RFC 8878) needs the package ``zstandard``, or Python 3.14, and is simply not
offered without. Streams that follow each other (``cat a.gz b.gz``) are one, as the programs of those names have it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Protocol

from logferry.compressed import zstd_library
from logferry.ftp.protocol.tar_headers import BadBundle
from logferry.limits import BUNDLE_PIECE_BYTES, BUNDLE_WINDOW_BYTES_MAX

Take = Callable[[bytes | memoryview], None]
"""Gets each piece, to be used before it returns. What it raises ends the stream and passes."""

_GZIP_STEP_BYTES = 16 * 1024
_DAMAGED = "its bytes were changed on the way, or before"


class Expander(Protocol):
    """``feed`` everything, then ask ``finish``. Both raise BadBundle."""

    def feed(self, data: memoryview | bytes) -> None:
        """Take bytes; hands on what they decompress to."""
        ...

    def finish(self) -> None:
        """That was all. Raises BadBundle when the stream cannot have ended there."""
        ...


class Plain:
    """No compression."""

    def __init__(self, take: Take) -> None:
        self.feed = take

    def finish(self) -> None:
        """Nothing to find out."""


class Gzip:
    """gzip members, zeros between or behind them skipped."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._stream: Any = None

    def feed(self, data: memoryview | bytes) -> None:
        # What comes behind the end of a member is copied by the library: of a lot of tiny ones, again and again.
        for at in range(0, len(data), _GZIP_STEP_BYTES):
            self._feed(data[at : at + _GZIP_STEP_BYTES])

    def _feed(self, data: memoryview | bytes) -> None:
        while data:
            if self._stream is None:
                data = bytes(data).lstrip(b"\x00")
                if not data:
                    return
                self._stream = zlib.decompressobj(wbits=31)
            try:
                piece = self._stream.decompress(data, BUNDLE_PIECE_BYTES)
            except zlib.error as error:
                raise BadBundle(f"the gzip stream is damaged: {error}", hint=_DAMAGED) from error
            if piece:
                self._take(piece)
            data = self._stream.unconsumed_tail
            while not data and not self._stream.eof and len(piece) == BUNDLE_PIECE_BYTES:
                # All input is in; what it expands to beyond one piece is still inside.
                piece = self._stream.decompress(b"", BUNDLE_PIECE_BYTES)
                if piece:
                    self._take(piece)
            if self._stream.eof:
                data = self._stream.unused_data
                self._stream = None

    def finish(self) -> None:
        if self._stream is not None:
            raise BadBundle("the gzip stream ends too early", hint="it was cut; send it again")


class Zstd:
    """zstd frames, by the package ``zstandard``."""

    def __init__(self, take: Take, library: Any) -> None:
        self._error = library.ZstdError
        self._out = _Out(take)
        decompressor = library.ZstdDecompressor(max_window_size=BUNDLE_WINDOW_BYTES_MAX)
        # Its other streams give all that one piece of input expands to at once, or ask for the input themselves.
        self._writer = decompressor.stream_writer(self._out, write_size=BUNDLE_PIECE_BYTES, closefd=False)

    def feed(self, data: memoryview | bytes) -> None:
        try:
            self._writer.write(data)
        except self._error as error:
            raise _bad_zstd(error) from error

    def finish(self) -> None:
        """The library does not tell whether a frame is open, but one that follows comes out whole only if none is."""
        came: list[bytes] = []
        self._out.write = lambda piece: came.append(bytes(piece))
        try:
            self._writer.write(_PROBE_FRAME)
        except self._error as error:
            raise BadBundle("the zstd stream ends too early", hint="it was cut; send it again") from error
        if b"".join(came) != _PROBE:
            raise BadBundle("the zstd stream ends too early", hint="it was cut; send it again")


class _Out:
    """What the library writes to."""

    def __init__(self, take: Take) -> None:
        self.write: Callable[[bytes], object] = take


class ZstdOfPython:
    """zstd frames, by the standard library of Python 3.14 (or its backport)."""

    def __init__(self, take: Take, library: Any) -> None:
        self._take = take
        self._library = library
        # The parameter is a power of two.
        parameter = library.DecompressionParameter.window_log_max
        self._options = {parameter: BUNDLE_WINDOW_BYTES_MAX.bit_length() - 1}
        self._stream: Any = None

    def feed(self, data: memoryview | bytes) -> None:
        while data:
            if self._stream is None:
                self._stream = self._library.ZstdDecompressor(options=self._options)
            stream = self._stream
            try:
                piece = stream.decompress(data, max_length=BUNDLE_PIECE_BYTES)
                while True:
                    if piece:
                        self._take(piece)
                    if stream.eof or stream.needs_input:
                        break
                    piece = stream.decompress(b"", max_length=BUNDLE_PIECE_BYTES)
            except self._library.ZstdError as error:
                raise _bad_zstd(error) from error
            data = b""
            if stream.eof:
                data = stream.unused_data
                self._stream = None

    def finish(self) -> None:
        if self._stream is not None:
            raise BadBundle("the zstd stream ends too early", hint="it was cut; send it again")


def _bad_zstd(error: Exception) -> BadBundle:
    text = str(error)
    if "too much memory" in text:
        return BadBundle(
            f"the zstd stream needs a window of over {BUNDLE_WINDOW_BYTES_MAX // 2**20} MiB",
            hint="compress without --long and --ultra",
        )
    return BadBundle(f"the zstd stream is damaged: {text}", hint=_DAMAGED)


_PROBE = b"logferry: the end"
# Magic, a descriptor that says "one segment, size in one byte", that size, one last raw block.
_PROBE_FRAME = b"\x28\xb5\x2f\xfd\x20" + bytes([len(_PROBE)]) + (len(_PROBE) << 3 | 1).to_bytes(3, "little") + _PROBE


def _zstd(take: Take) -> Expander:
    library = zstd_library()
    if library is None:
        raise BadBundle("zstd is not installed here", hint="send .tar or .tar.gz")
    return Zstd(take, library) if hasattr(library.ZstdDecompressor, "stream_writer") else ZstdOfPython(take, library)


EXPANDERS: dict[str, Callable[[Take], Expander]] = {"tar": Plain, "tar.gz": Gzip, "tar.zst": _zstd}
"""Formats of bundles, as FEAT names them and as their names end."""


def formats() -> tuple[str, ...]:
    """The formats that can be read here."""
    return tuple(name for name in EXPANDERS if name != "tar.zst" or zstd_library() is not None)
