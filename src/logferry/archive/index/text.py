"""Which bytes are text, and how bytes that are UTF-16 become the UTF-8 text that is indexed.

A generation that begins with a UTF-16 byte order mark is UTF-16 from its first byte to its last. Its lines end at the
characters of U+000A on even offsets. Lone surrogates are kept, an odd byte at the end is left out, the byte order
mark is a character of the first line: as the scan sees it.
"""

from __future__ import annotations

from logferry.archive.index.compiled import kernel
from logferry.archive.index.words import U8

_PIECES, _PIECE_BYTES = 16, 512
_BINARY_SHARE = 16
"""Text holds fewer control characters than one in so many bytes; compressed or random bytes hold one in ten."""


@kernel
def _controls(data: U8, start: int, end: int) -> tuple[int, int]:
    count = seen = 0
    step = max(_PIECE_BYTES, (end - start) // _PIECES)
    for first in range(start, end, step):
        last = min(first + _PIECE_BYTES, end)
        seen += last - first
        for i in range(first, last):
            byte = data[i]
            count += (byte < 9) | ((byte > 13) & (byte < 32) & (byte != 27))
    return count, seen


def is_binary(data: U8, start: int, end: int) -> bool:
    """Whether these bytes are no text, judged by samples: the index says nothing about them."""
    count, seen = _controls(data, start, end)
    return int(count) * _BINARY_SHARE > int(seen)
