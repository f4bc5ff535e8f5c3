"""Which bytes of which generations the frames of a segment consist of, as the index builder wants to know."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from logferry.archive.index.encoding import Encoding, encoding_of
from logferry.archive.index.granules import Stretch
from logferry.archive.segment.manifest import HeldGeneration
from logferry.archive.segment.segment import Segment

_HEAD_BYTES = 4


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a segment cannot tell of an extent that is not the beginning of its generation.

    ``begins_line``: a line end stands before it. Without it the first line counts as cut: the index says nothing of it.
    """

    encoding: Encoding = "bytes"
    begins_line: bool = False


class Pieces:
    """The stretches of each frame of a segment. Ask for one frame after the other."""

    def __init__(self, segment: Segment, beginnings: Mapping[tuple[str, int], Beginning]) -> None:
        """``beginnings``: what is known of extents, by uid and offset of the generation."""
        self._segment = segment
        self._beginnings = beginnings
        self._encodings: dict[str, Encoding] = {}
        self._extents = sorted(
            ((extent, held) for held in segment.manifest.generations for extent in held.extents),
            key=lambda of: of[0].raw_offset,
        )
        self._starts = [extent.raw_offset for extent, _ in self._extents]

    def of(self, number: int, content: bytes) -> Iterator[Stretch]:
        """The stretches of a frame, in order."""
        frame = self._segment.manifest.frames[number]
        at = frame.raw_offset
        place = bisect_right(self._starts, at) - 1
        while at < frame.raw_end:
            extent, held = self._extents[place]
            length = min(extent.raw_offset + extent.length, frame.raw_end) - at
            offset = extent.offset + at - extent.raw_offset
            if offset == 0:
                head = content[at - frame.raw_offset :][: min(length, _HEAD_BYTES)]
                if len(head) < min(extent.length, _HEAD_BYTES):  # the frame ends inside it
                    head = self._segment.read(at, min(extent.length, _HEAD_BYTES))
                self._encodings[held.uid] = encoding_of(head)
            yield self._stretch(held, offset, length)
            at += length
            place += 1

    def _stretch(self, held: HeldGeneration, offset: int, length: int) -> Stretch:
        known = self._beginnings.get((held.uid, offset), Beginning())
        encoding = self._encodings.setdefault(held.uid, known.encoding)
        is_end = held.ended_ns is not None and offset + length == held.size
        return Stretch(held.uid, offset, length, offset == 0 or known.begins_line, is_end, encoding)
