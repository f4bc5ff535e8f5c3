"""Moving bytes over one data connection, plain or TLS, while somebody keeps an eye on the control connection.

Each function returns when all is moved, or raises ``Interrupted`` with the reason. The eye is ``Watch``: it is looked
through whenever the data connection has rested for FTP_WATCH_S, and once in a while during a fast transfer.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from logferry.ftp.filesystem import Download, Upload
from logferry.ftp.pipe import CAN_SPLICE, Pipe
from logferry.ftp.portable import MSG_WAITALL, RESET_ON_CLOSE, is_cut_end
from logferry.ftp.smalldigest import SmallDigest
from logferry.ftp.waiting import wait
from logferry.limits import (
    FTP_DATA_BLOCK_BYTES,
    FTP_REPLY_S_MAX,
    FTP_SENDFILE_BYTES,
    FTP_SPLICE_CALL_BYTES_MIN,
    FTP_SPLICE_FROM_BYTES,
    FTP_TLS_BLOCK_BYTES,
    FTP_TURN_AWAY_BYTES_MAX,
    FTP_TURN_AWAY_S_MAX,
    FTP_WATCH_S,
)

HAS_SENDFILE = hasattr(os, "sendfile")
_GLANCE_EVERY = 16
"""Blocks of a fast transfer between two looks at the control connection."""
_SPLICES_A_GLANCE = 64


class Interrupted(Exception):
    """A transfer did not come to its end. ``code`` is the FTP reply, the text its reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Watch(Protocol):
    """What a transfer looks at now and then."""

    stall_s: float
    """Longest time without a byte."""

    def glance(self, moved: int) -> None:
        """Look at the control connection, without waiting; ``moved`` bytes have gone so far.

        Raises:
            Interrupted: ABOR came, the control connection is gone, or the server stops.
        """
        ...


class _Patience:
    """Counts the time without progress."""

    __slots__ = ("_since", "_watch")

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._since = 0.0

    def rest(self, moved: int) -> None:
        """Nothing moved for a moment."""
        now = time.monotonic()
        if self._since == 0.0:
            self._since = now - FTP_WATCH_S
        if now - self._since > self._watch.stall_s:
            raise Interrupted(426, f"No byte for {self._watch.stall_s:.0f} s.")
        self._watch.glance(moved)

    def progress(self) -> None:
        """Something moved."""
        self._since = 0.0


def broken(error: OSError) -> Interrupted:
    """The reason why a data connection broke, in words."""
    if is_cut_end(error):
        return Interrupted(426, "The data connection ended without TLS close_notify; the file may be cut.")
    if isinstance(error, ConnectionResetError):
        return Interrupted(426, "The data connection was reset.")
    return Interrupted(426, f"The data connection broke: {error.strerror or type(error).__name__}.")


def receive(
    data: socket.socket, upload: Upload, buffer: memoryview, watch: Watch, tap: SmallDigest | None = None
) -> int:
    """Write everything that comes until the client ends the connection; the count of bytes. Errors of write pass.

    ``tap`` sees the bytes, too, as long as they are few.
    """
    if isinstance(data, ssl.SSLSocket):
        return _receive_tls(data, upload, buffer, watch, tap)
    moved = blocks = 0
    patience = _Patience(watch)
    recv_into = data.recv_into
    splice = _splice_of(upload)
    while True:
        if splice is not None and moved >= FTP_SPLICE_FROM_BYTES:
            moved, ended = _receive_spliced(data, splice, watch, moved)
            if ended:
                return moved
            splice = None
        try:
            # MSG_WAITALL: a whole block per call, however small the packets; the end and the time-out cut it short.
            count = recv_into(buffer, 0, MSG_WAITALL)
        except (BlockingIOError, TimeoutError):
            patience.rest(moved)
            continue
        except OSError as error:
            raise broken(error) from error
        if count == 0:
            return moved
        if tap is not None:
            tap.update(buffer[:count])
        upload.write(buffer[:count])
        moved += count
        patience.progress()
        blocks += 1
        if blocks % _GLANCE_EVERY == 0:
            watch.glance(moved)


def _splice_of(upload: Upload) -> Callable[[int, int], None] | None:
    """The upload's ``splice``; None where a subclass has a ``write`` of its own, which wants to see every byte."""
    for kind in type(upload).__mro__:
        if "splice" in vars(kind) and CAN_SPLICE:
            found: Callable[[int, int], None] = upload.splice  # type: ignore[attr-defined]
            return found
        if "write" in vars(kind):
            break
    return None


def _receive_spliced(
    data: socket.socket, splice: Callable[[int, int], None], watch: Watch, moved: int
) -> tuple[int, bool]:
    """The same without copying, for as long as the network is fast; all moved so far, and whether that is the end."""
    patience = _Patience(watch)
    calls, began = 0, moved
    with Pipe() as pipe:
        while True:
            try:
                count = pipe.fill(data)
            except BlockingIOError:
                patience.rest(moved)
                continue
            except OSError as error:
                raise broken(error) from error
            if count == 0:
                return moved, True
            splice(pipe.out, count)
            moved += count
            patience.progress()
            calls += 1
            if calls % _SPLICES_A_GLANCE == 0:
                watch.glance(moved)
                if moved - began < calls * FTP_SPLICE_CALL_BYTES_MIN:
                    return moved, False


