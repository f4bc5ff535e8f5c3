"""Verifying: reading the archive's bytes and comparing them with everything that is known of them.

A segment is compared with its own checksums, its SHA-256, its manifest and the catalog's extents; a generation with
the length that was confirmed and its SHA-256 where that is known. Every finding names the place, the frame, the agent
and the paths that are concerned. One segment's facts and one frame are in memory at a time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from logferry.archive.catalog.care import FlawRecord
from logferry.archive.catalog.sealing import HeldExtent, SegmentRecord
from logferry.archive.check import check_generation, check_trees
from logferry.archive.durable import of_the_disk
from logferry.archive.indexes import opened
from logferry.archive.object_reader import ObjectReader, Pace, behind_cache, no_pace
from logferry.archive.reader import held
from logferry.archive.rooms import Rooms
from logferry.archive.segment import HeldGeneration, Segment, salvage
from logferry.archive.store import Store
from logferry.errors import Damaged, Later, NotFound
from logferry.limits import CARE_PAGE_ROWS, FLAW_PATHS_MAX, FLAWS_PER_PLACE_MAX


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is not as it should be at ``place`` (below the data directory).

    ``kind``: that of ``check.Finding``, or of a segment: ``missing``, ``size``, ``manifest``, ``frame``, ``digest``,
    ``extent`` (the catalog and the segment disagree), ``unreadable`` (the disk says no), ``index`` (no damage: the
    index is missing or not whole, and is built again). ``paths``: some of the files with bytes there, ``more_paths``
    tells how many others.
    """

    kind: str
    place: str
    what: str
    is_damage: bool = True
    frame: int | None = None
    agent: str = ""
    paths: tuple[str, ...] = ()
    more_paths: int = 0

    def record(self, now_ns: int) -> FlawRecord:
        """As the catalog remembers it."""
        frame = -1 if self.frame is None else self.frame
        first = self.paths[0] if self.paths else ""
        return FlawRecord(self.place, frame, self.kind, self.agent, first, self.what, now_ns, now_ns)


@dataclass(slots=True)
class Verified:
    """How much was looked at; grows while it goes on."""

    segments: int = 0
    generations: int = 0
    bytes: int = 0
    ran_out: bool = False
    """The time was over before the end."""


