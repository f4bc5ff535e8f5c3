"""Secrets that the settings name by the file they are in."""

from __future__ import annotations

from logferry.errors import BadConfig
from logferry.limits import SECRET_BYTES_MAX


def secret_in(path: str, setting: str, what: str) -> str:
    """The first line of the file that a setting names, without its end. Raises BadConfig, which names no secret.

    Args:
        what: belongs there, for people.
    """
    try:
        with open(path, encoding="utf-8") as file:
            line = file.read(SECRET_BYTES_MAX).split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadConfig(f"{setting} {path}: {why}", hint=f"put {what} there") from error
    if not line.strip():
        raise BadConfig(f"{setting} {path} is empty", hint=f"{what} belongs on its first line")
    return line
