"""``python -m bench.web PART …``: just these parts."""

from bench.parts import run
from bench.web import PARTS, measure

if __name__ == "__main__":
    run("web", PARTS, measure)
