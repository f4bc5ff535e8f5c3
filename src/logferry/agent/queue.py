"""Whose turn it is: every waiting file gets one slice per round, the one with the most unsent bytes first. Pure."""

from __future__ import annotations

import heapq


class Rounds:
    """A queue of row ids. A file that comes back after its slice waits for the next round, so none is starved."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int]] = []
        self._entry: dict[int, tuple[int, int, int]] = {}
        self._round = 0

    def __len__(self) -> int:
        return len(self._entry)

    def __contains__(self, row_id: int) -> bool:
        return row_id in self._entry

    def add(self, row_id: int, lag_bytes: int, *, again: bool = False) -> None:
        """Put a file in line with its unsent bytes; ``again``: it just had a slice, so it stands in the next round.

        A file that is in line already keeps its round; its lag is brought up to date.
        """
        old = self._entry.get(row_id)
        turn = old[0] if old else self._round + (1 if again else 0)
        entry = (turn, -lag_bytes, row_id)
        if entry != old:
            self._entry[row_id] = entry
            heapq.heappush(self._heap, entry)

    def pop(self) -> int | None:
        """The file whose turn it is, or None."""
        while self._heap:
            entry = heapq.heappop(self._heap)
            if self._entry.get(entry[2]) == entry:
                del self._entry[entry[2]]
                self._round = max(self._round, entry[0])
                return entry[2]
        return None

    def discard(self, row_id: int) -> None:
        """Take a file out of the line."""
        self._entry.pop(row_id, None)
