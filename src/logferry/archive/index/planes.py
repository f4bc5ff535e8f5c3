"""Arrays of numbers as bytes that compress well: small numbers in few bytes, byte planes one after the other."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from logferry.errors import Damaged

Numbers = npt.NDArray[Any]

_HEAD = struct.Struct("<IB3x")
_WIDTHS = {0: np.uint8, 1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def pack(arrays: Sequence[Numbers]) -> bytes:
    """Arrays of numbers from 0 on as bytes."""
    return b"".join(_pack(array) for array in arrays)


def _pack(array: Numbers) -> bytes:
    largest = int(array.max()) if len(array) else 0
    width = next(width for width in _WIDTHS if largest < 1 << 8 * width)
    if not width:  # all are 0
        return _HEAD.pack(len(array), 0)
    narrow = array.astype(_WIDTHS[width]).astype(f"<u{width}", copy=False)
    planes = np.ascontiguousarray(narrow.view(np.uint8).reshape(-1, width).T)
    return _HEAD.pack(len(array), width) + planes.tobytes()


def unpack(data: bytes, count: int, *, where: str) -> list[Numbers]:
    """The ``count`` arrays in ``data``, as unsigned numbers. Raises Damaged."""
    arrays: list[Numbers] = []
    at = 0
    for _ in range(count):
        if at + _HEAD.size > len(data):
            raise Damaged(f"{where}: numbers are missing", where=where)
        length, width = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if width not in _WIDTHS or at + length * width > len(data) or length > ITEMS_MAX:
            raise Damaged(f"{where}: numbers that make no sense", where=where)
        if not width:
            arrays.append(np.zeros(length, np.uint8))
            continue
        planes = np.frombuffer(data, np.uint8, length * width, at).reshape(width, length)
        narrow = np.ascontiguousarray(planes.T).reshape(-1).view(f"<u{width}")
        arrays.append(narrow.astype(_WIDTHS[width], copy=False))
        at += length * width
    if at != len(data):
        raise Damaged(f"{where}: more numbers than expected", where=where)
    return arrays


ITEMS_MAX = 64 * 1024 * 1024
"""Numbers in one array: those that are all 0 take no bytes, so their count needs a bound of its own."""


def zigzag(array: Numbers) -> Numbers:
    """Signed 64-bit numbers as unsigned ones, small where they were near 0."""
    return ((array << 1) ^ (array >> 63)).view(np.uint64)


def unzigzag(array: Numbers) -> npt.NDArray[np.int64]:
    """Back from ``zigzag``."""
    wide = array.astype(np.uint64)
    half: npt.NDArray[np.int64] = (wide >> np.uint64(1)).view(np.int64) ^ -(wide & np.uint64(1)).view(np.int64)
    return half


def gaps(values: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> Numbers:
    """Ascending lists, laid end to end: their first values as they are, then each value less the one before and 1."""
    found = np.empty_like(values)
    found[:1] = values[:1]
    np.subtract(values[1:], values[:-1], out=found[1:])
    found[1:] -= 1
    inner = starts[starts < len(values)]
    found[inner] = values[inner]
    return found


def ungaps(found: Numbers, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Back from ``gaps``. ``starts``: where each list begins, none of them empty."""
    steps = found.astype(np.int64) + 1
    if not len(steps):
        return steps
    ends = np.cumsum(steps)
    before = ends[starts] - steps[starts]
    lengths = np.diff(starts, append=len(steps))
    values: npt.NDArray[np.int64] = ends - np.repeat(before, lengths) - 1
    return values
