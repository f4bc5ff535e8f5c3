"""From looking to deciding: puts what the scanner saw beside the registry, lets ``plan`` decide, records the result."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
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
    ended_unsent,
    plan,
)
from logferry.agent.putoff import PutOff
from logferry.agent.registry import Registry
from logferry.agent.roster import Roster
from logferry.agent.rows import Row, State
from logferry.agent.scan import Finding, Look, Scanner, Seen, lstat
from logferry.agent.slices import Task
from logferry.agent.sources import is_unlinked
from logferry.agent.unjudged import Unjudged
from logferry.clock import Clock
from logferry.errors import BadName, Later, LogferryError, NotFound
from logferry.limits import FINDINGS_MAX, JUDGED_FILES_MAX, LOOK_SLICE_S, SCAN_CHUNK_FILES

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
        self._welcome: set[bytes] = set()
        """Paths that the patterns do not match, of files that were first seen under a name they match."""
        self._agreed: dict[tuple[bytes, int], bool] = {}
        self.deferred: set[bytes] = set()
        """Paths to look at again as soon as the workers are done with their rows."""
        self.unjudged = Unjudged(clock.monotonic_s)
        self.hold_open: Callable[[], bool] = lambda: False
        """Whether files had better be opened as soon as they are seen: the server is away or renames go on, and till
        that is over they may be deleted."""
        self.findings: dict[bytes, Finding] = {}
        self.put_off = PutOff()
        """What waits outside while the roster is full."""
        self.generations = 0
        self.moves = 0
        self.differences = 0

    # Looking ----------------------------------------------------------------------------------------------------------

    def look_everywhere(self, breathe: Callable[[], bool] = lambda: True) -> None:
        """One look at all sources.

        A long one is interrupted for ``breathe``, which may do anything here but look everywhere; False: no further.
        """
        found: dict[bytes, Finding] = {}
        self.put_off.clear()
        due_s = self._clock.monotonic_s() + LOOK_SLICE_S
        for look in self.scanner.walk():
            self._take(look, found)
            if self._clock.monotonic_s() >= due_s:
                self._finish()
                if not breathe():
                    return
                due_s = self._clock.monotonic_s() + LOOK_SLICE_S
        for path in self.findings.keys() - found.keys():
            self._journal.state(f"look {text(path)}", "")
        self.findings = found
        self._finish()

    def look_at(
        self, names: Iterable[tuple[bytes, Iterable[bytes]]], renamed: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Look at some names of some folders; folders not known yet are walked.

        ``renamed``: for files known to have been renamed, where they are now and where they were.
        """
        for folder, some in names:
            if self.scanner.source_at(folder) is not None:
                self._take(self.scanner.look_names(folder, some), self.findings, deeper=True)
        for now, was in (renamed or {}).items():
            self._follow(was, now)
        self._finish()

    def look_in(self, folders: Iterable[bytes]) -> None:
        """List these folders; those below that are not known yet are walked, the others are left alone."""
        for folder in folders:
            if self.scanner.source_at(folder) is None:
                continue
            look = self.scanner.look(folder)
            if not look.listed and not os.path.lexists(folder):
                look.missing += self.scanner.vanished(folder)
            look.folders = [below for below in look.folders if below not in self.scanner.known]
            self._take(look, self.findings, deeper=True)
        self._finish()

    def look_put_off(self) -> None:
        """Look again where files were left out, as far as the roster has room."""
        for _ in range(len(self.put_off)):
            folder = self.put_off.next_folder() if not self._roster.crowded else None
            if folder is None:
                break
            if self.scanner.source_at(folder) is not None:
                self._take(self.scanner.look(folder), self.findings)
                self._begin_fresh()
        self._finish()

    def forget_gone(self, before_ns: int) -> int:
        """Forget files that have been gone since before ``before_ns`` (nanoseconds since 1970); returns how many."""
        count = self._registry.forget(
            gone_before_ns=before_ns, is_gone=lambda path: not os.path.lexists(path), now_ns=self._clock.now_ns()
        )
        if count:
            self._journal.event("forgotten", files=count, why="gone from the node for long")
        return count

    def _follow(self, was: bytes, now: bytes) -> None:
        """A file was renamed, perhaps to a name that no pattern matches: if it is, or was to be, ours, it stays so."""
        stat, source = lstat(now), self.scanner.source_at(now)
        if stat is None or source is None or now in self._doubtful or now in self._fresh:
            return
        if self.scanner.wants(was) and not self.scanner.wants(now):
            self._welcome.add(now)
        elif not self._registry.by_inode(stat.inode):
            return
        if self.scanner.mark(now) != stat.mark:
            self._doubtful[now] = Seen(now, stat, source)

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
        if look.left_out:
            self.put_off.add(look.folder, look.left_out, look.left_out_bytes)
        waiting = look.folders if deeper else []
        while waiting:
            below = self.scanner.look(waiting.pop())
            waiting += below.folders
            self._take(below, findings)

    def _find(self, finding: Finding, findings: dict[bytes, Finding]) -> None:
        if len(findings) >= FINDINGS_MAX and finding.what not in findings:
            return  # what is not kept could never be taken back
        findings[finding.what] = finding
        thing = f"look {text(finding.what)}"
        self._journal.state(thing, finding.why, level=WARNING, path=finding.what, hint=finding.hint)

    def _sight(self, seen: Seen, findings: dict[bytes, Finding]) -> None:
        path, stat = seen.path, seen.stat
        if self._roster.crowded and self.scanner.mark(path) is None:
            self._leave_out(seen, 0)  # nor is the registry asked; it may be one of a million
            return
        own = self._registry.by_path(path)
        if own is not None and self._simply_grown(own, seen):
            if self._roster.full and own.id not in self._roster.works:
                self._leave_out(seen, own.offset)
                return
            self.scanner.note(path, stat.mark)
            linked = self.scanner.is_link(path)
            self._roster.add(own, stat.size, linked=linked, wait_s=seen.source.settle_s)
            self._hold(own, path, linked=linked)
        elif own is not None or self._registry.by_inode(stat.inode):
            self._doubtful[path] = seen
            if len(self._doubtful) >= JUDGED_FILES_MAX:
                self._judge()
        else:
            try:
                self._fresh[path] = self._sight_of(seen)
            except BadName as error:
                self.scanner.note(path, stat.mark)
                self._find(Finding(path, error.message, error.hint), findings)
                return
            if len(self._fresh) >= SCAN_CHUNK_FILES:
                self._begin_fresh()

    def _leave_out(self, seen: Seen, offset: int) -> None:
        """Not noted, so the next look at its folder finds it again."""
        if self.scanner.is_link(seen.path):  # the scanner noted it when it followed the link
            self.scanner.note(seen.path, 0)
        self.put_off.add(seen.path.rpartition(b"/")[0] or b"/", 1, seen.stat.size - offset)

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
        self._judge()
        self._welcome.clear()

    def _judge(self) -> None:
        """Decide about what differs in more than size. Of very many files at once, a part at a time."""
        doubtful, self._doubtful = self._doubtful, {}
        missing, self._missing = self._missing, {}
        self._save_deleted()
        if not doubtful and not missing:
            return
        if not self._steady(doubtful, missing):
            self._put_off(case for seen in doubtful.values() if (case := self._case(seen)))
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
            self._put_off(cases)
            self.deferred.update(doubtful, missing)
            return
        owners = {case.sight.path: case.own for case in cases if case.own is not None}
        counting = [decision for decision in decisions if self._counts(decision)]
        self._apply(counting, owners)
        for case in cases:
            self.unjudged.decided(case.sight.stat.inode)

    def _put_off(self, cases: Iterable[Case]) -> None:
        """What is new among these has to wait for the next look, and may be deleted by then: it is opened."""
        for case in cases:
            path, source = case.sight.path, self.scanner.source_at(case.sight.path)
            linked = self.scanner.is_link(path)
            if source is not None and (path in self._welcome or linked or self.scanner.wants(path)):
                rows = [row for row in (case.own, *case.astray) if row is not None]
                self.unjudged.hold(Seen(path, case.sight.stat, source), rows, linked=linked)

    def _save_deleted(self) -> None:
        """Files that were deleted before anything could be decided about them: what they hold is sent as a generation
        of the name under which they were seen."""
        for seen, file in self.unjudged.deleted():
            try:
                archive = seen.source.archive_path(seen.path)
            except BadName:  # the look says so
                file.close()
                continue
            self._save_open(archive, file, in_doubt=False)

    def _save_open(self, archive: str, file: OpenFile, *, in_doubt: bool) -> None:
        """Send all of an open file that has no path and no row any more, as a generation of ``archive``.

        ``in_doubt``: its row had nothing confirmed, but an upload may have got through whose end nobody heard.
        """
        row = ended_unsent(
            Row(self._registry.new_id(), b"", archive, "", State.ENDED, file.stat.inode, file.inode_generation),
            self._stamp(),
            in_doubt=in_doubt,
        )
        self._registry.apply([row], now_ns=self._clock.now_ns())
        if not self._handles.make_room():
            self._registry.apply(remove=[row.id], now_ns=self._clock.now_ns())
            self._handles.dropped(file.stat.size)
            why = "deleted, and too many files are open"
            self._journal.event("unsent bytes were dropped", level=WARNING, path=archive, bytes=file.stat.size, why=why)
            file.close()
            return
        self._handles.keep(row.id, file, self._clock.monotonic_s())
        self._roster.update(row)
        self.watch_held(row)

    def save_or_close(self, row: Row, file: OpenFile) -> None:
        """What only an open file still has of the path of ``row`` is sent as a generation; any other is closed."""
        try:
            size = file.refresh().size
        except Later:
            size = 0
        if size and file.deleted and row.path:
            self._save_open(row.want, file, in_doubt=False)
            return
        if size and file.deleted:
            self._handles.dropped(size)
            why = "neither the node nor the server has what was begun"
            self._journal.event("unsent bytes were dropped", level=WARNING, path=row.want, bytes=size, why=why)
        file.close()

    def _counts(self, decision: Decision) -> bool:
        return not self._still_open(decision.row) if isinstance(decision, Gone) else self._is_ours(decision)

    def _still_open(self, row: Row) -> bool:
        """A file of which nothing was sent yet was deleted, but is open here: it is sent as if it were there."""
        file = self._handles.get(row.id)
        if not row.untouched or file is None or file.refresh().size == 0:
            return False
        self._handles.nameless.setdefault(row.id, self._clock.monotonic_s())
        self._roster.add(row, file.stat.size)
        return True

    def _is_ours(self, decision: Decision) -> bool:
        """Not a file that was only looked at because it has the inode number of one that is gone."""
        if not isinstance(decision, New):
            return True
        path = decision.sight.path
        return path in self._welcome or self.scanner.is_link(path) or self.scanner.wants(path)

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
        self._put_off(waiting)
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
        if row.seen == sight.stat:  # not even its change time differs: the folder it lies in was renamed
            return True
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
        self.differences += 1
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
            self._let_go(row)
        for row in updated:
            self._roster.update(row)
            self._after_update(row)
        by_path = {row.path: row for row in [*updated, *inserted]}
        for decision in decisions:
            self._enlist(decision, by_path)
        return inserted

    def _let_go(self, row: Row) -> None:
        """Nothing of this row is on the server, and its path has another file or none. An open one is sent anyway."""
        self._say_lost(row)
        self._roster.forget(row.id)
        file = self._handles.take(row.id)
        self._handles.nameless.pop(row.id, None)
        if file is None:
            return
        try:
            size = file.refresh().size
        except Later:
            size = 0
        if size and file.deleted and row.state is State.NEW and not row.going:
            self._save_open(row.want, file, in_doubt=True)
        else:
            file.close()

    def _after_update(self, row: Row) -> None:
        if row.state is State.GONE:
            self._journal.event("source file is gone", path=row.path, kept=row.want, bytes=row.offset)
        if row.state in (State.GONE, State.ENDED):
            self.watch_held(row)

    def watch_held(self, row: Row) -> None:
        """Send what an open handle still has of a file without a path."""
        file = self._handles.get(row.id)
        if file is None:
            self._say_lost(row)
            self._roster.drop(row.id)
            return
        if self._sent_elsewhere(row, file):
            self._handles.nameless.pop(row.id, None)
            self._roster.drop(row.id)
            return
        self._handles.nameless.setdefault(row.id, self._clock.monotonic_s())
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

    def _sent_elsewhere(self, row: Row, file: OpenFile) -> bool:
        """Whether the open file has a name of its own by now, under which another row sends it from the beginning.

        So it is with an empty file that was filled and renamed at once: nothing tells that it is the same.
        """
        others = [other for other in self._registry.by_inode(file.stat.inode) if other.id != row.id and other.path]
        return any((there := lstat(other.path)) is not None and there.inode == file.stat.inode for other in others)

    def _unskip(self, row: Row) -> Row:
        """A compressed copy that was not sent is to be: the settings have changed."""
        row = dataclasses.replace(row, state=State.NEW)
        self._registry.apply([row], now_ns=self._clock.now_ns())
        return row

    def _say_lost(self, row: Row) -> None:
        """What was known to be unsent of a file that is gone, and that nobody has open, cannot be sent any more."""
        work = self._roster.works.get(row.id)
        if work is None or work.lag == 0 or self._handles.get(row.id) is not None:
            return
        self._handles.dropped(work.lag)
        self._journal.event("gone with unsent bytes", level=WARNING, path=row.path or row.want, bytes=work.lag)

    def hold_waiting(self) -> None:
        """Open what was seen while there was no reason yet to hold it open, as far as there is room."""
        for work in list(self._roster.works.values()):
            if len(self._handles) >= self._handles.limit:
                break
            if work.row.path:
                self._hold(work.row, work.row.path, linked=work.linked)

    def _hold(self, row: Row, path: bytes, *, linked: bool) -> None:
        """Open a file that cannot be sent just now, before it is deleted; see ``hold_open``."""
        if not self.hold_open() or row.id in self._roster.busy or self._handles.get(row.id) is not None:
            return
        if not self._handles.make_room():
            return
        try:
            file = open_file(path, linked=linked)
        except LogferryError:
            return  # whoever sends it says why
        if file.stat.inode == row.inode:
            self._handles.keep(row.id, file, self._clock.monotonic_s())
        else:
            file.close()

    def _let_go_of_another(self, row: Row, sight: Sight) -> None:
        """A row of which nothing was sent has got another file: what the one before it held is lost."""
        file = self._handles.get(row.id)
        if not row.untouched or file is None or file.stat.inode == sight.stat.inode:
            return
        self._handles.nameless.pop(row.id, None)
        self._handles.take(row.id)
        try:
            size = file.refresh().size
        except Later:
            size = 0
        if size and file.deleted:  # else it has another name, under which it is found
            self._save_open(row.want, file, in_doubt=True)
        else:
            file.close()

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
        self._let_go_of_another(row, sight)
        if isinstance(decision, New | NewGeneration) and (file := self.unjudged.take(sight.stat.inode)) is not None:
            if self._handles.make_room():
                self._handles.keep(row.id, file, self._clock.monotonic_s())
            else:
                file.close()
        if not isinstance(decision, Same):
            self._hold(row, sight.path, linked=linked)
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
                self._handles.nameless.pop(row.id, None)
                if row.state is not State.SKIPPED and (sight.stat.size > row.offset or row.state is State.NEW):
                    self._roster.add(row, sight.stat.size, linked=linked)
        if isinstance(decision, NewGeneration):
            self._journal.event(
                "new generation", path=sight.path, kept=decision.row.want, old_bytes=decision.row.offset
            )
