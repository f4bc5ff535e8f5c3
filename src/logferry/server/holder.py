"""Whose catalog it is that lies on a PostgreSQL server: two archives shall not share one by mistake.

Each would take the other's files for its own that are missing. So the folder of an archive has a key of its own, and
its catalog knows that key; one that knows another is somebody else's.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from typing import Any

from logferry.archive.catalog.facts import HOLDER, Facts
from logferry.errors import Conflict
from logferry.server.files import write_durable
from logferry.server.runfiles import not_writable

FILE = "archive.key"
_KEY = re.compile("[0-9a-f]{32}")


def claim(facts: Facts, data_dir: str, url: str) -> None:
    """From now on the catalog is that of the archive in ``data_dir``. ``url``: the catalog's, as people may see it.

    Raises:
        Conflict: it is another one's.
    """
    told = facts.get(HOLDER)
    check(told, data_dir, url)
    mine = json.dumps({"key": _key(data_dir) or _new_key(data_dir), "host": socket.gethostname(), "root": data_dir})
    if told != mine:
        check(facts.replace(HOLDER, told, mine), data_dir, url)  # somebody may have been quicker


def check(told: str, data_dir: str, url: str) -> None:
    """Raise Conflict where ``told``, the fact, is of another archive than the one in ``data_dir``."""
    holder = _holder(told)
    if not told or holder.get("key") == _key(data_dir):
        return
    where = f"{holder.get('host', 'another machine')}:{holder.get('root', '')}"
    raise Conflict(
        f"the catalog on {url} is that of the archive in {where}, not of the one in {data_dir}",
        hint="give each archive a database or a schema of its own (?options=-csearch_path%3D…); "
        f"if it is the same one, bring its file {FILE} along",
    )


def _holder(told: str) -> dict[str, Any]:
    try:
        values = json.loads(told or "{}")
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _key(data_dir: str) -> str:
    """That of the folder, empty where it has none."""
    try:
        with open(os.path.join(data_dir, FILE), encoding="ascii", errors="replace") as file:
            line = file.read(64).strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise not_writable(data_dir, error) from error
    return line if _KEY.fullmatch(line) else ""


def _new_key(data_dir: str) -> str:
    """Durable before the catalog knows it: a key that is lost would lock the archive out."""
    key = secrets.token_hex(16)
    try:  # no secret: whoever runs a command reads it
        write_durable(os.path.join(data_dir, FILE), f"{key}\n".encode("ascii"), 0o644)
    except OSError as error:
        raise not_writable(data_dir, error) from error
    return key
