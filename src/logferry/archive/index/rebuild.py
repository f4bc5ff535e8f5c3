"""The index of a whole segment, from its frames: when it is sealed and read back, and whenever an index is lost."""

from __future__ import annotations

from collections.abc import Mapping

from logferry.archive.index.builder import IndexBuilder
from logferry.archive.index.pieces import Beginning, Pieces
from logferry.archive.index.stamps import StampFinder, no_stamps
from logferry.archive.segment.segment import Segment
from logferry.limits import GRANULE_BYTES


def index_of(
    segment: Segment,
    *,
    stamps: StampFinder = no_stamps,
    beginnings: Mapping[tuple[str, int], Beginning] | None = None,
    granule_bytes: int = GRANULE_BYTES,
) -> bytes:
    """Build the index of ``segment``, reading (and so verifying) every frame.

    Args:
        segment: a whole one.
        stamps: recognises timestamps.
        beginnings: what is known of extents, by uid and offset of the generation.
        granule_bytes: about how much content a granule has.

    Raises:
        Damaged: a frame is not whole.
    """
    manifest = segment.manifest
    builder = IndexBuilder(bytes.fromhex(manifest.segment_id), stamps=stamps, granule_bytes=granule_bytes)
    pieces = Pieces(segment, beginnings or {})
    for number in range(len(manifest.frames)):
        content = segment.frame(number)
        builder.add(content, list(pieces.of(number, content)))
    return builder.finish()
