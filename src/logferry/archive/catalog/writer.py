"""Group commit: concurrent changes of one process share one transaction, and thereby one disk sync.

There is no writer thread: the first caller in line serves everybody who has come meanwhile (one transaction), the
others find their change done. A change has two halves: ``stage`` looks at the catalog and moves files, then all
folders touched by the batch are synced once each, then ``apply`` writes the rows, then the transaction commits.
So every row that is committed points to a file whose name is on disk. A change that fails, fails alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from logferry.archive.catalog.engine import WRITES
from logferry.archive.catalog.sums import FolderSums
from logferry.archive.durable import Disk, translated
from logferry.archive.live import Folder
from logferry.errors import Full, Later, LogferryError
from logferry.limits import CATALOG_BATCH_MAX, CATALOG_LAZY_S

T = TypeVar("T")


class Transaction:
    """What a change works with: a Core ``connection``, a raw ``cursor`` for prepared statements, sums, folders."""

    def __init__(self, connection: Connection, sums: FolderSums) -> None:
        self.connection = connection
        self.cursor: Any = connection.connection.cursor()
        self.sums = sums
        self.folders_to_sync: dict[int, Folder] = {}

    def sync(self, folder: Folder) -> None:
        """Sync ``folder`` once, after all changes of the batch are staged and before any row is written."""
        self.folders_to_sync[id(folder)] = folder


class Change(Generic[T]):
    """One change of the catalog. ``keys`` name what it touches: two changes with a common key never share a batch."""

    keys: frozenset[object] = frozenset()

    def stage(self, transaction: Transaction) -> None:
        """Check the catalog and move files. Raise to refuse the change."""

    def apply(self, transaction: Transaction) -> T:  # noqa: ARG002 - for those who override it
        """Write the rows; the result is handed to the caller once they are committed."""
        raise AssertionError("a change says what it applies")  # pragma: no cover

    def undo(self) -> None:
        """The files that ``stage`` moved cannot be made durable, or their rows are refused: move them back."""

    def committed(self) -> None:
        """The rows are on disk. Called by whoever committed, so it has to be quick and cannot fail."""


class Rows(Change[T]):
    """A change of rows only: runs a function inside the transaction."""

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self._work = work

    def apply(self, transaction: Transaction) -> T:
        return self._work(transaction.connection)


class _Ticket(Generic[T]):
    __slots__ = ("change", "done", "error", "result")

    def __init__(self, change: Change[T]) -> None:
        self.change = change
        self.done = False
        self.error: BaseException | None = None
        self.result: T | None = None

    def fail(self, error: BaseException, *, undo: bool = False) -> None:
        self.error = error
        self.done = True
        if undo:
            try:
                self.change.undo()
            except OSError as failure:
                error.add_note(f"and its files could not be moved back: {failure}")


class Writer:
    """All writing of one process into one catalog. Thread-safe."""

    def __init__(self, engine: Engine, disk: Disk, sums: FolderSums) -> None:
        self._engine = engine
        self._disk = disk
        self._sums = sums
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Any]] = deque()
        self._connection: Connection | None = None
        self._transaction: Transaction | None = None
        self._lazy = threading.Event()
        self._closing = False
        self._flusher = threading.Thread(target=self._flush_lazily, name="catalog-flush", daemon=True)
        self._flusher.start()

    def run(self, change: Change[T]) -> T:
        """Make the change durable and return its result, or raise its error.

        Raises:
            Later: the catalog is locked or cannot be written just now.
            Full: there is no room for it.
        """
        ticket: _Ticket[T] = _Ticket(change)
        self._waiting.append(ticket)
        with self._lock:
            while not ticket.done:
                self._serve()
        if ticket.error is not None:
            raise ticket.error
        return ticket.result  # type: ignore[return-value]

    def post(self, change: Change[Any]) -> None:
        """Make the change soon (with the next batch, or in a moment); nobody waits for it, its errors are dropped.

        For facts that are nice to have, such as when an agent was heard last.
        """
        self._waiting.append(_Ticket(change))
        self._lazy.set()

    def flush(self) -> None:
        """Serve everything posted so far."""
        with self._lock:
            while self._waiting:
                self._serve()

    def close(self) -> None:
        """Serve what waits, then close the connection."""
        self._closing = True
        self._lazy.set()
        self._flusher.join()
        self.flush()
        with self._lock:
            self._disconnect()

    # One batch -------------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        batch = self._take()
        try:
            self._run_batch(batch)
        except BaseException as error:
            self._abort(batch, error)
            if not isinstance(error, Exception):
                raise
        finally:
            for ticket in batch:
                ticket.done = True

    def _take(self) -> list[_Ticket[Any]]:
        """The next tickets in line whose keys differ; the others stay in line, in order."""
        batch: list[_Ticket[Any]] = []
        later: list[_Ticket[Any]] = []
        keys: set[object] = set()
        while self._waiting and len(batch) < CATALOG_BATCH_MAX:
            ticket = self._waiting.popleft()
            if keys.isdisjoint(ticket.change.keys):
                batch.append(ticket)
            else:
                later.append(ticket)
            keys |= ticket.change.keys
        self._waiting.extendleft(reversed(later))
        return batch

    def _run_batch(self, batch: list[_Ticket[Any]]) -> None:
        transaction = self._begin()
        for ticket in batch:
            self._stage(ticket, transaction)
        self._sync_folders(batch, transaction)
        alive = [ticket for ticket in batch if not ticket.done]
        for ticket in alive:
            self._apply(ticket, transaction)
        self._sums.flush(transaction.cursor)
        self._disk.step("commit")
        transaction.connection.commit()
        self._disk.step("committed")
        for ticket in alive:
            if not ticket.done:
                ticket.done = True
                ticket.change.committed()

    def _stage(self, ticket: _Ticket[Any], transaction: Transaction) -> None:
        try:
            ticket.change.stage(transaction)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller who waits for it
            ticket.fail(_own(error), undo=True)

    def _sync_folders(self, batch: list[_Ticket[Any]], transaction: Transaction) -> None:
        failure: OSError | None = None
        for folder in transaction.folders_to_sync.values():
            try:
                self._disk.sync_folder(folder.fd)
            except OSError as error:
                failure = error
        if failure is not None:
            # A failed sync is never repeated and then believed: none of the names of this batch counts.
            for ticket in batch:
                if not ticket.done:
                    ticket.fail(translated(failure, "a folder of the archive"), undo=True)

    def _apply(self, ticket: _Ticket[Any], transaction: Transaction) -> None:
        mark = self._sums.mark()
        transaction.cursor.execute("SAVEPOINT change")
        try:
            ticket.result = ticket.change.apply(transaction)
        except Exception as error:  # noqa: BLE001 - as above
            transaction.cursor.execute("ROLLBACK TO SAVEPOINT change")
            self._sums.back_to(mark)
            ticket.fail(_own(error), undo=True)
        transaction.cursor.execute("RELEASE SAVEPOINT change")

    # The connection --------------------------------------------------------------------------------------------------

    def _begin(self) -> Transaction:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(**{WRITES: True})
        self._connection.begin()
        if self._transaction is None or self._transaction.connection is not self._connection:
            self._transaction = Transaction(self._connection, self._sums)
        self._transaction.folders_to_sync.clear()
        return self._transaction

    def _abort(self, batch: list[_Ticket[Any]], error: BaseException) -> None:
        """The batch as a whole failed: nothing of it is in the catalog."""
        self._sums.forget()
        self._disconnect()
        for ticket in batch:
            if not ticket.done:
                ticket.fail(_own(error) if isinstance(error, Exception) else Later("the program is being stopped"))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._transaction = None

    def _flush_lazily(self) -> None:
        while not self._closing:
            self._lazy.wait()
            if not self._closing:
                threading.Event().wait(CATALOG_LAZY_S)
            self._lazy.clear()
            self.flush()


def _own(error: Exception) -> Exception:
    """What the caller gets to see: our own errors as they are, the database's and the disk's in our words."""
    if isinstance(error, LogferryError):
        return error
    if isinstance(error, OSError):
        return translated(error, "the archive")
    text = str(error.orig if isinstance(error, DBAPIError) else error)
    if "disk is full" in text:
        return Full("no room left for the catalog", hint="free some space; the sender then repeats")
    if isinstance(error, DBAPIError) or type(error).__module__.partition(".")[0] in ("sqlite3", "psycopg"):
        later = Later(f"the catalog could not be written: {text}", hint="nothing was confirmed; try again")
        later.__cause__ = error
        return later
    return error
