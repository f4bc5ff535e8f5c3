"""Every way a file can change, and what is decided about it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import pytest

from logferry.agent.identity import EMPTY, UNSEEN, Fingerprint, Stat, agrees, digest, take
from logferry.agent.plan import (
    Case,
    Changes,
    Compare,
    Decision,
    Move,
    NewGeneration,
    Rename,
    Ship,
    Sight,
    changes,
    decide,
    plan,
    sequence,
)
from logferry.agent.rows import Row, State
from logferry.limits import HEAD_BYTES, TAIL_BYTES
from logferry.names import aside_name

OLD = b"".join(b"%07d old line\n" % n for n in range(1000))
OTHER = b"".join(b"%07d new line\n" % n for n in range(1000, 2500))
HEADER = b"# the same header\n" * 120
ASIDE = "20261123T081400Z-1a2b3c4d"


def fingerprint(content: bytes) -> Fingerprint:
    """The fingerprint of all of ``content``."""
    found = take(lambda offset, count: content[offset : offset + count], len(content))
    assert found is not None
    return found


def row(
    content: bytes = OLD, *, path: bytes = b"/l/app.log", inode: int = 10, state: State = State.LIVE, **more: object
) -> Row:
    """A row whose confirmed bytes are ``content``; last seen with that size at time 100."""
    name = path.rpartition(b"/")[2].decode() or "gone"
    made = Row(
        id=inode,
        path=b"" if state is State.ENDED else path,
        want=f"l/{name}",
        remote="" if state is State.NEW and not content else f"l/{name}",
        state=state,
        inode=inode,
        inode_generation=0,
        seen=Stat(inode, len(content), 100, 100),
        print=fingerprint(content),
    )
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


def sight(
    content: bytes,
    *,
    path: bytes = b"/l/app.log",
    inode: int = 10,
    mtime: int = 200,
    ctime: int = 200,
    generation: int = 0,
) -> Sight:
    """A file with ``content`` as a look finds it. Row times are 100; a ctime that differs says that it was touched."""
    name = path.rpartition(b"/")[2].decode()
    return Sight(path, f"l/{name}", Stat(inode, len(content), mtime, ctime), generation)


@dataclass(frozen=True)
class Example:
    """What is on the node, what is known, and what shall be decided about the file at ``app.log``.

    ``rows``: those of the torture matrix that come to this decision.
    """

    says: str
    now: bytes
    right: str
    rows: tuple[int, ...] = ()
    own: Row | None = field(default_factory=row)
    inode: int = 10
    mtime: int = 200
    ctime: int = 200
    generation: int = 0
    astray: tuple[Row, ...] = ()


AWAY = row(path=b"/l/old")
"""A row whose file is no longer where it was."""
ALIKE = OTHER[: len(OLD) - 80] + OLD[-80:]
"""Other lines of the same length that end like the old ones."""
LINES = b"heartbeat ok\n" * 2000
JUDGED = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 21, 27, 28, 29, 30, 32, 39, 40, 43}
"""Rows of the matrix in which the identity of a file is in question."""
EXAMPLES = [
    # the path is known and its file grew
    Example("growth", OLD + b"more\n", "Ship", (17, 20, 32)),
    Example("growth that completes a half line", OLD + b"d half\n", "Ship", (19,), own=row(OLD[:-9])),
    Example("growth with frozen time", OLD + b"more\n", "Ship", (29,), mtime=100),
    Example("growth with time set back", OLD + b"more\n", "Ship", (14,), mtime=1),
    Example("growth under another inode number", OLD + b"more\n", "Ship", (43,), inode=77),
    Example("empty before, grown", OLD, "Ship", (30,), own=row(b"")),
    Example("empty before, replaced", OTHER, "Ship", own=row(b""), inode=77),
    Example("begun and never confirmed", OTHER, "Ship", own=row(b"", state=State.NEW), inode=77),
    # it did not grow
    Example("untouched", OLD, "Same", mtime=100, ctime=100),
    Example("untouched under another inode number", OLD, "Same", (43,), inode=77, mtime=100, ctime=100),
    Example("never settled, all confirmed", OLD, "Same", own=row(seen=UNSEEN)),
    Example("empty and touched", b"", "Ship", (30,), own=row(b"")),
    Example("nothing but a chmod", OLD, "Compare", (40,), mtime=100),
    Example("rewritten: same size, head and tail", OLD, "Compare", (12,)),
    Example("rewritten with its old time: same size, head and tail", OLD, "Compare", (13,), mtime=100),
    Example("another file with the same bytes", OLD, "Compare", (12,), inode=77),
    Example("another file with the same bytes and time", OLD, "Compare", (13, 43), inode=77, mtime=100),
    # it has other content
    Example("copytruncate, empty", b"", "NewGeneration", (7, 15)),
    Example("truncated, refilled a little", OTHER[:500], "NewGeneration", (7, 15)),
    Example("truncated, refilled to the same size", OTHER[: len(OLD)], "NewGeneration", (8, 9)),
    Example("truncated, refilled past the offset", OTHER, "NewGeneration", (8, 9)),
    Example("refilled, lines end alike", ALIKE + b"x\n", "NewGeneration", (9,)),
    Example("refilled to the byte, lines end alike", ALIKE, "NewGeneration", (9,)),
    Example("shrunk to its own beginning", OLD[:-1], "NewGeneration", (15,)),
    Example("same 2 KB header, other lines", HEADER + OTHER, "NewGeneration", (11,), own=row(HEADER + OLD)),
    Example("cut to the header that all its generations have", HEADER, "NewGeneration", (11,), own=row(HEADER + OLD)),
    Example("inode used again at the same path", OTHER, "NewGeneration", (10,)),
    Example("inode used again at the same path, shorter", b"x\n", "NewGeneration", (10,)),
    Example("replaced, same size, newer", OTHER[: len(OLD)], "NewGeneration", (12,), inode=77),
    Example("replaced, same size, same time", OTHER[: len(OLD)], "NewGeneration", (13,), inode=77, mtime=100),
    Example("rewritten with its old time", OTHER[: len(OLD)], "NewGeneration", (13,), mtime=100),
    Example("replaced by other content, longer", OTHER, "NewGeneration", inode=77),
    Example("its link leads elsewhere", OTHER, "NewGeneration", (27,), inode=77),
    Example("replaced by a grown copy of itself", OLD + b"more\n", "Ship", inode=77),
    Example("impossible: refilled with the very same lines", LINES + LINES, "Ship", (9,), own=row(LINES)),
    # it had been gone
    Example("came back after it was gone", OLD + b"more\n", "Ship", (43,), own=row(state=State.GONE)),
    Example("came back unchanged", OLD, "Same", (39, 43), own=row(state=State.GONE), mtime=100, ctime=100),
    Example("came back empty before, as the file of another row", OLD, "Move", (1, 30, 39),
            own=row(b"", state=State.GONE), astray=(AWAY,)),
    Example("came back as its own, and another row has its beginning", OLD + b"more\n", "Ship", (39,),
            own=row(state=State.GONE), astray=(row(OLD[:100], path=b"/l/old"),)),
    Example("came back as another file", OTHER, "NewGeneration", (39,), own=row(state=State.GONE), inode=77),
    # the path is not known
    Example("never seen before", OLD, "New", (1, 21), own=None),
    Example("never seen before and empty", b"", "New", (30,), own=None),
    Example("a copy of a known file", OLD, "New", (7, 8), own=None, inode=77),
    Example("renamed here", OLD, "Move", (1, 5, 28), own=None, astray=(AWAY,)),
    Example("renamed here and grown", OLD + b"more\n", "Move", (1, 2, 3, 4, 5, 6), own=None, astray=(AWAY,)),
    Example("renamed here and grown, then its place was taken", OLD + b"more\n", "Move", (2, 3, 6), own=None,
            astray=(row(state=State.ENDED),)),
    Example("renamed here over a gone file", OLD, "Move", (1, 39),
            own=row(OTHER, inode=5, state=State.GONE), astray=(AWAY,)),
    Example("renamed here over a file that moved on", OLD, "Move", (2, 3), own=row(OTHER, inode=5), astray=(AWAY,)),
    Example("renamed here after its place was taken", OLD, "Move", (2, 3), own=None, astray=(row(state=State.ENDED),)),
    Example("an unconfirmed first upload is followed", OLD, "Move", (2, 3), own=None,
            astray=(row(b"", path=b"/l/old", state=State.NEW),)),
    Example("inode used again by a new file", OTHER, "New", (10, 21), own=None, astray=(AWAY,)),
    Example("inode used again: shorter file", b"x\n", "New", (10,), own=None, astray=(AWAY,)),
    Example("inode used again: same header", HEADER + OTHER, "New", (10, 11), own=None,
            astray=(row(HEADER + OLD, path=b"/l/old"),)),
    Example("inode used again: the file system says so", OLD, "New", (10,), own=None, generation=9,
            astray=(dataclasses.replace(AWAY, inode_generation=8),)),
    Example("an empty archived file is never followed", OLD, "New", (30,), own=None,
            astray=(row(b"", path=b"/l/old"),)),
]  # fmt: skip


def test_every_row_of_the_matrix_that_is_about_identity_has_examples() -> None:
    """And no example names a row that is not."""
    assert {number for example in EXAMPLES for number in example.rows} == JUDGED


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.says)
def test_every_change_of_a_file_has_its_decision(example: Example) -> None:
    """One row of the table."""
    there = sight(
        example.now,
        inode=example.inode,
        mtime=example.mtime,
        ctime=example.ctime,
        generation=example.generation,
    )

    def same_content(_: Sight, known: Row) -> bool:
        return agrees(lambda offset, count: example.now[offset : offset + count], known.print)

    assert type(decide(there, example.own, example.astray, same_content)).__name__ == example.right


def outcome(files: dict[bytes, tuple[int, bytes]], rows: list[Row]) -> list[Decision]:
    """Plan a look that finds ``files`` (path -> inode, content) beside ``rows``."""
    at = {r.path: r for r in rows}
    cases = []
    for path, (inode, content) in files.items():
        moved = tuple(r for r in rows if r.inode == inode and files.get(r.path, (0, b""))[0] != inode)
        cases.append(
            Case(sight(content, path=path, inode=inode), at.get(path), tuple(r for r in moved if r.path != path))
        )
    missing = [r for r in rows if r.path not in files]

    def same_content(there: Sight, known: Row) -> bool:
        content = files[there.path][1]
        return agrees(lambda offset, count: content[offset : offset + count], known.print)

    return plan(cases, missing, same_content)


def said(decisions: list[Decision]) -> list[str]:
    """Decisions in a few words."""
    words = []
    for decision in decisions:
        where = decision.sight.path.decode() if hasattr(decision, "sight") else decision.row.path.decode()
        words.append(f"{type(decision).__name__} {where}")
    return words


def test_a_chain_of_renames_is_all_moves_and_one_new_file() -> None:
    """log -> .1 -> .2, and a new log."""
    first, second = row(OLD, path=b"/l/log", inode=10), row(OTHER, path=b"/l/log.1", inode=11)
    files = {b"/l/log": (12, b"fresh\n"), b"/l/log.1": (10, OLD + b"tail\n"), b"/l/log.2": (11, OTHER)}
    assert said(outcome(files, [first, second])) == ["Move /l/log.1", "Move /l/log.2", "New /l/log"]


def test_a_rename_is_not_taken_for_a_deletion() -> None:
    """The vanished path and the new one are one file; a file that is nowhere is gone."""
    known = [row(OLD, path=b"/l/a", inode=10), row(OTHER, path=b"/l/b", inode=11)]
    assert said(outcome({b"/l/c": (10, OLD)}, known)) == ["Move /l/c", "Gone /l/b"]


def test_a_copytruncated_log_keeps_its_old_generation_and_its_copy_is_new() -> None:
    """The inode stays, the content is gone, the copy has an inode of its own."""
    files = {b"/l/log": (10, b""), b"/l/log.1": (11, OLD)}
    assert said(outcome(files, [row(OLD, path=b"/l/log")])) == ["NewGeneration /l/log", "New /l/log.1"]


def test_a_file_that_goes_on_under_another_inode_is_that_of_its_row_from_then_on() -> None:
    """Else its row and its file would be compared again and again."""
    there = sight(OLD + b"more\n", inode=77)
    for decision in (Ship(row(), there), Compare(row(), there, if_unknown_same=True)):
        assert [(r.inode, r.offset) for r in made([decision]).update] == [(77, len(OLD))]


def made(decisions: list[Decision], owners: dict[bytes, Row] | None = None) -> Changes:
    """The rows that decisions lead to."""
    return changes(decisions, owners or {}, lambda: ASIDE)


def test_a_new_generation_is_one_change_that_ends_the_old_row_and_begins_one() -> None:
    """The old bytes are to move aside before the new ones take the name."""
    there = sight(OTHER)
    result = made([NewGeneration(row(), there)])
    assert [(r.path, r.want, r.remote, r.state) for r in result.update] == [
        (b"", f"l/app.log.~gen-{ASIDE}~", "l/app.log", State.ENDED)
    ]
    assert result.insert == [there]


def test_a_move_onto_a_name_whose_file_is_gone_ends_that_row() -> None:
    """Nothing in the archive is overwritten."""
    moving, gone = row(OLD, path=b"/l/log"), row(OTHER, path=b"/l/log.1", inode=11, state=State.GONE)
    result = made([Move(moving, sight(OLD, path=b"/l/log.1"))], {b"/l/log.1": gone})
    assert [(r.id, r.state, r.want) for r in result.update] == [
        (11, State.ENDED, f"l/log.1.~gen-{ASIDE}~"),
        (10, State.LIVE, "l/log.1"),
    ]
    assert result.update[1].misplaced
    assert result.update[1].remote == "l/log"


def test_a_generation_cut_short_at_its_first_upload_becomes_one_of_its_name() -> None:
    """What lies under a temporary name takes the final name first, then moves aside from there."""
    partial = row(OLD, state=State.NEW, remote="l/.~lf-0123456789abcdef")
    ended = made([NewGeneration(partial, sight(OTHER))]).update[0]
    assert ended.stop_over == "l/app.log"
    assert ended.claims >= {"l/app.log", "l/.~lf-0123456789abcdef"}


def test_a_first_upload_in_doubt_is_remembered_when_its_file_is_renamed() -> None:
    """The bytes may be under the old name; whoever sends the file next looks there first."""
    begun = row(b"", path=b"/l/log", state=State.NEW)
    moved = made([Move(begun, sight(OLD, path=b"/l/log.1"))]).update[0]
    assert (moved.want, moved.going, moved.remote) == ("l/log.1", "l/log", "")


def misplaced(number: int, remote: str, want: str) -> Row:
    """A row to be renamed on the server."""
    return row(OLD, path=f"/{want}".encode(), inode=number, remote=remote, want=want)


def test_renames_on_the_server_never_land_on_a_name_still_in_use() -> None:
    """The last of a chain goes first."""
    rows = [misplaced(1, "l/log", "l/log.1"), misplaced(2, "l/log.1", "l/log.2"), misplaced(3, "l/log.2", "l/log.3")]
    assert [(s.row.id, s.target) for s in sequence(rows, lambda r: "x")] == [
        (3, "l/log.3"),
        (2, "l/log.2"),
        (1, "l/log.1"),
    ]


def test_a_generation_stops_over_where_another_has_left() -> None:
    """One was cut short at its first upload, the one before it still has the name, and that is in a ring."""
    aside = aside_name("log", ASIDE)
    cut = row(OLD, inode=1, state=State.ENDED, remote="l/.~lf-0123456789abcdef", want=f"l/{aside}")
    assert cut.stop_over == "l/log"
    before = row(OLD, inode=2, state=State.ENDED, remote="l/log", want=f"l/{aside}2")
    assert [s.row.id for s in sequence([cut, before], lambda r: "x")] == [2, 1]
    a, b = misplaced(3, "l/log", "l/b"), misplaced(4, "l/b", "l/log")
    steps = [(s.row.id, s.target) for s in sequence([cut, a, b], lambda r: f"l/wait-{r.id}")]
    assert steps[0] == (3, "l/wait-3")
    assert {step[0] for step in steps} == {1, 3, 4}


def test_a_ring_of_renames_waits_in_a_third_place() -> None:
    """a and b exchange their names."""
    a, b = misplaced(1, "l/a", "l/b"), misplaced(2, "l/b", "l/a")
    assert sequence([a, b], lambda r: f"l/wait-{r.id}") == [Rename(a, "l/wait-1"), Rename(b, "l/a"), Rename(a, "l/b")]


@pytest.mark.parametrize("size", [0, 1, 31, TAIL_BYTES, TAIL_BYTES + 1, HEAD_BYTES + TAIL_BYTES + 7])
def test_a_fingerprint_grows_with_the_file_and_is_kept_by_growth(size: int) -> None:
    """It covers the head as far as there is one, and the last bytes before the offset."""
    content = (OLD + OTHER)[:size]
    found = fingerprint(content)
    assert found.offset == size
    assert agrees(lambda offset, count: (content + b"more")[offset : offset + count], found)
    if size:
        assert found.head == digest(content[:HEAD_BYTES])
        assert not agrees(lambda offset, count: content[: size - 1][offset : offset + count], found)
        changed = content[:-1] + b"\xff"
        assert not agrees(lambda offset, count: changed[offset : offset + count], found)
    else:
        assert found == EMPTY
