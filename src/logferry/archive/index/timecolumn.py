"""The time of each line, to the second, and the first and last time of each granule, to the nanosecond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logferry.archive.index.kernel import NO_TIME
from logferry.archive.index.planes import pack, unpack, unzigzag, zigzag
from logferry.archive.index.words import I64
from logferry.errors import Damaged

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Spans:
    """Per granule: first and last time of its lines (``NO_TIME`` if none has one), and lines without a time."""

    first_ns: I64
    last_ns: I64
    untimed: I64


def span_of(times: I64) -> tuple[int, int, int]:
    """First and last time, and how many have none."""
    untimed = int(np.count_nonzero(times == NO_TIME))
    if untimed == len(times):
        return NO_TIME, NO_TIME, untimed
    timed = times[times != NO_TIME] if untimed else times
    return int(timed.min()), int(timed.max()), untimed


def pack_spans(spans: Spans) -> bytes:
    """The block of all spans."""
    timed = spans.first_ns != NO_TIME
    firsts, lasts = spans.first_ns[timed], spans.last_ns[timed]
    return pack(
        [np.packbits(timed, bitorder="little"), zigzag(np.diff(firsts, prepend=0)), lasts - firsts, spans.untimed]
    )


def unpack_spans(data: bytes, granules: int, *, where: str) -> Spans:
    """Back from ``pack_spans``. Raises Damaged."""
    bits, steps, lengths, untimed = unpack(data, 4, where=where)
    if len(bits) != (granules + 7) // 8 or len(untimed) != granules:
        raise Damaged(f"{where}: times that make no sense", where=where)
    timed = np.unpackbits(bits.astype(np.uint8), count=granules, bitorder="little").view(np.bool_)
    if len(steps) != np.count_nonzero(timed) or len(lengths) != len(steps):
        raise Damaged(f"{where}: times that make no sense", where=where)
    first_ns = np.full(granules, NO_TIME, np.int64)
    last_ns = first_ns.copy()
    first_ns[timed] = np.cumsum(unzigzag(steps))
    last_ns[timed] = first_ns[timed] + lengths.astype(np.int64)
    return Spans(first_ns, last_ns, untimed.astype(np.int64))


def seconds_of(times: I64) -> I64:
    """Times in whole seconds, rounded down; ``NO_TIME`` stays."""
    seconds: I64 = np.where(times == NO_TIME, NO_TIME, times // _SECOND_NS)
    return seconds


def pack_times(seconds: I64) -> bytes:
    """The block of the lines of some granules."""
    timed = seconds != NO_TIME
    bits = np.zeros(0, np.uint8) if timed.all() else np.packbits(timed, bitorder="little")
    return pack([bits, zigzag(np.diff(seconds[timed], prepend=0))])


def unpack_times(data: bytes, lines: int, *, where: str) -> I64:
    """Back from ``pack_times``. Raises Damaged."""
    bits, steps = unpack(data, 2, where=where)
    timed: npt.NDArray[np.bool_] = np.ones(lines, np.bool_)
    if len(bits):
        if len(bits) != (lines + 7) // 8:
            raise Damaged(f"{where}: times that make no sense", where=where)
        timed = np.unpackbits(bits.astype(np.uint8), count=lines, bitorder="little").view(np.bool_)
    if len(steps) != np.count_nonzero(timed):
        raise Damaged(f"{where}: times that make no sense", where=where)
    seconds = np.full(lines, NO_TIME, np.int64)
    seconds[timed] = np.cumsum(unzigzag(steps))
    return seconds
