"""One file that is to be taken out, and the name it gets inside a zip or tar."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from logferry.names import checked_agent_id, checked_path

_LOOKS_ESCAPED = re.compile(r"%(?=(?:25)*5C)")


class Opened(Protocol):
    """An open file of ``size`` bytes, which stays as long as it is now."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read_at(self, offset: int, count: int) -> bytes:
        """The bytes from ``offset``, fewer than ``count`` only at the end. Raises Damaged."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A generation of a file. ``open`` may raise a LogferryError: then it is named as missing, and the rest goes on.

    ``sha256`` and ``size`` are what the catalog knows (None: no digest of that length); the bytes are compared.
    """

    agent: str
    path: str
    generation: int
    size: int
    modified_ns: int
    sha256: str | None
    open: Callable[[], AbstractContextManager[Opened]]


def member_name(agent: str, path: str) -> str:
    """``agent/path`` as a name that every unpacker takes for what it is: relative, going down only.

    An archive path has no ``..``, no control character and no leading slash. What is left is the backslash, which some
    unpackers take for a separator: it becomes ``%5C``, and what reads like that gets one ``25`` more, so two files
    never share a name.

    Raises:
        BadName: that is no agent, or no archive path.
    """
    checked_agent_id(agent)
    name = f"{agent}/{checked_path(path)}"
    return _LOOKS_ESCAPED.sub("%25", name).replace("\\", "%5C")
