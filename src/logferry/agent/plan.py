"""What to do about what was seen. Pure: sights and rows in, decisions out.

``decide`` is the one place where a file's identity is judged, for one file. ``plan`` puts the files of one look
together, so that a rename is not taken for a deletion and a new file. ``changes`` turns decisions into rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from logferry.agent.identity import UNSEEN, Stat
from logferry.agent.rows import Row, State
from logferry.names import aside_name, is_temporary, split


@dataclass(frozen=True, slots=True)
class Sight:
    """A regular file that a look found at ``path`` (raw) and whose place in the archive is ``archive``."""

    path: bytes
    archive: str
    stat: Stat
    inode_generation: int = 0


@dataclass(frozen=True, slots=True)
class Ship:
    """The file of ``row`` has bytes beyond the offset: send them."""

    row: Row
    sight: Sight


@dataclass(frozen=True, slots=True)
class Same:
    """Nothing to send: the file holds what ``row`` says."""

    row: Row
    sight: Sight


@dataclass(frozen=True, slots=True)
class Compare:
    """Rewritten with the same size, head and tail: only comparing all bytes with the server's can tell.

    Where the server cannot compare, the file counts as the same if ``if_unknown_same``, else as a new generation.
    """

    row: Row
    sight: Sight
    if_unknown_same: bool


@dataclass(frozen=True, slots=True)
class Move:
    """The generation of ``row`` has got the path of ``sight``: the archived bytes follow, then what has grown."""

    row: Row
    sight: Sight


@dataclass(frozen=True, slots=True)
class NewGeneration:
    """The path of ``row`` holds other content now: its bytes move aside, then the file is sent from 0."""

    row: Row
    sight: Sight


@dataclass(frozen=True, slots=True)
class New:
    """A file never seen before: send it from 0."""

    sight: Sight


@dataclass(frozen=True, slots=True)
class Gone:
    """The file of ``row`` is nowhere to be found. The archive keeps its copy."""

    row: Row


Decision = Ship | Same | Compare | Move | NewGeneration | New | Gone
Agrees = Callable[[Sight, Row], bool]
"""Whether the file at the sight begins with the bytes the row's fingerprint was taken of."""


def same_inode(row: Row, sight: Sight) -> bool:
    """Whether inode and, where both are known, the file system's reuse counter are the row's."""
    if row.inode != sight.stat.inode:
        return False
    return row.inode_generation == sight.inode_generation or 0 in (row.inode_generation, sight.inode_generation)


def _still_skipped(row: Row, sight: Sight) -> bool:
    """Whether the file is the compressed copy that was not sent; a rename leaves size and time as they were."""
    seen = row.seen
    return row.state is State.SKIPPED and (seen.size, seen.mtime_ns) == (sight.stat.size, sight.stat.mtime_ns)


def decide(sight: Sight, own: Row | None, astray: Sequence[Row], agrees: Agrees) -> Decision:
    """Judge one file: the first line that holds decides.

    Args:
        sight: the file as it is now.
        own: the row that has this path, unless its file is known to have moved.
        astray: rows with this inode number whose own path no longer has it.
        agrees: compares content; asked only where content decides.
    """
    now = sight.stat
    at_home = own is not None and same_inode(own, sight)
    moved = _moved_here(sight, _rivals(own, astray) if at_home else astray, agrees)
    if moved is not None and moved is not own:
        return Move(moved, sight)
    if own is None:
        return New(sight)
    if own.state is State.SKIPPED and own.seen == now:
        return Same(own, sight)
    if own.offset == 0:  # nothing is confirmed that it could disagree with
        return Ship(own, sight)
    if now.size < own.offset or not agrees(sight, own):  # cut, refilled, replaced
        return NewGeneration(own, sight)
    if now.size > own.offset:
        return Ship(own, sight)
    if at_home and own.seen == UNSEEN:
        return Same(own, sight)
    if (now.mtime_ns, now.ctime_ns) == (own.seen.mtime_ns, own.seen.ctime_ns):
        return Same(own, sight)  # nobody can set a ctime; only its inode number is not what it was (a network mount)
    return Compare(own, sight, if_unknown_same=now.mtime_ns == own.seen.mtime_ns)


