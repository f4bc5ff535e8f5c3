"""Rebuilding the catalog from what lies on the disk and in the store, when it is lost.

Segments tell which bytes of which generations they hold; the journal tells what was renamed later; the trees of files
hold what was never sealed. Users, passwords and the facts about agents are not in them: those come from a backup, or
are made again.
"""

from __future__ import annotations

import dataclasses
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from logferry.archive.catalog.filing import KEPT, LIVE, SEALED
from logferry.archive.catalog.rebuilding import FoundFile, FoundGeneration, Rebuilding
from logferry.archive.catalog.sealing import SealedExtent, SegmentRecord
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.findings import Findings, FoundBytes, FoundExtent, FoundSegment, covering, look_through, save
from logferry.archive.object_reader import behind_cache
from logferry.archive.objects import INDEX_SUFFIX
from logferry.archive.rooms import Rooms
from logferry.archive.sealed import SealedBytes
from logferry.errors import BadName, Damaged
from logferry.limits import CARE_PAGE_ROWS, COMPACT_LEVEL, COPY_BYTES
from logferry.names import checked_agent_id, checked_path

_KEPT = re.compile(r"(.+)\.~([0-9]{1,18})~", re.DOTALL)
_TAIL = re.compile(r"([0-9a-f]{32})\.([0-9]{1,18})")


@dataclass(slots=True)
class Rebuilt:
    """What was found of one agent."""

    agent: str
    files: int = 0
    generations: int = 0
    segments: int = 0
    bytes: int = 0
    saved_frames: int = 0
    problems: list[str] = field(default_factory=list)
    """What is damaged or belongs nowhere, one sentence each."""


@dataclass(slots=True)
class _Plain:
    """A plain file: ``place`` below the data directory."""

    place: str
    size: int
    changed_ns: int


@dataclass(slots=True)
class _Path:
    """What was found of one path: generations by number; the live file."""

    generations: dict[int, FoundGeneration] = field(default_factory=dict)
    live: _Plain | None = None


class AgentRows(Change[None]):
    """The segments of an agent, and files to be removed."""

    def __init__(
        self, rooms: Rooms, agent: str, found: Sequence[FoundSegment], idle: Sequence[FoundSegment],
        to_go: Sequence[str],
    ) -> None:  # fmt: skip
        """``idle``: segments to which nothing refers; they go after the grace time."""
        self._rooms = rooms
        self._agent = agent
        self._found = found
        self._idle = idle
        self._to_go = to_go
        self.ids: dict[str, int] = {}

    def apply(self, transaction: Transaction) -> None:
        now_ns = self._rooms.clock.now_ns()
        for one in self._found:
            self.ids[one.name] = self._rooms.catalog.sealing.add_segment(transaction, record_of(self._agent, one))
            if one.index is not None:
                index = one.index._replace(segment_id=self.ids[one.name])
                self._rooms.catalog.indexing.put(transaction, index)
        for one in self._idle:
            record = record_of(self._agent, one)._replace(gone_ns=now_ns)
            self._rooms.catalog.sealing.add_segment(transaction, record)
        for place in self._to_go:
            self._rooms.catalog.sealing.to_go(transaction, place, now_ns)


def record_of(agent: str, found: FoundSegment) -> SegmentRecord:
    """A segment found in the store as a row. Its level is not told: it is not compressed again for that."""
    return SegmentRecord(
        0, agent, found.name, found.bytes, found.raw_bytes, found.sha256, COMPACT_LEVEL, found.created_ns,
        found.created_ns, None,
    )  # fmt: skip


class FileRows(Change[None]):
    """Some files of an agent."""

    def __init__(self, rooms: Rooms, agent: str, files: Sequence[FoundFile]) -> None:
        self._rooms = rooms
        self._agent = agent
        self._files = files
        self._rebuilding = Rebuilding(rooms.catalog.filing, rooms.catalog.sealing)

    def apply(self, transaction: Transaction) -> None:
        now_ns = self._rooms.clock.now_ns()
        for file in self._files:
            self._rebuilding.add_file(transaction, self._agent, file, now_ns)


