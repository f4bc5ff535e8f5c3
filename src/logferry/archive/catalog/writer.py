"""Group commit: concurrent changes of one process share one transaction, and thereby one disk sync.

There is no writer thread: the first caller in line serves everybody who has come meanwhile, the others find their
change done. A change has two halves. ``stage`` runs in its caller's thread: it moves files, then the folders it
touched are synced. ``apply`` writes the rows in the shared transaction. So every row that is committed points to a
file whose name is on disk. A change that fails, fails alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from logferry.archive.catalog.engine import BEGUN, begin_writing, is_lost
from logferry.archive.catalog.sums import FolderSums
from logferry.archive.durable import Disk, translated
from logferry.archive.live import Folder
from logferry.errors import Full, Later, LogferryError, OverQuota
from logferry.limits import CATALOG_BATCH_MAX, CATALOG_LAZY_S

T = TypeVar("T")


class Transaction:
    """What a change writes with: a Core ``connection``, a raw ``cursor`` for prepared statements, the folder sums."""

    def __init__(self, connection: Connection, sums: FolderSums) -> None:
        self.connection = connection
        self.cursor: Any = connection.connection.cursor()
        self.sums = sums


class Change(Generic[T]):
    """One change of the archive. Its caller keeps others away from the files it touches (by locking them)."""

    def stage(self, sync: Callable[[Folder], None]) -> None:
        """Move files; call ``sync`` for every folder in which a name changed. Raise to refuse the change."""

    def apply(self, transaction: Transaction) -> T:  # noqa: ARG002 - for those who override it
        """Write the rows; the result is handed to the caller once they are committed. Raise to refuse the change."""
        raise AssertionError("a change says what it applies")  # pragma: no cover

    def undo(self) -> None:
        """The files that ``stage`` moved cannot be made durable, or their rows are refused: move them back."""

    def committed(self) -> None:
        """The rows are on disk. Called by whoever committed, so it has to be quick and cannot fail."""

    def release(self) -> None:
        """It is over, one way or the other: let go of locks. Called in the caller's thread."""


class Rows(Change[T]):
    """A change of rows only: runs a function inside the transaction."""

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self._work = work

    def apply(self, transaction: Transaction) -> T:
        return self._work(transaction.connection)


class _Ticket(Generic[T]):
    __slots__ = ("change", "done", "error", "refused", "result")

    def __init__(self, change: Change[T]) -> None:
        self.change = change
        self.done = False
        self.refused = False
        self.error: BaseException | None = None
        self.result: T | None = None

    def fail(self, error: BaseException, *, refused: bool) -> None:
        self.error = error
        self.refused = refused
        self.done = True


