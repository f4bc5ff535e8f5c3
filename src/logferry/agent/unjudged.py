"""Files that are open though nobody has decided yet what they are: it had to wait, and till then they may be deleted.

Under fast rotation all files of a log hang together by their renames, and while one of them is being sent or renamed on
the server the others are put off. One that is new among them is opened at once, so that its bytes survive that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from logferry.agent import identity
from logferry.agent.files import OpenFile, open_file
from logferry.agent.rows import Row
from logferry.agent.scan import Seen
from logferry.errors import Later, LogferryError
from logferry.limits import HANDLE_IDLE_S, UNJUDGED_MAX


class Unjudged:
    """Open files by inode number. The runner's thread uses it."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """``now_s`` tells monotonic time."""
        self._now_s = now_s
        self._held: dict[int, tuple[Seen, OpenFile, float]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, seen: Seen, rows: Iterable[Row], *, linked: bool) -> None:
        """Open the file at ``seen.path`` unless it is that of one of ``rows``. What cannot be opened is left alone."""
        if seen.stat.inode in self._held or len(self._held) >= UNJUDGED_MAX:
            return
        try:
            file = open_file(seen.path, linked=linked)
        except LogferryError:
            return  # gone again, or whoever is to send it says why
        if file.stat.inode != seen.stat.inode or any(_is_of(row, file) for row in rows):
            file.close()
        else:
            self._held[seen.stat.inode] = (seen, file, self._now_s())

    def take(self, inode: int) -> OpenFile | None:
        """The open file with this inode number; the caller owns it now."""
        held = self._held.pop(inode, None)
        return held[1] if held is not None else None

    def decided(self, inode: int) -> None:
        """It is known what this file is."""
        file = self.take(inode)
        if file is not None:
            file.close()

    def deleted(self) -> Iterator[tuple[Seen, OpenFile]]:
        """Those without a name by now that hold bytes; the caller owns them. Nobody will judge them any more."""
        for inode, (seen, file, since_s) in list(self._held.items()):
            try:
                size = file.refresh().size
            except Later:
                size = 0
            if file.deleted and size:
                del self._held[inode]
                yield seen, file
            elif file.deleted or self._now_s() - since_s > HANDLE_IDLE_S:
                self.decided(inode)

    def close_all(self) -> None:
        """Close everything."""
        for inode in list(self._held):
            self.decided(inode)


def _is_of(row: Row, file: OpenFile) -> bool:
    """Whether the open file is the one that ``row`` speaks of; its inode number may have been used again."""
    if row.inode != file.stat.inode:
        return False
    if 0 not in (row.inode_generation, file.inode_generation):
        return row.inode_generation == file.inode_generation
    try:
        return row.offset == 0 or identity.agrees(file.read, row.print)
    except Later:
        return True
