"""A block: whole lines in memory, and what may be asked about the file around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from logferry.search.scan.facts import FileFacts

if TYPE_CHECKING:
    from logferry.search.scan.entries import Entries

END = 1 << 62
"""Behind every line."""


def nothing_behind(_count: int) -> bytes:
    """For blocks that begin where their file does."""
    return b""


class Block:
    """Bytes that hold whole lines from ``first`` on. ``check`` is called now and then; what it raises stops all.

    ``behind`` gives the whole lines before ``first``, at least those that start in the last ``count`` bytes.
    """

    __slots__ = ("_entries", "_lowered", "behind", "check", "data", "facts", "first", "has_entries", "limit")

    def __init__(
        self,
        data: bytes,
        *,
        first: int,
        limit: int,
        check: Callable[[], None],
        behind: Callable[[int], bytes] = nothing_behind,
        facts: FileFacts | None = None,
        has_entries: bool = False,
    ) -> None:
        self.data = data
        self.first = first
        """Where the first line starts."""
        self.limit = limit
        """Lines that start here or later belong to another block."""
        self.check = check
        self.behind = behind
        self.facts = facts
        """None where nothing is asked that needs them."""
        self.has_entries = has_entries
        """Whether entries are looked for, not lines."""
        self._lowered: bytes | None = None
        self._entries: Entries | None = None

    @property
    def lowered(self) -> bytes:
        """The bytes with ASCII letters in lower case; made once."""
        if self._lowered is None:
            self._lowered = self.data.lower()
        return self._lowered

    @property
    def entries(self) -> Entries:
        """Where entries begin; found once, and only when somebody asks."""
        if self._entries is None:
            from logferry.search.scan.entries import Entries

            assert self.facts is not None
            self._entries = Entries.of(self.data, self.first, self.behind, self.facts.times)
        return self._entries

    def unit_at(self, at: int) -> int:
        """``at``, the start of a line; or of the first entry that begins there or later; ``END`` if none does."""
        return self.entries.at_or_after(at) if self.has_entries else at

    def unit_after(self, at: int) -> int:
        """The start of the line, or entry, after the one that starts at ``at``."""
        if self.has_entries:
            return self.entries.at_or_after(at + 1)
        newline = self.data.find(b"\n", at)
        return END if newline < 0 else newline + 1

    def unit_end(self, at: int) -> int:
        """The end, without line end, of the line or entry that starts at ``at``."""
        if self.has_entries:
            following = self.entries.at_or_after(at + 1)
            return following - 1 if following != END else len(self.data.removesuffix(b"\n"))
        newline = self.data.find(b"\n", at)
        return len(self.data) if newline < 0 else newline
