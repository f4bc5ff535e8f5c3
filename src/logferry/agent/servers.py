"""Which of several servers the agent uses. Pure.

It keeps to one while that one lives. Only after several failures in a row, with the usual pauses between them, it turns
to the others, the preferred one first and then in the order they are written, one try each with a growing pause. So it
never goes back by itself from a server that works: when that one is away, or when the agent starts, the preferred one
comes first again.
"""

from __future__ import annotations

from collections.abc import Sequence

from logferry.limits import SERVER_TRIES


class Servers:
    """``address`` is the one to use now."""

    def __init__(self, addresses: Sequence[str]) -> None:
        assert addresses, "there is one at least"
        self._addresses = tuple(addresses)
        self._at = 0
        self._failures = 0
        self._tries = SERVER_TRIES
        self._next: list[int] = []

    @property
    def address(self) -> str:
        """``host:port``."""
        return self._addresses[self._at]

    def worked(self) -> None:
        """The server in use is there: from now on it is kept to."""
        self._failures = 0
        self._tries = SERVER_TRIES
        self._next = []

    def failed(self) -> bool:
        """It is away; whether another one is to be used from now on."""
        self._failures += 1
        if self._failures < self._tries or len(self._addresses) == 1:
            return False
        if not self._next:
            others = [index for index in range(len(self._addresses)) if index != self._at]
            self._next = [*others, self._at]
        self._at = self._next.pop(0)
        self._failures = 0
        self._tries = 1
        return True
