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
from logferry.archive.index.kernel import BORDER, DIGITS_FROM, GRAMS_ALL, NOTED_ALL, SYMBOL, U32
from logferry.archive.index.planes import pack, unpack
from logferry.archive.index.words import I64, U8, U64
from logferry.errors import Damaged

_BLOCK_BYTES = 64 * 1024
_BLOCKS_TOGETHER = 16
_LONG_NUMBER = re.compile(rb"[0-9]{%d,}" % DIGITS_FROM)


_SYMBOLS: list[int] = SYMBOL.tolist()


def row_bytes(granules: int) -> int:
    """Bytes of one row."""
    return (granules + 7) // 8


def rows_per_block(granules: int) -> int:
    """Rows in each block but the last."""
    return max(1, _BLOCK_BYTES // max(1, row_bytes(granules)))


class Grams:
    """The trigrams of each granule while an index is built: one bit each, in columns of 64 granules.

    One column is open, with a place for each trigram there may be; of the others those are kept that occur.
    """

    def __init__(self) -> None:
        self._closed: list[tuple[U32, U64]] = []
        """Of each column the trigrams that occur, ascending, and their bits."""
        self._open = np.zeros(NOTED_ALL, np.uint64)
        self._number = 0

    def add(self, grams: U32, granule: int) -> None:
        """A granule has these, too. It is quick for those beside the last one."""
        if granule // 64 != self._number:
            self._close()
            self._number = granule // 64
            if self._number < len(self._closed):
                ids, bits = self._closed[self._number]
                self._open[ids] = bits
        _mark(grams, np.uint64(1 << granule % 64), self._open)

    def _close(self) -> None:
        ids = np.flatnonzero(self._open)
        while len(self._closed) <= self._number:
            self._closed.append((np.zeros(0, np.uint32), np.zeros(0, np.uint64)))
        self._closed[self._number] = (ids.astype(np.uint32), self._open[ids])
        self._open[ids] = 0

    def pack(self, granules: int) -> tuple[bytes, Iterator[bytes]]:
        """The block of trigrams, and those of their rows. ``granules``: how many there are. Nothing can be added."""
        self._close()
        some = np.zeros(NOTED_ALL, np.bool_)
        for found, _ in self._closed:
            some[found] = True
        ids = np.flatnonzero(some)
        return pack([np.diff(ids, prepend=0)]), self._rows(ids, granules)

    def _rows(self, ids: I64, granules: int) -> Iterator[bytes]:
        step = rows_per_block(granules)
        many = _BLOCKS_TOGETHER * step
        for first in range(0, len(ids), many):
            wanted = ids[first : first + many]
            rows = np.zeros((len(wanted), -(-granules // 64)), "<u8")
            for number, (found, bits) in enumerate(self._closed):
                start, end = found.searchsorted((wanted[0], wanted[-1] + 1))
                rows[wanted.searchsorted(found[start:end]), number] = bits[start:end]
            octets = rows.view(np.uint8)[:, : row_bytes(granules)]
            for at in range(0, len(wanted), step):
                yield octets[at : at + step].tobytes()


@kernel
def _mark(grams: U32, bit: np.uint64, column: U64) -> None:
    for gram in grams:
        column[gram] |= bit


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
