"""From looking to deciding: puts what the scanner saw beside the registry, lets ``plan`` decide, records the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from logging import WARNING

from logferry.agent import identity
from logferry.agent.files import Handles, OpenFile, open_file
from logferry.agent.journal import Journal, text
from logferry.agent.plan import (
    Case,
    Compare,
    Decision,
    Gone,
    Move,
    New,
    NewGeneration,
    Same,
    Ship,
    Sight,
    changes,
    plan,
)
from logferry.agent.registry import Registry
from logferry.agent.roster import Roster
from logferry.agent.rows import Row, State
from logferry.agent.scan import Finding, Look, Scanner, Seen, lstat
from logferry.agent.slices import Task
from logferry.agent.sources import is_unlinked
from logferry.clock import Clock
from logferry.errors import BadName, Later, LogferryError, NotFound
from logferry.limits import FINDINGS_MAX, SCAN_CHUNK_FILES

_STEADY_TRIES = 8


class _Moving(Exception):
    """A path got another file while it was being judged."""


class Lookout:
    """Used by the runner's thread only. Rows that a worker is busy with are left for the next look."""

    def __init__(
        self,
        scanner: Scanner,
        registry: Registry,
        roster: Roster,
        handles: Handles,
        journal: Journal,
        clock: Clock,
        stamp: Callable[[], str],
    ) -> None:
        self.scanner = scanner
        self._registry = registry
        self._roster = roster
        self._handles = handles
        self._journal = journal
        self._clock = clock
        self._stamp = stamp
        self._fresh: dict[bytes, Sight] = {}
        self._doubtful: dict[bytes, Seen] = {}
        self._missing: dict[bytes, Row] = {}
        self._agreed: dict[tuple[bytes, int], bool] = {}
        self.deferred: set[bytes] = set()
        """Paths to look at again as soon as the workers are done with their rows."""
        self.held_gone: set[int] = set()
        """Rows whose file has no name of its own any more but is still open here."""
        self.findings: dict[bytes, Finding] = {}
        self.generations = 0
        self.moves = 0

    # Looking ----------------------------------------------------------------------------------------------------------

    def look_everywhere(self) -> None:
        """One look at all sources."""
        found: dict[bytes, Finding] = {}
        for look in self.scanner.walk():
            self._take(look, found)
        for path in self.findings.keys() - found.keys():
            self._journal.state(f"look {text(path)}", "")
        self.findings = found
        self._finish()

    def look_at(self, names: Iterable[tuple[bytes, Iterable[bytes]]]) -> None:
        """Look at some names of some folders; folders not known yet are walked."""
        for folder, some in names:
            source = self.scanner.source_at(folder)
            if source is not None:
                self._take(self.scanner.look_names(folder, source, some), self.findings, deeper=True)
        self._finish()

    def look_deferred(self) -> None:
        """Look again at what had to wait for a worker."""
        folders: dict[bytes, set[bytes]] = {}
        for path in self.deferred:
            folder, _, name = path.rpartition(b"/")
            folders.setdefault(folder or b"/", set()).add(name)
            self.scanner.note(path, 0)
        self.deferred = set()
        self._roster.held.clear()
        self.look_at(folders.items())

    def _take(self, look: Look, findings: dict[bytes, Finding], *, deeper: bool = False) -> None:
        for seen in look.seen:
            self._sight(seen, findings)
        for path in look.missing:
            row = self._registry.by_path(path)
            if row is None:
                self.scanner.forget(path)
            else:
                self._missing[path] = row
        for finding in look.findings:
            self._find(finding, findings)
        waiting = look.folders if deeper else []
        while waiting:
            below = self.scanner.look(waiting.pop(), look.source)
            waiting += below.folders
            self._take(below, findings)

    def _find(self, finding: Finding, findings: dict[bytes, Finding]) -> None:
        if len(findings) < FINDINGS_MAX:
            findings[finding.what] = finding
        thing = f"look {text(finding.what)}"
        self._journal.state(thing, finding.why, level=WARNING, path=finding.what, hint=finding.hint)

    def _sight(self, seen: Seen, findings: dict[bytes, Finding]) -> None:
        path, stat = seen.path, seen.stat
        own = self._registry.by_path(path)
        if own is not None and self._simply_grown(own, seen):
            self.scanner.note(path, stat.mark)
            self._roster.add(own, stat.size, linked=self.scanner.is_link(path), wait_s=seen.source.settle_s)
        elif own is not None or self._registry.by_inode(stat.inode):
            self._doubtful[path] = seen
        else:
            try:
                self._fresh[path] = self._sight_of(seen)
            except BadName as error:
                self.scanner.note(path, stat.mark)
                self._find(Finding(path, error.message, error.hint), findings)
                return
            if len(self._fresh) >= SCAN_CHUNK_FILES:
                self._begin_fresh()

    def _simply_grown(self, own: Row, seen: Seen) -> bool:
        """The everyday case: same file, more bytes. Its content is verified by the worker that opens it anyway."""
        if own.state not in (State.NEW, State.LIVE) or own.inode != seen.stat.inode:
            return False
        return seen.stat.size > own.offset or (own.state is State.NEW and not own.remote)

    # Deciding ---------------------------------------------------------------------------------------------------------

    def _begin_fresh(self) -> None:
        fresh, self._fresh = self._fresh, {}
        self._apply([New(sight) for sight in fresh.values()], {})

    def _finish(self) -> None:
        self._begin_fresh()
        doubtful, self._doubtful = self._doubtful, {}
        missing, self._missing = self._missing, {}
        if not doubtful and not missing:
            return
        if not self._steady(doubtful, missing):
            self.deferred.update(doubtful, missing)
            return
        cases = self._undisturbed([case for seen in doubtful.values() if (case := self._case(seen))], missing)
        lost = [row for row in missing.values() if row.state is not State.GONE]
        for path in missing:
            self.scanner.forget(path)
        self._agreed = {}
        try:
            decisions = plan(cases, lost, self._agrees)
        except _Moving:
            self.deferred.update(doubtful, missing)
            return
        owners = {case.sight.path: case.own for case in cases if case.own is not None}
        self._apply(decisions, owners)

    def _steady(self, doubtful: dict[bytes, Seen], missing: dict[bytes, Row]) -> bool:
        """Bring both to one moment in time, and find what left its path. False: things move too fast just now.

        A walk takes time, and a chain of renames in the middle of it would show one file twice or not at all. So all
        paths that matter are looked at again until two looks with a search in between agree.
        """
        for _ in range(_STEADY_TRIES):
            before = self._refresh(doubtful, missing)
            self._search(doubtful, missing)
            if self._refresh(doubtful, missing) == before:
                return True
        return False

    def _refresh(self, doubtful: dict[bytes, Seen], missing: dict[bytes, Row]) -> dict[bytes, int]:
        inodes: dict[bytes, int] = {}
        for path in [*doubtful, *missing]:
            stat = self.scanner.stat(path)
            seen, source = doubtful.pop(path, None), self.scanner.source_at(path)
            row = missing.pop(path, None)
            if stat is not None and source is not None:
                doubtful[path] = Seen(path, stat, seen.source if seen else source)
                inodes[path] = stat.inode
            elif (row := row or self._registry.by_path(path)) is not None:
                missing[path] = row
        return inodes

    def _search(self, doubtful: dict[bytes, Seen], missing: dict[bytes, Row]) -> None:
        """Find files that left their path, under names the patterns do not match: by handle, then by inode."""
        lost = {row.inode: row for row in missing.values() if row.path}
        for path, seen in doubtful.items():
            own = self._registry.by_path(path)
            if own is not None and own.inode != seen.stat.inode:
                lost[own.inode] = own
        for seen in doubtful.values():
            lost.pop(seen.stat.inode, None)
        for row in list(lost.values()):
            file = self._handles.get(row.id)
            name = file.name_now() if file is not None else None
            if name is not None and self._found(name, row, doubtful):
                lost.pop(row.inode, None)
        for folder in {row.path.rpartition(b"/")[0] or b"/" for row in lost.values()}:
            for path, inode in self.scanner.inodes(folder):
                if inode in lost and self._found(path, lost[inode], doubtful):
                    lost.pop(inode)

    def _found(self, path: bytes, row: Row, doubtful: dict[bytes, Seen]) -> bool:
        stat = lstat(path)
        source = self.scanner.source_at(path)
        if stat is None or stat.inode != row.inode or source is None or path == row.path:
            return False
        if is_unlinked(path.rpartition(b"/")[2]):
            return False
        doubtful[path] = Seen(path, stat, source)
        return True

    def _case(self, seen: Seen) -> Case | None:
        """The file with the rows that may be its own, or None if its path can stand in no archive."""
        own = self._registry.by_path(seen.path)
        others = [row for row in self._registry.by_inode(seen.stat.inode) if own is None or row.id != own.id]
        astray = tuple(row for row in others if self._left_home(row))
        try:
            return Case(self._sight_of(seen), own, astray)
        except BadName as error:
            self.scanner.note(seen.path, seen.stat.mark)
            self._find(Finding(seen.path, error.message, error.hint), self.findings)
            return None

    def _undisturbed(self, cases: list[Case], missing: dict[bytes, Row]) -> list[Case]:
        """Those cases that no worker is busy with; the others, and all that hang together with them, are put off.

        A chain of renames must be judged whole: with one link left out, its neighbour would look like a file whose
        old content is gone. Put-off rows get no new work, so that the next look finds them at rest.
        """
        blocked = set(self._roster.busy)
        while True:
            waiting = [case for case in cases if not blocked.isdisjoint(case.row_ids)]
            wider = blocked.union(*(case.row_ids for case in waiting))
            if wider == blocked:
                break
            blocked = wider
        for case in waiting:
            self.deferred.add(case.sight.path)
            self._roster.held.update(case.row_ids)
        for path in [path for path, row in missing.items() if row.id in blocked]:
            self.deferred.add(path)
            self._roster.held.add(missing.pop(path).id)
        return [case for case in cases if blocked.isdisjoint(case.row_ids)]

    @staticmethod
    def _left_home(row: Row) -> bool:
        if not row.path:
            return True
        there = lstat(row.path)
        return there is None or there.inode != row.inode

    def _sight_of(self, seen: Seen) -> Sight:
        return Sight(seen.path, seen.source.archive_path(seen.path), seen.stat)

    def _agrees(self, sight: Sight, row: Row) -> bool:
        key = (sight.path, row.id)
        if key not in self._agreed:
            self._agreed[key] = self._compare(sight, row)
        return self._agreed[key]

    def _compare(self, sight: Sight, row: Row) -> bool:
        try:
            file = open_file(sight.path, linked=self.scanner.is_link(sight.path))
        except NotFound as error:
            raise _Moving from error
        except LogferryError:
            # It cannot be read now. Take it for the same: the worker that opens it verifies again and says why not.
            return sight.stat.inode == row.inode
        try:
            if file.stat.inode != sight.stat.inode:
                raise _Moving
            used_again = (
                row.inode == file.stat.inode
                and row.inode_generation != file.inode_generation
                and 0 not in (row.inode_generation, file.inode_generation)
            )
            moved = sight.path != row.path
            return not (used_again and moved) and identity.agrees(file.read, row.print)
        except Later:
            return sight.stat.inode == row.inode
        finally:
            file.close()

    # Recording --------------------------------------------------------------------------------------------------------

    def disagreed(self, task: Task, file: OpenFile, why: str) -> int | None:
        """A worker found other content under a row's path: begin the next generation. Returns the new row's id."""
        row = task.row
        there = lstat(row.path) if row.path and not task.linked else None
        if task.linked and row.path:
            there = file.stat
        source = self.scanner.source_at(row.path) if row.path else None
        if there is None or there.inode != file.stat.inode or source is None:
            if row.path:
                self.deferred.add(row.path)
            return None
        sight = Sight(row.path, source.archive_path(row.path), file.stat, file.inode_generation)
        self._journal.event("content differs", path=row.path, why=why, offset=row.offset, size=file.stat.size)
        made = self._apply([NewGeneration(row, sight)], {})
        return made[0].id if made else None

    def _apply(self, decisions: list[Decision], owners: dict[bytes, Row]) -> list[Row]:
        if not decisions:
            return []
        made = changes(decisions, owners, self._stamp)
        inserted = [
            Row(self._registry.new_id(), s.path, s.archive, "", State.NEW, s.stat.inode, s.inode_generation)
            for s in made.insert
        ]
        updated = made.update
        if not self._registry.apply(
            [*updated, *inserted], remove=[r.id for r in made.remove], now_ns=self._clock.now_ns()
        ):
            why = str(self._registry.behind)
            self._journal.state("registry", "behind", level=WARNING, why=why)
        self.moves += made.moved
        self.generations += made.generations
        for row in made.remove:
            self._roster.forget(row.id)
            self._handles.close(row.id)
        for row in updated:
            self._roster.update(row)
            self._after_update(row)
        by_path = {row.path: row for row in [*updated, *inserted]}
        for decision in decisions:
            self._enlist(decision, by_path)
        return inserted

    def _after_update(self, row: Row) -> None:
        if row.state is State.GONE:
            self._journal.event("source file is gone", path=row.path, kept=row.want, bytes=row.offset)
        if row.state in (State.GONE, State.ENDED):
            self.watch_held(row)

    def watch_held(self, row: Row) -> None:
        """Send what an open handle still has of a file without a path; see ``held_gone``."""
        file = self._handles.get(row.id)
        if file is None:
            self._roster.drop(row.id)
            return
        self.held_gone.add(row.id)
        thing = f"open file {text(row.want)}"
        try:
            size = file.refresh().size
        except Later as error:  # as after a network mount went away; the file is kept open as long as any other
            self._journal.state(thing, "failing", level=WARNING, why=str(error))
            return
        self._journal.state(thing, "")
        if size > row.offset:
            self._roster.add(row, size)
        elif row.id not in self._roster.busy:
            self._roster.drop(row.id)

    def _unskip(self, row: Row) -> Row:
        """A compressed copy that was not sent is to be: the settings have changed."""
        row = dataclasses.replace(row, state=State.NEW)
        self._registry.apply([row], now_ns=self._clock.now_ns())
        return row

    def _enlist(self, decision: Decision, by_path: dict[bytes, Row]) -> None:
        if isinstance(decision, Gone):
            return
        sight = decision.sight
        row = by_path.get(sight.path)
        if row is None:
            assert not isinstance(decision, New | NewGeneration)
            row = decision.row
        source = self.scanner.source_at(sight.path)
        linked = self.scanner.is_link(sight.path)
        self.scanner.note(sight.path, sight.stat.mark)
        match decision:
            case Same():
                if row.state is State.SKIPPED and (source is None or not source.may_skip(sight.path)):
                    row = self._unskip(row)
                if row.state is State.NEW:  # everything is there, but not under its name yet
                    self._roster.add(row, sight.stat.size, linked=linked)
                else:
                    self._roster.drop(row.id)
            case Compare():
                self._roster.compare(row, sight.stat.size, linked=linked, if_unknown_same=decision.if_unknown_same)
            case Ship() | New() | NewGeneration():
                self._roster.add(row, sight.stat.size, linked=linked, wait_s=source.settle_s if source else 0.0)
            case Move():
                self._journal.event("renamed", path=sight.path, was=decision.row.path, archive=row.want)
                self.held_gone.discard(row.id)
                if row.state is not State.SKIPPED and (sight.stat.size > row.offset or row.state is State.NEW):
                    self._roster.add(row, sight.stat.size, linked=linked)
        if isinstance(decision, NewGeneration):
            self._journal.event(
                "new generation", path=sight.path, kept=decision.row.want, old_bytes=decision.row.offset
            )
