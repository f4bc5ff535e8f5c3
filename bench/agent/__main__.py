"""``python -m bench.agent PART …``: just these parts."""

from bench.agent import PARTS, measure
from bench.parts import run

if __name__ == "__main__":
    run("agent", PARTS, measure)
