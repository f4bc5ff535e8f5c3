"""``python -m bench.archive PART …``: just these parts."""

from bench.archive import PARTS, measure
from bench.parts import run

if __name__ == "__main__":
    run("archive", PARTS, measure)
