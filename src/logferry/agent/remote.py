"""Small things to do on the server, with archive paths."""

from __future__ import annotations

from logferry.ftp.client import FtpClient
from logferry.names import aside_name, split


def wire(path: str) -> str:
    """An archive path as it is written on the wire: the agent's home is its root."""
    return "/" + path


def ensure_parent(client: FtpClient, path: str) -> None:
    """Make the folders above ``path``."""
    folder, _ = split(path)
    if folder:
        client.ensure_folder(wire(folder))


def move_aside(client: FtpClient, path: str, stamp: str) -> str:
    """Rename what is at ``path`` so that nothing overwrites it; returns the new path."""
    folder, name = split(path)
    aside = f"{folder}/{aside_name(name, stamp)}" if folder else aside_name(name, stamp)
    client.rename(wire(path), wire(aside))
    return aside


def whole_size(client: FtpClient, path: str) -> int | None:
    """Bytes of the file that everybody sees at ``path``; None if there is none.

    Where uploads are atomic, SIZE may speak of the unpublished part of an interrupted one; MLST does not.
    """
    if not (client.features.atomic and client.features.has("MLST")):
        return client.size(wire(path))
    entry = client.stat(wire(path))
    return entry.size if entry is not None else None
