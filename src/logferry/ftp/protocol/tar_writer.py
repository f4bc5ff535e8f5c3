"""Headers of a tar archive that is made while it is sent: ustar, a pax header before it where ustar has no room."""

from __future__ import annotations

from logferry.ftp.protocol.tar_headers import BLOCK_BYTES

END = bytes(2 * BLOCK_BYTES)
"""The end mark."""

_NS = 1_000_000_000
_SIZE_MAX = 8**11 - 1
"""What 11 octal digits hold: sizes, and seconds since 1970."""


def padding(size: int) -> bytes:
    """What follows ``size`` bytes of content up to the next header."""
    return bytes(-size % BLOCK_BYTES)


def header(name: bytes, size: int, modified_ns: int | None = None) -> bytes:
    """The blocks before ``size`` bytes of content of the file ``name``, a relative path without an empty component."""
    seconds, fraction = divmod(modified_ns or 0, _NS)
    fits = 0 <= seconds <= _SIZE_MAX
    split = _split(name)
    said: list[tuple[bytes, bytes]] = []
    if split is None:
        said.append((b"path", name))
    if size > _SIZE_MAX:
        said.append((b"size", b"%d" % size))
    if modified_ns is not None and (fraction or not fits):
        said.append((b"mtime", _decimal(modified_ns)))
    block = _block(split or (b"", name[:100]), b"0", min(size, _SIZE_MAX), seconds if fits else 0)
    if not said:
        return block
    content = b"".join(_record(key, value) for key, value in said)
    return _block((b"", b"pax"), b"x", len(content), 0) + content + padding(len(content)) + block


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """(prefix, name) as ustar has room for them: 155 and 100 bytes, divided at a slash; None when it has not."""
    if len(name) <= 100:
        return b"", name
    at = name.find(b"/", max(len(name) - 101, 0))
    return (name[:at], name[at + 1 :]) if 0 < at <= 155 and at < len(name) - 1 else None


def _block(name: tuple[bytes, bytes], kind: bytes, size: int, seconds: int) -> bytes:
    prefix, last = name
    before = last.ljust(100, b"\x00") + b"0000644\x000000000\x000000000\x00%011o\x00%011o\x00" % (size, seconds)
    after = kind + bytes(100) + b"ustar\x0000" + bytes(80) + prefix.ljust(155, b"\x00") + bytes(12)
    return before + b"%06o\x00 " % (sum(before) + 8 * 0x20 + sum(after)) + after


def _record(key: bytes, value: bytes) -> bytes:
    """A pax record; its length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _decimal(ns: int) -> bytes:
    seconds, fraction = divmod(abs(ns), _NS)
    return b"%s%d.%09d" % (b"-" if ns < 0 else b"", seconds, fraction)
