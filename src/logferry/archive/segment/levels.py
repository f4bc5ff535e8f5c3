"""What compresses frames: zstd, and for the levels that count here its parameters set for logs.

Measured on frames of 512 KiB of mixed logs (docs/design/compression.md): matches of less than six bytes are mostly
numbers that happen to be alike; not looking for them saves time and, as longer ones are found instead, bytes. Looking
two positions ahead (``lazy2``) few times is worth more than one (``lazy``) often. Any zstd reads the result.
"""

from __future__ import annotations

import zstandard

from logferry.limits import FRAME_WINDOW_BYTES_MAX

_GREEDY, _LAZY2 = zstandard.STRATEGY_GREEDY, zstandard.STRATEGY_LAZY2
_SEARCHED = {
    5: (_GREEDY, 4),
    6: (_LAZY2, 2),
    7: (_LAZY2, 3),
    8: (_LAZY2, 4),
    9: (_LAZY2, 5),
    10: (_LAZY2, 6),
    11: (_LAZY2, 6),
    12: (_LAZY2, 6),
}
"""Level: strategy, and the binary logarithm of how many places are looked at for each match."""
_MATCH_BYTES_MIN = 6
_TABLE_LOG = 18
"""A larger table of places saves next to nothing in a frame, and falls out of the processor's cache."""


def compressor(level: int, frame_bytes: int) -> zstandard.ZstdCompressor:
    """For frames of at most ``frame_bytes``, with content size and checksum. ``level``: 1 to 22, as zstd's."""
    if level not in _SEARCHED:
        return zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
    strategy, search_log = _SEARCHED[level]
    window_log = max(zstandard.WINDOWLOG_MIN, (min(frame_bytes, FRAME_WINDOW_BYTES_MAX) - 1).bit_length())
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=frame_bytes,
        strategy=strategy,
        window_log=window_log,
        hash_log=_TABLE_LOG,
        chain_log=_TABLE_LOG,
        search_log=search_log,
        min_match=_MATCH_BYTES_MIN,
        write_checksum=True,
        write_content_size=True,
    )
    return zstandard.ZstdCompressor(compression_params=parameters)
