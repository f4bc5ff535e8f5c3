"""Indexes of segments, opened when needed and kept for the next. Whoever finds none does without."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from logferry.archive.catalog import Catalog
from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.index.version import VERSION
from logferry.archive.objects import segment_id_of
from logferry.archive.store import CachedStore, Store
from logferry.clock import Clock
from logferry.errors import Damaged, LogferryError, NotFound
from logferry.limits import INDEX_CACHE_BYTES, INDEX_TABLES_MAX, INDEXES_OPEN_MAX

if TYPE_CHECKING:
    from logferry.archive.index import SegmentIndex
    from logferry.archive.index.layout import Blocks
    from logferry.archive.index.runs import RunTable
    from logferry.archive.shared_blocks import SharedBlocks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """An index that several threads may share: one at a time, who holds ``lock``."""

    record: IndexRecord
    index: SegmentIndex
    lock: threading.Lock


class Indexes:
    """The indexes of one archive's segments in this process. Thread-safe."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock) -> None:
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self._lock = threading.Lock()
        self._open: OrderedDict[int, tuple[str, OpenIndex]] = OrderedDict()
        self._runs: OrderedDict[int, tuple[str, RunTable]] = OrderedDict()
        self._shared: SharedBlocks | None = None

    def index(self, segment: SegmentRecord) -> OpenIndex | None:
        """The index of a segment, None where there is none that can be used. Loads the compiled kernels.

        What of it is damaged shows when it is asked for it: then call ``distrust`` and do without.
        """
        from logferry.archive.index import SegmentIndex
        from logferry.archive.shared_blocks import SharedBlocks

        record = self.usable(segment.id)
        if record is None:
            return None
        with self._lock:
            shared = self._shared = self._shared or SharedBlocks(INDEX_CACHE_BYTES)
        found = self._kept(self._open, record)
        if found is None:
            blocks = self._blocks(record, segment)
            if blocks is None:
                return None
            found = OpenIndex(record, SegmentIndex(blocks, cache=shared), threading.Lock())
            self._keep(self._open, record, found, INDEXES_OPEN_MAX)
        return found

    def runs(self, segment_id: int) -> RunTable | None:
        """Only how many lines lie where in a segment; needs no kernels. None where there is no index to tell."""
        record = self.usable(segment_id)
        if record is None:
            return None
        found = self._kept(self._runs, record)
        if found is None and (segment := self._catalog.sealing.segment(segment_id)) is not None:
            from logferry.archive.index.runs import runs_of

            blocks = self._blocks(record, segment)
            if blocks is None:
                return None
            try:
                found = runs_of(blocks)
            except (Damaged, NotFound) as error:
                self.distrust(record, error)
                return None
            self._keep(self._runs, record, found, INDEX_TABLES_MAX)
        return found

    def usable(self, segment_id: int) -> IndexRecord | None:
        """The row of a segment's index, if it has one of this version, not known to be damaged."""
        record = self._catalog.indexing.of(segment_id)
        is_usable = record is not None and record.name and record.version == VERSION and record.due_ns is None
        return record if is_usable else None

    def distrust(self, record: IndexRecord, error: LogferryError) -> None:
        """An index turned out to be damaged or missing: nobody uses it again, and it is built anew."""
        self.forget(record.segment_id)
        if isinstance(self._store, CachedStore):
            self._store.forget(record.name)
        self._catalog.writer.run(Distrust(self._catalog, record, str(error), self._clock.now_ns()))

    def forget(self, segment_id: int) -> None:
        """The segment is removed, or has another index."""
        with self._lock:
            self._open.pop(segment_id, None)
            self._runs.pop(segment_id, None)

    def close(self) -> None:
        """Let go of everything; the store stays open."""
        with self._lock:
            self._open.clear()
            self._runs.clear()

    def _blocks(self, record: IndexRecord, segment: SegmentRecord) -> Blocks | None:
        """Its header and directory. A copy that is kept locally may be the one that is damaged: read once more then."""
        for is_last in (not isinstance(self._store, CachedStore), True):
            try:
                return opened(self._store, record, segment)
            except (Damaged, NotFound) as error:
                if is_last:
                    self.distrust(record, error)
                    return None
                if isinstance(self._store, CachedStore):
                    self._store.forget(record.name)
        return None

    def _kept(self, kept: OrderedDict[int, tuple[str, T]], record: IndexRecord) -> T | None:
        with self._lock:
            found = kept.get(record.segment_id)
            if found is None or found[0] != record.name:
                return None
            kept.move_to_end(record.segment_id)
            return found[1]

    def _keep(self, kept: OrderedDict[int, tuple[str, T]], record: IndexRecord, made: T, most: int) -> None:
        with self._lock:
            kept[record.segment_id] = (record.name, made)
            while len(kept) > most:
                kept.popitem(last=False)


class Distrust(Change[None]):
    """An index is to be built again."""

    def __init__(self, catalog: Catalog, record: IndexRecord, why: str, now_ns: int) -> None:
        self._catalog = catalog
        self._record = record
        self._why = why
        self._now_ns = now_ns

    def apply(self, transaction: Transaction) -> None:
        self._catalog.indexing.distrust(transaction, self._record, self._why, self._now_ns)


def opened(store: Store, record: IndexRecord, segment: SegmentRecord) -> Blocks:
    """The index of a segment, its header and directory checked.

    Raises:
        Damaged: they are not whole, or it is another segment's.
        NotFound: there is no such object.
    """
    from logferry.archive.index.layout import Blocks

    where = f"store/{record.name}"
    blocks = Blocks(lambda offset, count: store.read(record.name, offset, count), record.bytes, where=where)
    own = segment_id_of(segment.name)
    if (blocks.facts.segment_id.hex(), blocks.facts.content_bytes) != (own, segment.raw_bytes):
        raise Damaged(f"{where} is the index of another segment", where=where, hint="it is built again")
    return blocks
