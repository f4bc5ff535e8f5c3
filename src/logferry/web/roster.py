"""Which of the agents somebody asks for: those of some states, of a group, with tags. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from logferry.archive.records import AgentRecord
from logferry.server.health import State, agent_state, heard_of


@dataclass(frozen=True, slots=True)
class Roster:
    """Of the states and groups one must fit, of the tags all; none of a kind: any. Letter case means nothing."""

    states: tuple[State, ...] = ()
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def of(self, records: Iterable[AgentRecord], now_ns: int) -> list[AgentRecord]:
        """Those asked for, in the order given."""
        groups = {group.casefold() for group in self.groups}
        tags = {tag.casefold() for tag in self.tags}
        return [
            record
            for record in records
            if (not groups or record.group.casefold() in groups)
            and tags <= {tag.casefold() for tag in record.tags}
            and (not self.states or agent_state(heard_of(record), now_ns).state in self.states)
        ]


def tags_of(records: Iterable[AgentRecord]) -> list[tuple[str, int]]:
    """Every tag with how many of the agents have it, by name."""
    return sorted(Counter(tag for record in records for tag in record.tags).items())
