"""The index of a segment, built on log types: which lines may match, without touching the text. Pure.

``docs/design/index.md`` gives the format byte by byte. ``IndexBuilder`` makes one from a segment's frames,
``SegmentIndex`` answers from one. Nothing here opens a file; the kernels are compiled when first called.
"""

from logferry.archive.index.builder import IndexBuilder
from logferry.archive.index.candidates import MAYBE, NO, YES, Candidates
from logferry.archive.index.granules import Stretch
from logferry.archive.index.histogram import Buckets
from logferry.archive.index.index import SegmentIndex
from logferry.archive.index.kernel import NO_TIME
from logferry.archive.index.rebuild import Beginning, index_of
from logferry.archive.index.stamps import StampFinder, Stamps
from logferry.archive.index.text import Encoding, encoding_of

__all__ = [
    "MAYBE",
    "NO",
    "NO_TIME",
    "YES",
    "Beginning",
    "Buckets",
    "Candidates",
    "Encoding",
    "IndexBuilder",
    "SegmentIndex",
    "StampFinder",
    "Stamps",
    "Stretch",
    "encoding_of",
    "index_of",
]
