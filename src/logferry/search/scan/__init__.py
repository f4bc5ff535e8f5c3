"""Scanning bytes for a query, in bulk. Pure over a ``Source``: no files, no clock, no threads."""

from logferry.search.scan.blocks import Match, Scanner
from logferry.search.scan.source import Source

__all__ = ["Match", "Scanner", "Source"]