class FormerNames(FileRows):
    """The numbers that generations of these files had elsewhere."""

    def apply(self, transaction: Transaction) -> None:
        now_ns = self._rooms.clock.now_ns()
        for file in self._files:
            for generation in file.generations:
                if generation.former:
                    self._rebuilding.add_former_names(transaction, self._agent, generation, now_ns)


def rebuild(rooms: Rooms, *, write: bool = True) -> Iterator[Rebuilt]:
    """Fill an empty catalog with everything that is there, agent by agent; yields after each.

    Args:
        write: else only look, and tell what would be there.
    """
    for agent in _agents(rooms):
        yield _Agent(rooms, agent, write=write).rebuilt()


def _agents(rooms: Rooms) -> list[str]:
    found: set[str] = set()
    for tree in (rooms.live, rooms.kept, rooms.tails):
        root = tree.folder("")
        for raw in root.names() if root is not None else ():
            facts = root.stat(raw) if root is not None else None
            if facts is not None and stat.S_ISDIR(facts.st_mode):
                found.add(os.fsdecode(raw))
    objects = behind_cache(rooms.segments.store).objects()
    found |= {one.name.partition("/")[0] for one in objects if not one.name.endswith(INDEX_SUFFIX)}
    return sorted(agent for agent in found if _is_agent(agent))


def _is_agent(name: str) -> bool:
    try:
        return bool(checked_agent_id(name))
    except BadName:
        return False


