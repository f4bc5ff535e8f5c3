"""`make bench`: run the benchmarks and print one line a figure."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import agent, archive, catalog, figures, ftp, search, viewer, voyage, web
from bench.figures import Figure, Options

ALL: dict[str, Callable[[Path, Options], tuple[list[Figure], dict[str, Any]]]] = {
    "agent": agent.measure,
    "archive": archive.measure,
    "catalog": catalog.measure,
    "ftp": ftp.measure,
    "search": search.measure,
    "viewer": viewer.measure,
    "voyage": voyage.measure,
    "web": web.measure,
}
FOLDER = Path("build/bench")


def main() -> None:
    """Run what ``--only`` names (all by default); raw results go to ``bench/runs``."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(ALL), action="append", help="just these")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller files: a first impression")
    parser.add_argument("--rounds", type=int, default=0, help="how often each is measured")
    given = parser.parse_args()
    options = Options(given.quick, given.rounds)
    for name in given.only or sorted(ALL):
        folder = FOLDER / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        found, raw = ALL[name](folder.resolve(), options)
        for figure in found:
            print("\n".join(figure.lines()), flush=True)
        print(f"raw results: {figures.keep(name, found, raw, quick=options.quick)}", flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
