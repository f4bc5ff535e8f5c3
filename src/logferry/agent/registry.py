"""The registry: what the server confirmed, in SQLite (WAL, synchronous=FULL), one writer, changes in batches.

It may be lost or damaged without harm to the archive: then it is set aside, a new one is begun, and every file is
compared with what the server holds before anything is sent again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from logferry.agent.identity import DIGEST_BYTES, UNSEEN, Fingerprint, Stat, mark_of
from logferry.agent.rows import Row, State
from logferry.errors import Full, Later

SCHEMA_VERSION = 1
_ROOM_BYTES = 64 * 1024
"""SQLite's shared-memory file beside the registry takes 32 KiB."""
_SCHEMA = """
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    path BLOB,
    want TEXT NOT NULL,
    remote TEXT NOT NULL,
    state INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    inode_generation INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    head BLOB NOT NULL,
    tail BLOB NOT NULL,
    going TEXT NOT NULL,
    target INTEGER NOT NULL,
    base INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL
);
CREATE UNIQUE INDEX files_path ON files (path) WHERE path IS NOT NULL;
CREATE INDEX files_inode ON files (inode);
CREATE INDEX files_remote ON files (remote) WHERE remote <> '';
CREATE INDEX files_going ON files (going) WHERE going <> '';
"""
_COPIES_SCHEMA = """
CREATE TABLE IF NOT EXISTS copies (row_id INTEGER PRIMARY KEY, original TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS filed (
    sha256 TEXT PRIMARY KEY, offset INTEGER NOT NULL, head BLOB NOT NULL, tail BLOB NOT NULL, place TEXT NOT NULL,
    noted_ns INTEGER NOT NULL
) WITHOUT ROWID;
DELETE FROM copies WHERE row_id NOT IN (SELECT id FROM files);
CREATE INDEX IF NOT EXISTS files_offset ON files (offset);
CREATE INDEX IF NOT EXISTS files_head ON files (head);
"""
_COLUMNS = (
    "id, path, want, remote, state, inode, inode_generation, size, mtime_ns, ctime_ns, offset, head, tail, "
    "going, target, base"
)
_FORGET_ROWS = 1_000


