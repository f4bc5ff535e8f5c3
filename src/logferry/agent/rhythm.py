"""When to look again. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from logferry.agent.rest import rest_s


@dataclass(slots=True)
class Rhythm:
    """Looks at least ``interval_s`` apart, further apart when each costs much; see ``rest_s``."""

    interval_s: float
    due_s: float = -math.inf
    """Monotonic time of the next look; at first: now."""

    def looked(self, now_s: float, cost_s: float, *, watched: bool = False) -> None:
        """A look that took ``cost_s`` seconds of CPU time is over; ``watched``: a watcher tells of everything."""
        self.due_s = now_s + rest_s(cost_s, interval_s=self.interval_s, watched=watched)
