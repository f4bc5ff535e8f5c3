"""What the catalog keeps of alerts: plain rows. What they mean is decided in ``logferry.server.alerts``."""

from __future__ import annotations

from typing import NamedTuple


class AlertRecord(NamedTuple):
    """Something that is or was wrong with ``subject``: an agent's id, or empty for the server itself.

    ``began_ns``: when it was seen first; ``raised_ns``: when it had lasted long enough to be an alert (None: not yet);
    ``told``: the channels that were told at ``told_ns``; ``well_ns``: since when it has been well, while nobody can
    say that it stays so; ``resolved_ns``: when it ended; ``closed_ns``: when nothing was left to be said of it.
    """

    kind: str
    subject: str
    group: str = ""
    reason: str = ""
    rule: str = ""
    began_ns: int = 0
    raised_ns: int | None = None
    told_ns: int | None = None
    told: tuple[str, ...] = ()
    well_ns: int | None = None
    resolved_ns: int | None = None
    closed_ns: int | None = None
    id: int = 0
    """0: not in the catalog yet."""

    @property
    def is_open(self) -> bool:
        """Whether it is an alert now."""
        return self.raised_ns is not None and self.resolved_ns is None


class AlertRuleRecord(NamedTuple):
    """A rule somebody made on the page. None: what the kind has by default; ``channels`` None: all there are."""

    kind: str
    agents: tuple[str, ...] = ("*",)
    groups: tuple[str, ...] = ()
    channels: tuple[str, ...] | None = None
    above: float | None = None
    after_s: float | None = None
    enabled: bool = True
    made_by: str = ""
    created_ns: int = 0
    id: int = 0


class MuteRecord(NamedTuple):
    """Nobody is told of this until then."""

    kind: str
    subject: str
    until_ns: int
    made_by: str = ""
    reason: str = ""


class MessageRecord(NamedTuple):
    """A message to one channel: ``state`` is ``waiting``, ``sending`` (its outcome is not known yet), ``sent`` or
    ``failed``. ``uid`` names it at the receiver, whatever how often it comes. ``due_ns`` None: nothing more is tried.
    """

    uid: str
    channel: str
    event: str
    title: str
    alerts: tuple[int, ...]
    body: str
    made_ns: int
    state: str = "waiting"
    due_ns: int | None = None
    attempts: int = 0
    tried_ns: int | None = None
    reply: str = ""
    id: int = 0
