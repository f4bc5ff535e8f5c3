"""What later code relies on in a manifest is looked at when it is read."""

from __future__ import annotations

import pytest

from logferry.archive.segment.manifest import (
    Extent,
    FrameEntry,
    HeldGeneration,
    Manifest,
    pack_manifest,
    unpack_manifest,
)
from logferry.errors import Damaged

UID = "0123456789abcdef" * 2


def generation(*extents: Extent) -> HeldGeneration:
    """One that has these."""
    return HeldGeneration(
        uid=UID, path="a.log", number=1, size=10, started_ns=1, changed_ns=1, modified_ns=1, ended_ns=None, sha256="",
        extents=extents,
    )  # fmt: skip


def manifest(*extents: Extent, segment_id: str = UID) -> Manifest:
    """Of a segment with ten bytes."""
    return Manifest(segment_id, "web-01", 1, (FrameEntry(0, 20, 0, 10, 0),), (generation(*extents),))


def test_a_manifest_in_order_is_read() -> None:
    made = manifest(Extent(0, 10, 0))
    assert unpack_manifest(pack_manifest(made), where="here") == made


@pytest.mark.parametrize(
    "made",
    [manifest(), manifest(Extent(0, 10, 0), Extent(10, 0, 10)), manifest(Extent(0, 10, 0), segment_id="../x")],
    ids=["a generation without bytes", "an extent without bytes", "an id that is none"],
)
def test_what_no_builder_writes_is_damage(made: Manifest) -> None:
    with pytest.raises(Damaged):
        unpack_manifest(pack_manifest(made), where="here")
