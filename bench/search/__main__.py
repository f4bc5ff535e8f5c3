"""``python -m bench.search PART …``: just these parts."""

from bench.parts import run
from bench.search import PARTS, measure

if __name__ == "__main__":
    run("search", PARTS, measure)