class Verifier:
    """Verifies one archive. What is found of segments is remembered in the catalog."""

    def __init__(self, rooms: Rooms, *, pace: Pace = no_pace, until_s: float | None = None) -> None:
        """``until_s``: when to stop, by the monotonic clock."""
        self._rooms = rooms
        self._pace = pace
        self._until_s = until_s
        self._flawed: set[str] = set()
        self.done = Verified()

    # All of it -------------------------------------------------------------------------------------------------------

    def verify(self, *, deep: bool = True, share: float = 1.0, dice: random.Random | None = None) -> Iterator[Flaw]:
        """Segments, those verified longest ago first, then generations, then what lies in the trees of files.

        Args:
            deep: read every byte; else only look whether everything is there, as long as it should be.
            share: of segments and of generations, chosen by ``dice``; 1 = all.
        """
        chosen = dice or random.Random()  # noqa: S311 - a sample, no secret

        def wanted() -> bool:
            return share >= 1 or chosen.random() < share

        for record in self._segments():
            if self._is_over():
                return
            if wanted():
                yield from self.segment(record, deep=deep)
        if deep and share >= 1:
            self._rooms.catalog.care.forget_absent()
        for generation in self._rooms.catalog.files.every_generation():
            if self._is_over():
                return
            if not wanted():
                continue
            self.done.generations += 1
            yield from self._generation(generation.id, generation.place, digests=deep)
        if share >= 1:
            for finding in check_trees(self._rooms, repair=False):
                agent, _, path = finding.place.partition("/")[2].partition("/")
                yield Flaw(finding.kind, finding.place, finding.text, finding.is_damage, None, agent, (path,))

    def _segments(self) -> Iterator[SegmentRecord]:
        before_ns = self._rooms.clock.now_ns()  # those verified by this run come not again
        after = (-1, 0)
        while page := self._rooms.catalog.care.least_verified(before_ns, after=after):
            yield from page
            after = (page[-1].verified_ns, page[-1].id)

    def _is_over(self) -> bool:
        over = self._until_s is not None and self._rooms.clock.monotonic_s() >= self._until_s
        self.done.ran_out |= over
        return over

    def _generation(self, generation_id: int, place: str, *, digests: bool) -> Iterator[Flaw]:
        state = None
        try:
            record = self._rooms.catalog.files.by_generation(generation_id)
            for finding in check_generation(self._rooms, record[1], digests=digests) if record else ():
                segment, _, number = finding.place.partition(" frame ")
                if segment in self._flawed:
                    continue  # told already
                state = state or held(self._rooms, generation_id)
                kind = "frame" if number else finding.kind
                frame = int(number) if number else None
                yield Flaw(kind, segment or "store", finding.text, finding.is_damage, frame, state.agent, (state.path,))
        except NotFound:
            return  # gone meanwhile
        except OSError as error:
            yield Flaw("unreadable", place or "store", f"{place or 'store'}: {error.strerror or error}")

    # One segment -----------------------------------------------------------------------------------------------------

    def segment(self, record: SegmentRecord, *, deep: bool = True) -> Iterator[Flaw]:
        """What is wrong with one segment. Remembered in the catalog, where every byte was read."""
        found = list(self._look(record, deep=deep))
        now = self._rooms.catalog.sealing.segment(record.id)
        if now is None or now.gone_ns is not None:
            return  # it was let go meanwhile: what is missing of it harms nobody
        self.done.segments += 1
        now_ns = self._rooms.clock.now_ns()
        kept = {(flaw.place, flaw.frame): flaw.record(now_ns) for flaw in found}
        records = list(kept.values())[:FLAWS_PER_PLACE_MAX]
        if deep or records:
            verified = (record.id, now_ns) if deep and not records else None
            self._rooms.catalog.care.note(f"store/{record.name}", records, verified=verified)
        if found and len(self._flawed) < CARE_PAGE_ROWS:
            self._flawed.add(f"store/{record.name}")
        yield from found
        yield from self.index(record, deep=deep)

    def index(self, record: SegmentRecord, *, deep: bool = True, mark: bool = True) -> Iterator[Flaw]:
        """What is wrong with its index: no bytes are lost with it. ``mark``: then nobody uses it any more."""
        index = self._rooms.indexes.usable(record.id)
        if index is None:
            known = self._rooms.catalog.indexing.of(record.id)
            if known is not None and known.why:
                yield Flaw("index", f"store/{known.name or record.name}", known.why, False, agent=record.agent)
            return
        place = f"store/{index.name}"
        store = behind_cache(self._rooms.segments.store)
        try:
            _check_size(store, index.name, index.bytes)
            blocks = opened(store, index, record)
            if deep:
                blocks.verify()
                self._read(index.bytes)
        except (Damaged, NotFound, Later) as error:
            if isinstance(error, Later) and not of_the_disk(error):
                raise  # a bucket that cannot be reached
            if mark:
                self._rooms.indexes.distrust(index, error)
            yield Flaw("index", place, f"{error.message}; it is built again", False, agent=record.agent)

    def _look(self, record: SegmentRecord, *, deep: bool) -> Iterator[Flaw]:
        place = f"store/{record.name}"
        store = behind_cache(self._rooms.segments.store)
        try:
            size = store.size(record.name)
            if size is None:
                yield self._of_all(record, "missing", f"the segment {place} is missing")
                return
            if size != record.bytes:
                yield self._of_all(record, "size", f"{place} has {size} bytes, was {record.bytes}")
                return
            reading = ObjectReader(store, record.name, self._read)
            yield from self._content(record, reading, deep=deep)
        except NotFound:
            yield self._of_all(record, "missing", f"the segment {place} is missing")
        except Later as error:
            if not isinstance(error.__cause__, OSError):
                raise  # a bucket that cannot be reached is no damage
            yield self._of_all(record, "unreadable", f"{place}: {error.__cause__.strerror or error.message}")

    def _content(self, record: SegmentRecord, reading: ObjectReader, *, deep: bool) -> Iterator[Flaw]:
        place = f"store/{record.name}"
        try:
            segment = Segment.open(reading.read, record.bytes, where=place)
        except Damaged as error:
            yield from self._without_manifest(record, reading, error, deep=deep)
            return
        yield from self._extents(record, segment)
        if not deep:
            return
        damaged = False
        for finding in segment.verify():
            damaged = True
            frame = segment.manifest.frames[finding.frame] if finding.frame >= 0 else None
            touched = (frame.raw_offset, frame.raw_end) if frame else (0, record.raw_bytes)
            yield self._flaw(record, "frame", finding.what, finding.frame, touched)
        found = reading.hash_all(record.bytes)
        if found != record.sha256 and not damaged:
            yield self._of_all(record, "digest", f"{place}: sha256 is {found}, was {record.sha256}")

    def _without_manifest(
        self, record: SegmentRecord, reading: ObjectReader, error: Damaged, *, deep: bool
    ) -> Iterator[Flaw]:
        """The segment cannot be opened: name what its frames no longer hold."""
        yield self._of_all(record, "manifest", error.message)
        if not deep:
            return
        at = 0
        for frame in salvage(reading.read, record.bytes, where=f"store/{record.name}"):
            if frame.raw_offset > at:
                what = f"store/{record.name}: bytes {at} to {frame.raw_offset} of its content are lost"
                yield self._flaw(record, "frame", what, max(0, frame.number - 1), (at, frame.raw_offset))
            at = max(at, frame.raw_offset + len(frame.content))
        if at < record.raw_bytes:
            what = f"store/{record.name}: the content from byte {at} on is lost"
            yield self._flaw(record, "frame", what, None, (at, record.raw_bytes))

    def _extents(self, record: SegmentRecord, segment: Segment) -> Iterator[Flaw]:
        """Where catalog and manifest disagree about what lies where."""
        manifest = segment.manifest
        if (manifest.agent, manifest.raw_bytes) != (record.agent, record.raw_bytes):
            yield self._of_all(record, "extent", f"store/{record.name} is another segment than the catalog's")
            return
        told = {generation.uid: generation for generation in manifest.generations}
        for extent in self._rooms.catalog.sealing.held_in(record.id):
            try:
                state = held(self._rooms, extent.generation_id)
            except NotFound:
                continue
            if not _has(told.get(state.uid), extent):
                what = (
                    f"store/{record.name} does not hold bytes {extent.offset} to {extent.end} of "
                    f"{state.agent}/{state.path}, as the catalog says"
                )
                yield Flaw("extent", f"store/{record.name}", what, True, None, state.agent, (state.path,))

    def _of_all(self, record: SegmentRecord, kind: str, what: str) -> Flaw:
        return self._flaw(record, kind, what, None, (0, record.raw_bytes))

    def _flaw(self, record: SegmentRecord, kind: str, what: str, frame: int | None, touched: tuple[int, int]) -> Flaw:
        """With the paths that have bytes in a range of the content."""
        paths: dict[str, None] = {}
        for extent in self._rooms.catalog.sealing.held_in(record.id):
            if extent.raw_offset < touched[1] and extent.raw_offset + extent.length > touched[0]:
                try:
                    paths[held(self._rooms, extent.generation_id).path] = None
                except NotFound:
                    continue
        some = tuple(paths)[:FLAW_PATHS_MAX]
        number = None if frame is None or frame < 0 else frame
        return Flaw(kind, f"store/{record.name}", what, True, number, record.agent, some, len(paths) - len(some))

    def _read(self, count: int) -> None:
        self.done.bytes += count
        self._pace(count)


def _check_size(store: Store, name: str, expected: int) -> None:
    size = store.size(name)
    if size is None:
        raise NotFound(f"the index store/{name} is missing")
    if size != expected:
        raise Damaged(f"store/{name} has {size} bytes, was {expected}", where=f"store/{name}")


def _has(generation: HeldGeneration | None, extent: HeldExtent) -> bool:
    """Whether the manifest puts the extent's bytes where the catalog does."""
    return generation is not None and any(
        e.offset <= extent.offset
        and extent.end <= e.end
        and extent.raw_offset - e.raw_offset == extent.offset - e.offset
        for e in generation.extents
    )
