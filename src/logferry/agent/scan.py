"""Looking: a walk over byte paths that reports only what differs from the last look.

In memory there are a name and one number per file (its mark), see ``known.py``; everything else stays in the registry.
Folders are listed, never followed through links; a linked file is taken only where its target lies inside a source
and is not sent under its own name.
"""

from __future__ import annotations

import os
import stat as stat_module
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from logferry.agent.identity import Stat, mark_of
from logferry.agent.known import Known
from logferry.agent.sources import Source, Sources, slashes
from logferry.limits import LOOK_FILES_MAX
from logferry.names import shown

_LISTING_TELLS = sys.platform != "win32"
"""Whether a listing knows the size of files that are being written; that of Windows is late."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that is new or differs from the last look."""

    path: bytes
    stat: Stat
    source: Source


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that cannot be looked at: ``what`` (path), ``why`` and what to do."""

    what: bytes
    why: str
    hint: str

    def text(self) -> str:
        """One line for people, safe for a terminal."""
        return f"{shown(os.fsdecode(self.what))}: {self.why}" + (f" ({self.hint})" if self.hint else "")


@dataclass(slots=True)
class Look:
    """What a look at one folder found."""

    folder: bytes
    sources: tuple[Source, ...] = ()
    """Those that look into this folder."""
    seen: list[Seen] = field(default_factory=list)
    missing: list[bytes] = field(default_factory=list)
    """Paths known before that hold no file now."""
    folders: list[bytes] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    listed: bool = True
    """False if the folder could not be read: then nothing is known about what it holds."""
    left_out: int = 0
    """Files that differ too, but were more than one look takes; the next look at the folder sees them."""
    left_out_bytes: int = 0
    """The sizes of those."""

    def owner(self, path: bytes) -> Source | None:
        """The first of the sources that wants a file at ``path`` in this folder."""
        return next((source for source in self.sources if source.wants(path)), None)

    def enters(self, folder: bytes) -> bool:
        """Whether one of the sources looks into ``folder``, which lies in this one."""
        return any(source.enters(folder) for source in self.sources)

    def add(self, path: bytes, stat: Stat, source: Source, at_most: int) -> None:
        """A file of ``source`` that differs; it is left out if there are ``at_most`` already."""
        if len(self.seen) < at_most:
            self.seen.append(Seen(path, stat, source))
        else:
            self.left_out += 1
            self.left_out_bytes += stat.size


class Scanner:
    """Walks the sources. One thread uses it.

    ``known`` has the mark of each file as it was last planned for; 0 = look again.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        *,
        never: Iterable[bytes] = (),
        entering: Callable[[bytes], object] | None = None,
        look_files_max: int = LOOK_FILES_MAX,
    ) -> None:
        """``never``: raw absolute paths that are not sent whatever the patterns say (the agent's own files).

        ``entering`` is called with each folder before it is listed, so that a watcher misses nothing.
        ``look_files_max``: how many files that differ one look at a folder takes up.
        """
        self._look_files_max = look_files_max
        self._entering = entering
        self._sources = Sources(sources)
        self.known = Known()
        self._never = frozenset(slashes(os.path.abspath(path)) for path in never)
        self._links: dict[bytes, int] = {}

    def change(self, sources: Iterable[Source], *, never: Iterable[bytes]) -> None:
        """From the next look on take other sources; what is known stays known."""
        self._sources = Sources(sources)
        self._never = frozenset(slashes(os.path.abspath(path)) for path in never)

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources, in the order of the settings."""
        return self._sources.all

    def source_of(self, path: bytes) -> Source | None:
        """The source that sends a file at ``path``; see ``Sources.of``."""
        return self._sources.of(path)

    def source_at(self, path: bytes) -> Source | None:
        """The source that ``path`` belongs to, wanted or not; see ``Sources.at``."""
        return self._sources.at(path)

    def wants(self, path: bytes) -> bool:
        """Whether a file at ``path`` is to be sent under that name."""
        return path not in self._never and self.source_of(path) is not None

    def is_link(self, path: bytes) -> bool:
        """Whether ``path`` is a followed link to a file."""
        return path in self._links

    def load(self, marks: Iterable[tuple[bytes, int]]) -> int:
        """Begin with what the registry knows; returns how many files."""
        count = 0
        for path, mark in marks:
            self.known.load(*_split(path), mark)
            count += 1
        return count

    def note(self, path: bytes, mark: int) -> None:
        """Remember that the file at ``path`` was planned for as ``mark`` (0 = look again at the next look)."""
        if path in self._links:
            self._links[path] = mark
            return
        self.known.set(*_split(path), mark)

    def mark(self, path: bytes) -> int | None:
        """As what the file at ``path`` was planned for; None if it is not known."""
        return self._links.get(path) or self.known.get(*_split(path))

    def forget(self, path: bytes) -> None:
        """The file at ``path`` is no longer expected."""
        self._links.pop(path, None)
        self.known.forget(*_split(path))

    def files(self) -> int:
        """How many files are known."""
        return len(self.known)

    def paths(self) -> Iterator[bytes]:
        """Every known file."""
        for folder in list(self.known):
            for name in list(self.known.folder(folder)):
                yield _join(folder, name)
        yield from self._links

    def walk(self) -> Iterator[Look]:
        """Look at every folder of every source once; most of these looks find nothing.

        Each is looked at for all sources that reach it. The same folder under a second name (a mount) is visited once
        from each source's own folder.
        Folders that vanished give a Look with all their files missing. Between two of them anything may happen here.
        """
        unread: list[bytes] = []
        reached: set[bytes] = set()
        for source in self.sources:
            visited: set[tuple[int, int]] = set()
            waiting = [source.root]
            while waiting:
                folder = waiting.pop()
                if folder in reached:
                    continue
                if not self._first_visit(folder, visited):
                    reached.add(folder)  # a folder that vanished while we walk is found missing next time
                    continue
                look = self.look(folder)
                reached.add(folder)
                if not look.listed:
                    unread.append(folder)
                waiting.extend(reversed(look.folders))
                yield look
        yield from self._vanished(reached, unread)

    def _first_visit(self, folder: bytes, visited: set[tuple[int, int]]) -> bool:
        try:
            status = os.stat(folder)
        except OSError:
            return True  # look() reports it
        place = (status.st_dev, status.st_ino)
        if place in visited:
            return False
        visited.add(place)
        return True

    def _vanished(self, reached: set[bytes], unread: list[bytes]) -> Iterator[Look]:
        for folder in self.known:
            if folder in reached:
                continue
            below_unread = any(folder.startswith(u + b"/") for u in unread)
            if self.source_at(folder) is None or below_unread or os.path.isdir(folder):  # a new one, if it exists
                continue
            names = self.known.take(folder)
            if names:
                yield Look(folder, missing=[_join(folder, name) for name in names])
        for path in [p for p in self._links if not os.path.lexists(p)]:
            if self.source_at(path) is not None and not any(path.startswith(u + b"/") for u in unread):
                yield Look(path.rpartition(b"/")[0], missing=[path])

    def look(self, folder: bytes) -> Look:
        """List one folder and compare."""
        look = Look(folder, self._sources.reaching(folder))
        is_source = any(folder == source.root for source in look.sources)
        if self._entering is not None:
            self._entering(folder)
        try:
            entries = os.scandir(folder)
        except OSError as error:
            look.listed = False
            if not (isinstance(error, FileNotFoundError) and not is_source):
                look.findings.append(_unreadable(folder, error, is_source=is_source))
            return look
        try:
            with entries:
                self._compare(entries, look)
        except OSError as error:  # the file system failed in the middle: what was not reached is not missing
            look.listed = False
            look.findings.append(_unreadable(folder, error, is_source=is_source))
        return look

    def _compare(self, entries: Iterable[os.DirEntry[bytes]], look: Look) -> None:
        folder = look.folder
        known = self.known.folder(folder)
        found = 0
        for entry in entries:
            name = entry.name
            old = known.get(name)
            if old is None:
                self._unknown(entry, look)
                continue
            found += 1
            try:
                status = entry.stat(follow_symlinks=False) if _LISTING_TELLS else os.lstat(entry.path)
            except FileNotFoundError:
                found -= 1
                continue
            except OSError as error:
                look.findings.append(_unreadable(_join(folder, name), error, is_source=False))
                continue
            # The hot line: unchanged files end here.
            if mark_of(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino) == old:
                continue
            if stat_module.S_ISREG(status.st_mode):
                path = _join(folder, name)
                if (source := self.source_at(path)) is not None:
                    look.add(path, _stat(status), source, self._look_files_max)
                continue
            found -= 1
            if stat_module.S_ISLNK(status.st_mode):  # its target is what counts; see _link
                self.known.forget(folder, name)
                self._links.setdefault(_join(folder, name), old)
                self._link(_join(folder, name), look)
        if found != len(known):
            self._find_missing(look, known)

    def _find_missing(self, look: Look, known: Mapping[bytes, int]) -> None:
        for name in list(known):
            path = _join(look.folder, name)
            if _is_gone(path):
                look.missing.append(path)

    def look_names(self, folder: bytes, names: Iterable[bytes]) -> Look:
        """Look only at these names of one folder (a watcher said that they changed)."""
        look = Look(folder, self._sources.reaching(folder))
        known = self.known.folder(folder)
        for name in names:
            path = _join(folder, name)
            try:
                status = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                if name in known or path in self._links:
                    look.missing.append(path)
                elif path in self.known:
                    look.missing += self.vanished(path)
                    known = self.known.folder(folder)
                continue
            except OSError:
                continue  # it cannot be looked at just now; the full look says so
            if stat_module.S_ISDIR(status.st_mode):
                if look.enters(path) and path not in self._never:
                    look.folders.append(path)
            elif stat_module.S_ISLNK(status.st_mode):
                self._link(path, look)
            elif not stat_module.S_ISREG(status.st_mode):
                continue
            elif name in known:
                if _stat(status).mark != known[name] and (source := self.source_at(path)) is not None:
                    look.seen.append(Seen(path, _stat(status), source))
            elif (source := self._owner(path, look)) is not None:
                look.seen.append(Seen(path, _stat(status), source))
        return look

    def vanished(self, folder: bytes) -> list[bytes]:
        """A folder is gone with all below it: the files that were known there, which are known no more."""
        return [_join(each, name) for each in self.known.below(folder) for name in self.known.take(each)]

    def _owner(self, path: bytes, look: Look) -> Source | None:
        return None if path in self._never else look.owner(path)

    def _unknown(self, entry: os.DirEntry[bytes], look: Look) -> None:
        path = _join(look.folder, entry.name)
        try:
            if entry.is_dir(follow_symlinks=False):
                if look.enters(path) and path not in self._never:
                    look.folders.append(path)
            elif entry.is_symlink():
                self._link(path, look)
            elif entry.is_file(follow_symlinks=False) and (source := self._owner(path, look)) is not None:
                status = entry.stat(follow_symlinks=False) if _LISTING_TELLS else os.lstat(path)
                look.add(path, _stat(status), source, self._look_files_max)
        except FileNotFoundError:
            return  # gone between the listing and the look
        except OSError as error:
            look.findings.append(_unreadable(path, error, is_source=False))

    def _link(self, path: bytes, look: Look) -> None:
        source = self._owner(path, look)
        if source is None:
            return
        target = slashes(os.path.realpath(path))
        if self.source_of(target) is not None or not any(s.holds(target) for s in self.sources):
            return
        try:
            status = os.stat(target)
        except OSError as error:
            look.findings.append(Finding(path, f"link to {shown(os.fsdecode(target))}: {error.strerror}", ""))
            return
        stat = _stat(status)
        if stat_module.S_ISREG(status.st_mode) and self._links.get(path) != stat.mark:
            self._links[path] = stat.mark
            look.seen.append(Seen(path, stat, source))

    def stat(self, path: bytes) -> Stat | None:
        """What is at ``path`` now if it is a regular file (or a followed link to one), else None."""
        if path not in self._links:
            return lstat(path)
        try:
            status = os.stat(path)
        except OSError:
            return None
        return _stat(status) if stat_module.S_ISREG(status.st_mode) else None

    def inodes(self, folder: bytes) -> Iterator[tuple[bytes, int]]:
        """Path and inode number of every plain entry of a folder, whatever its name. Unreadable = nothing."""
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        yield _join(folder, entry.name), entry.inode()
        except OSError:
            return  # the walk has reported it


def lstat(path: bytes) -> Stat | None:
    """What is at ``path`` if it is a regular file, else None."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return _stat(status) if stat_module.S_ISREG(status.st_mode) else None


def _is_gone(path: bytes) -> bool:
    """Whether there is surely no regular file; what cannot be looked at just now may be there."""
    try:
        return not stat_module.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _stat(status: os.stat_result) -> Stat:
    return Stat(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + name if folder.endswith(b"/") else folder + b"/" + name


def _split(path: bytes) -> tuple[bytes, bytes]:
    folder, _, name = path.rpartition(b"/")
    return folder or b"/", name


def _unreadable(path: bytes, error: OSError, *, is_source: bool) -> Finding:
    kind = "source folder" if is_source else "entry"
    if isinstance(error, FileNotFoundError):
        return Finding(path, f"{kind} does not exist", "create it or correct [[sources]]; the other sources go on")
    if isinstance(error, PermissionError):
        return Finding(
            path, f"{kind} is not readable", "give the agent's user read permission; everything else goes on"
        )
    if isinstance(error, NotADirectoryError) and is_source:
        hint = "watch the folder it lies in, with the file's name in include; the other sources go on"
        return Finding(path, "this source is a file, not a folder", hint)
    return Finding(path, f"{kind}: {error.strerror}", "")
