"""Trigrams of the words that are posted, and the granules that hold them: one row of bits per trigram, if any is set.

A trigram stands for three bytes, case folded, or two and an end of a word; bytes beyond ASCII share 27 symbols. Parts
of words are found by it. Long numbers have all of a thousand trigrams somewhere in a granule: of them each four digits
are noted, too, with numbers behind those of all trigrams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import kernel
from logferry.archive.index.kernel import BORDER, DIGITS_FROM, GRAMS_ALL, GRANULE_BITS, NOTED_ALL, SYMBOL
from logferry.archive.index.planes import pack, unpack
from logferry.archive.index.radix import sorted_by
from logferry.archive.index.words import I64, U8, U64
from logferry.errors import Damaged

_BLOCK_BYTES = 64 * 1024
_LONG_NUMBER = re.compile(rb"[0-9]{%d,}" % DIGITS_FROM)


_SYMBOLS: list[int] = SYMBOL.tolist()


def row_bytes(granules: int) -> int:
    """Bytes of one row."""
    return (granules + 7) // 8


def rows_per_block(granules: int) -> int:
    """Rows in each block but the last."""
    return max(1, _BLOCK_BYTES // max(1, row_bytes(granules)))


def pack_grams(found: U64, granules: int) -> tuple[bytes, Iterator[bytes]]:
    """The block of trigrams, and those of their rows.

    Args:
        found: trigram times 2**GRANULE_BITS, and granule, in any order. Overwritten.
        granules: how many there are.
    """
    found = sorted_by(found, GRANULE_BITS, GRANULE_BITS + NOTED_ALL.bit_length())
    grams = (found >> np.uint64(GRANULE_BITS)).astype(np.int64)
    starts = np.flatnonzero(np.diff(grams, prepend=-1))
    ids = grams[starts]
    return pack([np.diff(ids, prepend=0)]), _pack_rows(found, np.append(starts, len(found)), granules)


def _pack_rows(found: U64, starts: I64, granules: int) -> Iterator[bytes]:
    step = rows_per_block(granules)
    rows = len(starts) - 1
    for first in range(0, rows, step):
        last = min(first + step, rows)
        bits = np.zeros((last - first, row_bytes(granules)), np.uint8)
        _set_bits(found, starts, first, last, bits)
        yield bits.tobytes()


@kernel
def _set_bits(found: U64, starts: I64, first: int, last: int, bits: npt.NDArray[np.uint8]) -> None:
    for row in range(first, last):
        for i in range(starts[row], starts[row + 1]):
            granule = np.int64(found[i] & np.uint64((1 << GRANULE_BITS) - 1))
            bits[row - first, granule >> 3] |= np.uint8(1 << (granule & 7))


def unpack_ids(data: bytes, *, where: str) -> I64:
    """The trigrams that have rows, ascending. Raises Damaged."""
    (steps,) = unpack(data, 1, where=where)
    ids = np.cumsum(steps.astype(np.int64))
    if len(ids) and (int(ids[-1]) >= NOTED_ALL or len(ids) > NOTED_ALL):
        raise Damaged(f"{where}: trigrams that make no sense", where=where)
    return ids


def unpack_rows(data: bytes, granules: int, *, where: str) -> npt.NDArray[np.uint8]:
    """The rows of a block. Raises Damaged."""
    width = row_bytes(granules)
    if not width or len(data) % width:
        raise Damaged(f"{where}: rows that make no sense", where=where)
    return np.frombuffer(data, np.uint8).reshape(-1, width)


def grams_of(word: bytes, *, starts: bool = False, ends: bool = False) -> list[int]:
    """What is noted of a word or a part of one: trigrams, and each four digits of its long numbers.

    ``starts``, ``ends``: whether a word begins or ends there.
    """
    symbols = [BORDER] * starts + [_SYMBOLS[byte] for byte in word] + [BORDER] * ends
    found = {a << 12 | b << 6 | c for a, b, c in zip(symbols, symbols[1:], symbols[2:], strict=False)}
    for number in _LONG_NUMBER.findall(word):
        found.update(GRAMS_ALL + int(number[at : at + 4]) for at in range(len(number) - 3))
    return sorted(found)


def granule_mask(bits: U8, granules: int) -> npt.NDArray[np.bool_]:
    """A row as one bool per granule."""
    return np.unpackbits(bits, count=granules, bitorder="little").view(np.bool_)