class _Refused(Exception):
    """One change of a batch was refused."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Writer:
    """All writing of one process into one catalog. Thread-safe."""

    def __init__(self, engine: Engine, disk: Disk, sums: FolderSums) -> None:
        self._engine = engine
        self._begin_sql = begin_writing(engine.dialect)
        self._disk = disk
        self._sums = sums
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Any]] = deque()
        self._transaction: Transaction | None = None
        self._lazy = threading.Event()
        self._closing = threading.Event()
        self._flusher = threading.Thread(target=self._flush_lazily, name="catalog-flush", daemon=True)
        self._flusher.start()

    def run(self, change: Change[T]) -> T:
        """Make the change durable and return its result, or raise its error.

        Raises:
            Later: the catalog is locked or cannot be written just now.
            Full: there is no room for it.
        """
        try:
            self._stage(change)
            return self._commit(change)
        finally:
            change.release()

    def run_all(self, changes: Sequence[Change[T]]) -> list[T | LogferryError]:
        """Make changes durable that share a transaction. Of each its result or its error: each fails alone."""
        told: list[_Ticket[T] | LogferryError] = []
        try:
            for change in changes:
                try:
                    self._stage(change)
                    told.append(_Ticket(change))
                except LogferryError as error:
                    told.append(error)
            tickets = [one for one in told if not isinstance(one, LogferryError)]
            self._waiting.extend(tickets)
            with self._lock:
                while not all(ticket.done for ticket in tickets):
                    self._serve()
            results: list[T | LogferryError] = []
            for one in told:
                if isinstance(one, LogferryError):
                    results.append(one)
                    continue
                try:
                    done: T = _result(one)
                except LogferryError as error:
                    results.append(error)
                else:
                    results.append(done)
            return results
        finally:
            for change in changes:
                change.release()

    def post(self, change: Change[Any]) -> None:
        """Make the change soon (with the next batch, or in a moment); nobody waits for it, its errors are dropped.

        For facts that are nice to have, such as when an agent was heard last. The change has no ``stage``.
        """
        self._waiting.append(_Ticket(change))
        if not self._lazy.is_set():  # setting it costs more than looking
            self._lazy.set()

    def flush(self) -> None:
        """Serve everything posted so far."""
        with self._lock:
            while self._waiting:
                self._serve()

    def close(self) -> None:
        """Serve what waits, then close the connection."""
        self._closing.set()
        self._lazy.set()
        self._flusher.join()
        self.flush()
        with self._lock:
            self._disconnect()

    # In the caller's thread ------------------------------------------------------------------------------------------

    def _stage(self, change: Change[Any]) -> None:
        touched: dict[int, Folder] = {}
        try:
            change.stage(lambda folder: touched.__setitem__(folder.fd, folder))
            for folder in touched.values():
                # A failed sync is never repeated and then believed: the names go back, the sender starts over.
                self._disk.sync_folder(folder.fd)
        except OSError as error:
            _undo(change, error)
            raise translated(error, "the archive") from error
        except LogferryError as error:
            _undo(change, error)
            raise

    def _commit(self, change: Change[T]) -> T:
        ticket: _Ticket[T] = _Ticket(change)
        self._waiting.append(ticket)
        with self._lock:
            while not ticket.done:
                self._serve()
        return _result(ticket)

    # One batch, under the lock ---------------------------------------------------------------------------------------

    def _serve(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), CATALOG_BATCH_MAX))]
        try:
            self._run_batch(batch)
        except BaseException as error:
            self._abort(batch, error)
            if not isinstance(error, Exception):
                raise

    def _run_batch(self, batch: list[_Ticket[Any]]) -> None:
        try:
            self._run_together(batch)
        except _Refused as refused:
            # Rare, so nobody pays for savepoints: take everything back and serve each one alone.
            self._roll_back()
            if len(batch) == 1:
                batch[0].fail(_own(refused.error), refused=True)
                return
            for ticket in batch:
                self._run_batch([ticket])

    def _run_together(self, batch: list[_Ticket[Any]]) -> None:
        transaction = self._begin()
        for ticket in batch:
            try:
                ticket.result = ticket.change.apply(transaction)
            except Exception as error:
                raise _Refused(error) from error
        try:
            self._sums.flush(transaction.cursor)
        except OverQuota as error:
            raise _Refused(error) from error
        self._disk.step("commit")
        self._end(transaction)
        self._disk.step("committed")
        for ticket in batch:
            ticket.done = True
            ticket.change.committed()

    def _begin(self) -> Transaction:
        if self._transaction is not None:
            try:
                self._transaction.cursor.execute(self._begin_sql)
            except Exception:
                # A server that was started anew has closed the connection, and nothing was written with it yet.
                if not is_lost(self._engine.dialect, self._transaction.cursor.connection):
                    raise
                self._disconnect()
            else:
                return self._transaction
        connection = self._engine.connect().execution_options(**{BEGUN: True})
        self._transaction = Transaction(connection, self._sums)
        self._transaction.cursor.execute(self._begin_sql)
        return self._transaction

    def _end(self, transaction: Transaction) -> None:
        if transaction.connection.in_transaction():  # a change used Core
            transaction.connection.commit()
        else:
            transaction.cursor.connection.commit()

    def _roll_back(self) -> None:
        self._sums.forget()
        if self._transaction is None:
            return
        try:
            self._transaction.connection.rollback()
            self._transaction.cursor.connection.rollback()
        except Exception:
            # With nobody at the other end there is nothing to take back: the server did when it lost us.
            if not is_lost(self._engine.dialect, self._transaction.cursor.connection):
                raise
            self._disconnect()

    def _abort(self, batch: list[_Ticket[Any]], error: BaseException) -> None:
        """The batch as a whole failed: as far as anybody knows, nothing of it is in the catalog."""
        self._sums.forget()
        self._disconnect()
        for ticket in batch:
            if not ticket.done:
                shown = _own(error) if isinstance(error, Exception) else Later("the program is being stopped")
                ticket.fail(shown, refused=False)

    def _disconnect(self) -> None:
        if self._transaction is not None:
            self._transaction.connection.invalidate()
            self._transaction.connection.close()
            self._transaction = None

    # What nobody waits for -------------------------------------------------------------------------------------------

    def _flush_lazily(self) -> None:
        while not self._closing.is_set():
            self._lazy.wait()
            self._closing.wait(CATALOG_LAZY_S)
            self._lazy.clear()
            self.flush()


def _result(ticket: _Ticket[T]) -> T:
    if ticket.error is not None:
        # Only what was refused for sure is undone. Where the commit itself failed nobody knows whether it
        # happened; a file without a row is adopted later, a row without a file would be damage.
        if ticket.refused:
            _undo(ticket.change, ticket.error)
        raise ticket.error
    return ticket.result  # type: ignore[return-value]


def _undo(change: Change[Any], error: BaseException) -> None:
    try:
        change.undo()
    except OSError as failure:
        error.add_note(f"and its files could not be moved back: {failure}")


def _own(error: Exception) -> Exception:
    """What the caller gets to see: our own errors as they are, the database's and the disk's in our words."""
    if isinstance(error, LogferryError):
        return error
    if isinstance(error, OSError):
        return translated(error, "the archive")
    text = str(error.orig if isinstance(error, DBAPIError) else error)
    if "disk is full" in text or "No space left on device" in text:  # SQLite's and PostgreSQL's words
        return Full("no room left for the catalog", hint="free some space; the sender then repeats")
    if isinstance(error, DBAPIError) or type(error).__module__.partition(".")[0] in ("sqlite3", "psycopg"):
        later = Later(f"the catalog could not be written: {text}", hint="nothing was confirmed; try again")
        later.__cause__ = error
        return later
    return error
