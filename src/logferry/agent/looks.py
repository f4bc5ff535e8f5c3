"""How often to look, so that looking stays a small share of one core. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class LookPace:
    """Looks at least ``interval_s`` apart, further apart when each costs much.

    However much one costs: ``cost / (cost + pause)`` stays below ``share``.
    """

    interval_s: float
    share: float
    due_s: float = -math.inf
    """Monotonic time of the next look; at first: now."""

    def looked(self, now_s: float, cost_s: float) -> None:
        """A look that took ``cost_s`` seconds of CPU time is over."""
        self.due_s = now_s + max(self.interval_s, cost_s / self.share)
