"""The store: live tree, catalog and the one reader. Start with ``Catalog.open`` and ``Archive``."""

from __future__ import annotations

from logferry.archive.archive import Archive
from logferry.archive.catalog import Catalog
from logferry.archive.incoming import Incoming
from logferry.archive.lines import LinePage, LineRow, Lines
from logferry.archive.many import WholeFile
from logferry.archive.reader import GenerationReader
from logferry.archive.texts import Text

__all__ = ["Archive", "Catalog", "GenerationReader", "Incoming", "LinePage", "LineRow", "Lines", "Text", "WholeFile"]
