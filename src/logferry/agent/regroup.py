"""Other sources while the agent runs: files that are no longer wanted are left alone, places in the archive follow.

Nothing is sent twice and nothing is lost by it: a file that is left out keeps its row, so that it goes on where it was
when it is wanted again; one whose source got another ``to`` is renamed on the server, like after a rename on the node.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from logging import WARNING
from pathlib import Path

from logferry.agent.config import SourceSettings
from logferry.agent.files import Handles
from logferry.agent.identity import UNSEEN
from logferry.agent.journal import Journal
from logferry.agent.lookout import Lookout
from logferry.agent.registry import Registry
from logferry.agent.roster import Roster
from logferry.agent.rows import Row, State
from logferry.agent.sources import Source, Sources
from logferry.clock import Clock
from logferry.errors import BadName, LogferryError
from logferry.limits import SCAN_CHUNK_FILES
from logferry.settings import build

FILE_NAME = "sources.json"
_AGAIN_S = 0.2
"""Pause after a turn in which nothing could be done."""
_TRIES_MAX = 300
"""How often a file waits for another one to leave its place: a minute, then it stays where it is."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a known file under other sources: ``place`` is its new archive path, None: it is left out."""

    path: bytes
    was: str
    place: str | None


def fates(known: Iterator[bytes], old: Sequence[Source], new: Sequence[Source]) -> Iterator[Fate]:
    """The files for which it makes a difference. Pure.

    A file that no pattern wanted is known because it had a wanted name before it was renamed: it stays as long as it
    lies in a source.
    """
    old_sources, new_sources = Sources(old), Sources(new)
    for path in known:
        before, after = old_sources.at(path), new_sources.at(path)
        if before == after and before is not None and _alike(path, old, new):
            continue
        was = _place(path, before)
        wanted_no_more = old_sources.of(path) is not None and new_sources.of(path) is None
        place = None if after is None or wanted_no_more else _place(path, after)
        if place != was or place is None:
            yield Fate(path, was or "", place)


def _alike(path: bytes, old: Sequence[Source], new: Sequence[Source]) -> bool:
    return [s for s in old if s.holds(path)] == [s for s in new if s.holds(path)]


def _place(path: bytes, source: Source | None) -> str | None:
    if source is None:
        return None
    try:
        return source.archive_path(path)
    except BadName:
        return None


class Regroup:
    """Used by the runner's thread only. Files that a worker is busy with wait until it is done with them."""

    def __init__(
        self,
        lookout: Lookout,
        registry: Registry,
        roster: Roster,
        handles: Handles,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._lookout = lookout
        self._scanner = lookout.scanner
        self._registry = registry
        self._roster = roster
        self._handles = handles
        self._journal = journal
        self._clock = clock
        self._waiting: dict[bytes, Fate] = {}
        self._tries: dict[bytes, int] = {}
        self._due_s = -math.inf

    @property
    def waiting(self) -> bool:
        """Whether some files wait for a worker."""
        return bool(self._waiting)

    def change(self, old: Sequence[Source], new: Sequence[Source], never: Sequence[bytes]) -> None:
        """From now on look at ``new``."""
        self._scanner.change(new, never=never)
        old_sources, new_sources = Sources(old), Sources(new)
        for path in self._scanner.paths():
            before, after = old_sources.at(path), new_sources.at(path)
            if before is not None and after is not None and before.may_skip(path) != after.may_skip(path):
                self._scanner.note(path, 0)  # whether a compressed copy is sent is decided anew
        decided = {fate.path: fate for fate in fates(self._scanner.paths(), old, new)}
        for path in self._waiting.keys() - decided.keys():  # decided under the sources before, not carried out yet
            self._waiting.pop(path)
        self._waiting |= decided
        self._tries.clear()
        self._due_s = -math.inf
        self.tend()

    def tend(self) -> None:
        """Do what can be done now, a part of it at a time: other files go on meanwhile."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        changed: list[Row] = []
        removed: list[int] = []
        left_out = moved = 0
        turn = [self._waiting[path] for path in itertools.islice(self._waiting, SCAN_CHUNK_FILES)]
        for fate in turn:
            del self._waiting[fate.path]
            row = self._registry.by_path(fate.path)
            if row is not None and row.id in self._roster.busy:
                self._roster.held.add(row.id)
                self._waiting[fate.path] = fate  # behind the others
                continue
            if row is not None:
                self._roster.held.discard(row.id)
            if fate.place is None:
                left_out += 1
                self._leave_out(fate.path, row, changed, removed)
            elif row is None or row.want != fate.was or row.want == fate.place:
                continue
            elif taken := [other for other in self._registry.by_place(fate.place) if other.id != row.id]:
                self._put_off(fate, taken)
            else:
                moved += 1
                self._tries.pop(fate.path, None)
                self._scanner.note(fate.path, 0)
                changed.append(dataclasses.replace(row, want=fate.place))
                self._roster.update(changed[-1])
        self._record(changed, removed)
        if left_out or moved:
            self._journal.event("sources changed", left_out=left_out, moved=moved, waiting=len(self._waiting))
            self._due_s = -math.inf
        else:
            self._due_s = now_s + _AGAIN_S

    def _put_off(self, fate: Fate, taken: list[Row]) -> None:
        """Another file has that place. If it is about to leave, this one waits for it; in a ring, both stay."""
        leaving = any(other.misplaced or (other.path in self._waiting and other.path != fate.path) for other in taken)
        self._tries[fate.path] = self._tries.get(fate.path, 0) + 1
        if leaving and self._tries[fate.path] < _TRIES_MAX:
            self._waiting[fate.path] = fate
            return
        self._tries.pop(fate.path)
        self._journal.event("stays where it is", level=WARNING, path=fate.path, taken=fate.place or "")

    def _leave_out(self, path: bytes, row: Row | None, changed: list[Row], removed: list[int]) -> None:
        self._scanner.forget(path)
        self._lookout.deferred.discard(path)
        if row is None:
            return
        self._roster.drop(row.id)
        self._handles.close(row.id)
        if row.state is State.GONE:
            return
        if row.remote or row.going:
            changed.append(dataclasses.replace(row, state=State.GONE, seen=UNSEEN))
            self._roster.update(changed[-1])
        else:
            removed.append(row.id)
            self._roster.forget(row.id)

    def _record(self, changed: list[Row], removed: list[int]) -> None:
        if not self._registry.apply(changed, remove=removed, now_ns=self._clock.now_ns()):
            self._journal.state("registry", "behind", level=WARNING, why=str(self._registry.behind))


# What was wanted at the last run ------------------------------------------------------------------------------------


def remembered(state_dir: Path) -> list[Source] | None:
    """The sources of the last run, None if they are not known: then files go on as they are."""
    try:
        values = json.loads((state_dir / FILE_NAME).read_bytes())
        return [Source.of(build(SourceSettings, each, FILE_NAME)) for each in values]
    except (OSError, ValueError, TypeError, AttributeError, LogferryError):
        return None


def remember(state_dir: Path, sources: Sequence[SourceSettings]) -> None:
    """Keep the sources for the next start. Raises OSError."""
    fresh = state_dir / (FILE_NAME + ".new")
    fresh.write_text(json.dumps([dataclasses.asdict(s) for s in sources]), encoding="utf-8")
    os.replace(fresh, state_dir / FILE_NAME)