def _rivals(own: Row | None, astray: Sequence[Row]) -> Sequence[Row]:
    """Who may have a file that is at home. A file that was gone may come back as another row's, under another name
    until now: an empty one agrees with everything."""
    return (own, *astray) if own is not None and own.state is State.GONE else ()


def _moved_here(sight: Sight, astray: Sequence[Row], agrees: Agrees) -> Row | None:
    """The row whose file this is, renamed.

    An inode is a hint and is used again; so a rename is believed only if the content agrees. Where nothing is confirmed
    yet there is nothing to agree with and nothing to lose: the first upload may just be in doubt.
    """
    for row in sorted(astray, key=lambda r: -r.offset):
        unsent = (row.state is State.NEW and row.offset == 0) or _still_skipped(row, sight)
        if same_inode(row, sight) and (unsent or (row.offset > 0 and agrees(sight, row))):
            return row
    return None


@dataclass(frozen=True, slots=True)
class Case:
    """One file of a look with the rows that may be its own."""

    sight: Sight
    own: Row | None = None
    astray: tuple[Row, ...] = ()

    @property
    def row_ids(self) -> set[int]:
        """All rows that the decision may touch."""
        return {row.id for row in (self.own, *self.astray) if row is not None}


def plan(cases: Iterable[Case], missing: Iterable[Row], agrees: Agrees) -> list[Decision]:
    """Decide a whole look.

    Args:
        cases: the files that were seen and differ from what is known, each path once.
        missing: rows whose path was looked at and holds no file any more.
        agrees: compares content.

    Returns:
        Moves first, then the other decisions in the order of ``cases``, then what is gone.
    """
    decided: dict[bytes, Decision] = {}
    moved: set[int] = set()
    cases = list(cases)
    for case in cases:
        astray = [row for row in case.astray if row.id not in moved]
        decision = decide(case.sight, case.own, astray, agrees)
        if isinstance(decision, Move):
            moved.add(decision.row.id)
            decided[case.sight.path] = decision
    for case in cases:
        if case.sight.path not in decided:
            own = None if case.own is not None and case.own.id in moved else case.own
            decided[case.sight.path] = decide(case.sight, own, (), agrees)
    ordered = sorted(decided.values(), key=lambda d: not isinstance(d, Move))
    return [*ordered, *(Gone(row) for row in missing if row.id not in moved)]


# Decisions to rows ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Changes:
    """One registry transaction: rows that change, sights that become new rows, rows that go."""

    update: list[Row] = field(default_factory=list)
    insert: list[Sight] = field(default_factory=list)
    remove: list[Row] = field(default_factory=list)
    moved: int = 0
    generations: int = 0


def changes(decisions: Iterable[Decision], owners: Mapping[bytes, Row], stamps: Callable[[], str]) -> Changes:
    """The registry transaction for ``decisions``.

    Args:
        decisions: from ``plan``.
        owners: the row of each path that a Move goes to, if there is one.
        stamps: makes a new stamp for ``names.aside_name`` at each call.
    """
    made = Changes()
    decisions = list(decisions)
    leaving = {d.row.id for d in decisions if isinstance(d, Move)}
    for decision in decisions:
        match decision:
            case Move(row, sight):
                owner = owners.get(sight.path)
                if owner is not None and owner.id not in leaving:
                    _end(made, owner, stamps)
                made.update.append(_moved(row, sight))
                made.moved += 1
            case NewGeneration(row, sight):
                _end(made, row, stamps)
                made.insert.append(sight)
                made.generations += 1
            case New(sight):
                made.insert.append(sight)
            case Same(row, sight):
                made.update.append(same(row, sight))
            case Ship(row, sight) | Compare(row, sight):
                if (alive := _alive(row, sight)) != row:
                    made.update.append(alive)
            case Gone(row):
                _lose(made, row)
    return made


