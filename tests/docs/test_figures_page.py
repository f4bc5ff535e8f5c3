"""The page of figures says what the newest runs have found."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TOOL = runpy.run_path(str(ROOT / "tools" / "figures_page.py"))
page, row, WHAT = (_TOOL[name] for name in ("page", "row", "WHAT"))


def test_the_page_is_fresh() -> None:
    """`make docs` writes it anew."""
    assert (ROOT / "docs/reference/figures.md").read_text() == page()


def test_the_newest_run_of_each_benchmark_counts(tmp_path: Path) -> None:
    """Quick runs (local-…) do not."""
    machine = {"cores": 2, "memory_gib": 4.0, "kernel": "6.1.0-x", "python": "3.11.2"}
    figure = {"id": "a", "unit": "s", "target": 3.0, "peers": {"p": 5.0}, "less_is_better": True, "met": True}
    for name, ours in (("2026-01-01-x", 1.0), ("2026-01-02-x", 2.0), ("local-2026-01-03-x", 9.0)):
        run = {"when": f"{name[:10]}T00:00:00", "machine": machine, "figures": [figure | {"ours": ours}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(run))
    made = page(tmp_path)
    assert "| `a` | 2 s | p 5 (2.5x) | ≤ 3 |" in made
    assert made.count("| `a` |") == 1


def test_a_figure_that_is_short_is_shown_as_such() -> None:
    """And of a rate more is better."""
    figure = {"id": "b", "ours": 500.0, "unit": "files/s", "target": 8000.0, "peers": {"p": 250.0, "q": 0.0}}
    made = row(figure | {"less_is_better": False, "met": False})
    assert made == "| `b` | 500 files/s | p 250 (2x), q 0 | ≥ 8,000 **short** |"


def test_every_agent_figure_has_words() -> None:
    """What is printed by `make bench ONLY=agent` is explained on the page."""
    for path in (ROOT / "bench/runs").glob("2*-agent.json"):
        assert {figure["id"] for figure in json.loads(path.read_text())["figures"]} <= set(WHAT)
