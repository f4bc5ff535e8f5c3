"""What a filter such as ``@status:>=500`` asks of a field's value."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from logferry.search.query.nodes import Filter, Glob, Literal, Value, Wild
from logferry.search.scan.fields import NUMBER, FieldValue, Number, Thing
from logferry.search.scan.patterns import Matcher, Program, matcher, whole_program

ValueTest: TypeAlias = Callable[[FieldValue], bool]


def value_test(wanted: Filter, *, exact_case: bool) -> ValueTest:
    """The test of one value for a filter on ``@name``."""
    if wanted.comparison in ("", "="):
        assert wanted.value is not None
        return _equal(wanted.value, whole=wanted.comparison == "=", exact_case=exact_case)
    if wanted.comparison == "..":
        tests = [
            _ordered(sign, value, exact_case=exact_case)
            for sign, value in ((">=", wanted.value), ("<=", wanted.high))
            if value is not None
        ]
        return lambda value: all(test(value) for test in tests)
    assert wanted.value is not None
    return _ordered(wanted.comparison, wanted.value, exact_case=exact_case)


def number_of(text: str) -> Decimal | None:
    """The number that a text is, None if it is none. Exact, however many digits it has."""
    return Decimal(text) if NUMBER.fullmatch(text) else None


def value_bytes(text: str) -> bytes:
    """The bytes of a text that was read out of a line; half characters, which JSON can write, stay what they are."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _equal(wanted: Value, *, whole: bool, exact_case: bool) -> ValueTest:
    if isinstance(wanted, Glob) and wanted.parts == (Wild.RUN,):
        return lambda _value: True
    number = number_of(wanted.text) if isinstance(wanted, Literal) else None
    holds = _whole(wanted, exact_case=exact_case) if whole else _part(matcher(wanted, exact_case=exact_case))

    def test(value: FieldValue) -> bool:
        if isinstance(value, Thing):
            return False
        if number is not None and isinstance(value, Number):
            own = number_of(value)
            if own is not None:
                return own == number
        return holds(value_bytes(value))

    return test


def _whole(wanted: Value, *, exact_case: bool) -> Callable[[bytes], bool]:
    if exact_case and isinstance(wanted, Literal):
        exact = value_bytes(wanted.text)
        return lambda data: data == exact
    return whole_program(wanted, exact_case=exact_case).is_whole


def _part(found: Matcher) -> Callable[[bytes], bool]:
    if found is None:
        return lambda _data: True
    if isinstance(found, Program):
        return lambda data: found.search(data, 0, len(data))[0] >= 0
    program, exact = found.program, found.exact
    if program is not None:
        return lambda data: program.search(data, 0, len(data))[0] >= 0
    return lambda data: exact in data


_SIGNS: dict[str, Callable[[int], bool]] = {
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
}


def _ordered(sign: str, wanted: Value, *, exact_case: bool) -> ValueTest:
    """Numbers compare with numbers, texts with texts, letter by letter."""
    assert isinstance(wanted, Literal), "the parser lets nothing else be compared"
    number = number_of(wanted.text)
    text = _comparable(wanted.text, exact_case=exact_case)
    holds = _SIGNS[sign]

    def test(value: FieldValue) -> bool:
        if isinstance(value, Thing):
            return False
        own = number_of(value)
        if own is None or number is None:
            if (own is None) != (number is None):
                return False
            mine = _comparable(value, exact_case=exact_case)
            return holds((mine > text) - (mine < text))
        return holds((own > number) - (own < number))

    return test


def _comparable(text: str, *, exact_case: bool) -> bytes:
    data = value_bytes(text)
    return data if exact_case else data.lower()


__all__ = ["ValueTest", "number_of", "value_bytes", "value_test"]
