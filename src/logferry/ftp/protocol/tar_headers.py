"""The fields of tar headers: ustar and pax (POSIX.1-2017, pax, "ustar interchange format"), old V7 and GNU tar."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from logferry.errors import Refused

BLOCK_BYTES = 512
ZEROS = bytes(BLOCK_BYTES)

FILE = "file"
FOLDER = "folder"
KINDS = {
    b"0": FILE,
    b"\x00": FILE,
    b"7": FILE,  # contiguous: a file to everybody who has no such disks
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"5": FOLDER,
    b"6": "FIFO",
    b"S": "sparse file",
    b"V": "volume label",
    b"M": "part of a file on several volumes",
    b"D": "folder of an incremental dump",
}
_WITHOUT_CONTENT = frozenset(b"123456")
"""Types behind whose header no content follows, whatever size it tells (old programs told that of the target)."""
_BYTES_OF_CONTENT = frozenset({FILE, "hard link", "sparse file", "part of a file on several volumes"})

_NS = 1_000_000_000
_TIME_NS_MAX = 2**63 - 1
_TIME = re.compile(rb"(-?)([0-9]{1,18})(?:\.([0-9]*))?")
_RECORD = re.compile(rb"([0-9]{1,10}) ")


class BadBundle(Refused):
    """What arrives is no tar archive, or a damaged, cut or excessive one. Make it anew, then send it again."""

    ftp_reply = 554


class Member(NamedTuple):
    """One member of an archive. ``name`` is raw; ``size`` counts the bytes that follow in the archive."""

    name: bytes
    kind: str
    size: int
    modified_ns: int | None

    @property
    def loses_bytes(self) -> bool:
        """Whether leaving the member out loses content (a symbolic link or a device has none)."""
        return self.kind in _BYTES_OF_CONTENT or self.kind.startswith("unknown")


class Header(NamedTuple):
    """One header block, before what extension headers say about it."""

    name: bytes
    kind: bytes
    size: int
    modified_ns: int | None
    is_sparse_extended: bool


def read_header(block: bytes) -> Header:
    """A header block whose checksum is right. Raises BadBundle."""
    _check_sum(block)
    name = _text(block[0:100])
    kind = block[156:157]
    if block[257:263] == b"ustar\x00" and block[345] and kind not in b"SMDLK":
        name = _text(block[345:500]) + b"/" + name
    size = number(block[124:136])
    if size < 0:
        raise BadBundle(f"a member of {size} bytes")
    if kind == b"\x00" and name.endswith(b"/"):
        kind = b"5"
    seconds = number(block[136:148]) if block[136:148].strip(b" \x00") else None
    return Header(name, kind, size, None if seconds is None else in_range(seconds * _NS), block[482] == 1)


def has_content(kind: bytes) -> bool:
    """Whether the size in a header of that type counts bytes that follow it."""
    return kind[0] not in _WITHOUT_CONTENT


def kind_of(flag: bytes) -> str:
    """What a member of that type flag is, in words."""
    found = KINDS.get(flag)
    return found if found is not None else f"unknown type {flag!r}"


def _check_sum(block: bytes) -> None:
    try:
        told = int(block[148:156].strip(b" \x00") or b"-", 8)
    except ValueError as error:
        raise BadBundle("this is no tar archive", hint="or its bytes were changed on the way") from error
    # The sum counts its own field as spaces. The low half of Adler-32 is the sum of all bytes plus one, modulo 65,521,
    # and ten times as fast as ``sum``; what differs by just that modulus is no likelier than what does not differ.
    own = sum(block[148:156])
    if not ((zlib.adler32(block) & 0xFFFF) - 1 - own + 256 - told) % 65_521:
        return
    # Old programs added signed bytes.
    if sum(block) - own + 256 - 256 * sum(byte > 127 for byte in block[:148] + block[156:]) != told:
        raise BadBundle("the checksum of a tar header is wrong", hint="its bytes were changed on the way, or before")


def number(field: bytes) -> int:
    """A number in a header: octal digits, or base 256 as GNU tar and star write large ones. Raises BadBundle."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = 8 * len(field)
        # 0x80: the other bits are an unsigned number; 0xff: the whole is a negative one.
        return value - (1 << bits) if field[0] & 0x40 else value - (1 << (bits - 1))
    digits = field.partition(b"\x00")[0].strip(b" ")
    if not digits:
        return 0
    if not digits.isdigit():
        raise BadBundle(f"{field!r} is no number in a tar header")
    try:
        return int(digits, 8)
    except ValueError as error:
        raise BadBundle(f"{field!r} is no number in a tar header") from error


def in_range(ns: int) -> int | None:
    """A time in nanoseconds that file systems can keep, or None."""
    return ns if -_TIME_NS_MAX <= ns <= _TIME_NS_MAX else None


def records(content: bytes) -> dict[bytes, bytes]:
    """The records of a pax extended header. Raises BadBundle."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(content) and content[at]:
        length = _RECORD.match(content, at)
        if length is None:
            raise BadBundle("a pax header has a record without a length")
        end = at + int(length[1])
        key, equals, value = content[length.end() : end - 1].partition(b"=")
        if end > len(content) or end <= length.end() or content[end - 1] != 0x0A or not equals:
            raise BadBundle("a pax header has a record of the wrong length")
        found[key] = value
        at = end
    return found


def decimal_ns(value: bytes) -> int | None:
    """A pax time, seconds with a fraction, in nanoseconds; None when it is none that can be kept."""
    found = _TIME.fullmatch(value)
    if found is None:
        return None
    ns = int(found[2]) * _NS + int((found[3] or b"0")[:9].ljust(9, b"0"))
    return in_range(-ns if found[1] else ns)


def decimal_size(value: bytes) -> int:
    """A pax size. Raises BadBundle."""
    if not value.isdigit() or len(value) > 19:
        raise BadBundle(f"{value[:40]!r} is no size")
    return int(value)


def _text(field: bytes) -> bytes:
    return field.partition(b"\x00")[0]