def same(row: Row, sight: Sight) -> Row:
    """``row`` after a look that found nothing to send."""
    state = State.LIVE if row.state is State.GONE else row.state
    generation = sight.inode_generation or row.inode_generation
    return dataclasses.replace(row, state=state, inode=sight.stat.inode, inode_generation=generation, seen=sight.stat)


def _alive(row: Row, sight: Sight) -> Row:
    """``row`` with its file in sight again: the one that is there now, which may be another inode with its content."""
    state = {State.GONE: State.LIVE, State.SKIPPED: State.NEW}.get(row.state, row.state)
    if same_inode(row, sight):
        return dataclasses.replace(row, state=state)
    return dataclasses.replace(row, state=state, inode=sight.stat.inode, inode_generation=sight.inode_generation)


def _moved(row: Row, sight: Sight) -> Row:
    if row.state is State.SKIPPED:
        return dataclasses.replace(row, path=sight.path, want=sight.archive, inode=sight.stat.inode, seen=sight.stat)
    whole = row.state is not State.NEW and (row.state is not State.ENDED or row.offset >= row.target)
    return dataclasses.replace(
        row,
        path=sight.path,
        want=sight.archive,
        going=row.going or ("" if row.remote else row.want),
        state=State.LIVE if whole else State.NEW,
        inode=sight.stat.inode,
        seen=sight.stat if whole and sight.stat.size == row.offset else UNSEEN,
    )


def ended(row: Row, stamp: str) -> Row:
    """``row`` after another generation took its path: its bytes are to move to the aside name with ``stamp``.

    The aside name is that of the place they have now, so that they stay generations of that place.
    """
    unpublished = is_temporary(split(row.remote)[1])
    folder, name = split((row.going or row.want) if unpublished else row.remote)
    aside = aside_name(name, stamp)
    return dataclasses.replace(
        row, path=b"", want=f"{folder}/{aside}" if folder else aside, state=State.ENDED, seen=UNSEEN
    )


def ended_unsent(row: Row, stamp: str, *, in_doubt: bool) -> Row:
    """``row``, of which nothing is confirmed and only an open handle is left: it goes straight to an aside name of
    its place, since that one belongs to another file by now.

    ``in_doubt``: a first upload may have been begun whose end nobody heard. Its beginning is looked for under the old
    name, and nothing else takes that before.
    """
    folder, name = split(row.want)
    aside = aside_name(name, stamp)
    return dataclasses.replace(
        row,
        path=b"",
        want=f"{folder}/{aside}" if folder else aside,
        going=row.want if in_doubt else "",
        state=State.ENDED,
        seen=UNSEEN,
    )


def _end(made: Changes, row: Row, stamps: Callable[[], str]) -> None:
    if row.remote:
        made.update.append(ended(row, stamps()))
    else:
        made.remove.append(row)


def _lose(made: Changes, row: Row) -> None:
    if row.remote:
        made.update.append(dataclasses.replace(row, state=State.GONE, seen=UNSEEN))
    else:
        made.remove.append(row)


# Renames on the server in a safe order ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rename:
    """Give the bytes of ``row`` the remote path ``target`` (which is ``row.want``, or a place to wait in a ring)."""

    row: Row
    target: str


def sequence(rows: Iterable[Row], waiting_place: Callable[[Row], str]) -> list[Rename]:
    """Order the renames of misplaced ``rows`` so that none lands, or stops over, on a name another still has to leave.

    A ring (two names exchanged) is opened by renaming one row to ``waiting_place(row)`` first.
    """
    todo = {row.remote: row for row in rows}
    steps: list[Rename] = []
    last: list[Rename] = []
    while todo:
        free = [row for row in todo.values() if row.want not in todo and row.stop_over not in todo]
        if not free:
            row = next(row for row in todo.values() if not row.stop_over)
            steps.append(Rename(row, waiting_place(row)))
            last.append(Rename(row, row.want))
            del todo[row.remote]
            continue
        for row in free:
            steps.append(Rename(row, row.want))
            del todo[row.remote]
    return steps + last
