"""What the agent says about itself: ``status.json`` while it runs, a summary when ``once`` is over."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from logging import WARNING

from logferry import __version__
from logferry.agent.config import AgentConfig
from logferry.agent.files import Handles
from logferry.agent.journal import Journal, text
from logferry.agent.link import Link
from logferry.agent.lookout import Lookout
from logferry.agent.registry import Registry
from logferry.agent.roster import Roster
from logferry.agent.settler import Settler
from logferry.agent.status import Failing, Status, write_status
from logferry.clock import Clock
from logferry.limits import FINDINGS_MAX

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
class Parts:
    """The parts of a running agent that a report is made of."""

    config: AgentConfig
    registry: Registry
    roster: Roster
    lookout: Lookout
    handles: Handles
    settler: Settler
    link: Link
    journal: Journal
    clock: Clock


class Reporter:
    """Used by the runner's thread only."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started_ns = parts.clock.now_ns()
        self._written_s = -math.inf
        self._written_key: object = None

    def summary(self) -> Summary:
        """What was done and what is left."""
        parts = self._parts
        works = parts.roster.works.values()
        problems = [f"{text(w.row.path)}: {w.error}" for w in works if w.error]
        problems += [finding.text() for finding in parts.lookout.findings.values()]
        if not parts.link.up and parts.link.status.why:
            problems.insert(0, parts.link.status.why)
        if parts.registry.behind is not None:
            problems.insert(0, str(parts.registry.behind))
        return Summary(
            sent_slices=parts.settler.sent_slices,
            sent_bytes=parts.settler.sent_bytes,
            files=parts.lookout.scanner.files(),
            left=len(works),
            left_bytes=parts.roster.lag_bytes,
            renames=parts.lookout.moves,
            generations=parts.lookout.generations,
            problems=tuple(problems[:FINDINGS_MAX]),
        )

    def status(self, *, stopped: bool = False) -> Status:
        """The state now."""
        parts = self._parts
        link, settler, lookout = parts.link.status, parts.settler, parts.lookout
        works = parts.roster.works.values()
        failing = [Failing(text(w.row.path or w.row.want), w.error, w.failures) for w in works if w.error]
        behind = parts.registry.behind
        return Status(
            agent=parts.config.agent.id,
            version=__version__,
            pid=os.getpid(),
            server=parts.config.server.address,
            link=link.word,
            link_why=link.why,
            link_since_ns=link.since_ns,
            started_ns=self._started_ns,
            written_ns=parts.clock.now_ns(),
            stopped=stopped,
            files=lookout.scanner.files(),
            waiting=len(works),
            held=len(parts.handles),
            lag_bytes=parts.roster.lag_bytes,
            sent_files=settler.sent_slices,
            sent_bytes=settler.sent_bytes,
            generations=lookout.generations,
            renames=lookout.moves,
            last_path=settler.last_path,
            registry_state=str(behind) if behind else "",
            watching=parts.journal.states().get("watching", ""),
            failing=tuple(failing[:FINDINGS_MAX]),
            findings=tuple(finding.text() for finding in lookout.findings.values()),
        )

    def write(self, *, stopped: bool = False) -> None:
        """Write ``status.json``: at most once a second, seldom when nothing happens, always when ``stopped``."""
        parts = self._parts
        now = parts.clock.monotonic_s()
        key = (parts.link.status, parts.settler.sent_slices, len(parts.roster.works), len(parts.lookout.findings))
        pause_s = _STATUS_QUIET_S if key == self._written_key else _STATUS_S
        if not stopped and now < self._written_s + pause_s:
            return
        self._written_s, self._written_key = now, key
        try:
            write_status(parts.config.state_dir, self.status(stopped=stopped))
            parts.journal.state("status.json", "")
        except OSError as error:
            parts.journal.state("status.json", "not written", level=WARNING, why=str(error.strerror))
