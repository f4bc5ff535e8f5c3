"""``TlsOwners`` for several processes: a client may use the ticket of a control connection in another process."""

from __future__ import annotations

import ssl
import time

from logferry.ftp.board import Board
from logferry.ftp.slots import Row, Slots
from logferry.ftp.tls import Mark, TlsOwners, session_mark
from logferry.limits import FTP_TLS_OWNER_S_MAX, FTP_TLS_OWNERS_MAX

_NOBODY = bytes(16)
_LOOK_S = 0.01


class SharedTlsOwners(TlsOwners):
    """Keeps what it is told on the ``Board``. Marks and users are kept as keyed digests, which tell nobody anything."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board = board
        # the user's digest (zeros before login), and when it was noted
        self._rows = Slots(board, "16sd", FTP_TLS_OWNERS_MAX)

    def note(self, mark: Mark | None, user: str = "") -> None:
        if mark is None:
            return
        key = self._rows.key(b"mark", _bytes(mark))
        whose = self._user(user) if user else _NOBODY
        with self._board.lock:
            self._rows.put(key, (whose, time.monotonic()), _oldest)

    def allow(self, data: ssl.SSLSocket, control: Mark | None, user: str) -> bool:
        if not data.session_reused:
            return False
        mark = session_mark(data)
        if mark is None:
            return False
        if mark == control:
            return True
        key = self._rows.key(b"mark", _bytes(mark))
        wanted = self._user(user)
        until = time.monotonic() + FTP_TLS_OWNER_S_MAX
        while True:
            with self._board.lock:
                found = self._rows.get(key)
            if found is not None and found[0] != _NOBODY:
                return bool(found[0] == wanted)
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_S)

    def _user(self, name: str) -> bytes:
        return self._rows.key(b"user", name.encode("utf-8", "surrogateescape"))


def _bytes(mark: Mark) -> bytes:
    return mark if isinstance(mark, bytes) else b"time %d" % mark


def _oldest(fields: Row) -> float:
    return float(fields[1])
