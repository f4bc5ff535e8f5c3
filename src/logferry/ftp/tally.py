"""How many connections there are: in all, per address, per user, over all processes of a server.

Each process counts its own sessions in a region of its own, so that what a killed process leaves is wiped as a whole.
Numbers of sessions come from here too: no two sessions of a server have the same.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from logferry.ftp.board import Board

_ROWS_PER_SESSION = 4
"""A session has two rows at most (its address, its user), so a region is never more than half full."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new connection goes: session ``number`` in process ``slot`` (``pid``); or why it is refused."""

    number: int = 0
    slot: int = 0
    pid: int = 0
    refused: str = ""
    over_address: bool = False


class Tally:
    """Counts for at most ``sessions_max`` sessions. Safe from all threads and processes."""

    def __init__(self, board: Board, sessions_max: int) -> None:
        self._board = board
        self._mask = (1 << (sessions_max * _ROWS_PER_SESSION - 1).bit_length()) - 1
        # The last session's number; sessions of each process; process ids of those that serve.
        self._number = board.memory(8).cast("Q")
        self._sessions = board.memory(8 * board.processes).cast("Q")
        self._pids = board.memory(8 * board.processes).cast("Q")
        rows = self._mask + 1
        # Of each row first the key, then the count.
        self._regions = [board.memory(16 * rows).cast("Q") for _ in range(board.processes)]

    # The program's calls ---------------------------------------------------------------------------------------------

    def enter(self, slot: int, address: str, *, sessions_max: int, per_address_max: int) -> Place:
        """A connection from ``address`` has come to process ``slot``; it is counted where it is best served."""
        key = self._key("address", address)
        with self._board.lock:
            if sum(self._sessions) >= sessions_max:
                return Place(refused="Too many connections; come back later.")
            if self._total(key) >= per_address_max:
                return Place(refused="Too many connections from your address.", over_address=True)
            self._number[0] += 1
            slot = self._idlest(slot)
            self._sessions[slot] += 1
            self._add(slot, key)
            return Place(self._number[0], slot, self._pids[slot])

    def _idlest(self, slot: int) -> int:
        """The process that serves fewest sessions; ``slot`` itself unless another one has fewer."""
        best = slot
        for other, pid in enumerate(self._pids):
            if pid and self._sessions[other] < self._sessions[best]:
                best = other
        return best

    def serve(self, slot: int, pid: int) -> None:
        """Process ``pid`` serves as ``slot`` from now on; others may hand connections to it."""
        with self._board.lock:
            self._pids[slot] = pid

    def retire(self, slot: int) -> None:
        """It takes no more connections."""
        with self._board.lock:
            self._pids[slot] = 0

    def leave(self, slot: int, address: str) -> None:
        """That connection is gone."""
        with self._board.lock:
            self._sessions[slot] -= 1
            self._remove(slot, self._key("address", address))

    def log_in(self, slot: int, user: str, users_max: int) -> bool:
        """Count a session of ``user``, unless they have ``users_max`` already."""
        key = self._key("user", user)
        with self._board.lock:
            if self._total(key) >= users_max:
                return False
            self._add(slot, key)
            return True

    def log_out(self, slot: int, user: str) -> None:
        """That session is no longer theirs."""
        with self._board.lock:
            self._remove(slot, self._key("user", user))

    def move(self, source: int, target: int, address: str) -> None:
        """A connection is handed from one process to another."""
        key = self._key("address", address)
        with self._board.lock:
            self._sessions[target] += 1
            self._add(target, key)
            region = self._regions[source]
            # Nothing to take away where the process died meanwhile and was wiped.
            if region[2 * self._find(region, key)]:
                self._sessions[source] -= 1
                self._remove(source, key)

    def wipe(self, slot: int) -> None:
        """The process is dead: so are its sessions."""
        with self._board.lock:
            self._sessions[slot] = self._pids[slot] = 0
            region = self._regions[slot]
            for at in range(0, len(region), 2):
                if region[at]:
                    region[at] = region[at + 1] = 0

    def loads(self) -> list[int]:
        """Sessions of each process."""
        return list(self._sessions)

    def pids(self) -> list[int]:
        """The process ids of those that serve, by slot; 0 where none does just now."""
        return list(self._pids)

    def of_address(self, address: str) -> int:
        """Sessions from ``address``."""
        with self._board.lock:
            return self._total(self._key("address", address))

    def of_user(self, user: str) -> int:
        """Sessions logged in as ``user``."""
        with self._board.lock:
            return self._total(self._key("user", user))

    # A region: open addressing with linear probing -------------------------------------------------------------------

    def _key(self, kind: str, name: str) -> int:
        digest = hashlib.blake2b(
            name.encode("utf-8", "surrogateescape"), key=self._board.secret, digest_size=8, person=kind.encode()
        )
        return int(struct.unpack("=Q", digest.digest())[0]) or 1

    def _find(self, region: memoryview[int], key: int) -> int:
        """Where ``key`` is, or the free row where it would go."""
        row = key & self._mask
        while (there := region[2 * row]) and there != key:
            row = (row + 1) & self._mask
        return row

    def _total(self, key: int) -> int:
        total = 0
        for region in self._regions:
            row = self._find(region, key)
            total += region[2 * row + 1] if region[2 * row] else 0
        return total

    def _add(self, slot: int, key: int) -> None:
        region = self._regions[slot]
        row = self._find(region, key)
        # The count first: a process killed in between leaves no key without one.
        region[2 * row + 1] = region[2 * row + 1] + 1 if region[2 * row] else 1
        region[2 * row] = key

    def _remove(self, slot: int, key: int) -> None:
        region = self._regions[slot]
        row = self._find(region, key)
        assert region[2 * row] == key, "what is counted out was counted in"
        region[2 * row + 1] -= 1
        if not region[2 * row + 1]:
            self._free(region, row)

    def _free(self, region: memoryview[int], row: int) -> None:
        """Empty ``row`` and close the gap, so that no search stops too early."""
        gap = row
        while True:
            row = (row + 1) & self._mask
            key = region[2 * row]
            if not key:
                break
            home = key & self._mask
            # ``key`` may fill the gap unless its home lies behind the gap, up to where it is.
            if (row - home) & self._mask >= (row - gap) & self._mask:
                region[2 * gap], region[2 * gap + 1] = key, region[2 * row + 1]
                gap = row
        region[2 * gap] = region[2 * gap + 1] = 0
