"""How much the heavy tests do: little in every run, the full counts when asked.

``HEAVY=1`` asks for the full counts, ``HEAVY_<NAME>=n`` for one of its own. What was done is printed (``pytest -s``).
"""

from __future__ import annotations

import os
import random
import secrets

HEAVY = os.environ.get("HEAVY", "") not in ("", "0")


def amount(name: str, usual: int, full: int) -> int:
    """How many of ``name`` to do."""
    return int(os.environ.get(f"HEAVY_{name.upper()}") or (full if HEAVY else usual))


def dice(name: str) -> random.Random:
    """A random source for ``name``; its seed is printed, and ``FUZZ_SEED=…`` repeats the run."""
    seed = int(os.environ.get("FUZZ_SEED") or secrets.randbits(48))
    print(f"{name}: FUZZ_SEED={seed}")
    return random.Random(f"{seed} {name}")
