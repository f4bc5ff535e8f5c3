"""Figures: the line that is printed, whether the target is met, and what stays on disk."""

from __future__ import annotations

import json
from pathlib import Path

from bench.figures import Figure, interleaved, keep, medians


def test_a_figure_prints_one_line_a_peer() -> None:
    """A ratio above 1 means that ours is better."""
    figure = Figure("voyage-files", 1600.0, "files/s", 1500.0, {"rclone": 400.0, "lftp": 800.0})
    assert figure.lines() == [
        "figure voyage-files ours=1600 files/s peer=rclone:400 ratio=4.00 target=1500 met",
        "figure voyage-files ours=1600 files/s peer=lftp:800 ratio=2.00 target=1500 met",
    ]


def test_less_can_be_better() -> None:
    """For times and sizes the ratio and the target turn round."""
    figure = Figure("seal", 12.0, "ms", 10.0, {"chdb": 24.0}, less_is_better=True)
    assert figure.lines() == ["figure seal ours=12 ms peer=chdb:24 ratio=2.00 target=10 short"]


def test_without_a_peer_the_target_still_counts() -> None:
    """A peer that is not installed is left out, not invented."""
    assert Figure("rss", 39.0, "MB", 40.0, less_is_better=True).lines() == [
        "figure rss ours=39 MB peer=- ratio=- target=40 met"
    ]


def test_runs_take_turns_and_the_median_counts() -> None:
    """One noisy round does not decide, and no program gets all the quiet ones."""
    order: list[str] = []
    values = iter([1.0, 10.0, 5.0, 20.0, 3.0, 30.0])

    def run(name: str) -> float:
        order.append(name)
        return next(values)

    results = interleaved({"a": lambda: run("a"), "b": lambda: run("b")}, 3)
    assert order == ["a", "b"] * 3
    assert medians(results) == {"a": 3.0, "b": 20.0}


def test_raw_results_stay(tmp_path: Path) -> None:
    """With the machine they were measured on."""
    path = keep("voyage", [Figure("x", 2.0, "files/s", 1.0)], {"rounds": [1, 2]}, tmp_path)
    kept = json.loads(path.read_text())
    assert kept["figures"][0]["met"] is True
    assert kept["raw"] == {"rounds": [1, 2]}
    assert kept["machine"]["cores"] >= 1
