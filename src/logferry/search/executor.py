"""Looking through text elsewhere: in processes of this machine or on a Dask cluster, through ``concurrent.futures``.

What is sent is small: which runs of which segments, and what for. Each worker reads them from the store itself. A
segment always goes to the same worker, whose caches have it then, and each worker gets one batch at a time.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import numpy as np

from logferry.archive.sealed import Segments
from logferry.archive.store import Store
from logferry.errors import LogferryError
from logferry.limits import SEARCH_ASK_S, SEARCH_BATCH_BYTES, SEARCH_WAIT_S
from logferry.search.niceness import be_nice
from logferry.search.query import Node
from logferry.search.scan.lines import Lines, Matching

A = TypeVar("A")
Opener: TypeAlias = Callable[[], Store]
"""Opens the store in another process; can be pickled."""


@dataclass(frozen=True, slots=True)
class Task:
    """Runs of a segment's content, (raw offset, length), whose lines are matched against a query of texts."""

    segment: str
    """Name of its object."""
    bytes: int
    """Of that object."""
    runs: tuple[tuple[int, int], ...]
    node: Node
    exact_case: bool

    @property
    def content_bytes(self) -> int:
        """How much there is to read."""
        return sum(length for _, length in self.runs)


@dataclass(frozen=True, slots=True)
class Found:
    """Which lines of a run match: their numbers in it, 4 bytes each, little-endian. ``why``: nobody looked.

    ``is_unreadable``: because of its bytes.
    """

    rows: bytes = b""
    why: str = ""
    is_unreadable: bool = False

    def marks(self, lines: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """One truth value a line."""
        marks = np.zeros(lines, np.bool_)
        marks[np.frombuffer(self.rows, "<i4")] = True
        return marks


class _Late(Exception):
    pass


# In the worker ------------------------------------------------------------------------------------------------------


class _Home:
    """What a worker process works with."""

    segments: Segments | None = None


def settle(opener: Opener) -> None:
    """This process works on the segments of that store. Where another one started it for that, it ends with it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), name="parent", daemon=True).start()
    _Home.segments = Segments(opener())


def _settle_behind(opener: Opener) -> None:
    """The same, of a process that lets the others of its machine go first: it looks through much text, for long."""
    be_nice()
    settle(opener)


def _end_with(sentinel: int) -> None:
    """A parent that is killed cannot stop its workers, and what they wait for never comes then."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def look(tasks: Sequence[Task], seconds: float) -> list[list[Found]]:
    """What there is in each run of each task. After ``seconds`` the rest is given up: it has no time left anyway."""
    segments = _Home.segments
    if segments is None:
        raise LogferryError("this process has no store to work on", hint="start it with `logferry worker`")
    return look_in(segments, tasks, seconds)


def look_in(segments: Segments, tasks: Sequence[Task], seconds: float) -> list[list[Found]]:
    """The same, of given segments."""
    until_s = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > until_s:
            raise _Late

    found: list[list[Found]] = []
    for task in tasks:
        matching = Matching(task.node, exact_case=task.exact_case)
        found.append([_look(segments, task, run, matching, check) for run in task.runs])
    return found


def _look(segments: Segments, task: Task, run: tuple[int, int], matching: Matching, check: Callable[[], None]) -> Found:
    try:
        check()
        data = _content(segments, task, *run)
        marks = matching(Lines(data), check)
    except _Late:
        return Found(why="the time was over")
    except (LogferryError, OSError) as error:
        return Found(why=str(error), is_unreadable=True)
    return Found(np.flatnonzero(marks).astype("<i4").tobytes())


def _content(segments: Segments, task: Task, offset: int, count: int) -> bytes:
    segment = segments.open(task.segment, task.bytes)
    parts: list[bytes] = []
    while count > 0:
        number = segment.frame_at(offset)
        start = offset - segment.manifest.frames[number].raw_offset
        part = segments.frame(task.segment, task.bytes, number)[start : start + count]
        if not part:
            raise LogferryError(f"store/{task.segment} is shorter than its index says")
        parts.append(part)
        offset += len(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


# Here ---------------------------------------------------------------------------------------------------------------


class Place(Protocol):
    """Where workers are."""

    def count(self) -> int:
        """How many there are, at least one; may take seconds. Raises OSError when nobody answers."""
        ...

    def check(self) -> None:
        """Whether anybody is left who works on what was given; may take seconds. Raises OSError when nobody is."""
        ...

    def executor(self, lane: int) -> Executor:
        """What the worker of this number works behind, made anew. Raises OSError when nobody answers."""
        ...

    def close(self) -> None:
        """Let them go."""
        ...


class Processes:
    """Processes of this machine, one behind each executor: whichever dies takes no other one with it."""

    def __init__(self, opener: Opener, count: int) -> None:
        self._opener = opener
        self._count = count

    def count(self) -> int:
        """See ``Place``."""
        return self._count

    def check(self) -> None:
        """See ``Place``. A process that ends breaks its executor, which says so."""

    def executor(self, lane: int) -> Executor:  # noqa: ARG002 - they are all alike
        """See ``Place``."""
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=_settle_behind, initargs=(self._opener,))

    def close(self) -> None:
        """See ``Place``."""


class Crew:
    """Workers at a place. Thread-safe. Close it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._executors: dict[int, Executor] = {}

    def look(
        self, tasks: Iterable[Task], *, seconds: float, check: Callable[[], None]
    ) -> Iterator[tuple[Task, list[Found]] | None]:
        """What the tasks find, in any order; None every ``SEARCH_WAIT_S`` while nothing has come.

        ``check`` is called while waiting and may raise to stop. A batch whose worker died is given to another one,
        once; then it is told as not read.

        Raises:
            OSError: nobody is there, or nobody is left.
        """
        count = yield from self._count(check)
        waiting = self._batches(tasks, count)
        running: dict[Future[list[list[Found]]], tuple[int, list[Task], bool]] = {}
        try:
            for lane in range(count):
                self._next(lane, waiting, running, seconds)
            asked_s = time.monotonic()
            while running:
                check()
                done, _ = wait(running, timeout=SEARCH_WAIT_S, return_when=FIRST_COMPLETED)
                if done:
                    asked_s = time.monotonic()
                elif time.monotonic() - asked_s >= SEARCH_ASK_S:
                    # A cluster keeps the batches of workers that died for those that may come: nobody would tell.
                    yield from self._asked(self._place.check, check)
                    asked_s = time.monotonic()
                else:
                    yield None
                for future in done:
                    lane, batch, is_second = running.pop(future)
                    found = self._result(lane, future)
                    if isinstance(found, str):
                        if not is_second:
                            yield from self._count(check)  # whether anybody is left
                            self._submit((lane + 1) % count, batch, running, seconds, is_second=True)
                            continue
                        found = [[Found(why=found)] * len(task.runs) for task in batch]
                    yield from zip(batch, found, strict=True)
                    self._next(lane, waiting, running, seconds)
        finally:
            for future in running:
                future.cancel()

    def close(self) -> None:
        """Let the workers go."""
        with self._lock:
            executors, self._executors = list(self._executors.values()), {}
        for executor in executors:
            executor.shutdown(wait=False)
        self._place.close()

    def _count(self, check: Callable[[], None]) -> Generator[None, None, int]:
        """How many there are."""
        return (yield from self._asked(self._place.count, check))

    @staticmethod
    def _asked(question: Callable[[], A], check: Callable[[], None]) -> Generator[None, None, A]:
        """What the place says. Asked in a thread, so that a scheduler that does not answer holds nobody."""
        asked: Future[A] = Future()

        def ask() -> None:
            try:
                asked.set_result(question())
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                asked.set_exception(error)

        threading.Thread(target=ask, name="search-crew", daemon=True).start()
        while not wait([asked], timeout=SEARCH_WAIT_S).done:
            check()
            yield None
        return asked.result()

    @staticmethod
    def _batches(tasks: Iterable[Task], count: int) -> list[deque[list[Task]]]:
        """Batches of each worker."""
        lanes: list[deque[list[Task]]] = [deque() for _ in range(count)]
        sizes = [SEARCH_BATCH_BYTES] * count
        for task in tasks:
            lane = zlib.crc32(task.segment.encode()) % count
            if sizes[lane] >= SEARCH_BATCH_BYTES:
                lanes[lane].append([])
                sizes[lane] = 0
            lanes[lane][-1].append(task)
            sizes[lane] += task.content_bytes
        return lanes

    def _next(
        self,
        lane: int,
        waiting: list[deque[list[Task]]],
        running: dict[Future[list[list[Found]]], tuple[int, list[Task], bool]],
        seconds: float,
    ) -> None:
        """Give a worker its next batch; one that has none left takes one of the worker that has most."""
        of = waiting[lane] or max(waiting, key=len)
        if of:
            self._submit(lane, of.popleft(), running, seconds, is_second=False)

    def _submit(
        self,
        lane: int,
        batch: list[Task],
        running: dict[Future[list[list[Found]]], tuple[int, list[Task], bool]],
        seconds: float,
        *,
        is_second: bool,
    ) -> None:
        future: Future[list[list[Found]]]
        for is_last in (False, True):
            executor = self._present(lane)
            try:
                future = executor.submit(look, batch, seconds)
                break
            except RuntimeError as error:  # broken, or closed under us
                self._broke(lane, executor)
                if is_last:
                    future = Future()
                    future.set_exception(error)
        running[future] = (lane, batch, is_second)

    def _result(self, lane: int, future: Future[list[list[Found]]]) -> list[list[Found]] | str:
        """What a worker found, or why it did not."""
        try:
            return future.result()
        except CancelledError:
            return "the search was broken off there"
        except Exception as error:  # noqa: BLE001 - whatever happened to a worker, the search goes on and names it
            if isinstance(error, RuntimeError):
                self._broke(lane, self._executors.get(lane))
            return f"the process that searched it failed: {str(error) or type(error).__name__}"

    def _present(self, lane: int) -> Executor:
        with self._lock:
            if lane not in self._executors:
                self._executors[lane] = self._place.executor(lane)
            return self._executors[lane]

    def _broke(self, lane: int, executor: Executor | None) -> None:
        with self._lock:
            if executor is None or self._executors.get(lane) is not executor:
                return
            del self._executors[lane]
        executor.shutdown(wait=False)
