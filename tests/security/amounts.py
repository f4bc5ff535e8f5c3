"""How much the heavy tests do: little in every run, the full counts when asked.

``HEAVY=1`` asks for the full counts, ``HEAVY_<NAME>=n`` for one of its own. What was done is printed (``pytest -s``).
"""

from __future__ import annotations

import os
import random
import secrets

HEAVY = os.environ.get("HEAVY", "") not in ("", "0")
MORE_THAN_USUAL = HEAVY or any(name.startswith("HEAVY_") for name in os.environ)
"""Whether anything is asked for that may take longer than a test usually does."""
_SEED = os.environ.get("FUZZ_SEED") or os.environ.get("LOGFERRY_SEED")
"""Read at once: tests run without the LOGFERRY_* of whoever starts them."""


def amount(name: str, usual: int, full: int) -> int:
    """How many of ``name`` to do."""
    return int(os.environ.get(f"HEAVY_{name.upper()}") or (full if HEAVY else usual))


def seed(name: str) -> int:
    """A seed for ``name``. It is printed, and ``FUZZ_SEED=…`` (or ``LOGFERRY_SEED=…``) repeats the run."""
    drawn = int(_SEED or secrets.randbits(30))
    print(f"{name}: FUZZ_SEED={drawn}")
    return drawn


def dice(name: str) -> random.Random:
    """A random source for ``name``, see ``seed``."""
    return random.Random(f"{seed(name)} {name}")
