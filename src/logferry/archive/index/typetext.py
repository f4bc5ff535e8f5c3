"""The texts of log types, end to end, in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from logferry.archive.index.planes import pack, unpack
from logferry.archive.index.words import I64, U8
from logferry.errors import Damaged

_BLOCK_BYTES = 4 * 1024 * 1024


def pack_texts(text: U8, lengths: I64) -> Iterator[bytes]:
    """Blocks of the texts of types, which lie end to end. ``lengths``: of each."""
    ends = np.cumsum(lengths)
    first = start = 0
    while first < len(ends):
        last = min(int(ends.searchsorted(start + _BLOCK_BYTES)) + 1, len(ends))
        end = int(ends[last - 1])
        yield pack([lengths[first:last], text[start:end]])
        first, start = last, end


def unpack_texts(blocks: Iterator[bytes], types: int, *, where: str) -> tuple[U8, I64]:
    """The texts, end to end and padded, and where each starts (and the last one ends). Raises Damaged."""
    lengths_of, texts = [np.zeros(0, np.int64)], [np.zeros(0, np.uint8)]
    for block in blocks:
        lengths, text = unpack(block, 2, where=where)
        if text.dtype != np.uint8 or int(lengths.sum()) != len(text):
            raise Damaged(f"{where}: log types that make no sense", where=where)
        lengths_of.append(lengths.astype(np.int64))
        texts.append(text)
    starts = np.zeros(sum(map(len, lengths_of)) + 1, np.int64)
    np.cumsum(np.concatenate(lengths_of), out=starts[1:])
    if len(starts) != types + 1:
        raise Damaged(f"{where}: log types that make no sense", where=where)
    return np.concatenate([*texts, np.zeros(16, np.uint8)]), starts
