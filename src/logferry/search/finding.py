"""The hits of a search, in order, as far as its limit."""

from __future__ import annotations

from collections.abc import Iterator

from logferry.archive import GenerationReader
from logferry.limits import SCAN_BLOCK_BYTES
from logferry.search.events import Done, Event, Reason
from logferry.search.hits import HitMaker
from logferry.search.plan import Unit
from logferry.search.running import Running, Stop, named
from logferry.search.scan import Encoding, Match, Scanner, scan_utf16, utf16_of


class Finding(Running):
    """One running search."""

    def events(self) -> Iterator[Event]:
        """Hits and progress, at last ``Done``."""
        reason: Reason = "complete"
        try:
            found = self.plan()
            yield self.progress()
            for unit in found:
                yield from self.each(unit, self._scan)
                self.files_done += 1
        except Stop as stop:
            reason = stop.reason
        yield Done(
            reason,
            self.found,
            self.scanned_bytes,
            self.total_bytes,
            self.files_done,
            self.files_total,
            self.seconds,
            self.account(),
            self.left_out,
        )

    def _scan(self, unit: Unit) -> Iterator[Event]:
        before = self.scanned_bytes
        text = self.archive.text(unit.file.generation_id, self.check)
        with text.reader as reader, self.archive.lines(unit.file.generation_id) as lines:
            if text.why:
                self.note(f"{named(unit)}: {text.why}")
            size = reader.size if text.form else unit.file.size
            encoding = utf16_of(reader.read_at(0, 4))
            scanner, marker = self.scanner(unit.node)
            maker = HitMaker(
                unit.file, reader, lines, marker, context=self.request.context, encoding=encoding, go_on=self.go_on
            )
            starts = range(0, size, SCAN_BLOCK_BYTES)
            for done, start in enumerate(reversed(starts) if self.request.newest_first else starts, start=1):
                end = min(start + SCAN_BLOCK_BYTES, size)
                for match in self._matches(scanner, reader, start, end, encoding):
                    if self.found >= self.request.limit:
                        raise Stop("limit")
                    self.found += 1
                    yield maker.hit(match, start)
                if text.form:  # the share of its text that is done, in bytes as they are stored
                    self.scanned_bytes = before + unit.file.size * done // len(starts)
                else:
                    self.scanned_bytes += end - start
                self.check()
                if self.is_due:
                    yield self.progress()

    def _matches(
        self, scanner: Scanner, reader: GenerationReader, start: int, end: int, encoding: Encoding | None
    ) -> Iterator[Match]:
        newest_first = self.request.newest_first
        if encoding is None:
            return scanner.scan(reader, start, end, newest_first=newest_first, check=self.check)
        return scan_utf16(scanner, reader, start, end, encoding, newest_first=newest_first, check=self.check)
