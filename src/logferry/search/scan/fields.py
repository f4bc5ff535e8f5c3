"""Values of named fields in a line: of a JSON object in it, and of ``key=value`` pairs beside that. Pure.

docs/reference/query.md says what counts as a field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from logferry.limits import FIELD_OBJECTS_TRIED_MAX


class Number(str):
    """A number as it is written: in JSON, or unquoted behind ``key=``."""

    __slots__ = ()


class Thing:
    """A value that is no text: an object, or an empty list. It is there; nothing more can be asked of it."""

    __slots__ = ()


THING = Thing()
FieldValue: TypeAlias = str | Number | Thing
"""Texts (``true``, ``false`` and ``null`` are texts), numbers, and what is neither."""

NUMBER = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{0,400})?(?:[eE][+-]?[0-9]{1,6})?")
_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number, strict=False)
# A bracket, quote or separator may stand before a pair. A value without quotes ends at a blank, and at a separator
# behind which a blank or the next pair comes.
_PAIR = (
    r"""(?<![^\s,;|\[({<"'])%s=("(?:[^"\\]|\\.)*"|'[^']*'"""
    r"""|(?:(?![,;|](?:\s|$|[A-Za-z0-9_.@-]+=))\S)*)"""
)
_BRACKETS = {"]": "[", ")": "(", "}": "{", ">": "<"}
_BRACKETS_MAX = 8
_ESCAPE = re.compile(r'\\(["\\])')


class FieldReader:
    """Reads one field, ``@a.b``, of lines."""

    __slots__ = ("_exact", "_names", "_pair")

    def __init__(self, name: str, *, exact_case: bool) -> None:
        """``name``: as in the query, without the ``@``."""
        self._exact = exact_case
        self._names = (name if exact_case else name.lower()).split(".")
        flags = re.ASCII if exact_case else re.ASCII | re.IGNORECASE
        self._pair = re.compile(_PAIR % re.escape(name), flags)

    def values(self, line: str) -> Iterator[FieldValue]:
        """Every value that the line has for it; ``line`` was decoded with ``surrogateescape``."""
        first, last, found = _object(line)
        if found is not None:
            yield from self._in(found)
        for part in (line[:first], line[last:]):
            for match in self._pair.finditer(part):
                yield _pair_value(match[1])

    def _in(self, found: dict[str, Any]) -> Iterator[FieldValue]:
        waiting: list[tuple[Any, int]] = [(found, 0)]
        while waiting:
            value, depth = waiting.pop()
            if isinstance(value, list):
                if value or depth < len(self._names):
                    waiting.extend((item, depth) for item in value)
                else:
                    yield THING
            elif depth == len(self._names):
                yield _told(value)
            elif isinstance(value, dict):
                # A key may have dots itself.
                for behind in range(depth + 1, len(self._names) + 1):
                    key = ".".join(self._names[depth:behind])
                    waiting.extend((inner, behind) for inner in self._of_key(value, key))

    def _of_key(self, value: dict[str, Any], key: str) -> Iterator[Any]:
        if self._exact:
            if key in value:
                yield value[key]
            return
        for name, inner in value.items():
            if len(name) == len(key) and name.isascii() and name.lower() == key:
                yield inner


def _object(line: str) -> tuple[int, int, dict[str, Any] | None]:
    """Where the first JSON object of a line begins and ends, and what it is; at the line's end if there is none."""
    at = -1
    for _ in range(FIELD_OBJECTS_TRIED_MAX):
        at = line.find("{", at + 1)
        if at < 0:
            break
        try:
            found, end = _DECODER.raw_decode(line, at)
        except (ValueError, RecursionError):  # no object, or one nested deeper than anything that is read
            continue
        return at, end, found
    return len(line), len(line), None


def _told(value: Any) -> FieldValue:
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return THING


def _pair_value(text: str) -> FieldValue:
    quote = text[:1]
    if quote in ('"', "'") and len(text) > 1 and text.endswith(quote):
        return _ESCAPE.sub(r"\1", text[1:-1]) if quote == '"' else text[1:-1]
    for _ in range(_BRACKETS_MAX):
        if text[-1:] not in _BRACKETS or text.count(text[-1]) <= text.count(_BRACKETS[text[-1]]):
            break
        text = text[:-1]  # it was opened before the pair
    return Number(text) if NUMBER.fullmatch(text) else text
