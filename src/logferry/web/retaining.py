"""Retention as the web shows and runs it: what would go at a moment, summed up, within a bound of time.

The rules are those of the server's settings. A preview names its moment; a run of that moment deletes what the preview
showed, except what has changed, grown or come under a hold since.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog
from starlette.requests import Request

from logferry.archive.catalog.retaining import HoldRecord
from logferry.archive.retention import Due, Retention, Rule
from logferry.clock import Clock, rfc3339
from logferry.globs import whole
from logferry.limits import RETENTION_JUDGED_FILES_MAX, RETENTION_PREVIEW_S_MAX, RETENTION_RUN_S_MAX, RETENTION_SAMPLE
from logferry.server.people import Identity
from logferry.server.scope import Scope
from logferry.web.auth import context_of
from logferry.web.context import WebContext
from logferry.web.trail import note

log = structlog.get_logger("logferry.web")
_ALL = frozenset({"**", "*/**", "**/**", "*/*/**", "**/*"})
_SYNTAX = re.compile(r"[\s\"'()\\]")


@dataclass(slots=True)
class Sum:
    """Generations and their bytes."""

    generations: int = 0
    bytes: int = 0

    def add(self, due: Due) -> None:
        """One more."""
        self.generations += 1
        self.bytes += due.generation.size


@dataclass(slots=True)
class Outcome:
    """What goes, or has gone, at ``at_ns``: in all, by rule, by agent, and the first of them.

    ``complete`` is False where time ran out: then it is at least so much.
    """

    at_ns: int
    total: Sum = field(default_factory=Sum)
    rules: dict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))
    agents: dict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))
    sample: list[Due] = field(default_factory=list)
    complete: bool = True

    def add(self, due: Due) -> None:
        """One more generation."""
        self.total.add(due)
        self.rules[due.rule].add(due)
        self.agents[due.generation.agent].add(due)
        if len(self.sample) < RETENTION_SAMPLE:
            self.sample.append(due)


@dataclass(frozen=True, slots=True)
class Judged:
    """A rule, and what deserves a warning about it; empty where nothing does."""

    rule: Rule
    warning: str


def rules_of(context: WebContext) -> list[Rule]:
    """The rules in force, the first that matches counts."""
    return [Rule(rule.match, rule.keep) for rule in context.config.retention]


def retention_of(context: WebContext) -> Retention:
    """What previews and deletes by those rules."""
    return context.archive.retention(rules_of(context))


def preview(context: WebContext, at_ns: int | None = None) -> Outcome:
    """What would go at that moment (None: now), if nothing changed until then."""
    outcome = Outcome(_whole_ms(context, at_ns))
    _gather(
        outcome, ([due] for due in retention_of(context).due(outcome.at_ns)), context.clock, RETENTION_PREVIEW_S_MAX
    )
    return outcome


def run(request: Request, who: Identity, at_ns: int | None = None) -> Outcome:
    """Delete what was due at that moment (None: now), as far as that is done in time; the rest goes with later runs.

    Raises:
        Busy: a backup is being taken.
        Refused: the moment is in the future.
    """
    context = context_of(request)
    outcome = Outcome(_whole_ms(context, at_ns))
    try:
        _gather(outcome, retention_of(context).run(outcome.at_ns), context.clock, RETENTION_RUN_S_MAX)
    finally:
        log.info(
            "retention was run", by=who.name, generations=outcome.total.generations, bytes=outcome.total.bytes,
            complete=outcome.complete,
        )  # fmt: skip
        note(
            request, action="retention.run", target=rfc3339(outcome.at_ns), generations=outcome.total.generations,
            bytes=outcome.total.bytes, complete=outcome.complete,
        )  # fmt: skip
    return outcome


def hold(request: Request, who: Identity, glob: str, reason: str) -> HoldRecord:
    """From now on retention deletes nothing that the glob takes in. Raises Refused."""
    made = context_of(request).catalog.retaining.add_hold(glob.strip(), reason.strip())
    log.info("a hold was set", by=who.name, hold=made.id, glob=made.glob, reason=made.reason)
    note(request, action="hold.add", target=made.glob, hold=made.id, reason=made.reason)
    return made


def end_hold(request: Request, who: Identity, hold_id: int) -> None:
    """The hold ends; what it kept may go with the next run. Raises NotFound."""
    ended = context_of(request).catalog.retaining.remove_hold(hold_id)
    log.info("a hold has ended", by=who.name, hold=ended.id, glob=ended.glob)
    note(request, action="hold.end", target=ended.glob, hold=ended.id, reason=ended.reason)


def _whole_ms(context: WebContext, at_ns: int | None) -> int:
    """The moment (None: now) as it is told: a run at what a preview told means the very same."""
    at_ns = context.clock.now_ns() if at_ns is None else at_ns
    return at_ns // 1_000_000 * 1_000_000


def _gather(outcome: Outcome, steps: Iterable[list[Due]], clock: Clock, seconds: float) -> None:
    until_s = clock.monotonic_s() + seconds
    for step in steps:
        for due in step:
            outcome.add(due)
        if clock.monotonic_s() >= until_s:
            outcome.complete = False
            return


def judged(context: WebContext) -> list[Judged]:
    """The rules, with a warning about those that take in everything, nothing that is there, or nothing at all.

    Whether nothing is there is looked for where that is no long look (``RETENTION_JUDGED_FILES_MAX``),
    and not again for ``RETENTION_JUDGED_KEEP_S``.
    """
    found: list[Judged] = []
    may_look = sum(agent.files for agent in context.catalog.agents.list()) <= RETENTION_JUDGED_FILES_MAX
    for rule in rules_of(context):
        warning = ""
        if any(one.rule.match == rule.match or whole(one.rule.match) in _ALL for one in found):
            warning = "never counts: a rule above it takes in the same files"
        elif whole(rule.match) in _ALL:
            warning = "takes in every file of every agent"
        elif may_look and not _known_to_take_in_any(context, rule.match):
            warning = "takes in no file that is here now"
        found.append(Judged(rule, warning))
    return found


def _known_to_take_in_any(context: WebContext, glob: str) -> bool:
    now_s = context.clock.monotonic_s()
    return context.taken_in.get(glob, now_s, lambda: takes_in_any(context, glob))


def takes_in_any(context: WebContext, glob: str) -> bool:
    """Whether the archive shows a file now that the glob may take in. False is sure, True is not quite."""
    loose = re.sub(r"/?\*\*/?", "*", whole(glob))
    query = f"path:={_SYNTAX.sub(lambda found: chr(92) + found[0], loose)}"
    return bool(context.search.find_files(query, scope=Scope(), exact_case=True, cursor=None, limit=1).files)
