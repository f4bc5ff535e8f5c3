"""Scanning bytes for a query, in bulk. Pure over a ``Source``: no files, no clock, no threads."""

from logferry.search.scan.blocks import Match, Scanner
from logferry.search.scan.encoded import scan_encoded
from logferry.search.scan.facts import FileFacts
from logferry.search.scan.marks import Marker
from logferry.search.scan.source import BytesSource, Source
from logferry.search.scan.utf16 import Encoding, scan_utf16, utf16_head, utf16_named, utf16_of, utf16_text

__all__ = [
    "BytesSource",
    "Encoding",
    "FileFacts",
    "Marker",
    "Match",
    "Scanner",
    "Source",
    "scan_encoded",
    "scan_utf16",
    "utf16_head",
    "utf16_named",
    "utf16_of",
    "utf16_text",
]
