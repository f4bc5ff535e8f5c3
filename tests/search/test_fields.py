"""Fields of lines: what has which value, by hand and against the oracle, for lines made of all that means something."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logferry.search.query import Filter, parse
from logferry.search.scan.block import Block
from logferry.search.scan.fields import FieldReader, Thing
from logferry.search.scan.fieldterm import FieldTerm
from tests.search import oracle_fields
from tests.security.amounts import amount


def holds(query: str, line: str, *, exact_case: bool = False) -> bool:
    """Whether a filter matches a line."""
    wanted = parse(query).root
    assert isinstance(wanted, Filter)
    data = line.encode("utf-8", "surrogateescape")
    term = FieldTerm(wanted, exact_case=exact_case)
    term.enter(Block(data, first=0, limit=len(data), check=lambda: None))
    found = term.seek(0) == 0
    assert found is term.holds(data)
    return found


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        ('{"a":1}', "a", ["1"]),
        ('x {y} {"a":"z"} a=2', "a", ["z", "2"]),
        ('{"a":{"b":[1,{"c":2}]}}', "a.b", ["1", None]),
        ('{"a":{"b":[1,{"c":2}]}}', "a.b.c", ["2"]),
        ('{"a.b":{"c":1},"a":{"b.c":2,"b":{"c":3}}}', "a.b.c", ["1", "2", "3"]),
        ('{"A":true,"a":null}', "a", ["true", "null"]),
        ('{"a":[]}', "a", [None]),
        ('{"a":{}}', "a", [None]),
        ('{"msg":"a=1"}', "a", []),
        ('{"a":1.50}', "a", ["1.50"]),
        ("a=1 b.a=2 xa=3 a =4 a= 5", "a", ["1", ""]),
        ("a=1,b=2;a=3|c=4", "a", ["1", "3"]),
        ("a=1,2,3", "a", ["1,2,3"]),
        ("a=1, a=2; a=3| a=4", "a", ["1", "2", "3", "4"]),
        ("[a=1] (a=f(x)) <a=2>", "a", ["1", "f(x)", "2"]),
        ('a="x \\"y\\" \\\\ \\n"', "a", ['x "y" \\ \\n']),
        ("a='x \"y'", "a", ['x "y']),
        ('a="open', "a", ['"open']),
        ("msg=audit(1795677300.123:77): a=b", "msg", ["audit(1795677300.123:77):"]),
        ("url=http://x/?q=1&a=2", "a", []),
        ("{broken a=1", "a", ["1"]),
    ],
)
def test_the_values_of_a_field_are_all_those_of_the_line(line: str, name: str, values: list[str | None]) -> None:
    """Of the first object and of the pairs beside it; None is what is no text."""
    found = [None if isinstance(value, Thing) else value for value in FieldReader(name, exact_case=False).values(line)]
    assert sorted(map(str, found)) == sorted(map(str, values))


@pytest.mark.parametrize(
    ("query", "line", "wanted"),
    [
        ("@a:123456789012345678", '{"a":123456789012345678}', True),
        ("@a:123456789012345678", '{"a":123456789012345679}', False),
        ("@a:0.1", "a=0.10", True),
        ("@a:1e3", '{"a":1000}', True),
        ("@a:>0.30000000000000001", '{"a":0.3}', False),
        ("@a:500", '{"a":"x500"}', True),
        ("@a:=500", '{"a":"x500"}', False),
        ("@a:=500", '{"a":"500"}', True),
        ("@a:>5", '{"a":"ten"}', False),
        ("@a:>m", '{"a":"N"}', True),
        ("@a:b..d", "a=c", True),
        ("@a:..5", "a=5.0", True),
        ("@a:5..", "a=4.9", False),
        ("@a:/^x$/", '{"a":"X"}', True),
        ("@a:/^x$/c", '{"a":"X"}', False),
        ("@a:=/x+/", "a=xxx", True),
        ("@a:=/x+/", "a=xxy", False),
        ("@a:x*z", "a=axyz", True),
        ("@a:=x*z", "a=axyz", False),
        ("@a:é", '{"a":"\\u00c9"}', True),
        ('@a:"b c"', 'a="b c"', True),
        ("@a:b/c", '{"a":"b\\/c"}', True),
        ("@a:*", '{"a":{}}', True),
        ("@a:x", '{"a":{"a":"x"}}', False),
        ("@a.a:x", '{"a":{"a":"x"}}', True),
        ("@A:X", "a=x", True),
        ("@a:true", '{"a":true}', True),
        ("@@timestamp:2026", '{"@timestamp":"2026-11-26"}', True),
        ("@a-b:1", "a-b=1", True),
    ],
)
def test_a_value_is_compared_as_what_it_is(query: str, line: str, wanted: bool) -> None:
    """Numbers as numbers, texts as texts."""
    assert holds(query, line) is wanted


def test_exact_case_is_of_names_and_values() -> None:
    """Both count as they are written."""
    assert holds("@User:Al", "User=Alice", exact_case=True)
    assert not holds("@user:Al", "User=Alice", exact_case=True)
    assert not holds("@User:al", "User=Alice", exact_case=True)


PIECES = [
    "a", "A", "b", "aa", "a.b", "=", ":", '"', "'", ",", ";", "|", "{", "}", "[", "]", "(", ")", " ", "\t", "\\", '\\"',
    "1", "-2.5e1", "true", "null", "é", "\udcff", "\r", '"a":', '{"a":', '"a":{"b":', '{"a.b":', "a=", 'a="', "b=x",
    ",a=1", '"x"', "[1,", "{}", "\\u0061", "500", "NaN", "\u212a", "x y",
]  # fmt: skip
FILTERS = [
    "@a:1", "@a:a", "@a:x", "@a:=x", "@a:*", "@a:a*", "@a:=a*", "@a:/a/", "@a:=/x/", "@a:>0", "@a:<=1", "@a:1..500",
    "@a:>a", "@a.b:1", "@a.b:*", "@b:x", "@b:/^/", "@a:..b", "@aa:1", "@a:-25", '@a:"x y"', "@a:é", "@a:k", "@a:true",
    '@a:"\\\\"',
]  # fmt: skip


@settings(max_examples=amount("field_lines", 500, 100_000))
@given(
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
    st.lists(st.sampled_from(FILTERS), max_size=6),
    st.booleans(),
)
@example('{"a":"x"}', ["@a:x", "@a:*"], True)
def test_every_filter_says_what_the_oracle_says(line: str, queries: list[str], exact_case: bool) -> None:
    """Also of lines that are nearly JSON, nearly pairs, or both."""
    for query in queries:
        wanted = parse(query).root
        assert isinstance(wanted, Filter)
        data = line.encode("utf-8", "surrogateescape")
        assert holds(query, line, exact_case=exact_case) is oracle_fields.holds(wanted, data, exact_case=exact_case), (
            query
        )