def _receive_tls(data: ssl.SSLSocket, upload: Upload, buffer: memoryview, watch: Watch, tap: SmallDigest | None) -> int:
    moved = blocks = filled = 0
    patience = _Patience(watch)
    data.settimeout(FTP_WATCH_S)
    while True:
        try:
            # One TLS record (16 KiB) per call; writes are worth a whole block.
            count = data.recv_into(buffer[filled:])
        except OSError as error:
            # What has come is true as far as it goes: it is kept, whether the rest comes or not.
            if filled:
                upload.write(buffer[:filled])
                filled = 0
            if not isinstance(error, TimeoutError):
                raise broken(error) from error
            patience.rest(moved)
            continue
        if tap is not None:
            tap.update(buffer[filled : filled + count])
        filled += count
        moved += count
        if count == 0:
            if filled:
                upload.write(buffer[:filled])
            return moved
        patience.progress()
        if filled == len(buffer):
            upload.write(buffer)
            filled = 0
            blocks += 1
            if blocks % _GLANCE_EVERY == 0:
                watch.glance(moved)


def send(data: socket.socket, download: Download, offset: int, watch: Watch) -> int:
    """Send the file from ``offset`` to its end; the count of bytes."""
    descriptor = download.fileno()
    if descriptor is not None and HAS_SENDFILE and not isinstance(data, ssl.SSLSocket):
        return _send_file(data, descriptor, offset, download.size, watch)
    moved = 0
    sender = Sender(data, watch)
    while offset < download.size:
        block = download.read_at(offset, min(FTP_TLS_BLOCK_BYTES, download.size - offset))
        if not block:
            raise Interrupted(451, "The file became shorter while it was sent.")
        sender.send(block)
        offset += len(block)
        moved += len(block)
    return moved


class Span:
    """A download that ends at ``stop`` (RANG), or where the file does."""

    def __init__(self, whole: Download, stop: int) -> None:
        self.size = min(whole.size, stop)
        self.fileno = whole.fileno
        self.read_at = whole.read_at
        self.close = whole.close


def _send_file(data: socket.socket, descriptor: int, offset: int, end: int, watch: Watch) -> int:
    start = offset
    patience = _Patience(watch)
    out = data.fileno()
    while offset < end:
        try:
            count = os.sendfile(out, descriptor, offset, min(end - offset, FTP_SENDFILE_BYTES))
        except (BlockingIOError, TimeoutError):
            patience.rest(offset - start)
            continue
        except OSError as error:
            raise broken(error) from error
        if count == 0:
            raise Interrupted(451, "The file became shorter while it was sent.")
        offset += count
        patience.progress()
        if end > offset:
            watch.glance(offset - start)
    return offset - start


class Sender:
    """Sends blocks of bytes whole."""

    __slots__ = ("_blocks", "_data", "_moved", "_watch")

    def __init__(self, data: socket.socket, watch: Watch) -> None:
        self._data = data
        self._watch = watch
        self._moved = 0
        self._blocks = 0
        if isinstance(data, ssl.SSLSocket):
            data.settimeout(FTP_WATCH_S)

    def send(self, block: bytes) -> None:
        """Send ``block``. Raises Interrupted."""
        patience = _Patience(self._watch)
        left = memoryview(block)
        while left:
            try:
                # TLS sends a block whole or raises; after a time-out the same bytes must be offered again.
                count = self._data.send(left)
            except (BlockingIOError, TimeoutError):
                patience.rest(self._moved)
                continue
            except OSError as error:
                raise broken(error) from error
            left = left[count:]
            self._moved += count
            patience.progress()
        self._blocks += 1
        if self._blocks % _GLANCE_EVERY == 0:
            self._watch.glance(self._moved)


def send_lines(data: socket.socket, lines: Iterable[str], watch: Watch) -> int:
    """Send a listing, CRLF after each line; the count of bytes."""
    sender = Sender(data, watch)
    moved = 0
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        raw = line.encode("utf-8", "surrogateescape") + b"\r\n"
        waiting.append(raw)
        size += len(raw)
        if size >= FTP_TLS_BLOCK_BYTES:
            sender.send(b"".join(waiting))
            moved += size
            waiting, size = [], 0
    if waiting:
        sender.send(b"".join(waiting))
    return moved + size


def end(data: socket.socket) -> None:
    """Close a data connection after all went well.

    Over TLS our close_notify is sent in any case: some clients wait for it, and a download without it looks cut. What
    the client sends after its last byte is not waited for.
    """
    if isinstance(data, ssl.SSLSocket):
        with contextlib.suppress(OSError, ValueError):
            _close_notify(data)
    data.close()


def _close_notify(data: ssl.SSLSocket) -> None:
    data.settimeout(0.0)
    try:
        data.unwrap()
    except ssl.SSLWantReadError:
        return  # it is out; only the client's own is missing
    except ssl.SSLWantWriteError:
        wait(write=[data], timeout_s=FTP_REPLY_S_MAX)
        data.unwrap()


def turn_away(data: ssl.SSLSocket) -> None:
    """End a TLS connection that may not be used, so gently that the client gets to read the reply that says why.

    A reset would be all that many clients tell their user. So what they send already is read and thrown away, for a
    moment and up to a bound.
    """
    until = time.monotonic() + FTP_TURN_AWAY_S_MAX
    left = FTP_TURN_AWAY_BYTES_MAX
    with contextlib.suppress(OSError, ValueError):
        _close_notify(data)
        data.settimeout(FTP_WATCH_S)
        while left > 0 and time.monotonic() < until:
            # Below TLS: after our close_notify the library gives no plain text any more.
            got = len(socket.socket.recv(data, FTP_TLS_BLOCK_BYTES))
            if not got:
                break
            left -= got
    data.close()


def cut(data: socket.socket) -> None:
    """Close a data connection so that the other side notices: by a reset, never by what looks like a good end."""
    with contextlib.suppress(OSError):
        data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    data.close()


assert FTP_TLS_BLOCK_BYTES <= FTP_DATA_BLOCK_BYTES
