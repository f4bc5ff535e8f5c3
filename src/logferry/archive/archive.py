"""The archive as its users see it: upload, rename, list, read. Everything else in this room serves it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from logferry.archive.adopting import adopt
from logferry.archive.backup.repository import Repository
from logferry.archive.backup.taking import Taker, Tell
from logferry.archive.catalog import Catalog
from logferry.archive.catalog.filing import PathState
from logferry.archive.catalog.indexing import IndexSums
from logferry.archive.catalog.quotas import spent
from logferry.archive.changes import Adopt
from logferry.archive.check import Finding, check
from logferry.archive.compact import Compactor
from logferry.archive.digests import digest
from logferry.archive.durable import Disk, translating
from logferry.archive.incoming import Incoming
from logferry.archive.index.version import VERSION
from logferry.archive.index_making import IndexMaker
from logferry.archive.indexed import IndexedSegment, indexed
from logferry.archive.line_index import LineIndexes
from logferry.archive.lines import Lines
from logferry.archive.live import Folder
from logferry.archive.many import Many, WholeFile
from logferry.archive.measure import Measurer
from logferry.archive.mend import Mended, mend
from logferry.archive.object_reader import Pace, no_pace
from logferry.archive.partials import arriving_bytes, doubt_older, held, partial_name
from logferry.archive.reader import GenerationReader, open_generation
from logferry.archive.rebuild import Rebuilt, rebuild
from logferry.archive.records import Node, Received
from logferry.archive.reindex import Reindexer
from logferry.archive.renames import Renames
from logferry.archive.retention import Retention, Rule
from logferry.archive.rooms import Rooms
from logferry.archive.seal import Sealer
from logferry.archive.sealed_lines import told_of
from logferry.archive.siblings import Siblings
from logferry.archive.sinks import GrowthSink, PartialSink, RewriteSink, Sink
from logferry.archive.store import Store
from logferry.archive.texts import Check, Text, Texts, no_check
from logferry.archive.tree import Tree
from logferry.archive.verify import Verifier
from logferry.clock import SYSTEM, Clock
from logferry.encodings import SAMPLE_BYTES, Encoding, guess
from logferry.errors import Conflict, LogferryError, NotFound, Refused
from logferry.limits import COMPACT_LEVEL, SEAL_LEVEL, SEGMENT_BYTES
from logferry.names import checked_agent_id, checked_path, is_temporary, split


class Archive:
    """All files of all agents below one data directory. Thread-safe; several processes may share the directory.

    Paths are archive paths relative to the agent's root. Every method may raise BadName for a path or agent id that
    cannot be one.
    """

    def __init__(
        self,
        data_dir: str,
        catalog: Catalog,
        *,
        clock: Clock = SYSTEM,
        min_free_bytes: int = 0,
        disk: Disk | None = None,
        store: Store | None = None,
    ) -> None:
        """``store``: where segments lie, None: in the folder ``store`` of the data directory. It is closed with us."""
        self.catalog = catalog
        self._rooms = Rooms.at(data_dir, catalog, disk or Disk(), clock, min_free_bytes, store)
        self._tree = Tree(self._rooms)
        self._renames = Renames(self._rooms, self._tree, self._supersede)
        self._texts = Texts(self._rooms)
        self._indexes = LineIndexes(
            lambda generation_id: self.text(generation_id).reader, clock, partial(told_of, self._rooms)
        )
        self._lock = threading.Lock()
        self._active: dict[tuple[str, str], Incoming] = {}

    # Uploads ---------------------------------------------------------------------------------------------------------

    def take_in(self) -> None:
        """Get ready for uploads: whoever takes them in calls this once, before the first question.

        Of uploads that were under way when the machine lost its power nothing counts that was not synced.

        Raises:
            Full, Later: the disk refused it.
        """
        with translating("incoming"):
            doubt_older(self._rooms)

    def size(self, agent: str, path: str) -> int | None:
        """How many bytes of ``path`` are stored and synced, where an upload may continue; None when there are none.

        That of the current generation, also where a crash has left one that the catalog does not know yet; else of a
        partial that was broken off.
        """
        checked_agent_id(agent)
        state = None if is_temporary(split(checked_path(path))[1]) else self._asked(agent, path)
        return state.size if state is not None else self._partial_size(agent, path)

    def begin(self, agent: str, path: str, *, offset: int = 0, append: bool = False) -> Incoming:
        """Begin an upload at ``offset`` (``append``: at the end). A running upload of the same path is superseded.

        Raises:
            Full: there is too little room.
            Refused: less than ``offset`` bytes are stored.
            Busy: another process receives the same path just now.
            Damaged: what is stored is not what was confirmed.
        """
        checked_agent_id(agent)
        if not checked_path(path):
            raise Refused("the root is no file")
        self._rooms.check_room()
        with self._lock:
            active = self._active.get((agent, path))
        if active is not None:
            active.abandon()
        self._check_files(agent, path)
        with translating(path):
            sink = self._sink(agent, path, offset, append=append)
        incoming = Incoming(self._rooms, agent, path, sink, self._released, room=lambda: self._room(agent, path))
        with self._lock:
            self._active[agent, path] = incoming
        return incoming

    def store_many(
        self, agent: str, files: Sequence[WholeFile], *, make_folders: bool = True
    ) -> list[Received | LogferryError]:
        """Upload many small, whole files at once: the same as ``begin``, ``write``, ``commit`` of each, and faster.

        One outcome per file, in order. Without ``make_folders`` a file whose folder is missing is NotPermitted.
        """
        return Many(self._rooms, self, self._supersede).store(checked_agent_id(agent), files, make_folders=make_folders)

    def adopt(self, agent: str, path: str, source: Folder, name: bytes) -> bool:
        """Make the plain file ``name`` of ``source``, on our file system, the current generation of ``path``.

        See ``adopting``.

        False: it cannot be linked from there. Raises Conflict where there is something at ``path``.
        """
        with translating(path):
            return adopt(self._rooms, checked_agent_id(agent), checked_path(path), source, name)

    def rename(self, agent: str, source: str, target: str) -> None:
        """Publish a temporary name, move a file or folder, or file a generation as an earlier one (an aside name).

        A current generation at the target is kept as an earlier one first.

        Raises:
            NotFound: there is no such source.
            Conflict: a folder is in the way.
        """
        checked_agent_id(agent)
        with translating(target):
            self._renames.rename(agent, checked_path(source), checked_path(target))

    def make_folder(self, agent: str, path: str) -> None:
        """Make a folder and those above it. That it exists is no error. Raises Conflict where a file is in the way."""
        self._tree.make_folder(checked_agent_id(agent), checked_path(path))

    def set_modified(self, agent: str, path: str, ns: int, *, generation_id: int | None = None) -> None:
        """Note the node's own time of a file. Durable in a moment. Raises NotFound.

        ``generation_id``: its current generation, for a caller who has just been told by ``commit``; saves a look.
        """
        with translating(path):
            self._tree.set_modified(checked_agent_id(agent), checked_path(path), ns, generation_id)

    def remove_file(self, agent: str, path: str) -> None:
        """Take a name out of the live tree: its generation ends and is kept as an earlier one; a partial is dropped.

        Raises:
            NotFound: there is no such file.
        """
        with translating(path):
            self._renames.remove_file(checked_agent_id(agent), checked_path(path))

    def remove_folder(self, agent: str, path: str) -> None:
        """Take an empty folder out of the live tree. Raises NotFound, Conflict when it is not empty."""
        self._tree.remove_folder(checked_agent_id(agent), checked_path(path))

    # The tree as FTP shows it ----------------------------------------------------------------------------------------

    def stat(self, agent: str, path: str) -> Node:
        """The file or folder at ``path`` as the node has it (files that ended are not shown). Raises NotFound."""
        try:
            return self._tree.stat(checked_agent_id(agent), checked_path(path))
        except NotFound:
            if is_temporary(split(path)[1]) or self._asked(agent, path) is None:
                raise
            return self._tree.stat(agent, path)

    def entries(self, agent: str, path: str) -> Iterator[Node]:
        """What lies in a folder: folders, then files, by name. Raises NotFound."""
        return self._tree.entries(checked_agent_id(agent), checked_path(path))

    # Reading ---------------------------------------------------------------------------------------------------------

    def open(self, generation_id: int) -> GenerationReader:
        """Open a generation for reading, as long as it is now. Raises NotFound, Damaged."""
        return open_generation(self._rooms, generation_id)

    def text(self, generation_id: int, check: Check = no_check) -> Text:
        """A generation as people read it: a compressed one (.gz .xz .bz2 .zst) unpacked, any other as it is.

        Close its reader. ``check`` is called while it is being unpacked and may raise to break that off.

        Raises:
            NotFound, Damaged.
        """
        return self._texts.open(generation_id, check)

    def lines(self, generation_id: int, encoding: Encoding | None = None) -> Lines:
        """The text of a generation as lines, as long as it is now. Close it. Raises NotFound, Damaged.

        ``encoding``: what its bytes are read as; None: what its beginning looks like.
        """
        reader = self.text(generation_id).reader
        try:
            return Lines(reader, self._indexes, generation_id, encoding or guess(reader.read_at(0, SAMPLE_BYTES)))
        except BaseException:
            reader.close()
            raise

    def siblings(self, pace: Pace) -> Siblings:
        """What looks into compressed generations and records of which others they are copies."""
        return Siblings(self._rooms, pace)

    def digest(self, generation_id: int) -> str:
        """The SHA-256 of a generation as long as it is now, in hexadecimal; computed at most once per length.

        Raises:
            NotFound, Damaged.
        """
        return digest(self._rooms, generation_id)

    def check(self, *, repair: bool = False, digests: bool = False) -> Iterator[Finding]:
        """Compare catalog and files; yields everything that is not as it should be. See ``check.check``."""
        return check(self._rooms, repair=repair, digests=digests)

    def verifier(self, *, pace: Pace = no_pace, until_s: float | None = None) -> Verifier:
        """What reads the archive and compares it with all that is known of it; ``until_s``: by the monotonic clock."""
        return Verifier(self._rooms, pace=pace, until_s=until_s)

    def rebuild(self, *, write: bool = True) -> Iterator[Rebuilt]:
        """Fill the empty catalog from segments and files; yields what was found, agent by agent."""
        return rebuild(self._rooms, write=write)

    def mend(self, *, write: bool = True, maker: IndexMaker | None = None) -> Iterator[Mended]:
        """Mend what can be mended of an archive with a catalog; yields each thing found. See ``mend.mend``."""
        return mend(self._rooms, write=write, maker=maker)

    def taker(
        self, repository: Repository, *, segment_bytes: int = SEGMENT_BYTES, tell: Tell = lambda _: None
    ) -> Taker:
        """What takes backups of the archive into ``repository``; ``tell`` hears how far it is."""
        return Taker(self._rooms, repository, segment_bytes=segment_bytes, tell=tell)

    def retention(self, rules: Sequence[Rule]) -> Retention:
        """What deletes by ``rules``, of which the first that matches counts."""
        return Retention(self._rooms, rules)

    def sealer(
        self, *, level: int = SEAL_LEVEL, segment_bytes: int = SEGMENT_BYTES, maker: IndexMaker | None = None
    ) -> Sealer:
        """What moves bytes at rest into segments.

        Args:
            level: of zstd.
            segment_bytes: content of one segment.
            maker: of their indexes; without one they get theirs from a ``reindexer``.
        """
        return Sealer(self._rooms, level=level, segment_bytes=segment_bytes, maker=maker)

    def compactor(
        self, *, level: int = COMPACT_LEVEL, segment_bytes: int = SEGMENT_BYTES, maker: IndexMaker | None = None
    ) -> Compactor:
        """What makes few, tighter segments of many. See ``sealer``."""
        return Compactor(self._rooms, level=level, segment_bytes=segment_bytes, maker=maker)

    def reindexer(self, maker: IndexMaker, *, pace: Pace = no_pace) -> Reindexer:
        """What builds the indexes that are missing, damaged or of another version."""
        return Reindexer(self._rooms, maker, pace=pace)

    def measurer(self) -> Measurer:
        """What notes how many lines there are, and from when to when."""
        return Measurer(self._rooms)

    def index_sums(self) -> IndexSums:
        """How many segments have an index that can be used, and how large those are."""
        return self.catalog.indexing.sums(VERSION)

    def indexed(self, segment_id: int) -> IndexedSegment | None:
        """A segment with its open index; None while it has none that can be used, or counts no more."""
        return indexed(self._rooms, segment_id)

    def zone_of(self, agent: str) -> str:
        """The name of the zone of times in this agent's logs that name none."""
        return self.catalog.zones.of(agent)

    def free_bytes(self) -> int:
        """How much may still arrive before uploads are refused; negative when they are."""
        facts = os.statvfs(self._rooms.data_dir)
        return facts.f_bavail * facts.f_frsize - self._rooms.free_bytes_min

    def count_behind(self, stand_back: Callable[[Callable[[], bool]], None]) -> None:
        """Lines that are counted in the background are nothing that anybody waits for: ``stand_back`` is called before
        each step of a millisecond, without a lock, and may rest until what it is given says that all is over."""
        self._indexes.stand_back = stand_back

    def close(self) -> None:
        """Abandon running uploads and release everything but the catalog."""
        with self._lock:
            active = list(self._active.values())
        for incoming in active:
            incoming.abandon()
        self._indexes.close()
        self._texts.close()
        self._rooms.indexes.close()
        self._rooms.segments.close()
        self._rooms.segments.store.close()
        for tree in (self._rooms.live, self._rooms.kept, self._rooms.incoming, self._rooms.tails):
            tree.close()
        self._rooms.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Inside ----------------------------------------------------------------------------------------------------------

    def _at(self, agent: str, path: str) -> PathState | None:
        with self.catalog.readers.cursor() as cursor:
            return self.catalog.filing.at(cursor, agent, path)

    def _room(self, agent: str, path: str) -> int | None:
        """How many bytes more the agent may hold, without what is arriving elsewhere; None: any number."""
        usage = self.catalog.quotas.bounded(agent)
        if usage is None or usage.bytes_left is None:
            return None
        return max(0, usage.bytes_left - arriving_bytes(self._rooms, agent, partial_name(path)))

    def _check_files(self, agent: str, path: str) -> None:
        """Raise OverQuota when the agent may have no more files, and this is one: before all of it has come."""
        usage = self.catalog.quotas.bounded(agent)
        if usage is not None and usage.files_left == 0 and self.size(agent, path) is None:
            raise spent(agent, f"{usage.files:,} of {usage.quota.files:,} files, older generations included")

    def _sink(self, agent: str, path: str, offset: int, *, append: bool) -> Sink:
        temporary = is_temporary(split(path)[1])
        state = None if temporary else self._current(agent, path)
        if state is not None:
            if offset == 0 and not append:
                return RewriteSink(self._rooms, state)
            return GrowthSink(self._rooms, state, offset=None if append else offset)
        if append:
            offset = self._partial_size(agent, path) or 0
        return PartialSink(self._rooms, agent, path, offset=offset)

    def _asked(self, agent: str, path: str) -> PathState | None:
        """As ``_current``, for a question: whoever asks whether an upload got through before a crash decides by the
        answer what to send where. Raises Busy while it is being published."""
        with translating(path):
            try:
                return self._current(agent, path)
            except Conflict:
                return None  # a file is where one of its folders would be

    def _current(self, agent: str, path: str) -> PathState | None:
        """The path's state if it has a current generation, after picking up what a crash may have left there."""
        state = self._at(agent, path)
        if state is not None and state.is_current:
            return state
        folder, name = self._rooms.live_folder(agent, path)
        if folder is None or folder.stat(name) is None:
            return None
        with held(self._rooms, agent, [path]):
            self.catalog.writer.run(Adopt(self._rooms, agent, path))
        state = self._at(agent, path)
        return state if state is not None and state.is_current else None

    def _partial_size(self, agent: str, path: str) -> int | None:
        folder = self._rooms.incoming.folder(agent)
        if folder is None:
            return None
        try:
            fd = folder.open(partial_name(path))
        except FileNotFoundError:
            return None
        try:
            with translating(path):
                # Who is told a size goes on there: a disk that cannot hold what it took has to say so now.
                self._rooms.disk.sync_data(fd)
            # An empty partial is nothing to continue; under a temporary name it may be a whole, empty file.
            return os.fstat(fd).st_size or (0 if is_temporary(split(path)[1]) else None)
        finally:
            os.close(fd)

    def _supersede(self, agent: str, path: str) -> None:
        """End a running upload of ``path`` in this process, keeping what arrived."""
        with self._lock:
            active = self._active.get((agent, path))
        if active is not None:
            active.abandon()

    def _released(self, incoming: Incoming) -> None:
        with self._lock:
            if self._active.get((incoming.agent, incoming.path)) is incoming:
                del self._active[incoming.agent, incoming.path]
