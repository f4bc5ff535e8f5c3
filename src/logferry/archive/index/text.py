"""Which bytes are text, and how bytes that are UTF-16 become the UTF-8 text that is indexed.

A generation that begins with a UTF-16 byte order mark is UTF-16 from its first byte to its last. Its lines end at the
characters of U+000A on even offsets. Lone surrogates are kept, an odd byte at the end is left out, the byte order
mark is a character of the first line: as the scan sees it.
"""

from __future__ import annotations

from typing import Literal

from logferry.archive.index.compiled import kernel
from logferry.archive.index.words import U8

Encoding = Literal["bytes", "utf-16-le", "utf-16-be"]
UTF16_LINE_ENDS: dict[Encoding, bytes] = {"utf-16-le": b"\n\x00", "utf-16-be": b"\x00\n"}

_PIECES, _PIECE_BYTES = 16, 512
_BINARY_SHARE = 16
"""Text holds fewer control characters than one in so many bytes; compressed or random bytes hold one in ten."""


def encoding_of(head: bytes) -> Encoding:
    """The encoding of a generation, from its first four bytes."""
    if head.startswith(b"\xff\xfe") and not head.startswith(b"\xff\xfe\x00\x00"):  # that is UTF-32
        return "utf-16-le"
    return "utf-16-be" if head.startswith(b"\xfe\xff") else "bytes"


def as_utf8(data: bytes, offset: int, encoding: Encoding) -> bytes:
    """UTF-16 bytes from ``offset`` of their generation as UTF-8; half characters at either end are left out."""
    start = offset & 1
    end = start + ((len(data) - start) & ~1)
    return data[start:end].decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")


def last_utf16_line_end(data: bytes, offset: int, start: int, end: int, encoding: Encoding) -> int:
    """Where the last line in ``data[start:end]`` ends that does; ``start`` if none. ``data`` is from ``offset`` on."""
    found = end
    while (found := data.rfind(UTF16_LINE_ENDS[encoding], start, found)) >= 0:
        if (found + offset) % 2 == 0:
            return found + 2
        found += 1  # the next one may overlap it
    return start


def first_utf16_line_end(data: bytes, offset: int, start: int, end: int, encoding: Encoding) -> int:
    """Where the first line in ``data[start:end]`` ends that does; ``end`` if none."""
    found = start - 1
    while (found := data.find(UTF16_LINE_ENDS[encoding], found + 1, end)) >= 0:
        if (found + offset) % 2 == 0:
            return found + 2
    return end


@kernel
def _controls(data: U8, start: int, end: int) -> tuple[int, int]:
    count = seen = 0
    step = max(_PIECE_BYTES, (end - start) // _PIECES)
    for first in range(start, end, step):
        last = min(first + _PIECE_BYTES, end)
        seen += last - first
        for i in range(first, last):
            byte = data[i]
            count += (byte < 9) | ((byte > 13) & (byte < 32) & (byte != 27))
    return count, seen


def is_binary(data: U8, start: int, end: int) -> bool:
    """Whether these bytes are no text, judged by samples: the index says nothing about them."""
    count, seen = _controls(data, start, end)
    return int(count) * _BINARY_SHARE > int(seen)
