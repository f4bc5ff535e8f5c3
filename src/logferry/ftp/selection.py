"""Which files of a tree are meant: patterns to include and to exclude. Pure.

A pattern without ``/`` is compared with the last part of a path, one with ``/`` with the whole path below the root.
``*`` is any run inside a part, ``**`` any run of parts, ``?`` one character, ``[a-z]`` and ``[!a-z]`` one of a set;
everything else is itself. Case counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from logferry.errors import BadConfig


@dataclass(frozen=True, slots=True)
class Selection:
    """Without include patterns everything is included; what is excluded is not, and a folder with all below it."""

    includes: tuple[re.Pattern[str], ...] = ()
    excludes: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def of(cls, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Selection:
        """Compile patterns. Raises BadConfig for one that is none."""
        return cls(tuple(_compile(p) for p in include), tuple(_compile(p) for p in exclude))

    def excluded(self, path: str) -> bool:
        """Whether the file or folder ``path`` (``a/b``, below the root) is left out, with all below it."""
        return any(pattern.fullmatch(path) for pattern in self.excludes)

    def takes(self, path: str) -> bool:
        """Whether the file ``path`` is meant, given that no folder above it is excluded."""
        if self.excluded(path):
            return False
        return not self.includes or any(pattern.fullmatch(path) for pattern in self.includes)


def _compile(pattern: str) -> re.Pattern[str]:
    bare = pattern.strip("/")
    if not bare:
        raise BadConfig(f"{pattern!r} is not a pattern", hint='write for example "*.log" or "nginx/**"')
    anywhere = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    try:
        return re.compile(anywhere + _expression(bare, pattern), re.DOTALL)
    except re.error as error:
        raise BadConfig(f"{pattern!r} is wrong: {error}", hint="look at what stands between [ and ]") from error


def _expression(bare: str, pattern: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(bare):
        if bare.startswith("**/", at) and (at == 0 or bare[at - 1] == "/"):
            out.append("(?:[^/]+/)*")
            at += 3
        elif bare.startswith("**", at):
            out.append(".*")
            at += 2
        elif bare[at] == "*":
            out.append("[^/]*")
            at += 1
        elif bare[at] == "?":
            out.append("[^/]")
            at += 1
        elif bare[at] == "[":
            end = bare.find("]", at + 2)
            if end < 0:
                raise BadConfig(f"{pattern!r}: this '[' is never closed", hint="close it, or write [[] for the sign")
            out.append(_set(bare[at + 1 : end]))
            at = end + 1
        else:
            out.append(re.escape(bare[at]))
            at += 1
    return "".join(out)


def _set(inside: str) -> str:
    negated = inside[:1] in ("!", "^")
    body = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[1:] if negated else inside)
    return f"[^/{body}]" if negated else f"(?!/)[{body}]"
