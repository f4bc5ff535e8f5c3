"""Amounts as people read them, on pages as in a terminal."""

from __future__ import annotations


def count_in_short(number: int) -> str:
    """``10,431`` below a hundred thousand, then ``812K``, ``58.2M``, ``1.2B``."""
    if number < 100_000:
        return f"{number:,}"
    value = float(number)
    for unit in "KMB":
        value /= 1000
        if value < 999.5 or unit == "B":
            break
    return f"{value:,.0f}{unit}" if value >= 99.95 else f"{value:.1f}{unit}"
