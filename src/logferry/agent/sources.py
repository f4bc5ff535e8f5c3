"""A source: which names below a folder are sent, and what they are called in the archive. Pure."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from logferry.agent.config import SourceSettings
from logferry.agent.patterns import Patterns
from logferry.compressed import form_by_name
from logferry.errors import BadName
from logferry.limits import NAME_BYTES_MAX
from logferry.names import checked_component, checked_path, escape

_LONG_MARK = ".~long-"
_DIGEST_CHARS = 16
_CUT = re.compile(rf"{re.escape(_LONG_MARK)}[0-9a-f]{{{_DIGEST_CHARS}}}\Z")
_OWN_MARK = re.compile(r"\.~(?=(?:lf|up|gen|late|long)-)")
_BUNDLES = ".bundles"
_UNLINKED = re.compile(rb"\.nfs[0-9a-f]{24}")


def slashes(path: bytes) -> bytes:
    """``path`` with the slashes that are used inside the agent; Windows understands them, too."""
    return path.replace(b"\\", b"/") if os.sep == "\\" else path


def is_unlinked(name: bytes) -> bool:
    """Whether ``name`` is what an NFS client calls a file that was deleted while somebody had it open."""
    return _UNLINKED.fullmatch(name) is not None


def archive_component(raw: bytes) -> str:
    """The archive name of one raw component; ``names.unescape`` leads back to ``raw``.

    Names that would mean something on the way (a temporary name, an aside name, the folder of bundles) are escaped too.
    One that gets too long by escaping is cut and marked with a hash; only the registry has the raw name of such a file.

    Raises:
        BadName: ``raw`` can be no file name.
    """
    try:
        return checked_component(_plain(escape(raw)))
    except BadName:
        if len(raw) > NAME_BYTES_MAX or not raw or raw in (b".", b"..") or b"/" in raw or b"\x00" in raw:
            raise
    keep = NAME_BYTES_MAX - len(_LONG_MARK) - _DIGEST_CHARS
    end = len(raw)
    while end and len(_escaped(raw[:end])) > keep:
        end -= 1
    digest = hashlib.blake2b(raw, digest_size=_DIGEST_CHARS // 2).hexdigest()
    return f"{_escaped(raw[:end]).decode()}{_LONG_MARK}{digest}"


def _plain(name: str) -> str:
    """``name`` so written that nobody takes it for one of our own."""
    return "%2E" + name[1:] if name == _BUNDLES else _OWN_MARK.sub(".%7E", name)


def is_cut(name: str) -> bool:
    """Whether an archive name is one that ``archive_component`` cut: then the raw name is in the registry alone."""
    return _CUT.search(name) is not None


def _escaped(raw: bytes) -> bytes:
    """``raw`` escaped without the length limit; each byte that is not plain ASCII by its own code."""
    return b"".join(bytes([b]) if 0x20 <= b < 0x7F and b != 0x25 else b"%%%02X" % b for b in raw)


@dataclass(frozen=True, slots=True)
class Source:
    """One watched folder (raw absolute path, no slash at the end) with its patterns."""

    root: bytes
    home: str
    include: Patterns
    exclude: Patterns
    settle_s: float
    """0 = mode grow; else how long a file must be unchanged before it is sent."""
    skips_copies: bool = False
    """Whether a compressed copy of what the server holds is not sent."""
    priority: int = 0

    @classmethod
    def of(cls, settings: SourceSettings) -> Source:
        """The source that ``settings`` describe."""
        return cls(
            root=slashes(os.fsencode(settings.path)).rstrip(b"/") or b"/",
            home=settings.home,
            include=Patterns.of(settings.include),
            exclude=Patterns.of(settings.exclude),
            settle_s=settings.settle if settings.mode == "complete" else 0.0,
            skips_copies=settings.compressed == "skip-copies",
            priority=settings.priority,
        )

    def holds(self, path: bytes) -> bool:
        """Whether ``path`` is the folder of this source or below it."""
        return path == self.root or path.startswith(self.root.rstrip(b"/") + b"/")

    def relative(self, path: bytes) -> bytes:
        """``path`` (below the folder) relative to it."""
        return path[len(self.root.rstrip(b"/")) + 1 :]

    def wants(self, path: bytes) -> bool:
        """Whether a file at ``path`` (below the folder) is to be sent."""
        relative = self.relative(path)
        name = relative.rpartition(b"/")[2]
        return self.include.match(relative, name) and not (self.exclude.match(relative, name) or is_unlinked(name))

    def may_skip(self, path: bytes) -> bool:
        """Whether a file at ``path`` is not sent if it turns out to be a compressed copy."""
        return self.skips_copies and form_by_name(path.rpartition(b"/")[2].decode("latin-1")) != ""

    def enters(self, folder: bytes) -> bool:
        """Whether the folder at ``folder`` (below the root) is looked into."""
        relative = self.relative(folder)
        return not self.exclude.match(relative, relative.rpartition(b"/")[2])

    def reaches(self, folder: bytes) -> bool:
        """Whether ``folder`` (this source's or below it) is looked into: neither it nor one above it is excluded."""
        relative = self.relative(folder) if folder != self.root else b""
        while relative:
            above, _, name = relative.rpartition(b"/")
            if self.exclude.match(relative, name):
                return False
            relative = above
        return True

    def archive_path(self, path: bytes) -> str:
        """Where the file at ``path`` belongs in the archive, below the agent's home.

        Raises:
            BadName: the path is too long or too deep for an archive.
        """
        folder, _, name = self.relative(path).rpartition(b"/")
        above = _archive_folder(self.home, folder)
        return checked_path(f"{above}/{archive_component(name)}" if above else archive_component(name))


class Sources:
    """All sources of an agent. They may lie inside each other, or be the same folder with other patterns: each file
    belongs to the first one that reaches its folder and wants it."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self.all = tuple(sources)

    def reaching(self, folder: bytes) -> tuple[Source, ...]:
        """Those that look into ``folder``: it lies in them, and no folder on the way is excluded."""
        return tuple(s for s in self.all if s.holds(folder) and s.reaches(folder))

    def of(self, path: bytes) -> Source | None:
        """The source that sends a file at ``path``, None if none wants it."""
        folder = path.rpartition(b"/")[0] or b"/"
        return next(
            (s for s in self.all if s.holds(path) and path != s.root and s.wants(path) and s.reaches(folder)), None
        )

    def at(self, path: bytes) -> Source | None:
        """The source that ``path`` belongs to, wanted or not, since renames are followed out of the patterns: the one
        that wants it, else the innermost that looks there, else the innermost that it lies in."""
        held = [s for s in self.all if s.holds(path)]
        if len(held) < 2:
            return held[0] if held else None
        folder = path.rpartition(b"/")[0] or b"/"
        reaching = [s for s in held if path == s.root or s.reaches(folder)]
        wanting = next((s for s in reaching if path != s.root and s.wants(path)), None)
        return wanting or max(reaching or held, key=lambda s: len(s.root))


class Priorities:
    """The priority of a file by its path: that of the source that it belongs to."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self._sources = Sources(sources)
        self._all_alike = all(source.priority == 0 for source in self._sources.all)

    def of(self, path: bytes) -> int:
        """0 for a file that no source holds, or that has no path any more."""
        if self._all_alike:
            return 0
        source = self._sources.at(path)
        return source.priority if source is not None else 0


@functools.lru_cache(maxsize=1024)
def _archive_folder(home: str, relative: bytes) -> str:
    """The archive path of a folder below a source: the same for all its files."""
    parts = [archive_component(part) for part in relative.split(b"/") if part]
    return "/".join([home, *parts] if home else parts)
