"""A search for a rare word while somebody else asks for what takes longest, beside the same search alone.

The server's web part is a process of its own, and so are those who attack. Both are measured in turn, many times: what
is told are the medians of the rounds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.search.attackers import (
    EVIL_REGEXES,
    Attackers,
    Target,
    attackers,
    evil_queries,
    p95,
    serving,
    until_ready,
    waits,
)

from bench.search.questions import NEEDLE
from logferry.limits import SEARCH_PER_USER_MAX

ALONE_TIMES = 100
AT_ONCE = 2 * SEARCH_PER_USER_MAX
"""So many of them are asked in a round: in turn by those who may ask at once."""


def evil_searches() -> list[dict[str, Any]]:
    """Regular expressions and queries in turn."""
    queries = list(evil_queries())
    return [one for n, regex in enumerate(EVIL_REGEXES) for one in ({"q": f"/{regex}/"}, queries[n % len(queries)])]


class Beside:
    """What was measured, in seconds: one list for each round."""

    def __init__(self) -> None:
        self.alone: list[list[float]] = []
        self.beside: list[list[float]] = []

    def round(self, target: Target, others: Attackers, asked: list[dict[str, Any]]) -> None:
        """Alone, then beside those who ask."""
        with target.client(target.good) as client:
            self.alone.append(waits(client, ALONE_TIMES, NEEDLE))
            others.begin(asked)
            waits(client, 5, NEEDLE)  # until all of them are at it
            found: list[float] = []
            while others.are_at_it():
                found += waits(client, 1, NEEDLE)
            self.beside.append(found)
            others.reasons()

    def ms(self, which: str) -> dict[str, float]:
        """``p50`` and ``p95`` in milliseconds: the medians of the rounds."""
        rounds: list[list[float]] = getattr(self, which)
        return {
            "p50": statistics.median(1e3 * statistics.median(found) for found in rounds),
            "p95": statistics.median(p95(found) for found in rounds),
        }

    def times(self) -> float:
        """How many times as long nineteen of twenty take beside the others: the median of the rounds."""
        return statistics.median(p95(there) / p95(here) for here, there in zip(self.alone, self.beside, strict=True))


def measure(data: Path, rounds: int) -> Beside:
    """On the sealed archive in ``data``."""
    asked, found = evil_searches(), Beside()
    # Else the server would wait for another process to compile what it runs.
    subprocess.run([sys.executable, "-m", "logferry.search.warming"], check=True, stdout=subprocess.DEVNULL)
    with serving(data) as target, attackers(target) as others:
        with target.client(target.good) as client:
            until_ready(client, NEEDLE)
            waits(client, ALONE_TIMES // 2, NEEDLE)
        for number in range(rounds):
            at = number * AT_ONCE % len(asked)
            found.round(target, others, (asked + asked)[at : at + AT_ONCE])
    return found
