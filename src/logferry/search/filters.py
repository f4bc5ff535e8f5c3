"""File-level filters (``agent:``, ``path:``, ``size:`` and the like) as tests of one generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from logferry.archive.records import FileRecord, GenerationRecord
from logferry.search.query import Filter, Literal, Text, Value
from logferry.search.query.values import bounds
from logferry.search.scan.patterns import Matcher, Program, matcher, whole_program


@dataclass(frozen=True, slots=True)
class Candidate:
    """One generation of a file, with all that a filter may ask."""

    agent: str
    path: str
    file_id: int
    number: int
    generation_id: int
    size: int
    modified_ns: int
    received_ns: int
    changed_ns: int
    sha256: str | None

    @property
    def name(self) -> str:
        """The last component of the path."""
        return self.path.rpartition("/")[2]

    @property
    def extension(self) -> str:
        """What follows the last dot of the name, empty if nothing does, or nothing stands before it."""
        stem, dot, extension = self.name.rpartition(".")
        return extension if dot and stem else ""


def candidate_of(file: FileRecord, generation: GenerationRecord | None = None) -> Candidate:
    """The shown generation of a file, or another of its generations."""
    of = generation or file
    return Candidate(
        agent=file.agent,
        path=file.path,
        file_id=file.id,
        number=of.number,
        generation_id=file.generation_id if isinstance(of, FileRecord) else of.id,
        size=of.size,
        modified_ns=of.modified_ns,
        received_ns=of.received_ns if isinstance(of, FileRecord) else of.started_ns,
        changed_ns=of.changed_ns,
        sha256=of.sha256,
    )


Test: TypeAlias = Callable[[Candidate], bool]
Tags: TypeAlias = Callable[[], Mapping[str, Sequence[str]]]
"""Tells the tags of every agent that has any."""


def filter_test(wanted: Filter, *, exact_case: bool, now_ns: int, tags: Tags) -> Test:
    """The test of one file-level filter. ``tags`` is asked where the filter is about them."""
    name = wanted.name
    assert wanted.is_file_level, "fields of lines are decided line by line"
    if name == "tag":
        assert wanted.value is not None
        is_one = _is_whole(wanted.value, exact_case=exact_case)
        tagged = {agent for agent, own in tags().items() if any(map(is_one, own))}
        return lambda file: file.agent in tagged
    if name in ("size", "modified", "received"):
        return _ordered(wanted, now_ns)
    assert wanted.value is not None
    if name == "path" and wanted.comparison != "=":
        return _part(wanted.value, exact_case=exact_case)
    return _whole(name, wanted.value, exact_case=exact_case)


def too_old_test(wanted: Filter, now_ns: int) -> Test:
    """Whether a file arrived too early for a ``time:`` filter to find any of its lines.

    No line's time is later than some days after the last arrival. Nothing else that is known of a file bounds them.
    """
    from logferry.archive.timestamps import Reading

    low = bounds(wanted, now_ns)[0]
    return lambda file: low is not None and low > Reading(file.changed_ns).last_ns


def path_test(text: Text, *, exact_case: bool) -> Test:
    """The test of bare text where files are searched: anywhere in ``agent/path``."""
    return _part(text.value, exact_case=exact_case)


def _part(value: Value, *, exact_case: bool) -> Test:
    found = matcher(value, exact_case=exact_case)
    return lambda file: _holds(found, f"{file.agent}/{file.path}".encode("utf-8", "surrogateescape"))


def _holds(found: Matcher, data: bytes) -> bool:
    if found is None:
        return True
    if isinstance(found, Program):
        return found.search(data, 0, len(data))[0] >= 0
    if found.lowered is not None:
        return found.lowered in data.lower()
    if found.program is not None:
        return found.program.search(data, 0, len(data))[0] >= 0
    return found.exact in data


def _whole(name: str, value: Value, *, exact_case: bool) -> Test:
    part, is_one = _PARTS[name], _is_whole(value, exact_case=exact_case)
    return lambda file: is_one(part(file))


def _is_whole(value: Value, *, exact_case: bool) -> Callable[[str], bool]:
    if exact_case and isinstance(value, Literal):
        wanted = value.text
        return lambda text: text == wanted
    program = whole_program(value, exact_case=exact_case)
    return lambda text: program.is_whole(text.encode())


_PARTS: dict[str, Callable[[Candidate], str]] = {
    "agent": lambda file: file.agent,
    "path": lambda file: f"{file.agent}/{file.path}",
    "file": lambda file: file.name,
    "ext": lambda file: file.extension,
    "sha256": lambda file: file.sha256 or "",
}
_NUMBERS: dict[str, Callable[[Candidate], int]] = {
    "size": lambda file: file.size,
    "modified": lambda file: file.modified_ns,
    "received": lambda file: file.received_ns,
}


def _ordered(wanted: Filter, now_ns: int) -> Test:
    number = _NUMBERS[wanted.name]
    low, end = bounds(wanted, now_ns)
    return lambda file: (low is None or number(file) >= low) and (end is None or number(file) < end)
