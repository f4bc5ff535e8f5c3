"""Searches that outlive a request: each runs in a thread of its own and keeps what it found, for whoever started it.

Bounded in number, in the bytes they keep and in age. They live in this process: one that ends takes them along.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import structlog

from logferry.clock import Clock
from logferry.errors import Busy, LogferryError, NotFound
from logferry.limits import (
    SEARCH_JOB_BYTES_MAX,
    SEARCH_JOB_KEPT_S,
    SEARCH_JOB_UNHEARD_S,
    SEARCH_JOBS_BYTES_MAX,
    SEARCH_JOBS_MAX,
    SEARCH_JOBS_PER_USER_MAX,
    SEARCH_JOBS_RUNNING_MAX,
    SEARCH_STOP_S_MAX,
)
from logferry.search.events import Done, Event, Hit, Progress
from logferry.search.service import SearchRequest, SearchService
from logferry.server.people import Identity
from logferry.web.eventforms import hit_bytes
from logferry.web.metrics import JOBS, SEARCHED_BYTES
from logferry.web.searching import Running, Slot, Slots, charged

log = structlog.get_logger("logferry.web")
State: TypeAlias = Literal["running", "done", "limit", "time", "cancelled", "error"]
_ENTRY_BYTES = 96
"""What a kept hit costs beside its text."""
_KEPT_ALL = "it keeps no more hits than {kept:,}: narrow the query, or stream all of them with GET /api/v1/search"


class Job:
    """One search and what it found so far. Safe from many threads."""

    def __init__(self, owner: Identity, request: SearchRequest, asked: dict[str, Any], clock: Clock) -> None:
        self.id = secrets.token_urlsafe(12)
        self.owner = owner
        self.asked = asked
        """The question as it was asked, for whoever reads the job."""
        self.limit = request.limit
        self.cancel = request.cancel
        self.patient = request.patient
        self.started_ns = clock.now_ns()
        self._clock = clock
        self._lock = threading.Lock()
        self._hits: list[bytes] = []
        self._followers: set[Callable[[], None]] = set()
        self.kept_bytes = 0
        self.progress = Progress(0, 0, 0, 0, 0)
        self.done: Done | None = None
        self.problem: LogferryError | None = None
        self.ended_ns: int | None = None
        self._is_full = False
        self._why = ""
        self.heard_s = clock.monotonic_s()
        self._ended = threading.Event()

    # Read ------------------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether more may come."""
        return not self._ended.is_set()

    @property
    def state(self) -> State:
        """Where it stands; why it ended."""
        if self.is_running:
            return "running"
        if self.done is None:
            return "error"
        return "done" if self.done.reason == "complete" else self.done.reason

    @property
    def why(self) -> str:
        """Why it is not all there is, in words; empty while it runs and where nothing is missing."""
        if self.is_running:
            return ""
        if self._why:
            return self._why
        if self.problem is not None:
            return self.problem.message
        if self.done is None:
            return "the server failed on this search; its log says why"
        words = {
            "limit": f"it stopped at the limit of {self.limit:,} hits",
            "time": "it stopped at the time limit: narrow the query, or its time",
            "cancelled": "it was stopped",
        }
        told = words.get(self.done.reason, "")
        if not told and self.done.errors:
            told = "some files could not be read"
        return told

    @property
    def found(self) -> int:
        """Hits so far."""
        return len(self._hits)

    def hits(self, first: int, count: int) -> tuple[list[bytes], bool]:
        """Hits from number ``first`` (0: the first) as JSON, and whether nothing can come behind them."""
        with self._lock:
            taken = self._hits[first : first + count]
            return taken, not self.is_running and first + len(taken) >= len(self._hits)

    def heard(self) -> None:
        """Somebody asked about it."""
        self.heard_s = self._clock.monotonic_s()

    def follow(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` from now on whenever something is new. From any thread; it must return at once."""
        with self._lock:
            self._followers.add(wake)

    def unfollow(self, wake: Callable[[], None]) -> None:
        """No longer."""
        with self._lock:
            self._followers.discard(wake)

    @property
    def is_followed(self) -> bool:
        """Whether somebody listens."""
        return bool(self._followers)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it has come."""
        return self._ended.wait(seconds)

    # Run -------------------------------------------------------------------------------------------------------------

    def take(self, event: Event, room_bytes: int) -> None:
        """Keep an event. The first hit without room (``room_bytes``: what all jobs together may add) stops the search:
        no hit is kept behind it, the account that comes is, with what could not be looked at.
        """
        if isinstance(event, Hit):
            if not self._is_full:
                self._keep(hit_bytes(event), room_bytes)
        elif isinstance(event, Progress):
            self.progress = event
        else:
            self.done = replace(event, reason="limit", hits=len(self._hits)) if self._is_full else event
        self._wake()

    def _keep(self, data: bytes, room_bytes: int) -> None:
        size = len(data) + _ENTRY_BYTES
        if size > min(SEARCH_JOB_BYTES_MAX - self.kept_bytes, room_bytes):
            self._is_full = True
            self._why = _KEPT_ALL.format(kept=len(self._hits))
            self.cancel.set()
            return
        with self._lock:
            self._hits.append(data)
            self.kept_bytes += size

    def end(self, problem: LogferryError | None = None) -> None:
        """Nothing more comes."""
        self.problem = problem
        self.ended_ns = self._clock.now_ns()
        with self._lock:
            self._ended.set()
        self.heard()
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            followers = tuple(self._followers)
        for wake in followers:
            wake()


class Jobs:
    """All jobs of this process. Safe from many threads."""

    def __init__(self, search: SearchService, slots: Slots, clock: Clock) -> None:
        self._search = search
        self._slots = slots
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._stopping = False

    def start(self, who: Identity, request: SearchRequest, asked: dict[str, Any]) -> Job:
        """Begin a search. Its hits can be read while it runs.

        Raises:
            BadQuery: at once.
            Busy: the person, or everybody together, has too many running.
        """
        job = Job(who, request, asked, self._clock)
        slot = self._slots.take(who.name)
        try:
            events = self._search.run(request)  # refuses what it does not understand, before anything old has to go
            self._add(job)
            try:
                threading.Thread(target=self._run, args=(job, events, slot), name="search", daemon=True).start()
            except BaseException:
                self._forget(job)
                raise
        except BaseException:
            slot.give_back()
            raise
        return job

    def get(self, who: Identity, job_id: str) -> Job:
        """A job of ``who``. Raises NotFound: also for those of others, and when what the person may see has changed."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None or job.owner.user_id != who.user_id or job.owner.scope != who.scope:
            raise NotFound("there is no such search", hint="it may have been forgotten; start it again")
        job.heard()
        return job

    def all(self, who: Identity) -> list[Job]:
        """Those of ``who``, the newest first."""
        with self._lock:
            jobs = list(self._jobs.values())
        return [j for j in reversed(jobs) if j.owner.user_id == who.user_id and j.owner.scope == who.scope]

    def remove(self, job: Job) -> None:
        """Cancel it if it runs, and forget it with all it found."""
        job.cancel.set()
        self._forget(job)

    def sweep(self) -> None:
        """Forget jobs that nobody asked for in a while; cancel running ones that nobody listens to."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            if job.is_followed:
                continue
            quiet_s = now_s - job.heard_s
            if job.is_running:
                if quiet_s > SEARCH_JOB_UNHEARD_S:
                    job.cancel.set()
            elif quiet_s > SEARCH_JOB_KEPT_S:
                self._forget(job)

    def stop(self) -> None:
        """Cancel all; new ones are refused."""
        with self._lock:
            self._stopping = True
            jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel.set()

    def close(self) -> None:
        """``stop``, and wait until their threads have let go of files."""
        self.stop()
        until_s = self._clock.monotonic_s() + SEARCH_STOP_S_MAX
        for job in list(self._jobs.values()):
            job.wait(max(0.0, until_s - self._clock.monotonic_s()))

    # The inside ------------------------------------------------------------------------------------------------------

    def _add(self, job: Job) -> None:
        with self._lock:
            mine = [j for j in self._jobs.values() if j.owner.user_id == job.owner.user_id]
            if len(mine) >= SEARCH_JOBS_PER_USER_MAX:
                self._drop_ended(mine)
            if len(self._jobs) >= SEARCH_JOBS_MAX:
                self._drop_ended(list(self._jobs.values()))
            running = sum(j.is_running for j in self._jobs.values())
            if self._stopping or len(self._jobs) >= SEARCH_JOBS_MAX or running >= SEARCH_JOBS_RUNNING_MAX:
                raise Busy("too many searches are running", retry_after_s=5, hint="try again in a moment")
            self._jobs[job.id] = job
            JOBS.set(len(self._jobs))

    def _drop_ended(self, jobs: list[Job]) -> Job | None:
        """Forget the one of ``jobs`` that ended first, if any did. Holding the lock."""
        ended = min((j for j in jobs if not j.is_running), key=lambda j: j.ended_ns or 0, default=None)
        if ended is not None:
            self._jobs.pop(ended.id, None)
            JOBS.set(len(self._jobs))
        return ended

    def _forget(self, job: Job) -> None:
        with self._lock:
            self._jobs.pop(job.id, None)
            JOBS.set(len(self._jobs))

    def _room(self) -> int:
        """What may still be kept; jobs that ended go first."""
        with self._lock:
            room = SEARCH_JOBS_BYTES_MAX - sum(j.kept_bytes for j in self._jobs.values())
            while room < SEARCH_JOB_BYTES_MAX and (dropped := self._drop_ended(list(self._jobs.values()))):
                room += dropped.kept_bytes
            return room

    def _run(self, job: Job, events: Iterator[Event], slot: Slot) -> None:
        problem: LogferryError | None = None
        began_s = self._clock.monotonic_s()
        running = Running[Event](events, job.cancel, self._clock, job.patient)
        if slot.owes:
            running.stand_back()
        try:
            while not running.is_over:
                self._keep(job, self._piece(running, slot))
        except LogferryError as error:
            problem = error
        except Exception:
            # The edge of a thread: the job says that it failed, the log has the traceback under its id.
            log.exception("search failed", job=job.id)
        finally:
            running.close()
            slot.give_back()
            job.end(problem)
            scanned = (job.done or job.progress).scanned_bytes
            SEARCHED_BYTES.inc(scanned)
            seconds = round(self._clock.monotonic_s() - began_s, 3)
            log.info("search ended", job=job.id, who=job.owner.name, state=job.state, hits=job.found, seconds=seconds)

    def _keep(self, job: Job, piece: list[Event]) -> None:
        room = self._room() + job.kept_bytes
        for event in piece:
            job.take(event, room - job.kept_bytes)

    def _piece(self, running: Running[Event], slot: Slot) -> list[Event]:
        with slot.turns.of_jobs, charged(slot, running, self._clock):
            return running.piece()
