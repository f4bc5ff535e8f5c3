"""Small files of the server that outlive a power cut."""

from __future__ import annotations

import contextlib
import os
import secrets


def write_durable(path: str, data: bytes, mode: int) -> None:
    """Make ``path`` hold ``data``: whole or as it was before, and on disk when this returns.

    It is never readable wider than ``mode``; a link in its place is replaced, not followed.

    Raises:
        OSError.
    """
    folder = os.path.dirname(path)
    temporary = f"{path}.{secrets.token_hex(4)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):  # it has its name
            os.unlink(temporary)
    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
