"""Indexes in the store: objects beside their segments. A segment is whole without one, and nobody waits for one.

An index is built from the segment's frames as they are read back, put into the store, and counts once its row is
committed. An object is never written anew: a better index gets another name, and the sweep removes what no row names.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.index.encoding import UTF16_LINE_ENDS, Encoding, encoding_of
from logferry.archive.index.pieces import Beginning, Pieces
from logferry.archive.index.version import VERSION
from logferry.archive.index_making import IndexMaker, Making
from logferry.archive.objects import sidecar_name
from logferry.archive.reader import GenerationReader, open_generation
from logferry.archive.rooms import Rooms
from logferry.archive.segment import Manifest, Segment
from logferry.archive.store import Store
from logferry.errors import Damaged, Full, LogferryError, NotFound
from logferry.limits import INDEX_AGAIN_S, INDEX_AGAIN_S_MAX

_HEAD_BYTES = 4


class SidecarWriter:
    """Builds the index of one segment from its frames, and puts it into the store.

    What goes wrong is in the record that ``put`` gives, and never raised.

    The record's segment id is 0, for whoever commits it to fill in.
    """

    def __init__(
        self, rooms: Rooms, maker: IndexMaker, segment: Segment, name: str, before: IndexRecord | None = None
    ) -> None:
        """For one segment.

        Args:
            segment: open, its earlier bytes known to the catalog.
            name: of the segment's object.
            before: what the catalog knows of its index so far.
        """
        self._rooms = rooms
        self._name = name
        self._before = before
        self._making: Making | None = None
        self.problem = ""
        """Why there is no index."""
        manifest = segment.manifest
        try:
            self._pieces = Pieces(segment, beginnings_of(rooms, manifest))
            arrivals = {told.uid: told.changed_ns for told in manifest.generations}
            self._making = maker.begin(bytes.fromhex(manifest.segment_id), arrivals)
        except (LogferryError, OSError) as error:
            self._fail(error)

    def take(self, number: int, content: bytes) -> None:
        """The next frame's content."""
        if self._making is not None:
            try:
                self._making.add(content, list(self._pieces.of(number, content)))
            except (LogferryError, OSError) as error:
                self._fail(error)

    def put(self) -> IndexRecord:
        """Write it into the store. Where that fails, the record says when to try again, and why."""
        now_ns = self._rooms.clock.now_ns()
        if self._making is not None:
            name = sidecar_name(self._name)
            try:
                data = self._making.finish()
                self._check_room(len(data))
                size = self._rooms.segments.store.put(name, [data])
                return IndexRecord(0, name, size, VERSION, now_ns)
            except (LogferryError, OSError) as error:
                self._fail(error)
        return failed(now_ns, self.problem, self._before)

    def _check_room(self, size: int) -> None:
        """Raise Full where it would take of the reserve."""
        room = self._rooms.scratch_bytes()
        if room is not None and room < size:
            raise Full(
                f"it takes {size / 2**20:.1f} MiB beside the {self._rooms.free_bytes_min // 2**20} MiB that stay free",
                hint="free some space on the archive's disk; it is tried again later",
            )

    def _fail(self, error: LogferryError | OSError) -> None:
        self._making = None
        if isinstance(error, Full):
            self._before = None  # nothing is wrong with the segment: it is tried again soon
        self.problem = f"store/{self._name} has no index: {error}"


def failed(now_ns: int, why: str, before: IndexRecord | None = None) -> IndexRecord:
    """A segment has no index, and when that is tried again: each time after twice as long as the last time.

    Its segment id is 0. ``before``: what the catalog knew of it; another version may do better.
    """
    wait_ns = int(INDEX_AGAIN_S * 1e9)
    if before is not None and not before.name and before.version == VERSION and before.due_ns is not None:
        wait_ns = max(wait_ns, min(2 * (before.due_ns - before.built_ns), int(INDEX_AGAIN_S_MAX * 1e9)))
    return IndexRecord(0, "", 0, VERSION, now_ns, now_ns + wait_ns, why)


def beginnings_of(rooms: Rooms, manifest: Manifest) -> dict[tuple[str, int], Beginning]:
    """What comes before the extents of a segment that do not begin a generation. Raises Damaged."""
    found: dict[tuple[str, int], Beginning] = {}
    for told in manifest.generations:
        starts = [extent.offset for extent in told.extents if extent.offset]
        if not starts:
            continue
        with rooms.catalog.readers.cursor() as cursor:
            state = rooms.catalog.filing.by_uid(cursor, told.uid)
        if state is None:  # nobody has what comes before: the first line counts as cut
            continue
        try:
            reader = open_generation(rooms, state.generation_id or 0)
        except NotFound:  # it was deleted a moment ago: the same
            continue
        with reader:
            encoding = encoding_of(reader.read_at(0, _HEAD_BYTES))
            for start in starts:
                found[told.uid, start] = Beginning(encoding, _begins_line(reader, start, encoding))
    return found


def _begins_line(reader: GenerationReader, offset: int, encoding: Encoding) -> bool:
    if encoding == "bytes":
        return reader.read_at(offset - 1, 1) == b"\n"
    return offset % 2 == 0 and reader.read_at(offset - 2, 2) == UTF16_LINE_ENDS[encoding]


def found_index(store: Store, manifest: Manifest, names: Iterable[tuple[str, int]]) -> IndexRecord | None:
    """The first whole index of a segment among objects beside it (name, size), read from the first byte to the last."""
    from logferry.archive.index.layout import Blocks

    for name, size in names:
        read_at = partial(store.read, name)
        try:
            blocks = Blocks(read_at, size, where=f"store/{name}")
            blocks.verify()
        except (Damaged, NotFound):  # then it is built again
            continue
        if (blocks.facts.segment_id.hex(), blocks.facts.content_bytes) == (manifest.segment_id, manifest.raw_bytes):
            return IndexRecord(0, name, size, VERSION, manifest.created_ns)
    return None
