"""A line as a row of a table: where it is, when it was written, its exact bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line, or a part of a very long one.

    ``line`` counts from 1, ``offset`` is where ``raw`` begins in the generation. ``raw`` has the line's end: all rows
    of a generation, joined, are its bytes. ``more``: the line goes on in the next row, under the same number.
    ``time_ns`` is the time the line tells, in nanoseconds since 1970 (UTC); None where it tells none.
    """

    agent: str
    path: str
    generation: int
    line: int
    offset: int
    time_ns: int | None
    raw: bytes
    more: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """A file whose rows end here although it goes on, or that has none: ``error`` says why."""

    agent: str
    path: str
    generation: int
    error: str
