"""Prose as logs have it where people write: sentences of many different words, each line with a time before it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

_WORDS = 40_000
_FILE_BYTES = 8_000_000
_START = datetime(2026, 10, 9, tzinfo=UTC)
_ONSETS = ("b", "br", "c", "d", "f", "g", "gl", "h", "k", "l", "m", "n", "p", "pr", "r", "s", "st", "t", "tr", "v")
_CORES = ("a", "e", "i", "o", "u", "ai", "ea", "io")
_ENDS = ("", "", "n", "r", "s", "t", "l", "nd", "st")


def write_prose(root: Path, count: int) -> int:
    """Write some ``count`` bytes below ``root``, the same each time. Returns how many they are."""
    dice = random.Random("prose")
    words = sorted({_word(dice) for _ in range(2 * _WORDS)})[:_WORDS]
    dice.shuffle(words)
    weights = list(accumulate(1 / (rank + 5) for rank in range(len(words))))
    moment, written = _START, 0
    for number in range(max(1, -(-count // _FILE_BYTES))):
        path = root / f"prose-{number % 4}" / "letters" / f"letters.log.{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            while written < count and file.tell() < _FILE_BYTES:
                moment += timedelta(seconds=dice.expovariate(0.2))
                said = " ".join(dice.choices(words, cum_weights=weights, k=dice.randint(6, 22)))
                written += file.write(f"{moment:%Y-%m-%dT%H:%M:%SZ} {said.capitalize()}.\n".encode())
    return written


def _word(dice: random.Random) -> str:
    return "".join(
        dice.choice(_ONSETS) + dice.choice(_CORES) + dice.choice(_ENDS) for _ in range(dice.choice((1, 2, 2, 3, 3)))
    )
