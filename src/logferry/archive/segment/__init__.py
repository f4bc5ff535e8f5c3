"""Segments: immutable, self-describing ``.zst`` files that hold byte ranges of one agent's generations. Pure.

``docs/design/segment.md`` gives the format byte by byte. ``Builder`` makes one, ``Segment`` reads one, ``salvage``
reads what is left of a damaged one. Nothing here opens a file: bytes go in and out, reading asks a function.
"""

from logferry.archive.segment.builder import Builder
from logferry.archive.segment.manifest import Extent, FrameEntry, HeldGeneration, Manifest
from logferry.archive.segment.salvage import Salvaged, salvage
from logferry.archive.segment.segment import Finding, Segment

__all__ = [
    "Builder",
    "Extent",
    "Finding",
    "FrameEntry",
    "HeldGeneration",
    "Manifest",
    "Salvaged",
    "Segment",
    "salvage",
]
