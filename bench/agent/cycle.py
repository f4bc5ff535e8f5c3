"""``python -m bench.agent.cycle agent.toml LOOKS``: an agent that looks everywhere again and again, then ends.

Prints one JSON object: CPU and wall seconds of each look, resident memory at the end and at its highest (MB).
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time

from bench.agent.processes import Resident
from logferry.agent.config import AgentConfig, load_config
from logferry.agent.runner import Agent


class Looking(Agent):
    """Our agent as it runs, but without the pause between two looks."""

    def __init__(self, config: AgentConfig, looks: int) -> None:
        super().__init__(config)
        self._looks_wanted = looks
        self.cpu_s: list[float] = []
        self.wall_s: list[float] = []
        self.rss_mb = 0.0

    def _look_everywhere(self) -> None:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        super()._look_everywhere()
        self.cpu_s.append(time.process_time() - cpu_s)
        self.wall_s.append(time.perf_counter() - wall_s)
        self._looks.due_s = -math.inf
        if len(self.cpu_s) == self._looks_wanted:
            self.rss_mb = Resident(os.getpid()).rss_mb()
            self.stop()


def main() -> None:
    """Look, and say what it took."""
    agent = Looking(load_config(sys.argv[1]), int(sys.argv[2]))
    agent.run()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"cpu_s": agent.cpu_s, "wall_s": agent.wall_s, "rss_mb": agent.rss_mb, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
