"""Files of the older archive, opened so that no name leads out of the agent's folder there.

Whoever could write to the older archive may swap a folder or file for a link while it is taken over, and the one who
takes over may read everything on the machine.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from logferry.archive.live import Folder, resolver
from logferry.errors import TooLarge
from logferry.seed.reading import ConfigCopy, StoredFile

_TOP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_beneath = resolver()


def holding(file: StoredFile | ConfigCopy) -> tuple[Folder, bytes]:
    """The folder that holds it, open, and its name there. Raises OSError, also where a link is in the way."""
    top = Folder(os.open(file.top, _TOP))
    inside, _, name = file.inner.rpartition(b"/")
    return (Folder(_beneath(top.fd, inside)) if inside else top), name


def opened(file: StoredFile | ConfigCopy) -> BinaryIO:
    """The file, to be read. Raises OSError; NotPermitted where it is no plain file (any more)."""
    folder, name = holding(file)
    return open(folder.open(name), "rb")


def content(file: StoredFile | ConfigCopy, bytes_max: int) -> bytes:
    """All of it. Raises as ``opened``, and TooLarge: it is larger, or became so."""
    with opened(file) as source:
        data = source.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise TooLarge(f"it is larger than {bytes_max:,} bytes", hint="look at what lies there")
    return data


def remove(file: StoredFile | ConfigCopy) -> None:
    """Take its name away there. Raises OSError."""
    folder, name = holding(file)
    os.unlink(name, dir_fd=folder.fd)
