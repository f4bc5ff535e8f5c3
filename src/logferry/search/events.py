"""What a running search tells: hits as they are found, how far it is, and at the end an honest account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Reason: TypeAlias = Literal["complete", "limit", "time", "cancelled"]


@dataclass(frozen=True, slots=True)
class Row:
    """A line beside a hit. ``number`` is None where line numbers are not known."""

    number: int | None
    byte: int
    length: int
    text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that matches.

    ``byte`` is where it begins, ``length`` its bytes with the line end. ``text`` is the line, or for a long one
    (``cut``) the part around its first match, which begins ``text_from`` bytes into the line. ``spans`` are the
    matches in ``text``, in characters (code points).
    """

    agent: str
    path: str
    file_id: int
    generation: int
    number: int | None
    byte: int
    length: int
    text: str
    text_from: int
    cut: bool
    spans: tuple[tuple[int, int], ...]
    before: tuple[Row, ...] = ()
    after: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. Totals are bytes and files that the catalog could not rule out."""

    scanned_bytes: int
    total_bytes: int
    files_done: int
    files_total: int
    hits: int


@dataclass(frozen=True, slots=True)
class Account:
    """What a search or a tally looked at, and why it ended. ``errors`` names each file that could not be read, with the
    reason.

    ``copies`` is how many compressed copies of files that were searched anyway were left out, so that no line counts
    twice. ``remarks`` tell what is wrong though nothing was missed by it.
    """

    reason: Reason | Literal["running"]
    """"running": it goes on, this is how far it is."""
    scanned_bytes: int
    total_bytes: int
    files_done: int
    files_total: int
    seconds: float
    errors: tuple[str, ...]
    copies: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done(Account):
    """The end of a search."""

    hits: int


Event: TypeAlias = Hit | Progress | Done
