"""What pages show of agents and files: records of the archive, seen by one visitor at one moment. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from logferry.archive.catalog.measuring import Measures
from logferry.archive.records import AgentRecord, CopyRecord, FileRecord
from logferry.names import split
from logferry.server.health import Health, agent_state, heard_of
from logferry.web.api.shapes import file_state
from logferry.web.pages import words


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent's record with its state."""

    record: AgentRecord
    health: Health

    @property
    def state(self) -> str:
        """The word for its state."""
        return self.health.state

    @property
    def reason(self) -> str:
        """Why it is in that state."""
        return self.health.reason

    @property
    def quota_share(self) -> float:
        """The share of its quota that it holds, of bytes or files, whichever is larger; 0 where it has none."""
        held = self.record
        pairs = ((held.held_bytes, held.quota_bytes), (held.held_files, held.quota_files))
        return max((used / bound for used, bound in pairs if bound), default=0.0)

    @property
    def quota_used(self) -> str:
        """The same in percent; empty where it has none."""
        bounded = self.record.quota_bytes or self.record.quota_files
        return f"{int(100 * self.quota_share)} %" if bounded else ""

    @property
    def own_quota_bytes_text(self) -> str:
        """Its own bound as a form has it; empty where it has none of its own, ``none`` where nothing bounds it."""
        return _bound(self.record.own_quota_bytes)

    @property
    def own_quota_files_text(self) -> str:
        """The same for files."""
        return _bound(self.record.own_quota_files)

    @property
    def expect_every_text(self) -> str:
        """How often it is to be heard, as a form has it; empty: as usual."""
        return words.span(self.record.expect_every_s) if self.record.expect_every_s else ""

    def __getattr__(self, name: str) -> object:
        return getattr(self.record, name)


@dataclass(frozen=True, slots=True)
class File:
    """A file's record with its state: ``growing``, ``quiet`` or ``ended``."""

    record: FileRecord
    state: str
    original: CopyRecord | None = None
    """What it is a compressed copy of."""
    measures: Measures | None = None
    """How many lines it has, from when to when; None: not known."""

    def __getattr__(self, name: str) -> object:
        return getattr(self.record, name)


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of a path, with its address."""

    name: str
    link: str


def _bound(own: int | None) -> str:
    return "" if own is None else str(own or "none")


def agent_at(record: AgentRecord, now_ns: int) -> Agent:
    """The agent as it stands at ``now_ns``."""
    return Agent(record, agent_state(heard_of(record), now_ns))


def file_at(
    record: FileRecord, now_ns: int, original: CopyRecord | None = None, measures: Measures | None = None
) -> File:
    """The file as it stands at ``now_ns``; ``original`` for a compressed copy, ``measures`` where known."""
    return File(record, file_state(record, now_ns), original, measures)


def crumbs(root: str, agent: str, path: str) -> list[Crumb]:
    """The steps from the agent to ``path``; every one but the last is a folder."""
    steps = [Crumb(agent, words.address(root, f"/browse/{agent}/"))]
    above = ""
    for name in path.split("/") if path else []:
        above = f"{above}/{name}" if above else name
        steps.append(Crumb(name, words.address(root, f"/browse/{agent}/{above}")))
    return steps


def parent_of(path: str) -> str:
    """The folder that holds ``path``."""
    return split(path)[0]
