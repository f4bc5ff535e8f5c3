"""How long the agent rests between two looks."""

from __future__ import annotations

import pytest

from logferry.agent.rest import rest_s
from logferry.limits import SCAN_CPU_SHARE, SCAN_WATCHED_CPU_SHARE, SCAN_WATCHED_S_MAX


@pytest.mark.parametrize(
    ("cost_s", "watched", "rest"),
    [
        (0.0, True, 10.0),
        (0.0, False, 10.0),
        (0.004, True, 10.0),
        (0.05, False, 10.0),
        (0.05, True, 100.0),  # 10,000 files
        (0.5, False, 50.0),
        (0.5, True, 600.0),  # 100,000 files
        (8.0, True, 800.0),  # more than a million: never more than the share of those that are not watched
        (8.0, False, 800.0),
    ],
)
def test_a_dear_look_is_made_seldom(cost_s: float, watched: bool, rest: float) -> None:
    """At least the interval; within the share of a core; ten minutes at most for the sake of being quiet."""
    found = rest_s(cost_s, interval_s=10.0, watched=watched)
    assert found == pytest.approx(rest)
    assert cost_s <= found * SCAN_CPU_SHARE or found == 10.0
    if watched and 10.0 < found < SCAN_WATCHED_S_MAX:
        assert cost_s == pytest.approx(found * SCAN_WATCHED_CPU_SHARE)
