"""Fields of a line, by the rules of docs/reference/query.md: slow and readable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from logferry.search.query import Filter, Glob, Literal, Regex, Value, Wild

DECODER = json.JSONDecoder(parse_float=lambda text: ("n", text), parse_int=lambda text: ("n", text), strict=False)
NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,6})?")
CLOSERS = {"]": "[", ")": "(", "}": "{", ">": "<"}


def values_of(line: str, name: str, *, exact_case: bool) -> list[tuple[str, str]]:
    """Every value of ``name``: ("text" | "number" | "thing", as it is written)."""
    found: list[tuple[str, str]] = []
    rest = [line]
    at = -1
    for _ in range(4):
        at = line.find("{", at + 1)
        if at < 0:
            break
        try:
            held, end = DECODER.raw_decode(line, at)
        except ValueError:
            continue
        found += _in(held, name.split("."), exact_case)
        rest = [line[:at], line[end:]]
        break
    for part in rest:
        found += _pairs(part, name, exact_case)
    return found


def _in(held: Any, names: list[str], exact_case: bool) -> Iterator[tuple[str, str]]:
    if isinstance(held, list):
        if not held and not names:
            yield "thing", ""
        for item in held:
            yield from _in(item, names, exact_case)
    elif not names:
        if isinstance(held, dict):
            yield "thing", ""
        elif isinstance(held, tuple):
            yield "number", held[1]
        elif isinstance(held, str):
            yield "text", held
        else:
            yield "text", {True: "true", False: "false", None: "null"}[held]
    elif isinstance(held, dict):
        for count in range(1, len(names) + 1):
            for key, inner in held.items():
                if _same(key, ".".join(names[:count]), exact_case):
                    yield from _in(inner, names[count:], exact_case)


def _same(key: str, wanted: str, exact_case: bool) -> bool:
    return key == wanted if exact_case else key.isascii() and key.lower() == wanted.lower()


def _pairs(part: str, name: str, exact_case: bool) -> Iterator[tuple[str, str]]:
    key = re.compile(re.escape(name) + "=", re.ASCII | (0 if exact_case else re.IGNORECASE))
    at = 0
    while match := key.search(part, at):
        before, at = part[match.start() - 1 : match.start()], match.end()
        if before and not before.isspace() and before not in ",;|[({<\"'":
            at = match.start() + 1
            continue
        rest = part[at:]
        quoted = re.match(r'"((?:[^"\\]|\\.)*)"' if rest.startswith('"') else r"'([^']*)'", rest)
        if quoted:
            yield "text", re.sub(r'\\(["\\])', r"\1", quoted[1]) if rest.startswith('"') else quoted[1]
            at += quoted.end()
            continue
        value = re.split(r"\s|[,;|](?=\s|$|[A-Za-z0-9_.@-]+=)", rest, maxsplit=1)[0]
        at += len(value)
        while value and value[-1] in CLOSERS and value.count(value[-1]) > value.count(CLOSERS[value[-1]]):
            value = value[:-1]
        yield ("number" if NUMBER.fullmatch(value) else "text"), value


def holds(wanted: Filter, line: bytes, *, exact_case: bool) -> bool:
    """Whether a line has a value for the field that is as wanted."""
    values = values_of(line.decode("utf-8", "surrogateescape"), wanted.name[1:], exact_case=exact_case)
    return any(_is_wanted(wanted, kind, text, exact_case) for kind, text in values)


def _is_wanted(wanted: Filter, kind: str, text: str, exact_case: bool) -> bool:
    value = wanted.value
    if wanted.comparison == "..":
        assert value is None or isinstance(value, Literal)
        assert wanted.high is None or isinstance(wanted.high, Literal)
        return (value is None or _compares(">=", value.text, kind, text, exact_case)) and (
            wanted.high is None or _compares("<=", wanted.high.text, kind, text, exact_case)
        )
    assert value is not None
    if wanted.comparison in ("", "="):
        if isinstance(value, Glob) and value.parts == (Wild.RUN,):
            return True
        return kind != "thing" and _equals(value, wanted.comparison == "=", kind, text, exact_case)
    assert isinstance(value, Literal)
    return _compares(wanted.comparison, value.text, kind, text, exact_case)


def _equals(value: Value, whole: bool, kind: str, text: str, exact_case: bool) -> bool:
    if isinstance(value, Literal):
        if kind == "number" and NUMBER.fullmatch(value.text) and NUMBER.fullmatch(text):
            return Decimal(text) == Decimal(value.text)
        mine, other = (text, value.text) if exact_case else (_folded(text), _folded(value.text))
        return mine == other if whole else other in mine
    if isinstance(value, Glob):
        pattern = "".join(
            "[^\n]*" if p is Wild.RUN else "[^\n\udc80-\udcff]" if p is Wild.ONE else re.escape(str(p))
            for p in value.parts
        )
        flags = 0 if exact_case else re.IGNORECASE
        return (re.fullmatch if whole else re.search)(pattern, text, flags) is not None
    assert isinstance(value, Regex)
    exact = ("c" in value.flags or exact_case) and "i" not in value.flags
    return (re.fullmatch if whole else re.search)(value.pattern, text, 0 if exact else re.IGNORECASE) is not None


def _folded(text: str) -> str:
    """Letters of ASCII have two forms; others what is no letter of ASCII."""
    return "".join(c.lower() if c.isascii() or (len(c.lower()) == 1 and not c.lower().isascii()) else c for c in text)


def _compares(sign: str, bound: str, kind: str, text: str, exact_case: bool) -> bool:
    if kind == "thing":
        return False
    is_number, bound_is_number = bool(NUMBER.fullmatch(text)), bool(NUMBER.fullmatch(bound))
    if is_number != bound_is_number:
        return False
    if is_number:
        order = Decimal(text).compare(Decimal(bound))
    else:
        mine, other = (t.encode("utf-8", "surrogateescape") for t in (text, bound))
        if not exact_case:
            mine, other = mine.lower(), other.lower()
        order = Decimal((mine > other) - (mine < other))
    return {">": order > 0, ">=": order >= 0, "<": order < 0, "<=": order <= 0}[sign]
