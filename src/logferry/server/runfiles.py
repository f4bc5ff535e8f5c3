"""Small files in ``data_dir/run`` and ``data_dir/local.json``: where the parts of a running server really listen."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Mapping
from typing import Any

from logferry.errors import LogferryError, Refused

RUN_FOLDER = "run"


def run_path(data_dir: str, name: str) -> str:
    """``data_dir/run/<name>``."""
    return os.path.join(data_dir, RUN_FOLDER, name)


def part_file(data_dir: str, part: str) -> str:
    """The file that says where ``part`` (``ftp``, ``web``) listens."""
    return run_path(data_dir, f"{part}.json")


def local_file(data_dir: str) -> str:
    """The file that lets the command line on the same machine in: ``{url, token, pin}``, mode 0600."""
    return os.path.join(data_dir, "local.json")


def write_private(path: str, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, readable by the owner alone.

    Not synced: these files describe a running process and are written anew at every start.

    Raises:
        Refused: the folder cannot be written.
    """
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{secrets.token_hex(4)}")
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise not_writable(folder, error) from error


def write_json(path: str, values: Mapping[str, Any]) -> None:
    """``write_private`` of a JSON object."""
    write_private(path, json.dumps(values, indent=1) + "\n")


def read_json(path: str) -> dict[str, Any] | None:
    """The object in ``path``, or None when there is no such file or it is not whole."""
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
    except (OSError, ValueError):  # absent, or of another user: either way nothing to go by
        return None
    return values if isinstance(values, dict) else None


def remove(path: str) -> None:
    """Remove ``path`` if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def cannot_listen(part: str, setting: str, address: str, error: OSError) -> Refused:
    """The error for an address that cannot be had; ``setting`` is the name of the one that says it."""
    number = error.errno or 0  # name resolution has negative ones, with texts of their own
    why = os.strerror(number) if number > 0 else error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        hint = f"stop what uses the port (`ss -ltnp` shows it), or set {setting} to another address"
    elif error.errno == errno.EACCES:
        hint = f"ports below 1024 are for root; set {setting} to a higher one"
    else:
        hint = f"set {setting} to an address of this machine, for example 127.0.0.1 or 0.0.0.0, and a port"
    return Refused(f"cannot listen on {part} address {address}: {why}", hint=hint)


def not_writable(folder: str, error: OSError) -> LogferryError:
    """The error for a data folder that does not take what must be written."""
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return Refused(f"{folder} is not a folder", hint="set archive.root (LOGFERRY_ARCHIVE__ROOT) to a folder")
    return Refused(
        f"cannot write in {folder}: {error.strerror or error}",
        hint="give this user the folder, or set archive.root (LOGFERRY_ARCHIVE__ROOT) to one it may write",
    )
