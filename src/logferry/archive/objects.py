"""What the objects of a store are called: segments, and their indexes beside them."""

from __future__ import annotations

import secrets

SEGMENT_SUFFIX = ".zst"
INDEX_SUFFIX = ".idx"


def sidecar_name(segment: str) -> str:
    """A new name for an index of the segment in the object ``segment``: no object is ever written twice."""
    return f"{segment.removesuffix(SEGMENT_SUFFIX)}.{secrets.token_hex(4)}{INDEX_SUFFIX}"


def segment_id_of(segment: str) -> str:
    """The 32 hexadecimal digits that the object of a segment is named by."""
    return segment.rpartition("/")[2].removesuffix(SEGMENT_SUFFIX)


def segment_of(sidecar: str) -> str:
    """The name of the segment that an index belongs to."""
    return sidecar.rsplit(".", 2)[0] + SEGMENT_SUFFIX
