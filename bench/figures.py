"""What a benchmark hands back, how it is printed, where the raw results stay."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RUNS = Path(__file__).parent / "runs"


@dataclass(frozen=True, slots=True)
class Options:
    """How thoroughly to measure: ``quick`` does less of everything, ``rounds`` 0 is what each benchmark thinks best."""

    quick: bool = False
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of ours beside those of peers; more is better unless ``less_is_better``."""

    id: str
    ours: float
    unit: str
    target: float
    peers: Mapping[str, float] = field(default_factory=dict)
    less_is_better: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.ours <= self.target if self.less_is_better else self.ours >= self.target

    def lines(self) -> list[str]:
        """One line a peer; a ratio above 1 means that ours is better."""
        word = "met" if self.met else "short"
        named = [(f"{name}:{value:.4g}", self._ratio(value)) for name, value in self.peers.items()] or [("-", "-")]
        return [
            f"figure {self.id} ours={self.ours:.4g} {self.unit} peer={peer} ratio={ratio} target={self.target:g} {word}"
            for peer, ratio in named
        ]

    def _ratio(self, peer: float) -> str:
        if not peer or not self.ours:
            return "-"
        return f"{(peer / self.ours if self.less_is_better else self.ours / peer):.2f}"


def interleaved(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run each once per round, in turn, so that a noisy minute hits all alike. Returns every result by name."""
    results: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            results[name].append(run())
    return results


def medians(results: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each name's results."""
    return {name: statistics.median(values) for name, values in results.items()}


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def keep(name: str, figures: list[Figure], raw: Mapping[str, Any], folder: Path = RUNS, *, quick: bool = False) -> Path:
    """Write figures and raw results to ``<date>-<name>.json`` (``local-…``, not kept, when ``quick``)."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{'local-' if quick else ''}{now:%Y-%m-%d}-{name}.json"
    content = {
        "when": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": [{**asdict(figure), "met": figure.met} for figure in figures],
        "raw": raw,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
