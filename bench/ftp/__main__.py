"""Some parts of the FTP benchmark, printed and not kept: ``python -m bench.ftp large idle [--quick] [--rounds n]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.figures import Options
from bench.ftp import PARTS, measure


def main() -> None:
    """Measure the parts that are named."""
    parser = argparse.ArgumentParser(prog="python -m bench.ftp", description=__doc__)
    parser.add_argument("parts", nargs="+", choices=sorted(PARTS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    given = parser.parse_args()
    found, _ = measure(Path(), Options(given.quick, given.rounds), given.parts)
    for figure in found:
        print("\n".join(figure.lines()))


if __name__ == "__main__":
    main()
