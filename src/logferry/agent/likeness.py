"""Whether the server's bytes are the node's, told by digests: neither side sends what both have."""

from __future__ import annotations

from logferry.agent.files import OpenFile
from logferry.agent.remote import wire
from logferry.errors import Conflict, LogferryError
from logferry.ftp.client import FtpClient
from logferry.ftp.client_digest import file_digest
from logferry.ftp.client_store import CONNECTION_OVER
from logferry.limits import COMPARE_BYTES_MAX


def same_bytes(
    client: FtpClient, path: str, file: OpenFile, count: int, *, at_most: int = COMPARE_BYTES_MAX
) -> bool | None:
    """Whether all that the server has at the archive path ``path`` are the first ``count`` bytes of ``file``.

    Returns:
        None where it cannot be told: the server computes no digests (or none of what is not published yet), or both
        sides would have to read more than ``at_most`` bytes.

    Raises:
        Unreachable, TimedOut, Busy, Aborted: the connection is over.
    """
    if count > at_most:
        return None
    try:
        there = client.digest(wire(path), length=count)
        return None if there is None else there == file_digest(file.fd, there.algorithm, count)
    except Conflict:
        return False  # the file has fewer bytes by now
    except CONNECTION_OVER:
        raise
    except LogferryError:
        return None  # not now, or not of this file
