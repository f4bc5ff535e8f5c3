"""Which agents and which troubles are watched, from when on they count, and who is told. Pure.

Of all rules of a kind the first that takes in an agent counts: those of the settings, then those made on the page, then
the one that is built in, which takes in everything and tells every channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from logferry.archive.alert_records import AlertRuleRecord
from logferry.globs import compiled

Kind = Literal["silence", "failing", "quota", "disk", "integrity"]
KINDS: tuple[Kind, ...] = ("silence", "failing", "quota", "disk", "integrity")
OF_AGENTS = frozenset({"silence", "failing", "quota"})
"""Kinds that are about one agent each; the others are about the server."""
SHARES = {"quota": 0.9, "disk": 0.9}
"""From which share used on it counts, where a rule does not say."""
AFTER_S = {"failing": 300.0, "quota": 60.0, "disk": 60.0, "integrity": 0.0}
"""How long it must last, where a rule does not say; of silence the agent's own rhythm says it."""
MARGINS = {"quota": 0.05, "disk": 0.02}
"""So much below the share it is well again."""

ABOUT: dict[Kind, str] = {
    "silence": "an agent is not heard for longer than is usual for it",
    "failing": "an agent is heard, but its uploads are refused or break off",
    "quota": "an agent has nearly used up what it may hold",
    "disk": "the archive's disk is nearly full",
    "integrity": "damage was found in the archive, or the chain of the audit is broken",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``origin``: ``settings``, ``page`` or ``built in``; ``number`` counts within it, from 1, or is the id.

    ``agents``: globs over ids, ``!`` before an exception; ``groups``: globs over groups, empty: any. ``channels`` None:
    all there are. ``above``: a share (0.9); ``after_s``: how long it must last, of silence: how long is too long. None:
    what the kind has by default.
    """

    kind: Kind
    agents: tuple[str, ...] = ("*",)
    groups: tuple[str, ...] = ()
    channels: tuple[str, ...] | None = None
    above: float | None = None
    after_s: float | None = None
    enabled: bool = True
    origin: str = "built in"
    number: int = 0

    @property
    def name(self) -> str:
        """``settings 2``, ``page 7``, ``built in``."""
        return f"{self.origin} {self.number}" if self.number else self.origin

    @property
    def share(self) -> float:
        """From which share used on it counts."""
        return SHARES.get(self.kind, 1.0) if self.above is None else self.above

    @property
    def hold_s(self) -> float:
        """How long it must last before it is an alert. Silence has lasted when it is one."""
        if self.kind == "silence":
            return 0.0
        return AFTER_S[self.kind] if self.after_s is None else self.after_s

    def takes_in(self, agent: str, group: str) -> bool:
        """Whether it is about this agent."""
        return _any(self.agents, agent) and (not self.groups or _any(self.groups, group))

    def told(self, there: Sequence[str]) -> tuple[str, ...]:
        """The channels it tells, of those that are there."""
        return tuple(name for name in there if self.channels is None or name in self.channels)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules in their order."""

    rules: tuple[Rule, ...]

    def first(self, kind: Kind, agent: str = "", group: str = "") -> Rule | None:
        """The rule that counts for an agent, or for the server; None: nothing is watched."""
        for rule in self.rules:
            if rule.kind == kind and (kind not in OF_AGENTS or rule.takes_in(agent, group)):
                return rule if rule.enabled else None
        return None


def all_rules(settings: Iterable[Rule], page: Iterable[AlertRuleRecord]) -> Rules:
    """Those of the settings, those of the page, those built in."""
    made = (rule_of(row) for row in page if row.kind in KINDS)
    return Rules((*settings, *made, *(Rule(kind) for kind in KINDS)))


def rule_of(row: AlertRuleRecord) -> Rule:
    """A rule made on the page."""
    kind = next(kind for kind in KINDS if kind == row.kind)
    return Rule(
        kind, row.agents, row.groups, row.channels, row.above, row.after_s, row.enabled, origin="page", number=row.id
    )


def _any(globs: tuple[str, ...], name: str) -> bool:
    plain = [glob for glob in globs if not glob.startswith("!")] or ["*"]
    excepted = any(compiled(glob[1:]).fullmatch(name) for glob in globs if glob.startswith("!"))
    return not excepted and any(compiled(glob).fullmatch(name) for glob in plain)
