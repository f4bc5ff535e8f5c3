"""Files cut into rows, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, tzinfo

from logferry.errors import LogferryError
from logferry.limits import COPY_BYTES, EXPORT_LINE_BYTES_MAX
from logferry.takeout.member import Opened
from logferry.takeout.rows import Fault, LineRow

TimeOf = Callable[[bytes, tzinfo], int | None]
"""The time that a line tells, in nanoseconds since 1970; where it names no zone, it is in the given one."""


@dataclass(frozen=True, slots=True)
class Source:
    """A generation that becomes rows. ``open`` may raise a LogferryError."""

    agent: str
    path: str
    generation: int
    open: Callable[[], AbstractContextManager[Opened]]
    zone: tzinfo = UTC
    """Of times that name none."""


def rows_of(
    sources: Iterable[Source], time_of: TimeOf, *, line_bytes_max: int = EXPORT_LINE_BYTES_MAX
) -> Iterator[LineRow | Fault]:
    """All lines of all sources. What of a source cannot be read is told by a ``Fault``; the next source goes on."""
    for source in sources:
        try:
            with source.open() as reader:
                yield from _rows(source, reader, time_of, line_bytes_max)
        except LogferryError as error:
            yield Fault(source.agent, source.path, source.generation, str(error))


def _rows(source: Source, reader: Opened, time_of: TimeOf, line_bytes_max: int) -> Iterator[LineRow]:
    agent, path, generation = source.agent, source.path, source.generation
    number, time_ns, inside = 1, None, False
    for offset, raw, more in pieces_of(reader, line_bytes_max):
        time_ns = time_ns if inside else time_of(raw, source.zone)
        yield LineRow(agent, path, generation, number, offset, time_ns, raw, more)
        inside = more
        number += not more


def pieces_of(reader: Opened, line_bytes_max: int) -> Iterator[tuple[int, bytes, bool]]:
    """``(offset, bytes, more)`` of every line with its end (LF); ``more``: only a part of the line, at most
    ``line_bytes_max`` long."""
    at = start = 0
    rest = b""
    while block := reader.read_at(at, COPY_BYTES):
        at += len(block)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        for line in lines:
            whole = line + b"\n"
            yield from _parts(start, whole, line_bytes_max)
            start += len(whole)
        while len(rest) > line_bytes_max:
            yield start, rest[:line_bytes_max], True
            start += line_bytes_max
            rest = rest[line_bytes_max:]
    if rest:
        yield start, rest, False


def _parts(start: int, line: bytes, line_bytes_max: int) -> Iterator[tuple[int, bytes, bool]]:
    if len(line) <= line_bytes_max:
        yield start, line, False
        return
    for at in range(0, len(line), line_bytes_max):
        yield start + at, line[at : at + line_bytes_max], at + line_bytes_max < len(line)
