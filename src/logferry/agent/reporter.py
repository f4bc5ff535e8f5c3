"""What the agent says about itself: ``status.json`` while it runs, a summary when ``once`` is over."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from logging import WARNING

from logferry import __version__
from logferry.agent.config import AgentConfig
from logferry.agent.configfile import ConfigState
from logferry.agent.journal import text
from logferry.agent.link import Link
from logferry.agent.pace import Pace
from logferry.agent.parts import Parts
from logferry.agent.status import Failing, Status, write_status
from logferry.limits import FINDINGS_MAX, SCAN_CPU_SHARE

_STATUS_S = 1.0
_STATUS_QUIET_S = 10.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What ``once`` did. ``left`` files (``left_bytes``) are still unsent; ``problems`` say why."""

    sent_slices: int
    sent_bytes: int
    files: int
    left: int
    left_bytes: int
    renames: int
    generations: int
    problems: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether everything that was there is on the server."""
        return self.left == 0 and not self.problems


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a report needs besides the parts; on reload the agent gives another one."""

    config: AgentConfig
    link: Link
    pace: Pace
    settings: ConfigState
    config_path: str
    heartbeat: Callable[[], tuple[str, float | None]]
    """``ok`` or why not, and the clock's skew in seconds."""
    metrics: Callable[[], str]


class Reporter:
    """Used by the runner's thread only, except ``latest``."""

    def __init__(self, parts: Parts, around: Surroundings, started_ns: int) -> None:
        self._parts = parts
        self.around = around
        self._started_ns = started_ns
        self._due_s = -math.inf
        self._quiet_s = -math.inf
        self._written_key: object = None
        self.latest = self.status()
        """The newest status that was written. From any thread."""

    def summary(self) -> Summary:
        """What was done and what is left."""
        parts, link = self._parts, self.around.link
        works = parts.roster.works.values()
        problems = [f"{text(w.row.path)}: {w.error}" for w in works if w.error]
        problems += [finding.text() for finding in parts.lookout.findings.values()]
        if self.around.pace.quiet and works:
            problems.insert(0, f"{self.around.pace}: unsent files wait for their end")
        if not link.up and link.status.why:
            problems.insert(0, link.status.why)
        if parts.registry.behind is not None:
            problems.insert(0, str(parts.registry.behind))
        return Summary(
            sent_slices=parts.settler.sent_slices,
            sent_bytes=parts.settler.sent_bytes,
            files=parts.lookout.scanner.files(),
            left=len(works) + parts.lookout.put_off.files,
            left_bytes=parts.roster.lag()[0] + parts.lookout.put_off.bytes,
            renames=parts.lookout.moves,
            generations=parts.lookout.generations,
            problems=tuple(problems[:FINDINGS_MAX]),
        )

    def status(self, *, stopped: bool = False) -> Status:
        """The state now."""
        parts, around = self._parts, self.around
        link, settler, lookout = around.link.status, parts.settler, parts.lookout
        failing = self._failing()
        lag_bytes, lag_s = parts.roster.lag()
        behind = parts.registry.behind
        heartbeat, skew_s = around.heartbeat()
        return Status(
            agent=around.config.agent.id,
            version=__version__,
            pid=os.getpid(),
            server=around.link.address,
            link=link.word,
            link_why=link.why,
            link_since_ns=link.since_ns,
            link_failures=link.failures,
            retry_s=round(around.link.wait_s(), 1),
            started_ns=self._started_ns,
            written_ns=parts.clock.now_ns(),
            stopped=stopped,
            files=lookout.scanner.files(),
            waiting=len(parts.roster.works) + lookout.put_off.files,
            held=len(parts.handles),
            misplaced=len(parts.roster.misplaced),
            lag_bytes=lag_bytes + lookout.put_off.bytes,
            lag_s=round(lag_s, 1),
            sent_files=settler.sent_slices,
            sent_bytes=settler.sent_bytes,
            generations=lookout.generations,
            renames=lookout.moves,
            differences=lookout.differences,
            looks=parts.tally.looks,
            errors=parts.tally.errors(),
            last_path=settler.last_path,
            registry_state=str(behind) if behind else "",
            registry_bytes=_size_of(parts.registry.path) + _size_of(f"{parts.registry.path}-wal"),
            mismatches=settler.mismatches,
            watcher=parts.watcher.kind,
            watching=parts.journal.states().get("watching", ""),
            polled=len(parts.watcher.polled),
            overflows=parts.watcher.overflows,
            held_deleted=settler.held_files,
            held_bytes=settler.held_bytes,
            dropped_files=parts.handles.dropped_files,
            dropped_bytes=parts.handles.dropped_bytes,
            failing=tuple(failing[:FINDINGS_MAX]),
            failing_count=len(failing),
            findings=tuple(finding.text() for finding in lookout.findings.values()),
            copies=settler.copies,
            sources=tuple(text(source.root) for source in lookout.scanner.sources),
            config_path=around.config_path,
            config_loaded_ns=around.settings.loaded_ns,
            config_tries=around.settings.tries,
            config_error=around.settings.error,
            heartbeat=heartbeat,
            clock_skew_s=skew_s,
            metrics=around.metrics(),
        )

    def _failing(self) -> list[Failing]:
        now_s = self._parts.clock.monotonic_s()
        return [
            Failing(text(w.row.path or w.row.want), w.error, w.failures, round(max(0.0, w.due_s - now_s), 1))
            for w in self._parts.roster.works.values()
            if w.error
        ]

    def hurry(self) -> None:
        """Write at the next turn whatever was written last."""
        self._due_s = -math.inf
        self._written_key = None

    def write(self, *, stopped: bool = False) -> bool:
        """Write ``status.json``: at most once a second, seldom when nothing happens, always when ``stopped``.

        Returns whether there is a new ``latest``.
        """
        parts = self._parts
        now = parts.clock.monotonic_s()
        if now < self._due_s and not stopped:
            return False
        key = (
            self.around.link.status,
            parts.settler.sent_slices,
            len(parts.roster.works),
            len(parts.lookout.findings),
            parts.tally.errors(),
            self.around.heartbeat(),
        )
        if now < self._quiet_s and key == self._written_key and not stopped:
            return False
        before_s = time.thread_time()
        self.latest = self.status(stopped=stopped)
        try:
            write_status(self.around.config.state_dir, self.latest)
            parts.journal.state("status.json", "")
        except OSError as error:
            parts.journal.state("status.json", "not written", level=WARNING, why=str(error.strerror))
        # With a hundred thousand files waiting it takes a while to look at them all.
        cost_s = time.thread_time() - before_s
        self._due_s = now + max(_STATUS_S, cost_s / SCAN_CPU_SHARE)
        self._quiet_s = now + max(_STATUS_QUIET_S, cost_s / SCAN_CPU_SHARE)
        self._written_key = key
        return True


def _size_of(path: str | os.PathLike[str]) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
