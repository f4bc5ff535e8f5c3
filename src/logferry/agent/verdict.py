"""Whether the settings want a path, and which of them decides: the scanner's rules, told one by one. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from logferry.agent.config import SourceSettings
from logferry.agent.patterns import Patterns
from logferry.agent.sources import Source, is_unlinked
from logferry.errors import BadName

OWN_FILE = "it is one of the agent's own files"
UNLINKED = "it was deleted; the NFS client keeps it under this name while somebody has it open"
SOURCE_FOLDER = "it is the source's folder itself"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``wanted`` by ``source`` (its path), because of ``pattern``; else ``why`` not and what to do about it (``hint``).

    ``archive`` is where it stands below the agent's home; "" if it is in no source.
    """

    wanted: bool
    why: str
    hint: str = ""
    source: str = ""
    pattern: str = ""
    archive: str = ""
    mode: str = ""
    settle_s: float = 0.0


def judge(path: bytes, sources: Sequence[SourceSettings], never: Sequence[bytes]) -> Verdict:
    """Judge an absolute raw path of a file. The first source that wants it has it."""
    for own in never:
        if path == own or path.startswith(own + b"/"):
            return Verdict(False, OWN_FILE, "they are never sent, whatever the patterns say")
    found = [verdict for settings in sources if (verdict := _by_source(path, settings)) is not None]
    if not found:
        names = ", ".join(settings.path for settings in sources) or "none"
        return Verdict(
            False, "it lies in no source", f"the sources are: {names}; add another [[sources]] to agent.toml"
        )
    return next((verdict for verdict in found if verdict.wanted), found[0])


def _by_source(path: bytes, settings: SourceSettings) -> Verdict | None:
    """What one source says, None if the path is not its concern."""
    source = Source.of(settings)
    if not source.holds(path):
        return None
    said = Verdict(False, "", source=settings.path, mode=settings.mode, settle_s=source.settle_s)
    if path == source.root:
        return replace(said, why=SOURCE_FOLDER, hint="what lies in it is sent; ask about a file")
    relative = source.relative(path)
    for folder in _folders(relative):
        if pattern := _matching(settings.exclude, folder):
            why = f"its folder {os.fsdecode(folder)} is excluded"
            return replace(said, why=why, hint=_take_out(pattern), pattern=pattern)
    try:
        said = replace(said, archive=source.archive_path(path))
    except BadName as error:
        return replace(said, why=error.message, hint=error.hint)
    if pattern := _matching(settings.exclude, relative):
        return replace(said, why="it is excluded", hint=_take_out(pattern), pattern=pattern)
    if is_unlinked(relative.rpartition(b"/")[2]):
        return replace(said, why=UNLINKED, hint="it goes away with the last program that has it open")
    if pattern := _matching(settings.include, relative):
        return replace(said, wanted=True, pattern=pattern)
    why = "no include pattern matches: " + ", ".join(settings.include)
    return replace(said, why=why, hint="add a pattern to include of that source")


def _folders(relative: bytes) -> Iterator[bytes]:
    """``a/b/c`` -> ``a``, ``a/b``."""
    at = relative.find(b"/")
    while at >= 0:
        yield relative[:at]
        at = relative.find(b"/", at + 1)


def _matching(patterns: Sequence[str], relative: bytes) -> str:
    name = relative.rpartition(b"/")[2]
    return next((pattern for pattern in patterns if Patterns.of([pattern]).match(relative, name)), "")


def _take_out(pattern: str) -> str:
    return f"take {pattern!r} out of exclude of that source if it is to be sent"
