"""The workers of a Dask cluster, as a place where text is looked through. Whatever fails there is an OSError here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from typing import Any, ParamSpec, TypeVar

from logferry.limits import SEARCH_CLUSTER_BUSY_S_MAX, SEARCH_CLUSTER_REST_S, SEARCH_CLUSTER_S_MAX

P = ParamSpec("P")
T = TypeVar("T")
_MUTE = f"the scheduler said nothing for {SEARCH_CLUSTER_S_MAX:g} s"


class Cluster:
    """The workers (``logferry worker``) of a Dask cluster. Connects when it is first needed; thread-safe."""

    def __init__(self, address: str) -> None:
        """``address``: of its scheduler, ``tcp://host:port``."""
        self._address = address
        self._lock = threading.Lock()
        self._client: Any = None
        self._attempt: Future[Any] | None = None
        """A connection that is being made: one attempt serves everybody who waits for it."""
        self._is_closed = False
        self._failed = ""
        """What went wrong last; the cluster is left alone until ``_again_s``."""
        self._again_s = 0.0

    def count(self) -> int:
        """See ``Place``."""
        return len(self.workers())

    def workers(self) -> list[str]:
        """Their addresses, at least one. Raises OSError when nobody answers or nobody works there."""
        client = self._connected()
        asked = _in_thread(lambda: _workers_of(client))
        if not wait([asked], timeout=SEARCH_CLUSTER_S_MAX).done:
            _in_thread(client.close)  # which ends what was asked
            raise self._rest(_MUTE)
        try:
            found = asked.result()
        except Exception as error:  # the library has many ways to fail, all of which mean this
            raise _lost(error) from error
        if client.status != "running":  # the answer is an old one then
            raise ConnectionResetError("the connection to the scheduler was lost")
        if not found:
            raise ConnectionError("no worker is connected to the scheduler")
        return found

    def check(self) -> None:
        """See ``Place``. A scheduler keeps what it was given for workers that may come: it has to be asked.

        It may be busy, as when it sees our code for the first time: it is waited for longer than one that is idle.
        """
        with self._lock:
            client = self._client
        if client is None:  # what was given to it is broken off, and whoever gave it knows
            return
        asked = _in_thread(lambda: _workers_of(client))
        if not wait([asked], timeout=SEARCH_CLUSTER_BUSY_S_MAX).done:
            _in_thread(client.close)
            raise self._rest(f"the scheduler said nothing for {SEARCH_CLUSTER_BUSY_S_MAX:g} s")
        if asked.exception() is None and not asked.result() and client.status == "running":
            raise ConnectionError("no worker is left")

    def executor(self, lane: int) -> Executor:
        """See ``Place``."""
        workers = self.workers()
        client = self._connected()
        try:
            behind = client.get_executor(pure=False, workers=[workers[lane % len(workers)]], allow_other_workers=True)
        except Exception as error:
            raise _lost(error) from error
        return _Lane(behind)

    def close(self) -> None:
        """See ``Place``."""
        with self._lock:
            client, self._client = self._client, None
            self._is_closed = True
        if client is not None:
            client.close()

    def _connected(self) -> Any:
        with self._lock:
            if self._is_closed:
                raise ConnectionError("the search is being closed")
            if time.monotonic() < self._again_s:
                raise ConnectionError(self._failed)
            if self._client is not None and self._client.status == "running":
                return self._client
            # One that lost its scheduler connects again or closes by itself; asked meanwhile it would only wait.
            self._client = None
            if self._attempt is None:
                self._attempt = _in_thread(self._connect)
            attempt = self._attempt
        # Its own limit of time does not hold where a connection is accepted and nothing is said.
        if not wait([attempt], timeout=SEARCH_CLUSTER_S_MAX).done:
            raise self._rest(_MUTE)
        return attempt.result()

    def _connect(self) -> Any:
        try:
            import distributed

            make: Any = distributed.Client
            client = make(self._address, set_as_default=False, timeout=SEARCH_CLUSTER_S_MAX)
        except Exception as error:
            self._rest(_told(error))
            with self._lock:
                self._attempt = None
            raise _lost(error) from error
        with self._lock:
            self._attempt = None
            if not self._is_closed:
                self._client = client
                return client
        client.close()
        raise ConnectionError("the search is being closed")

    def _rest(self, why: str) -> OSError:
        """Leave it alone for a while."""
        with self._lock:
            self._failed = why
            self._again_s = time.monotonic() + SEARCH_CLUSTER_REST_S
        return ConnectionError(why)


def _workers_of(client: Any) -> list[str]:
    """The addresses of all workers, from the scheduler itself: what a client keeps of it has none at times."""
    return sorted(client.nthreads())


class _Lane(Executor):
    """What a client gives, which is broken, as other executors are, when its client is.

    It is let go of by being forgotten: each batch is cancelled by whoever gave it, and closing the client ends all.
    """

    def __init__(self, behind: Executor) -> None:
        self._behind = behind

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As other executors."""
        try:
            return self._behind.submit(fn, *args, **kwargs)
        except Exception as error:
            raise BrokenExecutor(_told(error)) from error


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _lost(error: Exception) -> OSError:
    return error if isinstance(error, OSError) else ConnectionError(_told(error))


def _in_thread(work: Callable[[], T]) -> Future[T]:
    """Done in a thread that nobody has to wait for, also not when the program ends."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            done.set_exception(error)

    threading.Thread(target=run, name="search-cluster", daemon=True).start()
    return done
