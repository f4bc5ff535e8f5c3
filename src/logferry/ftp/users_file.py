"""The JSON file that holds users: read whole, written so that no crash and no reader sees half of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import stat
from collections import Counter
from collections.abc import Iterator
from typing import Any

from logferry.errors import BadConfig
from logferry.ftp.users_entry import Entry
from logferry.limits import FTP_USERS_FILE_BYTES_MAX

Entries = dict[str, Entry]
"""By user name, what the file says of them."""

_MODE = 0o600


class UsersFile:
    """The file at ``path``; of a symbolic link, the file it leads to."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.folder = os.path.dirname(os.path.abspath(path))

    def mark(self) -> tuple[int, ...] | None:
        """Changes when the file does (first its modification time, ns); None when it cannot be looked at."""
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev

    def readable_by_others(self) -> bool:
        """Whether its mode lets other users of this machine read it."""
        return bool(os.stat(self.path).st_mode & 0o077)

    def read(self) -> bytes:
        """All of it.

        Raises:
            BadConfig: it is missing, unreadable or too large.
        """
        try:
            # O_NONBLOCK: a FIFO in its place must not hang whoever asks.
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb") as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise BadConfig(f"{self.path} is no plain file")
                content = file.read(FTP_USERS_FILE_BYTES_MAX + 1)
        except OSError as error:
            raise BadConfig(f"{self.path} cannot be read: {error.strerror}") from error
        if len(content) > FTP_USERS_FILE_BYTES_MAX:
            raise BadConfig(f"{self.path} is larger than {FTP_USERS_FILE_BYTES_MAX} bytes")
        return content

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """No other process that does the same writes meanwhile."""
        # The folder is what stays; the file itself is another one after each write.
        folder = os.open(os.path.dirname(os.path.realpath(self.path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def write(self, entries: Entries) -> bytes:
        """Replace the content, durably, readable by its owner alone; returns it.

        Raises:
            OSError: it is not stored, or not for certain.
        """
        content = json.dumps(entries, indent=4).encode() + b"\n"
        target = os.path.realpath(self.path)
        temporary = f"{target}.{secrets.token_hex(4)}.tmp"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        try:
            with open(fd, "wb") as file:
                file.write(content)
                file.flush()
                _keep_owner(fd, target)
                os.fsync(fd)
            os.rename(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return content


def _keep_owner(fd: int, target: str) -> None:
    """A file rewritten by root still belongs to whom it belonged."""
    if os.geteuid() == 0:
        with contextlib.suppress(FileNotFoundError):
            before = os.stat(target)
            os.fchown(fd, before.st_uid, before.st_gid)


def parse(content: bytes, path: str) -> Entries:
    """The entries in ``content``.

    Raises:
        BadConfig: it is not JSON, not an object of objects, or names something twice.
    """
    try:
        entries = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"{path} is broken: {error}", hint="it has to be JSON") from error
    if not isinstance(entries, dict):
        raise BadConfig(f"{path} is broken: it holds no object of users")
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            raise BadConfig(f"{path} is broken: user {name!r} is no object")
    return entries


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"{twice!r} stands there twice")
    return found
