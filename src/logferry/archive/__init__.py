"""The store: live tree, catalog and the one reader. Start with ``Catalog.open`` and ``Archive``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logferry.archive.archive import Archive
    from logferry.archive.catalog import Catalog
    from logferry.archive.incoming import Incoming
    from logferry.archive.lines import LinePage, LineRow, Lines
    from logferry.archive.many import WholeFile
    from logferry.archive.reader import GenerationReader
    from logferry.archive.texts import Text

__all__ = ["Archive", "Catalog", "GenerationReader", "Incoming", "LinePage", "LineRow", "Lines", "Text", "WholeFile"]

_PARTS = {
    "archive": "Archive",
    "catalog": "Catalog",
    "incoming": "Incoming",
    "lines": "LinePage LineRow Lines",
    "many": "WholeFile",
    "reader": "GenerationReader",
    "texts": "Text",
}
_HOME = {name: part for part, names in _PARTS.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Load a part when the first of its names is asked for: who builds an index need not carry the catalog."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found
