"""Counting what matches: how many lines, when, where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from logferry.archive import Archive, Catalog
from logferry.clock import Clock
from logferry.limits import HIT_BYTES_SHOWN_MAX, SCAN_BLOCK_BYTES
from logferry.search.counters import FacetCounter, TimeCounter, facet_counters
from logferry.search.events import Progress, Reason
from logferry.search.filters import Candidate
from logferry.search.plan import Planner, Unit
from logferry.search.request import SearchRequest
from logferry.search.running import Running, Stop, named
from logferry.search.scan import Match, scan_utf16, utf16_of, utf16_text
from logferry.search.tally import Buckets, FacetField, Tally, TallyEvent


class Tallying(Running):
    """One running tally."""

    def __init__(
        self,
        archive: Archive,
        catalog: Catalog,
        clock: Clock,
        request: SearchRequest,
        planner: Planner,
        *,
        histogram: Buckets | None,
        facets: Sequence[FacetField],
    ) -> None:
        super().__init__(archive, catalog, clock, request, planner)
        self._times = None if histogram is None else TimeCounter(histogram)
        self._facets = facet_counters(facets)

    def events(self) -> Iterator[TallyEvent]:
        """Progress, at last the ``Tally``."""
        reason: Reason = "complete"
        try:
            found = self.plan()
            yield self.progress()
            for unit in found:
                yield from self.each(unit, self._scan)
                self.files_done += 1
        except Stop as stop:
            reason = stop.reason
        yield Tally(
            reason,
            self.found,
            reason == "complete" and not self.has_failed,
            None if self._times is None else self._times.told(),
            tuple(counter.told() for counter in self._facets),
            self.scanned_bytes,
            self.total_bytes,
            self.files_done,
            self.files_total,
            self.seconds,
            self.account(),
            self.left_out,
        )

    def _scan(self, unit: Unit) -> Iterator[Progress]:
        before = self.scanned_bytes
        text = self.archive.text(unit.file.generation_id, self.check)
        with text.reader as reader:
            if text.why:
                self.note(f"{named(unit)}: {text.why}")
            size = reader.size if text.form else unit.file.size
            encoding = utf16_of(reader.read_at(0, 4))
            scanner, _ = self.scanner(unit.node)
            times = _Times(unit.file) if self._times is not None else None
            starts = range(0, size, SCAN_BLOCK_BYTES)
            for done, start in enumerate(starts, start=1):
                end = min(start + SCAN_BLOCK_BYTES, size)
                if encoding is None:
                    found = scanner.scan(reader, start, end, newest_first=False, check=self.check)
                else:
                    found = scan_utf16(scanner, reader, start, end, encoding, newest_first=False, check=self.check)
                lines: list[Match] = list(found)
                self._count(unit.file, len(lines))
                if times is not None and lines:
                    heads = [reader.read_at(m.start, min(m.end - m.start, HIT_BYTES_SHOWN_MAX)) for m in lines]
                    if encoding is not None:
                        heads = [utf16_text(head, encoding).encode("utf-8", "replace") for head in heads]
                    times.count(heads, self._times)
                self.scanned_bytes = before + unit.file.size * done // len(starts)
                self.check()
                if self.is_due:
                    yield self.progress()

    def _count(self, file: Candidate, lines: int) -> None:
        self.found += lines
        for counter in self._facets:
            if lines:
                counter.counts[value_of(counter, file)] += lines


class _Times:
    """The times of lines of one generation, given in order."""

    def __init__(self, file: Candidate) -> None:
        from logferry.archive.timestamps import LineTimes, Reading

        self._times = LineTimes(Reading(file.changed_ns))

    def count(self, lines: Sequence[bytes], counter: TimeCounter | None) -> None:
        """Add the lines to the counter."""
        import numpy as np

        from logferry.archive.index.timecolumn import seconds_of

        ends = np.cumsum([len(line) for line in lines], dtype=np.int64)
        starts = ends - [len(line) for line in lines]
        found = self._times(b"".join(lines), starts, ends)
        assert counter is not None
        counter.add_seconds(seconds_of(found.times))


def value_of(counter: FacetCounter, file: Candidate) -> str:
    """What lines of a file count as in a facet."""
    field = counter.field
    if field == "agent":
        return file.agent
    if field == "path":
        return f"{file.agent}/{file.path}"
    return file.name if field == "file" else file.extension
