"""A zip as a stream: nothing of it is ever corrected, so it can go out while it is being made.

Every member is deflated and followed by a data descriptor (its checksum and sizes, which are only known then); ZIP64
wherever 32 bits do not do. The directory at the end waits in a file that takes to the disk when it gets large: a
million members cost no more memory than ten. PKWARE APPNOTE 6.3.10 names the fields.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

from logferry.limits import COPY_BYTES, SPOOL_BYTES, ZIP_LEVEL

_U32 = 0xFFFF_FFFF
_U16 = 0xFFFF
_ZIP64_FROM = _U32 - 16 * 1024 * 1024
"""From this size on both lengths of a member have 64 bits: deflate may make compressed bytes a little longer."""
_DESCRIPTOR_AND_UTF8 = 0x0808
_DEFLATED = 8
_VERSION, _VERSION_ZIP64 = 20, 45
_MADE_BY_UNIX = 3 << 8 | _VERSION_ZIP64
_FILE_0644 = 0o100644 << 16


class ZipStream:
    """Begin, data, end of each member; ``close`` at last. All return what is to be sent."""

    def __init__(self) -> None:
        self._at = 0
        self._count = 0
        self._directory = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - lives as long as we do

    def begin(self, name: str, size: int, modified_ns: int, *, level: int = ZIP_LEVEL) -> bytes:
        """The header of a member of at most ``size`` bytes."""
        self._name = name.encode()
        self._wide = size >= _ZIP64_FROM
        self._when = _dos_time(modified_ns)
        self._times = _unix_time(modified_ns)
        self._start, self._crc, self._raw, self._packed = self._at, 0, 0, 0
        self._deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        extra = self._times + (struct.pack("<HHQQ", 1, 16, 0, 0) if self._wide else b"")
        lengths = (_U32, _U32) if self._wide else (0, 0)
        head = struct.pack(
            "<4s5H3L2H",
            *(b"PK\x03\x04", self._version, _DESCRIPTOR_AND_UTF8, _DEFLATED, *self._when),
            *(0, *lengths, len(self._name), len(extra)),
        )
        return self._sent(head + self._name + extra)

    @property
    def _version(self) -> int:
        return _VERSION_ZIP64 if self._wide else _VERSION

    def data(self, block: bytes) -> bytes:
        """The next bytes of the member."""
        self._crc = zlib.crc32(block, self._crc)
        self._raw += len(block)
        made = self._deflate.compress(block)
        self._packed += len(made)
        return self._sent(made)

    def end(self) -> Iterator[bytes]:
        """The member is over, with as many bytes as it got."""
        rest = self._deflate.flush()
        self._packed += len(rest)
        form = "<4sLQQ" if self._wide else "<4sLLL"
        descriptor = struct.pack(form, b"PK\x07\x08", self._crc, self._packed, self._raw)
        self._file()
        yield self._sent(rest + descriptor)

    def _file(self) -> None:
        """Note the member for the directory."""
        wide = [n for n in (self._raw, self._packed, self._start) if n >= _U32]
        extra = self._times + (struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b"")
        version = _VERSION_ZIP64 if wide else self._version
        entry = struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\x01\x02", _MADE_BY_UNIX, version, _DESCRIPTOR_AND_UTF8, _DEFLATED, *self._when),
            *(self._crc, min(self._packed, _U32), min(self._raw, _U32), len(self._name), len(extra)),
            *(0, 0, 0, _FILE_0644, min(self._start, _U32)),
        )
        self._directory.write(entry + self._name + extra)
        self._count += 1

    def close(self) -> Iterator[bytes]:
        """The directory and the end of the whole."""
        start, size = self._at, self._directory.tell()
        self._directory.seek(0)
        while block := self._directory.read(COPY_BYTES):
            yield self._sent(block)
        self._directory.close()
        if self._count >= _U16 or size >= _U32 or start >= _U32:
            there = self._at
            versions = (_MADE_BY_UNIX, _VERSION_ZIP64)
            yield self._sent(
                struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, *versions, 0, 0, self._count, self._count, size, start)
                + struct.pack("<4sLQL", b"PK\x06\x07", 0, there, 1)
            )
        count = min(self._count, _U16)
        yield self._sent(
            struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, min(size, _U32), min(start, _U32), 0)
        )

    def drop(self) -> None:
        """It will not be finished."""
        self._directory.close()

    def _sent(self, data: bytes) -> bytes:
        self._at += len(data)
        return data


def _dos_time(ns: int) -> tuple[int, int]:
    """Time and date as MS-DOS had them, in UTC: from 1980 to 2107, even seconds."""
    second = min(max(ns // 10**9, 315_532_800), 4_354_819_198)
    t = datetime.fromtimestamp(second, UTC)
    return t.hour << 11 | t.minute << 5 | t.second // 2, (t.year - 1980) << 9 | t.month << 5 | t.day


def _unix_time(ns: int) -> bytes:
    """The field that carries the second exactly, and says that it is UTC."""
    second = ns // 10**9
    return struct.pack("<HHBl", 0x5455, 5, 1, second) if -(2**31) <= second < 2**31 else b""
