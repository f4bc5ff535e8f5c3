"""Partials: what has arrived of a path that is not whole yet, in ``incoming/<agent>``, seen by nobody.

While the machine lives, all that was written is there, whoever is killed. When its power goes, the disk may have the
length of a file and not its bytes: then nothing of a partial counts but what was settled, that is synced when its
upload broke off, or confirmed (a slice under a temporary name).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator

from logferry.archive.live import Folder
from logferry.archive.locks import booting, locked
from logferry.archive.rooms import Rooms
from logferry.archive.settled import settled_bytes, unsettle
from logferry.errors import Busy, Refused
from logferry.limits import PARTIAL_S_MAX

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NAME = re.compile(r"[0-9a-f]{32}")


def partial_name(path: str) -> bytes:
    """The name in ``incoming/<agent>`` under which what has arrived of ``path`` waits to be whole."""
    return hashlib.blake2b(path.encode(), digest_size=16).hexdigest().encode()


def beyond(path: str, offset: int, size: int) -> Refused:
    """The error for an upload that would leave a gap."""
    return Refused(f"{path} has {size} bytes, cannot continue at {offset}", hint="ask for SIZE and continue there")


def open_partial(rooms: Rooms, agent: str, path: str, offset: int | None) -> tuple[Folder, bytes, int, int]:
    """The partial of ``path``, locked: (folder, name, descriptor, size). From byte 0 it is made anew.

    ``offset`` None: whatever there is of it, made empty when there is none, for its lock.

    Raises:
        Refused: less than ``offset`` bytes have arrived so far.
        Busy: another process is at it.
    """
    folder = rooms.incoming.make(agent, lambda parent: rooms.disk.sync_folder(parent.fd))
    name = partial_name(path)
    flags = os.O_RDWR | (0 if offset else os.O_CREAT)
    while True:
        try:
            fd = folder.open(name, flags)
        except FileNotFoundError as error:
            raise beyond(path, offset or 0, 0) from error
        try:
            locked(fd, path)
            facts, there = os.fstat(fd), folder.stat(name)
            if there is not None and there.st_ino == facts.st_ino:
                return folder, name, fd, _ready(rooms, fd, path, offset, facts.st_size)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # it was published between opening and locking: its name belongs to nobody now


def arriving_bytes(rooms: Rooms, agent: str, except_for: bytes) -> int:
    """How much of files that are not whole yet lies in the agent's folder, without the partial of that name."""
    folder = rooms.incoming.folder(agent)
    if folder is None:
        return 0
    found = (folder.stat(name) for name in folder.names() if name != except_for)
    return sum(facts.st_size for facts in found if facts is not None)


@contextlib.contextmanager
def held(rooms: Rooms, agent: str, paths: Iterable[str]) -> Iterator[None]:
    """Keep everybody else, in whatever process, from publishing at ``paths`` or taking their live names away.

    Whoever puts a file under a live name or takes one away holds the path in this way, or by its partial's lock.

    Raises:
        Busy: somebody is at one of them.
    """
    with contextlib.ExitStack() as stack:
        for path in paths:
            folder, name, fd, size = open_partial(rooms, agent, path, None)
            stack.callback(os.close, fd)
            if size == 0:
                stack.callback(rooms.disk.unlink, folder.fd, name)
        yield


def _ready(rooms: Rooms, fd: int, path: str, offset: int | None, size: int) -> int:
    """The size from which the partial goes on."""
    if offset is None:
        return size
    if size < offset:
        raise beyond(path, offset, size)
    if offset == 0 and size:
        rooms.disk.truncate(fd, 0)
    if unsettle(fd, wholly=offset == 0):
        rooms.disk.sync_file(fd)  # before anything is written that a power cut may take
    return size if offset else 0


def idle_since_ns(partial: os.stat_result) -> int:
    """When somebody was last at it. Its own time may be that of the file on its node."""
    return max(partial.st_mtime_ns, partial.st_ctime_ns)


def remove_idle(rooms: Rooms, agent: str, name: bytes, before_ns: int) -> bool:
    """Remove a partial that nobody was at since; whether that was done."""
    folder = rooms.incoming.folder(agent)
    try:
        fd = folder.open(name) if folder is not None else -1
    except (FileNotFoundError, PermissionError):  # not ours
        return False
    if folder is None:
        return False
    try:
        locked(fd, f"incoming/{agent}/{name.decode(errors='backslashreplace')}")
        facts, there = os.fstat(fd), folder.stat(name)
        if there is None or there.st_ino != facts.st_ino or idle_since_ns(facts) >= before_ns:
            return False
        rooms.disk.unlink(folder.fd, name)
    except Busy:
        return False
    finally:
        os.close(fd)
    return True


def sweep(rooms: Rooms) -> int:
    """Remove partials that nobody has come back for in ``PARTIAL_S_MAX``; returns how many."""
    before_ns = rooms.clock.now_ns() - int(PARTIAL_S_MAX * 1e9)
    removed = 0
    for path, found in rooms.incoming.walk():
        agent, _, name = path.rpartition("/")
        if stat.S_ISREG(found.st_mode) and _NAME.fullmatch(name) and idle_since_ns(found) < before_ns:
            removed += remove_idle(rooms, agent, name.encode(), before_ns)
    return removed


def doubt_older(rooms: Rooms) -> None:
    """Once in each life of the machine, before anybody asks: of partials of an earlier one only what was settled is
    left."""
    with booting(rooms.data_dir) as slip:
        life = _life()
        if life and slip.read() == life:
            return
        for path, found in rooms.incoming.walk():
            agent, _, name = path.rpartition("/")
            if found.st_size and stat.S_ISREG(found.st_mode) and _NAME.fullmatch(name):
                _doubt(rooms, agent, name.encode())
        slip.write(life)


def _doubt(rooms: Rooms, agent: str, name: bytes) -> None:
    """Cut off what was not settled. Where somebody writes just now, that is of this life."""
    folder = rooms.incoming.folder(agent)
    try:
        fd = folder.open(name, os.O_RDWR) if folder is not None else -1
    except (FileNotFoundError, PermissionError):  # not ours: nobody can go on with it
        return
    if folder is None:
        return
    try:
        locked(fd, f"incoming/{agent}/{name.decode()}")
        facts, there = os.fstat(fd), folder.stat(name)
        if there is None or there.st_ino != facts.st_ino:
            return  # published just now
        settled = settled_bytes(fd)
        if settled is None or facts.st_nlink > 1:  # its other name is that of a live file, which is whole
            rooms.disk.unlink(folder.fd, name)
        elif settled < facts.st_size:
            rooms.disk.truncate(fd, settled)
    except Busy:
        return
    finally:
        os.close(fd)


def _life() -> str:
    """The name of this life of the machine; empty where it has none: then each start counts as one."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
