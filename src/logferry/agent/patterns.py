"""Include and exclude patterns over raw names (bytes). Pure.

A pattern without ``/`` is compared with the last component, one with ``/`` with the whole path relative to the
source. ``*`` is any run inside a component, ``**`` any run of components, ``?`` one byte, ``[a-z]`` and ``[!a-z]``
one byte of a set; everything else is itself. Case counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from logferry.errors import BadConfig


def translate(pattern: str) -> bytes:
    """The regular expression (bytes) for one pattern.

    Raises:
        BadConfig: the pattern is empty or a ``[`` is never closed.
    """
    raw = pattern.encode("utf-8", "surrogateescape")
    if not raw.strip(b"/"):
        raise BadConfig(f"{pattern!r} is not a pattern", hint='write for example "*.log" or "nginx/**"')
    out, at = [], 0
    while at < len(raw):
        if raw.startswith(b"**/", at) and (at == 0 or raw[at - 1 : at] == b"/"):
            out.append(rb"(?:[^/]+/)*")
            at += 3
        elif raw.startswith(b"**", at):
            out.append(rb".*")
            at += 2
        elif raw[at : at + 1] == b"*":
            out.append(rb"[^/]*")
            at += 1
        elif raw[at : at + 1] == b"?":
            out.append(rb"[^/]")
            at += 1
        elif raw[at : at + 1] == b"[":
            text, at = _set(raw, at, pattern)
            out.append(text)
        else:
            out.append(re.escape(raw[at : at + 1]))
            at += 1
    return b"".join(out)


def _set(raw: bytes, at: int, pattern: str) -> tuple[bytes, int]:
    end = raw.find(b"]", at + 2)
    if end < 0:
        raise BadConfig(
            f"{pattern!r}: this '[' is never closed", hint="close it with ] or write [[] for the sign itself"
        )
    inside = raw[at + 1 : end]
    negated = inside[:1] in (b"!", b"^")
    inside = inside[1:] if negated else inside
    body = inside.replace(b"\\", b"\\\\").replace(b"[", b"\\[").replace(b"]", b"\\]").replace(b"^", b"\\^")
    return (b"[^/" if negated else b"[") + body + b"]", end + 1


@dataclass(frozen=True, slots=True)
class Patterns:
    """Several patterns as two expressions: one for names, one for relative paths."""

    names: re.Pattern[bytes] | None
    paths: re.Pattern[bytes] | None

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Patterns:
        """Compile ``patterns``. Raises BadConfig for one that is no pattern."""
        names: list[bytes] = []
        paths: list[bytes] = []
        for pattern in patterns:
            (paths if "/" in pattern.strip("/") else names).append(translate(pattern.strip("/")))
        return cls(_compiled(names), _compiled(paths))

    def match(self, relative: bytes, name: bytes) -> bool:
        """Whether ``name`` (the last component) or ``relative`` (the whole path below the source) matches."""
        if self.names is not None and self.names.fullmatch(name):
            return True
        return self.paths is not None and self.paths.fullmatch(relative) is not None


def _compiled(expressions: list[bytes]) -> re.Pattern[bytes] | None:
    if not expressions:
        return None
    try:
        return re.compile(b"|".join(b"(?:%s)" % e for e in expressions), re.DOTALL)
    except re.error as error:
        raise BadConfig(f"a pattern is wrong: {error}", hint="look at what stands between [ and ]") from error
