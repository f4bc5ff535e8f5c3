"""The index of a segment, built on log types: which lines may match, without touching the text. Pure.

``docs/design/index.md`` gives the format byte by byte. ``IndexBuilder`` makes one from a segment's frames,
``SegmentIndex`` answers from one. Nothing here opens a file; the kernels are compiled when first called, and numba is
imported by the modules that need it alone: ``layout``, ``runs``, ``pieces`` and ``encoding`` do not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logferry.archive.index.builder import IndexBuilder
    from logferry.archive.index.candidates import MAYBE, NO, YES, Candidates
    from logferry.archive.index.encoding import Encoding, encoding_of
    from logferry.archive.index.granules import Stretch
    from logferry.archive.index.histogram import Buckets
    from logferry.archive.index.index import SegmentIndex
    from logferry.archive.index.kernel import NO_TIME
    from logferry.archive.index.pieces import Beginning
    from logferry.archive.index.rebuild import index_of
    from logferry.archive.index.stamps import StampFinder, Stamps

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

_MODULES = {
    "builder": ("IndexBuilder",),
    "candidates": ("MAYBE", "NO", "YES", "Candidates"),
    "encoding": ("Encoding", "encoding_of"),
    "granules": ("Stretch",),
    "histogram": ("Buckets",),
    "index": ("SegmentIndex",),
    "kernel": ("NO_TIME",),
    "pieces": ("Beginning",),
    "rebuild": ("index_of",),
    "stamps": ("StampFinder", "Stamps"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
