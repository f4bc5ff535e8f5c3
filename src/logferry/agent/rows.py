"""The registry's row: one generation of one file, what the server confirmed of it and where it is to be."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from logferry.agent.identity import EMPTY, UNSEEN, Fingerprint, Stat
from logferry.names import is_temporary, parse_aside, split


class State(enum.IntEnum):
    """The life of a generation as the agent sees it."""

    NEW = 0
    """Not whole on the server: nothing sent yet, or under a temporary name."""
    LIVE = 1
    """On the server under its name; grows in place."""
    GONE = 2
    """The node's file is gone; the archive keeps its copy. The row waits in case the file comes back."""
    ENDED = 3
    """Its path holds another generation now. It is to be moved aside on the server, then forgotten."""
    SKIPPED = 4
    """A compressed copy of what the server holds; not sent. Looked at again when it changes."""


@dataclass(frozen=True, slots=True)
class Row:
    """``remote`` is where the bytes are on the server, ``want`` where they belong; a difference is work to do.

    So a rename seen on the node is recorded at once, without the server, and carried out there later; a crash
    in between is seen by comparing the two.
    """

    id: int
    path: bytes
    """The raw path on the node; empty for an ENDED row."""
    want: str
    """Archive path where the bytes belong."""
    remote: str
    """Archive path where the confirmed bytes are; empty = nothing is on the server yet."""
    state: State
    inode: int
    inode_generation: int
    """The file system's own counter of inode reuse; 0 = not known."""
    seen: Stat = UNSEEN
    """The node's file as of the last look after which nothing was left to do."""
    print: Fingerprint = EMPTY
    """Of the confirmed bytes."""
    going: str = ""
    """Archive path where the bytes may be instead of ``remote``: a rename to it, or a first upload under it, was begun
    and nobody has recorded its end. Looking at both names tells."""
    target: int = 0
    """NEW: publish under the final name when the offset reaches this."""
    base: int = 0
    """Where in the node's file the bytes at ``remote`` begin: not 0 only for what was written, through an old handle,
    to a generation that had been filed on the server by then."""

    def __post_init__(self) -> None:
        assert (self.path == b"") == (self.state is State.ENDED), (self.path, self.state)
        assert self.remote or self.print.offset == 0, "confirmed bytes are somewhere"

    @property
    def untouched(self) -> bool:
        """Whether it is to be sent and nothing of it is on the server yet."""
        return self.state is State.NEW and not self.remote

    @property
    def offset(self) -> int:
        """Bytes confirmed by the server."""
        return self.print.offset

    @property
    def remote_size(self) -> int:
        """Size that the file at ``remote`` should have."""
        return self.offset - self.base

    @property
    def comparable(self) -> bool:
        """Whether its file is on the node, under a path, to be compared with what a server has."""
        return self.state in (State.NEW, State.LIVE)

    @property
    def misplaced(self) -> bool:
        """Whether the bytes are on the server, but not where they belong, and may be moved there now."""
        if not self.remote or self.state is State.NEW:
            return False
        return self.remote != self.want or self.going != ""

    @property
    def claims(self) -> set[str]:
        """Names on the server that no other row may take yet."""
        names = {self.going, self.stop_over}
        if self.misplaced:
            names.add(self.remote)
        return names - {""}

    @property
    def stop_over(self) -> str:
        """For an ENDED row whose bytes never left their temporary name: the name they take before they move aside.

        So they become a generation of that name. Empty for all other rows.
        """
        if self.state is not State.ENDED:
            return ""
        folder, name = split(self.want)
        parsed = parse_aside(name) if is_temporary(split(self.remote)[1]) else None
        if parsed is None or is_temporary(parsed[0]):
            return ""
        return f"{folder}/{parsed[0]}" if folder else parsed[0]

    @property
    def settled(self) -> bool:
        """Whether at the last look nothing was left to do for this row."""
        return self.state is State.LIVE and not self.misplaced and self.seen.size == self.offset and self.seen != UNSEEN
