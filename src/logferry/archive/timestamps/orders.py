"""Dates of three numbers whose order nothing in the line tells: the file tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Shape(IntEnum):
    """Kinds of such dates. One file may use one order for each."""

    SLASHES = 0
    """``11/26/2026``"""
    DASHES = 1
    """``26-11-2026``"""
    PAIRS = 2
    """``26/11/26``"""


class Order(IntEnum):
    """What the numbers mean: which of them is year, month and day."""

    YEAR_FIRST = 0
    MONTH_FIRST = 1
    DAY_FIRST = 2


PREFERRED: tuple[tuple[Order, ...], ...] = (
    (Order.MONTH_FIRST, Order.DAY_FIRST),
    (Order.DAY_FIRST, Order.MONTH_FIRST),
    (Order.YEAR_FIRST, Order.MONTH_FIRST, Order.DAY_FIRST),
)
"""Per shape: the possible orders, the one first that is taken as long as all explain as many lines."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """``counts[shape, order]``: lines of a file whose date is a plausible one in that order.

    Of ``Shape.PAIRS`` only those in the latest year count: ``11/05/26`` is no date of 2011 when it arrives in 2026.
    """

    counts: npt.NDArray[np.int64]

    @classmethod
    def none(cls) -> Evidence:
        """Nothing was seen of the file yet."""
        return cls(np.zeros((len(Shape), len(Order)), np.int64))

    def order(self, shape: Shape) -> Order:
        """The order that explains most lines."""
        return max(PREFERRED[shape], key=lambda order: int(self.counts[shape, order]))


def date_of(numbers: tuple[int, int, int], order: Order) -> tuple[int, int, int]:
    """Year, month and day."""
    a, b, c = numbers
    if order is Order.YEAR_FIRST:
        return a, b, c
    return (c, a, b) if order is Order.MONTH_FIRST else (c, b, a)
