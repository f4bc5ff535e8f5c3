"""Some parts of a benchmark, printed and not kept: ``python -m bench.NAME PART … [--quick] [--rounds n]``."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure, Options

Measure = Callable[[Path, Options, Sequence[str]], tuple[Iterable[Figure], Any]]


def run(name: str, parts: Iterable[str], measure: Measure) -> None:
    """Measure the parts that the command line names, in an empty folder that is removed afterwards."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}", description="Just these parts, printed and not kept."
    )
    parser.add_argument("parts", nargs="+", choices=sorted(parts))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    given = parser.parse_args()
    folder = Path(f"build/bench/{name}-parts")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found, _ = measure(folder.resolve(), Options(given.quick, given.rounds), given.parts)
    for figure in found:
        print("\n".join(figure.lines()))
    shutil.rmtree(folder)
