"""``uploadRcd.json``: which files an older agent believed to have uploaded. Pure.

It held what was begun, whole or not, by absolute path. So it is nothing to rely on: a file in it counts as uploaded
but unverified, and the agent compares it with the server by SIZE and HASH before anything of it is sent.
"""

from __future__ import annotations

import json
import re

from logferry.errors import BadConfig
from logferry.seed.settings_text import text_of

_SLASHES = re.compile(r"[\\/]+")


def recorded(raw: bytes, where: str) -> list[str]:
    """The paths in the record, as they were written. Raises BadConfig when it is damaged (it often was)."""
    try:
        values = json.loads(text_of(raw))
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"{where} is damaged: {error}", hint="nothing is lost: all files are compared") from error
    if not isinstance(values, list):
        raise BadConfig(f"{where} is no list of paths", hint="nothing is lost: all files are compared")
    return [value for value in values if isinstance(value, str)]


def below(path: str, log_dir: str) -> str | None:
    """``path`` relative to the folder of logs, with ``/``; None when it does not lie there. Windows paths too.

    The record may come from another machine, or from before the folder was moved: what counts is the folder's name.
    """
    parts = [part for part in _SLASHES.split(path) if part]
    names = [part for part in _SLASHES.split(log_dir) if part not in ("", ".")]
    for start in range(len(parts) - len(names)):
        if [part.casefold() for part in parts[start : start + len(names)]] == [name.casefold() for name in names]:
            inner = parts[start + len(names) :]
            return None if ".." in inner else "/".join(inner)
    return None