class _Agent:
    """Rebuilds the rows of one agent."""

    def __init__(self, rooms: Rooms, agent: str, *, write: bool) -> None:
        self._rooms = rooms
        self._agent = agent
        self._write = write
        self._paths: dict[str, _Path] = {}
        self._to_go: list[str] = []
        self._extents: dict[str, list[FoundExtent]] = {}
        self._found: dict[str, FoundSegment] = {}
        self._former: dict[str, int] = {}
        """The last number of a path that a generation had which is elsewhere now."""
        self._done = Rebuilt(agent)

    def rebuilt(self) -> Rebuilt:
        findings = look_through(self._rooms, self._agent, deep=True)
        self._done.problems += findings.problems
        for name, size in findings.damaged:
            saved = save(self._rooms, findings, name, size, write=self._write)
            self._done.saved_frames += saved.frames
            self._done.problems += saved.lost
        self._found = {e.segment.name: e.segment for f in findings.generations.values() for e in f.extents}
        self._place_sealed(findings)
        self._place_tails()
        self._place_kept()
        self._place_live()
        files = [self._file(path, found) for path, found in sorted(self._paths.items())]
        self._done.files = len(files)
        self._done.generations = sum(len(file.generations) for file in files)
        self._done.bytes = sum(g.size for file in files for g in file.generations)
        self._fill(files)
        return self._done

    # What is sealed --------------------------------------------------------------------------------------------------

    def _place_sealed(self, findings: Findings) -> None:
        history: dict[str, list[tuple[str, int]]] = {}
        ended: dict[str, int | None] = {}
        for note in self._rooms.journal.read(self._agent):
            if note.uid in findings.generations:
                history.setdefault(note.uid, []).append((note.path, note.number))
                ended[note.uid] = note.ended_ns
        for uid, found in sorted(findings.generations.items()):
            names = [(found.facts.path, found.facts.number), *history.get(uid, [])]
            if not all(self._is_path(path) for path, _ in names):
                # Not from us. Its bytes are kept all the same, where a path that leads elsewhere does no harm.
                self._done.problems.append(f"generation {uid} has a path that no file can have; it is at found/{uid}")
                names = [(f"found/{uid}", 1)]
            generation = self._sealed(uid, found, names)
            if uid in ended:
                generation.ended_ns = ended[uid]
            for path, number in generation.former:
                self._former[path] = max(number, self._former.get(path, 0))
            self._put(names[-1][0], generation)

    def _sealed(self, uid: str, found: FoundBytes, names: Sequence[tuple[str, int]]) -> FoundGeneration:
        facts = found.facts
        extents = covering(found.extents)
        self._extents[uid] = extents
        end = extents[-1].end if extents else 0
        return FoundGeneration(
            uid, names[-1][1], end, facts.started_ns, facts.changed_ns, facts.ended_ns, facts.modified_ns,
            facts.sha256 if facts.size == end else "", SEALED, "", end, former=list(dict.fromkeys(names[:-1])),
        )  # fmt: skip

    def _put(self, path: str, generation: FoundGeneration) -> None:
        there = self._paths.setdefault(path, _Path()).generations
        if generation.number in there:  # two at one place: the one that came first stays in front
            self._done.problems.append(f"{self._agent}/{path} has two generations {generation.number}")
            generation.number = max(there) + 1
        there[generation.number] = generation

    # What is not -----------------------------------------------------------------------------------------------------

    def _place_tails(self) -> None:
        known = {g.uid: g for found in self._paths.values() for g in found.generations.values()}
        tails: dict[str, list[tuple[int, _Plain]]] = {}
        for file in self._plain("tails"):
            name = _TAIL.fullmatch(file.place.rpartition("/")[2])
            if name is None or name[1] not in known:
                self._done.problems.append(f"{file.place} belongs to no generation that is known")
                continue
            tails.setdefault(name[1], []).append((int(name[2]), file))
        for uid, found in tails.items():
            self._place_tail(known[uid], found)

    def _place_tail(self, generation: FoundGeneration, tails: Sequence[tuple[int, _Plain]]) -> None:
        """Which of its tails counts: that with the most bytes behind all that is sealed.

        It may begin before the end of what segments have: one of them was written, but never counted.
        """
        base, file = max(tails, key=lambda tail: (tail[0] + tail[1].size, tail[0]))
        counts = base + file.size > generation.sealed and file.size > 0
        self._to_go += [other.place for _, other in tails if other is not file or not counts]  # sealed further since
        if not counts:
            return
        if base > generation.sealed:
            self._lost(file.place, generation.sealed, base)
        self._extents[generation.uid] = [
            extent if extent.end <= base else dataclasses.replace(extent, length=base - extent.offset)
            for extent in self._extents[generation.uid]
            if extent.offset < base
        ]
        generation.sealed, generation.place = base, file.place
        generation.size = base + file.size
        generation.changed_ns = max(generation.changed_ns, file.changed_ns)
        generation.sha256 = ""

    def _place_kept(self) -> None:
        for file in self._plain("generations"):
            found = _KEPT.fullmatch(file.place.split("/", 2)[2])
            if found is None or not self._is_path(found[1]):
                self._done.problems.append(f"{file.place} has no name that tells where it belongs; it is left there")
                continue
            path, number = found[1], int(found[2])
            there = self._paths.setdefault(path, _Path()).generations
            if number in there and self._continues(there[number], file, KEPT, f"generations/{self._agent}/{path}"):
                continue
            while number in there:
                number += 1
            there[number] = self._unsealed(file, number, KEPT, file.place)

    def _place_live(self) -> None:
        for file in self._plain("live"):
            path = file.place.split("/", 2)[2]
            if not self._is_path(path):
                self._done.problems.append(f"{file.place} has no archive name; it is left there")
                continue
            self._paths.setdefault(path, _Path()).live = file

    def _unsealed(self, file: _Plain, number: int, state: str, place: str) -> FoundGeneration:
        ns = file.changed_ns
        ended_ns = ns if state == KEPT else None
        return FoundGeneration(secrets.token_hex(16), number, file.size, ns, ns, ended_ns, ns, "", state, place, 0)

    def _continues(self, generation: FoundGeneration, file: _Plain, state: str, what: str) -> bool:
        """Whether the file is all of a (partly) sealed generation; then it is no other one."""
        sealed = SealedBytes(
            self._rooms.segments,
            [SealedExtent(e.offset, e.length, 0, e.segment.name, e.segment.bytes, e.raw_offset)
             for e in self._extents.get(generation.uid, [])],
            generation.sealed,
            what,
        )  # fmt: skip
        if file.size < generation.size or not self._alike(sealed, file):
            return False
        if file.size == generation.sealed:
            self._to_go.append(file.place)  # sealed, and not removed yet
            return True
        generation.state, generation.size = state, file.size
        generation.place = file.place if state == KEPT else ""
        generation.changed_ns = max(generation.changed_ns, file.changed_ns)
        generation.sha256 = ""
        return True

    def _alike(self, sealed: SealedBytes, file: _Plain) -> bool:
        tree, _, path = file.place.partition("/")
        folder_path, _, name = path.rpartition("/")
        folder = {"live": self._rooms.live, "generations": self._rooms.kept}[tree].folder(folder_path)
        if folder is None:
            return False
        fd = folder.open(name.encode())
        try:
            for offset in range(0, sealed.size, COPY_BYTES):
                data = sealed.read_at(offset, COPY_BYTES)
                if os.pread(fd, len(data), offset) != data:
                    return False
        except Damaged as error:
            # The file has what the segment lost: it stands for itself.
            self._done.problems.append(str(error))
            return False
        finally:
            os.close(fd)
        return True

    def _plain(self, name: str) -> Iterator[_Plain]:
        walk = {"live": self._rooms.live, "generations": self._rooms.kept, "tails": self._rooms.tails}[name].walk
        for path, facts in walk(self._agent):
            if stat.S_ISREG(facts.st_mode):
                yield _Plain(f"{name}/{path}", facts.st_size, facts.st_mtime_ns)
            else:
                self._done.problems.append(f"{name}/{path} is no plain file; it is left there")

    def _is_path(self, path: str) -> bool:
        try:
            return bool(checked_path(path))
        except BadName:
            return False

    # One path --------------------------------------------------------------------------------------------------------

    def _file(self, path: str, found: _Path) -> FoundFile:
        ordered = [found.generations[number] for number in sorted(found.generations)]
        if found.live is not None:
            last = ordered[-1] if ordered else None
            what = f"live/{self._agent}/{path}"
            if last is None or last.ended_ns is not None or not self._continues(last, found.live, LIVE, what):
                number = max(last.number if last else 0, self._former.get(path, 0)) + 1
                ordered.append(self._unsealed(found.live, number, LIVE, ""))
        for earlier in ordered[:-1]:
            if earlier.ended_ns is None:
                earlier.ended_ns = earlier.changed_ns
        for generation in ordered:
            self._name_holes(path, generation)
        return FoundFile(path, max(ordered[-1].number if ordered else 0, self._former.get(path, 0)), ordered)

    def _name_holes(self, path: str, generation: FoundGeneration) -> None:
        at = 0
        for extent in self._extents.get(generation.uid, []):
            if extent.offset > at:
                self._lost(f"{self._agent}/{path}", at, extent.offset)
            at = extent.end

    def _lost(self, what: str, start: int, end: int) -> None:
        self._done.problems.append(f"{what}: bytes {start} to {end} are lost")

    # Rows ------------------------------------------------------------------------------------------------------------

    def _fill(self, files: Sequence[FoundFile]) -> None:
        segments = {e.segment.name: e.segment for extents in self._extents.values() for e in extents}
        self._done.segments = len(segments)
        if not self._write:
            return
        if self._rooms.catalog.agents.get(self._agent) is None:
            self._rooms.catalog.agents.add(self._agent)
        writer = self._rooms.catalog.writer
        rows = AgentRows(self._rooms, self._agent, list(segments.values()), self._idle(segments), self._to_go)
        writer.run(rows)
        self._with_extents(files, rows.ids)
        known = {file.path for file in files}
        gone = [FoundFile(path, last, []) for path, last in sorted(self._former.items()) if path not in known]
        for start in range(0, len(files), CARE_PAGE_ROWS):
            writer.run(FileRows(self._rooms, self._agent, files[start : start + CARE_PAGE_ROWS]))
        writer.run(FileRows(self._rooms, self._agent, gone))
        writer.run(FormerNames(self._rooms, self._agent, files))

    def _idle(self, used: dict[str, FoundSegment]) -> list[FoundSegment]:
        """Segments of which nothing counts: their bytes are in others by now, or they were never committed."""
        return [one for name, one in self._found.items() if name not in used]

    def _with_extents(self, files: Sequence[FoundFile], ids: dict[str, int]) -> None:
        for file in files:
            for generation in file.generations:
                generation.extents = [
                    (e.offset, e.length, ids[e.segment.name], e.raw_offset)
                    for e in self._extents.get(generation.uid, [])
                ]
