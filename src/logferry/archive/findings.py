"""What the segments of one agent tell: which bytes of which generations lie where. Read from the store alone."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.object_reader import ObjectReader, behind_cache
from logferry.archive.objects import INDEX_SUFFIX, SEGMENT_SUFFIX, segment_of
from logferry.archive.rooms import Rooms
from logferry.archive.segment import Builder, Finding, HeldGeneration, Manifest, Salvaged, Segment, salvage
from logferry.archive.sidecars import found_index
from logferry.archive.store import Store, StoredObject
from logferry.archive.writing import SegmentWriter
from logferry.errors import Damaged
from logferry.limits import COMPACT_LEVEL


@dataclass(frozen=True, slots=True)
class FoundSegment:
    """A segment of the store whose manifest is whole."""

    name: str
    bytes: int
    raw_bytes: int
    sha256: str
    created_ns: int
    index: IndexRecord | None = None
    """Its index, where a whole one lies beside it."""


@dataclass(frozen=True, slots=True)
class FoundExtent:
    """Bytes of one generation in a segment."""

    offset: int
    length: int
    raw_offset: int
    segment: FoundSegment

    @property
    def end(self) -> int:
        """Where it ends in the generation."""
        return self.offset + self.length


@dataclass(slots=True)
class FoundBytes:
    """A generation as the newest segment tells of it, and where its bytes lie."""

    facts: HeldGeneration
    told_ns: int
    extents: list[FoundExtent] = field(default_factory=list)


@dataclass(slots=True)
class Findings:
    """Everything the store has of one agent. ``damaged``: (object, its size) of segments that cannot be opened."""

    agent: str
    generations: dict[str, FoundBytes] = field(default_factory=dict)
    damaged: list[tuple[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    segments: int = 0

    def take(self, segment: FoundSegment, generations: Sequence[HeldGeneration], told_ns: int) -> None:
        """A segment holds these, as they were known at ``told_ns``."""
        self.segments += 1
        for told in generations:
            facts = dataclasses.replace(told, extents=())
            found = self.generations.setdefault(told.uid, FoundBytes(facts, told_ns))
            if told_ns >= found.told_ns:
                found.facts, found.told_ns = facts, told_ns
            found.extents += [FoundExtent(e.offset, e.length, e.raw_offset, segment) for e in told.extents]


def look_through(rooms: Rooms, agent: str, *, deep: bool) -> Findings:
    """Read the manifests of all segments of ``agent``; ``deep``: their frames too, for their digests."""
    store = behind_cache(rooms.segments.store)
    findings = Findings(agent)
    objects = list(store.objects(agent))
    beside: dict[str, list[StoredObject]] = {}
    for found in objects:
        if found.name.endswith(INDEX_SUFFIX):
            beside.setdefault(segment_of(found.name), []).append(found)
    for found in objects:
        if not found.name.endswith(SEGMENT_SUFFIX):
            continue
        reading = ObjectReader(store, found.name)
        where = f"store/{found.name}"
        try:
            segment = Segment.open(reading.read, found.size, where=where)
        except Damaged as error:
            findings.damaged.append((found.name, found.size))
            findings.problems.append(error.message)
            continue
        if segment.manifest.agent != agent:
            findings.problems.append(f"{where} is a segment of {segment.manifest.agent}; it is left there")
            continue
        if deep:
            findings.problems += [finding.what for finding in _verified(segment, reading)]
        manifest = segment.manifest
        record = FoundSegment(
            found.name, found.size, manifest.raw_bytes, reading.sha256() if deep else "", manifest.created_ns,
            _index(store, manifest, beside.get(found.name, ())) if deep else None,
        )  # fmt: skip
        findings.take(record, manifest.generations, manifest.created_ns)
    return findings


def _index(store: Store, manifest: Manifest, beside: Iterable[StoredObject]) -> IndexRecord | None:
    """The newest whole index among those beside a segment."""
    newest_first = sorted(beside, key=lambda one: -one.changed_ns)
    return found_index(store, manifest, ((one.name, one.size) for one in newest_first))


def _verified(segment: Segment, reading: ObjectReader) -> Iterator[Finding]:
    yield from segment.verify()
    reading.hash_all(segment.size)


# Damaged segments -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Saved:
    """What is left of one damaged segment."""

    name: str
    frames: int = 0
    bytes: int = 0
    lost: list[str] = field(default_factory=list)
    segment: FoundSegment | None = None
    """A new one with all of it; None if nothing is left, or nothing was written."""


def save(rooms: Rooms, findings: Findings, name: str, size: int, *, write: bool) -> Saved:
    """Move the whole frames of a damaged segment into a new one, which ``findings`` knows from then on.

    The damaged object is left as it is.
    """
    saved = Saved(name)
    store = behind_cache(rooms.segments.store)
    facts = _facts(findings, store, name, size)
    at = 0
    for frame in _frames(findings.agent, store, name, size):
        saved.frames += 1
        saved.bytes += len(frame.content)
        if frame.raw_offset > at:
            saved.lost.append(f"store/{name}: bytes {at} to {frame.raw_offset} of its content are lost")
        at = max(at, frame.raw_offset + len(frame.content))
    saved.lost.append(f"store/{name}: nothing is known of what came after byte {at} of its content")
    if not write or not saved.frames:
        return saved

    def feed(builder: Builder) -> Iterator[bytes]:
        for frame in _frames(findings.agent, store, name, size):
            start = 0
            for piece in frame.pieces:
                data = frame.content[start : start + piece.length]
                start += piece.length
                if data:
                    yield from builder.add(facts[piece.uid], piece.offset, data)

    writer = SegmentWriter(rooms, findings.agent, COMPACT_LEVEL)
    record = writer.write(feed)
    if record is not None and writer.manifest is not None:
        saved.segment = FoundSegment(record.name, record.bytes, record.raw_bytes, record.sha256, record.created_ns)
        # What whole segments tell of a generation counts more than what markers do.
        findings.take(saved.segment, writer.manifest.generations, 0)
    return saved


def _frames(agent: str, store: Store, name: str, size: int) -> Iterator[Salvaged]:
    """Its whole frames, without those of other agents that somebody pasted in."""
    for frame in salvage(lambda offset, count: store.read(name, offset, count), size, where=f"store/{name}"):
        if frame.agent == agent:
            yield frame


def _facts(findings: Findings, store: Store, name: str, size: int) -> dict[str, HeldGeneration]:
    """Of the generations in a damaged segment: as whole segments tell, else what markers do."""
    facts: dict[str, HeldGeneration] = {}
    for frame in _frames(findings.agent, store, name, size):
        for piece in frame.pieces:
            known = findings.generations.get(piece.uid)
            if known is not None:
                facts[piece.uid] = known.facts
                continue
            before = facts.get(piece.uid)
            end = max(piece.offset + piece.length, before.size if before else 0)
            facts[piece.uid] = HeldGeneration(piece.uid, piece.path, piece.number, end, 0, 0, 0, None, "")
    return facts


def covering(extents: Sequence[FoundExtent]) -> list[FoundExtent]:
    """Extents that cover each byte once, in order: those of newer segments count, older ones fill what is left."""
    ordered = sorted(extents, key=lambda e: (e.offset, -e.segment.created_ns))
    if all(one.end <= other.offset for one, other in itertools.pairwise(ordered)):
        return ordered
    chosen: list[FoundExtent] = []
    for extent in sorted(extents, key=lambda e: (-e.segment.created_ns, e.offset)):
        at = extent.offset
        for taken in sorted(chosen, key=lambda e: e.offset):
            if taken.end <= at:
                continue
            if taken.offset >= extent.end:
                break
            if taken.offset > at:
                chosen.append(_part(extent, at, taken.offset))
            at = max(at, taken.end)
        if at < extent.end:
            chosen.append(_part(extent, at, extent.end))
    return sorted(chosen, key=lambda e: e.offset)


def _part(extent: FoundExtent, start: int, end: int) -> FoundExtent:
    return dataclasses.replace(
        extent, offset=start, length=end - start, raw_offset=extent.raw_offset + start - extent.offset
    )
