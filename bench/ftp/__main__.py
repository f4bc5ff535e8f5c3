"""``python -m bench.ftp PART …``: just these parts."""

from bench.ftp import PARTS, measure
from bench.parts import run

if __name__ == "__main__":
    run("ftp", PARTS, measure)
