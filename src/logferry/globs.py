"""Globs over names with ``/`` in them, as scopes, retention and holds use them. Pure.

``*`` matches within one component, ``**`` across components, ``?`` one character; everything else is itself.
"""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def compiled(glob: str) -> re.Pattern[str]:
    """The regular expression of a glob. Globs are written by administrators, so a slow one is their own."""
    parts, i = [], 0
    while i < len(glob):
        if glob.startswith("**/", i) and (i == 0 or glob[i - 1] == "/"):
            parts.append("(?:.*/)?")
            i += 3
        elif glob.startswith("/**", i) and i + 3 == len(glob):
            parts.append("(?:/.*)?")
            i += 3
        elif glob.startswith("**", i):
            parts.append(".*")
            i += 2
        elif glob[i] == "*":
            parts.append("[^/]*")
            i += 1
        elif glob[i] == "?":
            parts.append("[^/]")
            i += 1
        else:
            parts.append(re.escape(glob[i]))
            i += 1
    return re.compile("".join(parts), re.DOTALL)


def whole(glob: str) -> str:
    """A bare agent glob (``web-*``) means all it holds."""
    glob = glob.strip("/")
    return glob if "/" in glob or glob == "**" else f"{glob}/**"


def matches(glob: str, agent: str, path: str) -> bool:
    """Whether a glob over ``agent/path`` takes in this file."""
    return compiled(whole(glob)).fullmatch(f"{agent}/{path}") is not None
