"""Places as they are typed: ``web-01:/var/log/nginx/access.log``, with wildcards, with a line number behind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from logferry.errors import BadName
from logferry.names import checked_path

_LINE = re.compile(r"(?P<place>.+):(?P<line>[1-9][0-9]*)")
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Place:
    """An agent and an archive path below it; ``""`` is the agent's root."""

    agent: str
    path: str

    def __str__(self) -> str:
        return f"{self.agent}:/{self.path}"

    @property
    def is_pattern(self) -> bool:
        """Whether it names files by wildcards."""
        return _WILD.search(self.agent + self.path) is not None


def parse(text: str) -> Place:
    """``agent:/path``, ``agent:path`` or ``agent`` -> Place.

    Raises:
        BadName: no agent before the colon, or no path that an archive can hold.
    """
    agent, _, path = text.partition(":")
    if not agent or "/" in agent:
        raise BadName(f"{text!r} names no agent", hint="write agent:/path, for example web-01:/var/log/syslog")
    kept = "/".join(part for part in path.split("/") if part)
    return Place(agent, checked_path(kept))


def parse_with_line(text: str) -> tuple[Place, int | None]:
    """As ``parse``, with ``:NUMBER`` behind the path split off, as ``logferry grep`` prints it."""
    found = _LINE.fullmatch(text)
    if found and ":" in found["place"]:
        return parse(found["place"]), int(found["line"])
    return parse(text), None
