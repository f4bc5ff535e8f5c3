"""Patterns over agents and paths: globs and parts of names, matched in any case."""

from __future__ import annotations

import re
from collections.abc import Callable

from logferry.archive.records import FileRecord

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


def compiled(
    agent_glob: str | None, path_glob: str | None, contains: str | None
) -> Callable[[FileRecord], bool]:  # fmt: skip
    """One test for all three conditions (None: any)."""
    tests: list[Callable[[FileRecord], bool]] = []
    if agent_glob is not None:
        agents = glob_regex(agent_glob)
        tests.append(lambda record: agents.fullmatch(record.agent) is not None)
    if path_glob is not None:
        paths = glob_regex(path_glob)
        tests.append(lambda record: paths.fullmatch(record.path) is not None)
    if contains:
        part = contains.casefold()
        tests.append(lambda record: part in f"{record.agent}/{record.path}".casefold())
    return lambda record: all(test(record) for test in tests)
