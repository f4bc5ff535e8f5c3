"""``python -m bench.archive PART …``: just these parts, printed and not kept."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from bench.archive import PARTS, measure
from bench.figures import Options

FOLDER = Path("build/bench/archive-parts")


def main() -> None:
    """Measure the parts that are named."""
    parser = argparse.ArgumentParser(prog="python -m bench.archive", description=__doc__)
    parser.add_argument("parts", nargs="+", choices=sorted(PARTS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    given = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    found, _ = measure(FOLDER.resolve(), Options(given.quick, given.rounds), given.parts)
    for figure in found:
        print("\n".join(figure.lines()))
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
