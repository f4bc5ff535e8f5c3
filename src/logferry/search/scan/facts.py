"""What a scan may ask about the file that its block is of. The kernels behind it are loaded when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logferry.archive.timestamps import Reading
    from logferry.search.scan.filetimes import FileTimes


class FileFacts:
    """One file, as it was when the search began."""

    __slots__ = ("_head", "_reading", "_times")

    def __init__(self, reading: Callable[[], Reading], head: Callable[[int], bytes]) -> None:
        """``reading``: when it arrived, and its zone. ``head``: its first bytes as text, fewer only at its end."""
        self._reading = reading
        self._head = head
        self._times: FileTimes | None = None

    @property
    def times(self) -> FileTimes:
        """Tells the times of its lines."""
        if self._times is None:
            from logferry.search.scan.filetimes import FileTimes

            self._times = FileTimes(self._reading(), self._head)
        return self._times
