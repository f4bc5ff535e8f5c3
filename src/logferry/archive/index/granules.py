"""Granules: the pieces of a segment's content that the index tells apart.

A granule is some 256 KiB of whole lines. It lies in one frame, except where UTF-16 text crosses from frame to frame
(frames are cut behind a byte 0x0A, which is half a character there). The end of a generation's bytes is a line end;
a granule may hold several small files. A line longer than a frame is cut, and the index says nothing about its parts.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from logferry.archive.index.encoding import Encoding, first_utf16_line_end, last_utf16_line_end


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive bytes of one generation inside a frame.

    ``begins_line``: whether a line is known to begin with the first byte (it does at offset 0); asked only where the
    bytes before are not in the segment. ``ends_line``: whether the line ends with the last byte even without a line
    end: the generation does, and will not grow.
    """

    uid: str
    offset: int
    length: int
    begins_line: bool
    ends_line: bool
    encoding: Encoding = "bytes"

    @property
    def end(self) -> int:
        """Where it ends in the generation."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch, or a piece of one, inside a granule. ``start``: where it begins in the data that is being cut."""

    stretch: Stretch
    start: int
    data: bytes
    """The frame's."""

    @property
    def end(self) -> int:
        """Where it ends in the data."""
        return self.start + self.stretch.length

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return self.data[self.start : self.end]

    @property
    def has_line_end(self) -> bool:
        """Whether the last byte is that of a line end."""
        return self._line_end_before(self.end) == self.end

    def _line_end_before(self, place: int) -> int:
        """Where the last line ends at or before ``place``; its start if none does."""
        encoding = self.stretch.encoding
        if encoding == "bytes":
            return (self.data.rfind(b"\n", self.start, place) + 1) or self.start
        return last_utf16_line_end(self.data, self.stretch.offset - self.start, self.start, place, encoding)

    def line_end_near(self, place: int, after: int) -> int:
        """Where the last line ends at or before ``place`` but after ``after``, else the first one behind it."""
        before = self._line_end_before(place)
        if before > after:
            return before
        encoding = self.stretch.encoding
        if encoding == "bytes":
            return (self.data.find(b"\n", place, self.end) + 1) or self.end
        return first_utf16_line_end(self.data, self.stretch.offset - self.start, place - 1, self.end, encoding)

    def split(self, place: int, *, is_line_end: bool = True) -> tuple[Part, Part]:
        """The parts before and behind ``place``, which lies inside."""
        stretch = self.stretch
        length = place - self.start
        return (
            dataclasses.replace(self, stretch=dataclasses.replace(stretch, length=length, ends_line=is_line_end)),
            Part(
                dataclasses.replace(
                    stretch,
                    offset=stretch.offset + length,
                    length=stretch.length - length,
                    begins_line=is_line_end,
                ),
                place,
                self.data,
            ),
        )


class Cutter:
    """Cuts one frame after the other."""

    def __init__(self, granule_bytes: int) -> None:
        self._granule_bytes = granule_bytes
        self._last: Stretch | None = None
        self._last_ended = False
        self._held: Part | None = None

    def cut(self, content: bytes, stretches: Sequence[Stretch]) -> list[list[Part]]:
        """The granules of a frame, each a list of parts. The beginning of a UTF-16 line may be kept for the next."""
        assert sum(stretch.length for stretch in stretches) == len(content)
        assert all(stretch.length > 0 for stretch in stretches)
        data, parts = self._parts(content, stretches)
        self._held = None
        if parts:
            self._hold(parts)
        return self._granules(parts, data)

    def rest(self) -> list[list[Part]]:
        """What is still held, behind the last frame."""
        held, self._held = self._held, None
        return [[held]] if held else []

    def _parts(self, content: bytes, stretches: Sequence[Stretch]) -> tuple[bytes, list[Part]]:
        held = self._held
        data = (held.content if held else b"") + content
        parts: list[Part] = [Part(held.stretch, 0, data)] if held else []
        at = len(data) - len(content)
        for given in stretches:
            stretch = given
            last = self._last
            follows = last is not None and last.uid == stretch.uid and last.end == stretch.offset
            if follows:
                stretch = dataclasses.replace(stretch, begins_line=self._last_ended)
            if held and follows and parts[-1].end == at and len(parts) == 1:
                joined = dataclasses.replace(
                    held.stretch, length=held.stretch.length + stretch.length, ends_line=stretch.ends_line
                )
                part = parts[0] = Part(joined, 0, data)
            else:
                part = Part(stretch, at, data)
                parts.append(part)
            at += stretch.length
            self._last, self._last_ended = given, part.has_line_end
        return data, parts

    def _hold(self, parts: list[Part]) -> None:
        """Keep back the beginning of a UTF-16 line that the frame does not end, at least half a character."""
        last = parts[-1]
        if last.stretch.encoding == "bytes" or last.stretch.ends_line:
            return
        end = last.line_end_near(last.end, last.start)
        is_line_end = end < last.end and last.end - end <= self._granule_bytes
        if not is_line_end:
            end = last.end - last.stretch.end % 2
        if end == last.end:
            return
        if end == last.start:
            del parts[-1]
            held = last
        else:
            parts[-1], held = last.split(end, is_line_end=is_line_end)
        self._held = Part(held.stretch, 0, held.content)

    def _granules(self, parts: list[Part], data: bytes) -> list[list[Part]]:
        """Cut where the frame divides into equal pieces, at the line ends nearest before, and between parts."""
        end = len(data) - (len(self._held.content) if self._held else 0)
        count = max(1, round(end / self._granule_bytes))
        goals = deque(end * (i + 1) // count for i in range(count - 1))
        granules: list[list[Part]] = []
        current: list[Part] = []
        for part in parts:
            left: Part | None = part
            while left is not None:
                goal = goals[0] if goals else end
                taken, left = (left, None) if left.end <= goal else _divide(left, goal, is_first=not current)
                if taken is not None:
                    current.append(taken)
                if taken is None or left is not None or taken.end >= goal:
                    while goals and goals[0] <= max(goal, current[-1].end):
                        goals.popleft()
                    granules.append(current)
                    current = []
        if current:
            granules.append(current)
        return granules


def _divide(part: Part, goal: int, *, is_first: bool) -> tuple[Part | None, Part | None]:
    """What of a part comes before a cut near ``goal``, which lies inside it, and what behind."""
    place = part.line_end_near(goal, part.start)
    if place > goal and not is_first:
        return None, part  # its first line goes beyond: the cut is before it
    return (part, None) if place >= part.end else part.split(place)
