"""Patterns over agents and paths: globs and parts of names, matched in any case."""

from __future__ import annotations

import re
from collections.abc import Callable

_SPECIAL = re.compile(r"[*?]")


def glob_regex(glob: str) -> re.Pattern[str]:
    """``*`` any run (also over ``/``), ``?`` one character, everything else itself; whole value, any case."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", glob))
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def glob_prefix(glob: str | None) -> str:
    """What every agent id that matches ``glob`` begins with, in the case it was written in ("" when unknown)."""
    if glob is None:
        return ""
    literal = _SPECIAL.split(glob, maxsplit=1)[0]
    # Only where case cannot differ does the prefix narrow anything.
    return literal if literal.casefold() == literal.upper() else ""


def successor(prefix: str) -> str:
    """The smallest text greater than every text that begins with ``prefix``, in byte order of UTF-8."""
    return prefix + "\U0010ffff"


def compiled(agent_glob: str | None, path_glob: str | None, contains: str | None) -> Callable[[str, str], bool]:
    """One test of (agent, path) for all three conditions (None: any)."""
    agents = glob_regex(agent_glob).fullmatch if agent_glob is not None else None
    paths = glob_regex(path_glob).fullmatch if path_glob is not None else None
    part = contains.casefold() if contains else ""

    def wanted(agent: str, path: str) -> bool:
        if agents is not None and agents(agent) is None:
            return False
        if paths is not None and paths(path) is None:
            return False
        return not part or part in f"{agent}/{path}".casefold()

    return wanted
