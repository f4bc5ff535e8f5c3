"""Sweeping: what counts no more goes. Files whose bytes are all sealed, and objects that nothing has referred to for
long. What cannot go now is named, keeps nothing else, and is tried again by the next run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from logferry.archive import partials
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.locks import removing
from logferry.archive.objects import INDEX_SUFFIX, SEGMENT_SUFFIX, segment_of
from logferry.archive.reader import open_generation
from logferry.archive.removal import RemoveFile
from logferry.archive.rooms import Rooms
from logferry.archive.segment import HeldGeneration, Segment
from logferry.archive.store.store import StoredObject
from logferry.errors import Busy, Damaged, LogferryError, NotFound, Unreachable
from logferry.limits import SEAL_BATCH_FILES, SWEEP_FILES_TOGETHER, SWEEP_LEFT_MAX


class Sweeper:
    """Removes from one archive what counts no more. Any process may, beside all others."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._not_spare: set[str] = set()
        """Objects without a row that are kept, because nothing else has what they hold."""
        self._left: dict[str, list[str]] = {}

    @property
    def left(self) -> tuple[str, ...]:
        """What the last ``clean_up`` and the last ``sweep`` could not remove, and why."""
        return tuple(why for told in self._left.values() for why in told)

    def clean_up(self) -> int:
        """Remove files whose bytes are all sealed, or expired long enough ago; returns how many.

        Those that are being written to stay for now.
        """
        removed = 0
        after = ""
        left = self._left["files"] = []
        now_ns = self._rooms.clock.now_ns()
        while found := self._rooms.catalog.sealing.removals(now_ns, SEAL_BATCH_FILES, after=after):
            for first in range(0, len(found), SWEEP_FILES_TOGETHER):
                places = found[first : first + SWEEP_FILES_TOGETHER]
                results = self._rooms.catalog.writer.run_all([RemoveFile(self._rooms, place) for place in places])
                for place, result in zip(places, results, strict=True):
                    if not isinstance(result, LogferryError):
                        removed += 1
                    elif not isinstance(result, Busy):  # which the next run may find free
                        _note(left, place, result)
            after = found[-1]
        return removed

    def sweep(self, grace_s: float) -> int:
        """Remove objects that nothing has referred to for ``grace_s`` seconds; returns how many.

        Readers that found a segment a moment ago finish meanwhile, and so does a sealer that has just written one.
        Nothing is removed while a backup is being taken. Lists the whole store. Uploads that nobody has continued for
        much longer go, too.

        Raises:
            Unreachable: the store does not answer.
        """
        partials.sweep(self._rooms)
        with removing(self._rooms.data_dir) as may_remove:
            return self._sweep(self._rooms.clock.now_ns() - int(grace_s * 1e9)) if may_remove else 0

    def _sweep(self, before_ns: int) -> int:
        self._left["objects"] = []
        store, sealing = self._rooms.segments.store, self._rooms.catalog.sealing
        removed = store.sweep(before_ns)
        for record in sealing.gone(before_ns):
            with self._noting(record.name):
                removed += self._let_go(record)
        since_ns = sealing.since_ns()
        indexes: list[StoredObject] = []
        # Ours are named by us alone; a row that comes later than ``grace_s`` after its object is given up.
        for found in store.objects():
            if found.changed_ns >= before_ns:
                continue
            if found.name.endswith(INDEX_SUFFIX):
                indexes += [] if self._rooms.catalog.indexing.named(found.name) else [found]
            else:
                removed += self._removed(found, since_ns, self._is_to_go)
        for found in indexes:  # last, since one whose segment has just gone goes, too
            removed += self._removed(found, since_ns, self._is_index_to_go)
        return removed

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        """Inside, what goes wrong with one object of the store stops no other."""
        try:
            yield
        except Unreachable:
            raise
        except LogferryError as error:
            _note(self._left["objects"], f"store/{name}", error)

    def _let_go(self, record: SegmentRecord) -> bool:
        """Remove a segment of which nothing counts, unless a repair has taken it up again since."""
        now = self._rooms.catalog.sealing.segment(record.id)
        if now is None or now.gone_ns is None or self._rooms.catalog.sealing.held_in(record.id):
            return False
        self._remove(record)
        self._rooms.catalog.writer.run(ForgetSegment(self._rooms, record.id))
        return True

    def _remove(self, record: SegmentRecord) -> None:
        """A segment and its index, which goes first: alone it would be of no use."""
        index = self._rooms.catalog.indexing.of(record.id)
        if index is not None and index.name:
            self._rooms.segments.store.remove(index.name)
        self._rooms.indexes.forget(record.id)
        self._rooms.segments.store.remove(record.name)
        self._rooms.segments.forget(record.name)

    def _removed(self, found: StoredObject, since_ns: int, is_to_go: Callable[[StoredObject, int], bool]) -> bool:
        """Remove an object if it is to go; whether it was."""
        with self._noting(found.name):
            if is_to_go(found, since_ns):
                self._rooms.segments.store.remove(found.name)
                return True
        return False

    def _is_to_go(self, found: StoredObject, since_ns: int) -> bool:
        """Whether a segment that was written long ago belongs to nobody."""
        return (
            found.name.endswith(SEGMENT_SUFFIX)
            and since_ns <= found.changed_ns
            and not self._rooms.catalog.sealing.named(found.name)
            and self._is_spare(found.name, found.size)
        )

    def _is_index_to_go(self, found: StoredObject, since_ns: int) -> bool:
        """Whether an index without a row that was written long ago belongs to nobody.

        It holds nothing that its segment does not: one of a segment of ours is an earlier one. One of another segment
        goes when that is gone.
        """
        segment = segment_of(found.name)
        is_orphan = since_ns <= found.changed_ns and self._rooms.segments.store.size(segment) is None
        return is_orphan or self._rooms.catalog.sealing.named(segment) is not None

    def _is_spare(self, name: str, size: int) -> bool:
        """Whether all that an object without a row holds is found elsewhere, or was deleted here since.

        Else an older catalog was put back, or another archive writes there: then the object may be the only copy.
        """
        if name in self._not_spare:
            return False
        store = self._rooms.segments.store
        try:
            segment = Segment.open(lambda offset, count: store.read(name, offset, count), size, where=f"store/{name}")
            for told in segment.manifest.generations:
                self._find_elsewhere(segment.manifest.agent, told)
        except (Damaged, NotFound):
            self._not_spare.add(name)
            return False
        return True

    def _find_elsewhere(self, agent: str, told: HeldGeneration) -> None:
        """Raises NotFound, Damaged unless the catalog knows where the bytes of a generation are or why they went."""
        end = max(extent.end for extent in told.extents)
        with self._rooms.catalog.readers.cursor() as cursor:
            state = self._rooms.catalog.filing.by_uid(cursor, told.uid)
        if state is None and self._rooms.catalog.retaining.has_expired(agent, told.started_ns, end):
            return
        if state is None or state.size < end:
            raise NotFound(f"the catalog does not know {end} bytes of {told.path}")
        with open_generation(self._rooms, state.generation_id or 0) as reader:
            for offset in {0, end - 1}:
                reader.read_at(offset, 1)


def _note(left: list[str], place: str, error: LogferryError) -> None:
    if len(left) < SWEEP_LEFT_MAX:
        left.append(f"{place} could not be removed: {error}")


class ForgetSegment(Change[None]):
    """The object of a segment that nothing refers to is gone."""

    def __init__(self, rooms: Rooms, segment_id: int) -> None:
        self._rooms = rooms
        self._segment_id = segment_id

    def apply(self, transaction: Transaction) -> None:
        self._rooms.catalog.sealing.forget(transaction, self._segment_id)
