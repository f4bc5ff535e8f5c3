"""What the scan of a file may ask about it: when it arrived, and how it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logferry.search.filters import Candidate
from logferry.search.scan import Encoding, FileFacts, Source, utf16_head

if TYPE_CHECKING:
    from logferry.archive.timestamps import Reading


def facts_of(file: Candidate, source: Source, encoding: Encoding | None) -> FileFacts:
    """The facts of one generation; ``source`` gives its text, and must be open while they are used."""

    def head(count: int) -> bytes:
        return utf16_head(source, encoding, count) if encoding else source.read_at(0, count)

    return FileFacts(lambda: reading_of(file), head)


def reading_of(file: Candidate) -> Reading:
    """How the times of its lines are told."""
    from logferry.archive.timestamps import Reading

    return Reading(file.changed_ns)
