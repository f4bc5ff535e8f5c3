"""Which of the deleted files that are still open have to go: their room on the disk is not freed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldLimits:
    """What files without a name may take: room on the disk (bytes), time without any progress (s), descriptors."""

    bytes: int
    time_s: float
    files: int


@dataclass(frozen=True, slots=True)
class Held:
    """A file without a name. ``since_s``: monotonic time of its last progress; ``space``: bytes on the disk."""

    row_id: int
    since_s: float
    space: int
    unsent: int


def excess(held: Iterable[Held], limits: HeldLimits, now_s: float) -> list[tuple[Held, str]]:
    """Those to let go, with the reason.

    Whoever has waited too long; then, until the rest keeps within room and number, those with nothing left to send,
    then those that have waited longest.
    """
    waiting = sorted(held, key=lambda one: (one.unsent > 0, one.since_s))
    gone = [(one, "held too long") for one in waiting if now_s - one.since_s > limits.time_s]
    left = [one for one in waiting if now_s - one.since_s <= limits.time_s]
    space = sum(one.space for one in left)
    for at, one in enumerate(left):
        if space > limits.bytes:
            gone.append((one, "deleted files take too much room"))
        elif len(left) - at > limits.files:
            gone.append((one, "too many deleted files are open"))
        else:
            break
        space -= one.space
    return gone
