"""Moving bytes over a data connection no faster than a ``Brake`` lets them: the slow sister of ``transfers``.

Smaller blocks, a wait after each. TCP hands the pace on to the client: what we do not read fills its buffers.
"""

from __future__ import annotations

import os
import socket
import ssl
import time

from logferry.ftp.brake import Brake
from logferry.ftp.filesystem import Download, Upload
from logferry.ftp.smalldigest import SmallDigest
from logferry.ftp.transfers import HAS_SENDFILE, Interrupted, Sender, Watch, broken
from logferry.limits import FTP_TLS_BLOCK_BYTES, FTP_WATCH_S, KIB

_TLS_RECORD_BYTES = 16 * KIB


class Onward:
    """The eye on a transfer of which ``before`` bytes have gone already."""

    def __init__(self, watch: Watch, before: int) -> None:
        self._watch = watch
        self._before = before
        self.stall_s = watch.stall_s

    def glance(self, moved: int) -> None:
        """See ``Watch``."""
        self._watch.glance(self._before + moved)


class _Stall:
    """Ends a transfer that rests for too long; our own waiting is no rest."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._since_s = time.monotonic()

    def rest(self, moved: int) -> None:
        if time.monotonic() - self._since_s > self._watch.stall_s:
            raise Interrupted(426, f"No byte for {self._watch.stall_s:.0f} s.")
        self._watch.glance(moved)

    def progress(self) -> None:
        self._since_s = time.monotonic()


def receive(
    data: socket.socket,
    upload: Upload,
    buffer: memoryview,
    watch: Watch,
    brake: Brake,
    tap: SmallDigest | None = None,
) -> int:
    """As ``transfers.receive``, at the brake's pace."""
    moved = 0
    stall = _Stall(watch)
    if isinstance(data, ssl.SSLSocket):
        data.settimeout(FTP_WATCH_S)
    while True:
        try:
            count = data.recv_into(buffer[: brake.block_bytes])
        except (BlockingIOError, TimeoutError):
            stall.rest(moved)
            continue
        except OSError as error:
            raise broken(error) from error
        if count == 0:
            return moved
        if tap is not None:
            tap.update(buffer[:count])
        upload.write(buffer[:count])
        moved += count
        brake.pause(count, moved, watch)
        stall.progress()


def send(data: socket.socket, download: Download, offset: int, watch: Watch, brake: Brake) -> int:
    """As ``transfers.send``, at the brake's pace."""
    descriptor = download.fileno()
    if descriptor is not None and HAS_SENDFILE and not isinstance(data, ssl.SSLSocket):
        return _send_file(data, descriptor, offset, download.size, watch, brake)
    moved = 0
    sender = Sender(data, watch)
    while offset < download.size:
        # No less than a record: one that TLS could not get rid of before must be offered again whole.
        wanted = min(max(brake.block_bytes, _TLS_RECORD_BYTES), FTP_TLS_BLOCK_BYTES)
        block = download.read_at(offset, min(wanted, download.size - offset))
        if not block:
            raise Interrupted(451, "The file became shorter while it was sent.")
        sender.send(block)
        offset += len(block)
        moved += len(block)
        brake.pause(len(block), moved, watch)
    return moved


def _send_file(data: socket.socket, descriptor: int, offset: int, end: int, watch: Watch, brake: Brake) -> int:
    start = offset
    stall = _Stall(watch)
    out = data.fileno()
    while offset < end:
        try:
            count = os.sendfile(out, descriptor, offset, min(end - offset, brake.block_bytes))
        except (BlockingIOError, TimeoutError):
            stall.rest(offset - start)
            continue
        except OSError as error:
            raise broken(error) from error
        if count == 0:
            raise Interrupted(451, "The file became shorter while it was sent.")
        offset += count
        brake.pause(count, offset - start, watch)
        stall.progress()
    return offset - start
