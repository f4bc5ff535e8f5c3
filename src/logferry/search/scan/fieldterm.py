"""The cursor of ``@a.b:value``: bytes that lines without the value cannot have, then the line itself."""

from __future__ import annotations

import re

from logferry.limits import FIELD_LINE_BYTES_MAX
from logferry.search.query.nodes import Filter, Glob, Literal
from logferry.search.scan.block import END
from logferry.search.scan.cursors import Remembering
from logferry.search.scan.fields import FieldReader, Number
from logferry.search.scan.fieldtest import number_of, value_test
from logferry.search.scan.patterns import Program, key_program, part_program

_STEPS_PER_CHECK = 256
_STEP_BYTES = 4096
"""A longer line counts for several."""
# What follows a key where it can be told without parsing the line; everything else is parsed.
_FOLLOWING = (
    rb"""(?:"[ \t\r]*:(?=[ \t\r]*(?:"([^"\\]*)"|(-?[0-9][0-9.eE+-]*)[\s,}\]]|(true|false|null)[\s,}\]]|))"""
    rb"""|=(?=(?:([A-Za-z0-9_][A-Za-z0-9_.:/-]*)(?:\s|\Z))?))"""
)


class FieldTerm(Remembering):
    """Lines in which some value of a field is as wanted. Lines over ``FIELD_LINE_BYTES_MAX`` have no fields."""

    __slots__ = ("_following", "_key", "_part", "_reader", "_test")

    def __init__(self, wanted: Filter, *, exact_case: bool) -> None:
        super().__init__()
        name = wanted.name.removeprefix("@")
        # What stands right before a value is the end of its key, whatever part of the name that is.
        last = name.rpartition(".")[2]
        self._key = key_program(last, exact_case=exact_case)
        self._following = re.compile(
            re.escape(last).encode() + _FOLLOWING, re.ASCII if exact_case else re.ASCII | re.IGNORECASE
        )
        self._part = _needed(wanted, exact_case=exact_case)
        self._reader = FieldReader(name, exact_case=exact_case)
        self._test = value_test(wanted, exact_case=exact_case)

    def _next(self, at: int) -> int:
        data, steps = self._block.data, 0
        while at < len(data):
            if self._part is not None:
                found = self._part.search(data, at, len(data))[0]
                if found < 0:
                    return END
                at = max(data.rfind(b"\n", at, found) + 1, at)
            found = self._key.search(data, at, len(data))[0]
            if found < 0:
                return END
            start = max(data.rfind(b"\n", at, found) + 1, at)
            if start > at and self._part is not None:  # another line: does it have both?
                at = start
                continue
            end = data.find(b"\n", found)
            end = len(data) if end < 0 else end
            if self.holds(data[start:end]):
                return start
            at = end + 1
            steps += 1 + (end - start) // _STEP_BYTES
            if steps >= _STEPS_PER_CHECK:
                steps = 0
                self._block.check()
        return END

    def holds(self, line: bytes) -> bool:
        """Whether this line, without its end, matches."""
        if len(line) > FIELD_LINE_BYTES_MAX or not self._may_hold(line):
            return False
        return any(self._test(value) for value in self._reader.values(line.decode("utf-8", "surrogateescape")))

    def _may_hold(self, line: bytes) -> bool:
        """Whether a value behind some key with the field's last name is as wanted, or only a parser can tell."""
        for match in self._following.finditer(line):
            text, number, word, pair = match.groups()
            raw = text if text is not None else number or word or pair
            if raw is None:
                return True
            value = raw.decode("utf-8", "surrogateescape")
            is_number = number is not None or (pair is not None and number_of(value) is not None)
            if self._test(Number(value) if is_number else value):
                return True
        return False


def _needed(wanted: Filter, *, exact_case: bool) -> Program | None:
    """What a line must have in it that has such a value, as far as that is plain; or it has a backslash."""
    value = wanted.value
    if wanted.comparison not in ("", "="):
        return None
    if isinstance(value, Literal) and number_of(value.text) is None:
        return part_program(value.text, exact_case=exact_case)
    if isinstance(value, Glob):
        parts = [part for part in value.parts if isinstance(part, str)]
        return part_program(max(parts, key=len), exact_case=exact_case) if parts else None
    return None
