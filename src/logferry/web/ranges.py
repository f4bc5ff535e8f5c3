"""Byte ranges and conditions of HTTP (RFC 9110), as pure functions over header texts."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """``start <= x < end``."""

    start: int
    end: int


class Unsatisfiable(Exception):
    """The range asked for has no byte in common with what there is: 416."""


def requested_range(header: str, size: int) -> ByteRange | None:
    """The one range that ``Range`` asks for; None: send everything (no, a foreign or a malformed range, or several).

    Raises:
        Unsatisfiable: it begins behind the end, or asks for the last 0 bytes.
    """
    found = _RANGE.fullmatch(header)
    if found is None or (not found[1] and not found[2]):
        return None
    if not found[1]:
        last = min(int(found[2]), size)
        if last == 0:
            raise Unsatisfiable
        return ByteRange(size - last, size)
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    if found[2] and int(found[2]) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return ByteRange(start, end)


def none_match(header: str, etag: str) -> bool:
    """Whether ``If-None-Match`` lets the answer be sent: False means 304. The weak comparison."""
    if not header:
        return True
    if header.strip() == "*":
        return False
    return etag not in {_strong(tag) for tag in header.split(",")}


def range_stands(if_range: str, etag: str) -> bool:
    """Whether ``If-Range`` (empty: not sent) lets the range count. The strong comparison; dates never match."""
    return not if_range or if_range.strip() == etag


def _strong(tag: str) -> str:
    return tag.strip().removeprefix("W/")


def disposition(kind: str, name: str) -> str:
    """``Content-Disposition`` (RFC 6266) for any file name: an ASCII fallback and the whole name in UTF-8."""
    fallback = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in name)
    encoded = "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "!#$&+-.^_`|~") else f"%{byte:02X}"
        for byte in name.encode("utf-8", "replace")
    )
    return f"{kind}; filename=\"{fallback}\"; filename*=UTF-8''{encoded}"
