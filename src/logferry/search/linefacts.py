"""What the scan of a file may ask about it: when it arrived, in which zone its times are, and how it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logferry.archive import Archive
from logferry.search.filters import Candidate
from logferry.search.scan import Encoding, FileFacts, Source, utf16_head

if TYPE_CHECKING:
    from logferry.archive.timestamps import Reading


def facts_of(archive: Archive, file: Candidate, source: Source, encoding: Encoding | None) -> FileFacts:
    """The facts of one generation; ``source`` gives its text, and must be open while they are used."""

    def head(count: int) -> bytes:
        return utf16_head(source, encoding, count) if encoding else source.read_at(0, count)

    return FileFacts(lambda: _reading(archive, file), head)


def _reading(archive: Archive, file: Candidate) -> Reading:
    from logferry.archive.timestamps import Reading, rules_of

    return Reading(file.changed_ns, rules_of(archive.zone_of(file.agent)))
