"""The encodings that are told apart, and where UTF-16 lines end. Python alone: nothing here is compiled."""

from __future__ import annotations

from typing import Literal

Encoding = Literal["bytes", "utf-16-le", "utf-16-be"]
UTF16_LINE_ENDS: dict[Encoding, bytes] = {"utf-16-le": b"\n\x00", "utf-16-be": b"\x00\n"}


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
