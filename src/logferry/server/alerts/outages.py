"""When the server itself was away: that silence is not the agents' fault. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from logferry.limits import ALERT_ALIVE_S, ALERT_AWAY_S, ALERT_GRACE_S, ALERT_OUTAGES_MAX

_AWAY_NS = int((ALERT_ALIVE_S + ALERT_AWAY_S) * 1e9)


@dataclass(frozen=True, slots=True)
class Outages:
    """``alive_ns``: when agents could be heard last (0: not known); ``gaps``: from when to when they could not."""

    alive_ns: int = 0
    gaps: tuple[tuple[int, int], ...] = ()

    def heard(self, now_ns: int) -> Outages:
        """Agents can be heard at ``now_ns``. If they could not for a while before that, this is a gap."""
        if now_ns <= self.alive_ns:  # a clock that was set back
            return replace(self, alive_ns=now_ns)
        if self.alive_ns and now_ns - self.alive_ns > _AWAY_NS:
            gaps = (*self.gaps, (self.alive_ns, now_ns))[-ALERT_OUTAGES_MAX:]
            return Outages(now_ns, gaps)
        return replace(self, alive_ns=now_ns)

    def lost_s(self, since_ns: int, now_ns: int) -> float:
        """How many seconds of that time nobody could be heard."""
        return sum(max(0, min(end, now_ns) - max(begin, since_ns)) for begin, end in self.gaps) / 1e9

    def may_judge(self, since_ns: int, now_ns: int) -> bool:
        """Whether agents have had time to come back; ``since_ns``: since when the server listens."""
        last_ns = max([since_ns, *(end for _, end in self.gaps)])
        return now_ns - last_ns >= ALERT_GRACE_S * 1e9

    def text(self) -> str:
        """For the catalog."""
        return json.dumps({"alive_ns": self.alive_ns, "gaps": self.gaps})

    @classmethod
    def from_text(cls, text: str) -> Outages:
        """As ``text`` wrote it; nothing is known where it is not."""
        try:
            found = json.loads(text)
            return cls(int(found["alive_ns"]), tuple((int(begin), int(end)) for begin, end in found["gaps"]))
        except (ValueError, KeyError, TypeError):
            return cls()