def _signed(inode: int) -> int:
    """SQLite's integers have a sign; some file systems use all 64 bits of an inode number."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode


def _unsigned(inode: int) -> int:
    return inode + (1 << 64) if inode < 0 else inode


class Registry:
    """All methods may be called from any thread; they take turns.

    A change that cannot be written (disk full, database locked) is kept in memory, served from there and written
    with the next one that can: ``behind`` says so meanwhile. Growth and new files are safe to ship while behind (they
    are idempotent); renames are not, because their order is known only from what was saved.
    """

    def __init__(self, path: Path, now_ns: int) -> None:
        """Open or begin the registry at ``path``. A damaged one is renamed aside; see ``set_aside``.

        Args:
            path: the database file; its folder is created.
            now_ns: time for the name of a damaged file, nanoseconds since 1970.
        """
        self.path = path
        self.set_aside: Path | None = None
        """Where a damaged registry was put at this start, if it was."""
        self.is_new = not path.exists()
        self.behind: Full | Later | None = None
        """Why the newest changes are only in memory, or None."""
        self.dropped = 0
        """Rows that made no sense when read and were forgotten; their files are compared with the server again."""
        self._lock = threading.RLock()
        self._unsaved: dict[int, Row] = {}
        self._unremoved: set[int] = set()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
                raise _translated(error, path) from error
            self.set_aside = _put_aside(path, now_ns)
            self.is_new = True
            try:
                self._db = self._open()
            except sqlite3.Error as again:
                raise _translated(again, path) from again

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30.0)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA cache_size=-2048")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")
                _sync_folder(self.path.parent)
            elif version != SCHEMA_VERSION:
                raise sqlite3.DatabaseError(f"registry of version {version}")  # noqa: TRY301 (set aside like damage)
            damage = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise sqlite3.DatabaseError(damage)  # noqa: TRY301
            self._next_id = 1 + int(db.execute("SELECT coalesce(max(id), 0) FROM files").fetchone()[0])
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Close the file. Everything reported as saved is on disk already."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise _translated(error, self.path) from error

    @property
    def unsaved_ids(self) -> list[int]:
        """Rows whose newest state is in memory only."""
        with self._lock:
            return list(self._unsaved)

    def using(self) -> AbstractContextManager[sqlite3.Connection]:
        """The database for what lies beside the rows (``Elsewhere``); others wait meanwhile. Raises Later, Full."""
        return self._using()

    # Reading ------------------------------------------------------------------------------------------------------

    def _select(self, where: str, arguments: Sequence[object], unsaved: Callable[[Row], bool]) -> list[Row]:
        with (
            self._lock
        ):  # and not ``_using``, which costs half as much as the question: each new file is asked about twice
            try:
                found = self._db.execute(f"SELECT {_COLUMNS} FROM files {where}", arguments).fetchall()  # noqa: S608
                if not found and not self._unsaved:
                    return []
                rows = [row for values in found if (row := self._sane(self._db, values)) is not None]
            except sqlite3.Error as error:
                raise _translated(error, self.path) from error
            if self._unsaved or self._unremoved:
                stale = self._unremoved | self._unsaved.keys()
                rows = [row for row in rows if row.id not in stale]
                rows += [row for row in self._unsaved.values() if unsaved(row)]
        return rows

    def _sane(self, db: sqlite3.Connection, values: Sequence[object]) -> Row | None:
        try:
            return _row(values)
        except (AssertionError, ValueError):
            self.dropped += 1
            db.execute("DELETE FROM files WHERE id = ?", (values[0],))
            return None

    def by_id(self, row_id: int) -> Row | None:
        """The row with this id."""
        found = self._select("WHERE id = ?", (row_id,), lambda row: row.id == row_id)
        return found[0] if found else None

    def by_path(self, path: bytes) -> Row | None:
        """The row that has this raw path."""
        found = self._select("WHERE path = ?", (path,), lambda row: row.path == path)
        return found[0] if found else None

    def by_inode(self, inode: int) -> list[Row]:
        """All rows that had this inode number at the last look, whatever their state."""
        return self._select("WHERE inode = ?", (_signed(inode),), lambda row: row.inode == inode)

    def by_place(self, path: str) -> list[Row]:
        """All rows whose bytes are, or may be, at this archive path."""
        return self._select(
            "WHERE (remote = ?1 AND remote <> '') OR (going = ?1 AND going <> '')",
            (path,),
            lambda row: path in (row.remote, row.going),
        )

    def unsettled(self) -> list[Row]:
        """Rows with work left at the server: not whole, misplaced or ended."""
        return self._select(
            "WHERE state IN (?, ?) OR going <> '' OR (remote <> '' AND remote <> want)",
            (State.NEW, State.ENDED),
            lambda row: row.state in (State.NEW, State.ENDED) or row.misplaced,
        )

    def marks(self) -> Iterator[tuple[bytes, int]]:
        """Raw path and mark (see ``identity.mark_of``) of every file still on the node; 0 where a look is due.

        For the start, where there may be a million of them: what is to be decided is decided by SQLite.
        """
        with self._using() as db:
            cursor = db.execute(
                "SELECT path, inode, size, mtime_ns, ctime_ns, state = ?1 AND size = offset AND want = remote "
                "AND going = '' AND (size <> 0 OR mtime_ns <> 0) "
                "AND length(head) = ?2 * (offset > 0) AND length(tail) = length(head) FROM files "
                "WHERE path IS NOT NULL AND state <> ?3",
                (State.LIVE, DIGEST_BYTES, State.GONE),
            )
            for path, inode, size, mtime_ns, ctime_ns, done in cursor:
                yield path, mark_of(size, mtime_ns, ctime_ns, _unsigned(inode)) if done else 0

    def counts(self) -> dict[State, int]:
        """How many rows there are in each state."""
        with self._using() as db:
            found = dict(db.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())
        return {state: found.get(int(state), 0) for state in State}

    # Compressed copies --------------------------------------------------------------------------------------------

    def prepare_copies(self, *, noted_before_ns: int = 0) -> None:
        """Make what the methods below need, once at the start; only where compressed copies are to be skipped.

        What was noted of filed generations before ``noted_before_ns`` is forgotten.

        Raises:
            Full, Later: it cannot be written.
        """
        with self._using() as db:
            db.executescript(f"BEGIN IMMEDIATE;{_COPIES_SCHEMA}COMMIT;")
            db.execute("DELETE FROM filed WHERE noted_ns < ?", (noted_before_ns,))

    def largest_offset(self) -> int:
        """The largest number of bytes that was confirmed of one file."""
        with self._using() as db:
            found = int(db.execute("SELECT coalesce(max(offset), 0) FROM files").fetchone()[0])
            return max([found, *(row.offset for row in self._unsaved.values())])

    def by_print(self, prints: Fingerprint) -> list[Row]:
        """All rows whose confirmed bytes have this length, head and tail."""
        where = "WHERE offset = ? AND head = ? AND tail = ?"
        return self._select(where, (prints.offset, prints.head, prints.tail), lambda row: row.print == prints)

    def by_head(self, head: bytes) -> list[Row]:
        """All rows whose confirmed bytes begin like this (a hash of the head)."""
        return self._select("WHERE head = ?", (head,), lambda row: row.print.head == head)

    def note_copy(self, row_id: int, original: str) -> None:
        """The file of this row is a compressed copy of what is archived at ``original``. For whoever asks why."""
        with self._using() as db:
            db.execute("INSERT OR REPLACE INTO copies (row_id, original) VALUES (?, ?)", (row_id, original))

    def note_filed(self, row: Row, sha256: str, now_ns: int) -> None:
        """The server said that what ``row`` confirmed, now to be filed as an earlier generation, has this SHA-256."""
        values = (sha256, row.offset, row.print.head, row.print.tail, row.remote, now_ns)
        with self._using() as db:
            db.execute("INSERT OR REPLACE INTO filed VALUES (?, ?, ?, ?, ?, ?)", values)

    def filed_as(self, prints: Fingerprint, sha256: str) -> str:
        """The place of which the generation with this SHA-256, length, head and tail was filed; empty if none was."""
        query = "SELECT place FROM filed WHERE sha256 = ? AND offset = ? AND head = ? AND tail = ?"
        with self._using() as db:
            row = db.execute(query, (sha256, prints.offset, prints.head, prints.tail)).fetchone()
            return str(row[0]) if row else ""

    def copy_of(self, row_id: int) -> str:
        """What a SKIPPED row is a compressed copy of (archive path); empty if nobody noted it."""
        with self._using() as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'copies'").fetchone() is None:
                return ""
            row = db.execute("SELECT original FROM copies WHERE row_id = ?", (row_id,)).fetchone()
            return str(row[0]) if row else ""

    # Writing ------------------------------------------------------------------------------------------------------

    def new_id(self) -> int:
        """An id for a row to be."""
        with self._lock:
            self._next_id += 1
            return self._next_id - 1

    def apply(self, rows: Iterable[Row] = (), *, remove: Iterable[int] = (), now_ns: int) -> bool:
        """Write rows (new ones and changed ones) and forget others: one durable transaction.

        Returns:
            False if it could not be written and is kept in memory; ``behind`` says why.
        """
        with self._lock:
            self._unremoved.update(remove)
            for row in rows:
                self._unsaved[row.id] = row
                self._unremoved.discard(row.id)
            for row_id in self._unremoved:
                self._unsaved.pop(row_id, None)
            if not self._unsaved and not self._unremoved:
                return True
            try:
                self._write(now_ns)
            except sqlite3.Error as error:
                self.behind = _translated(error, self.path)
                return False
            self._unsaved.clear()
            self._unremoved.clear()
            self.behind = None
        return True

    def _write(self, now_ns: int) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany("DELETE FROM files WHERE id = ?", [(row_id,) for row_id in self._unremoved])
            if len(self._unsaved) > 1:  # two rows may exchange their paths
                db.executemany("UPDATE files SET path = NULL WHERE id = ?", [(row_id,) for row_id in self._unsaved])
            db.executemany(
                f"INSERT OR REPLACE INTO files ({_COLUMNS}, changed_ns) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
                [(*_values(row), now_ns) for row in self._unsaved.values()],
            )
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def forget(self, *, gone_before_ns: int, is_gone: Callable[[bytes], bool], now_ns: int) -> int:
        """Drop rows of files that have been gone from the node since before ``gone_before_ns``; returns how many.

        ``is_gone`` is asked about the raw path of each: the row of a file that is back stays.
        """
        after, forgotten = 0, 0
        while True:
            with self._using() as db:
                found = db.execute(
                    "SELECT id, path FROM files WHERE id > ? AND state = ? AND remote = want AND going = '' "
                    "AND changed_ns < ? ORDER BY id LIMIT ?",
                    (after, State.GONE, gone_before_ns, _FORGET_ROWS),
                ).fetchall()
            if not found:
                return forgotten
            after = found[-1][0]
            gone = [row_id for row_id, path in found if row_id not in self._unsaved and is_gone(path)]
            if gone and not self.apply(remove=gone, now_ns=now_ns):
                return forgotten  # no room to write; the next time will do
            forgotten += len(gone)


def rows_where(db: sqlite3.Connection, where: str, arguments: Sequence[object]) -> list[Row]:
    """Rows of an open registry, for who only reads. Raises sqlite3.Error; AssertionError, ValueError for nonsense."""
    found = db.execute(f"SELECT {_COLUMNS} FROM files {where}", arguments).fetchall()  # noqa: S608 (own text)
    return [_row(values) for values in found]


def _values(row: Row) -> tuple[object, ...]:
    seen, prints = row.seen, row.print
    return (
        row.id,
        row.path or None,
        row.want,
        row.remote,
        int(row.state),
        _signed(row.inode),
        row.inode_generation,
        seen.size,
        seen.mtime_ns,
        seen.ctime_ns,
        prints.offset,
        prints.head,
        prints.tail,
        row.going,
        row.target,
        row.base,
    )


def _row(values: Sequence[object]) -> Row:
    row_id, path, want, remote, state, inode, generation, size, mtime, ctime, offset, head, tail, *rest = values
    going, target, base = rest
    assert isinstance(row_id, int)
    assert isinstance(state, int)
    assert isinstance(inode, int)
    assert isinstance(generation, int)
    assert isinstance(size, int)
    assert isinstance(mtime, int)
    assert isinstance(ctime, int)
    assert isinstance(offset, int)
    assert isinstance(head, bytes)
    assert isinstance(tail, bytes)
    assert isinstance(target, int)
    assert isinstance(base, int)
    seen = Stat(_unsigned(inode), size, mtime, ctime) if mtime or ctime or size else UNSEEN
    return Row(
        id=row_id,
        path=path if isinstance(path, bytes) else b"",
        want=str(want),
        remote=str(remote),
        state=State(state),
        inode=_unsigned(inode),
        inode_generation=generation,
        seen=seen,
        print=Fingerprint(offset, head, tail),
        going=str(going),
        target=target,
        base=base,
    )


def _is_damage(error: sqlite3.OperationalError) -> bool:
    """Whether an OperationalError means a file that will never open again (a malformed schema, for example)."""
    return "malformed" in str(error) or "not a database" in str(error) or "no such" in str(error)


def _translated(error: sqlite3.Error, path: Path) -> Full | Later:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or not _has_room(path.parent):
        return Full(f"no room for the registry {path}", hint="make room on that disk; shipping goes on meanwhile")
    return Later(f"registry {path}: {error}", hint="shipping goes on; what is sent now may be compared again later")


def _has_room(folder: Path) -> bool:
    """Whether the disk has room for a page or two: SQLite calls some failures on a full disk an input/output error."""
    if os.name != "posix":
        return True
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize >= _ROOM_BYTES


def _put_aside(path: Path, now_ns: int) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{now_ns}")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + suffix))
    return aside


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
