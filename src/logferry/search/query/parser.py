"""Query text to tree: a hand-written recursive descent over the grammar.

    query   = [ or ] ;
    or      = and { "OR" and } ;
    and     = not { [ "AND" ] not } ;
    not     = { "NOT" | "-" | "!" } primary ;
    primary = "(" or ")" | filter | text ;
    filter  = field ":" ( cmp value | value | range | group ) ;
    group   = "(" or ")" ;        inside: values of this field

Nothing but BadQuery leaves this module, whatever the text.
"""

from __future__ import annotations

from typing import cast

from logferry.errors import BadQuery
from logferry.limits import QUERY_CHARS_MAX, QUERY_DEPTH_MAX, QUERY_LEAVES_MAX
from logferry.search.query.nodes import (
    FILE_FIELDS,
    LINE_FIELDS,
    ORDERED_FIELDS,
    Comparison,
    Everything,
    Filter,
    Hint,
    Literal,
    Node,
    Query,
    Regex,
    Text,
    Value,
    all_of,
    any_of,
    negated,
)
from logferry.search.query.reader import Reader
from logferry.search.query.regexes import checked_regex
from logferry.search.query.values import span
from logferry.settings import near

FIELDS = FILE_FIELDS + LINE_FIELDS
_COMPARISONS: tuple[Comparison, ...] = (">=", "<=", ">", "<", "=")
_NO_HINT_AFTER = ("//", "\\")


def parse(text: str, *, chars_max: int = QUERY_CHARS_MAX) -> Query:
    """The query that ``text`` says; the empty text asks for everything.

    Raises:
        BadQuery: with the column (1-based) and a hint.
    """
    if len(text) > chars_max:
        raise BadQuery(f"the query has {len(text):,} characters", column=chars_max + 1, hint=f"at most {chars_max:,}")
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._reader = Reader(text)
        self._depth = 0
        self._leaves = 0
        self._hints: list[Hint] = []

    def query(self) -> Query:
        reader = self._reader
        reader.skip_space()
        if reader.at_end():
            return Query(Everything())
        root = self._or("")
        if not reader.at_end():  # only a closing parenthesis stops _or early
            raise BadQuery(
                "this ')' closes nothing", column=reader.column, hint="remove it, or write \\) to search for it"
            )
        return Query(root, tuple(self._hints))

    def _or(self, field: str) -> Node:
        nodes = [self._and(field)]
        while self._reader.take_keyword("OR"):
            nodes.append(self._and(field, after="OR"))
        return any_of(nodes)

    def _and(self, field: str, after: str = "") -> Node:
        nodes: list[Node] = []
        reader = self._reader
        while True:
            reader.skip_space()
            column = reader.column
            if reader.take_keyword("AND"):
                if not nodes:
                    raise BadQuery(
                        "there is nothing before AND", column=column, hint='write "AND" in quotes to search for it'
                    )
                after = "AND"
                continue
            if reader.at_end() or reader.peek() == ")" or self._at_or():
                if after or not nodes:
                    raise self._nothing(after, column)
                return all_of(nodes)
            nodes.append(self._not(field))
            after = ""

    def _at_or(self) -> bool:
        reader = self._reader
        return (
            reader.peek() == "O"
            and reader.peek(1) == "R"
            and (reader.peek(2) in ("", ")", "(") or reader.peek(2).isspace())
        )

    def _nothing(self, after: str, column: int) -> BadQuery:
        if after:
            return BadQuery(
                f"there is nothing after {after}", column=column, hint=f'write "{after}" in quotes to search for it'
            )
        if self._reader.peek() == "O":
            return BadQuery("there is nothing before OR", column=column, hint='write "OR" in quotes to search for it')
        if self._reader.peek() == ")" and self._depth == 0:
            return BadQuery("this ')' closes nothing", column=column, hint="remove it, or write \\) to search for it")
        return BadQuery("there is nothing between the parentheses", column=column, hint="write a term, or remove them")

    def _not(self, field: str) -> Node:
        odd, word = False, ""
        while True:
            if self._reader.take_keyword("NOT"):
                word = "NOT"
                self._reader.skip_space()
            elif not self._reader.take_negation():
                break
            odd = not odd
        reader = self._reader
        if word and (reader.at_end() or reader.peek() == ")" or self._at_or()):
            raise self._nothing(word, reader.column)
        node = self._primary(field)
        return negated(node) if odd else node

    def _primary(self, field: str) -> Node:
        reader = self._reader
        if reader.peek() == "(":
            return self._parentheses(field)
        self._count_leaf()
        if field:
            return self._filter_value(field, reader.column)
        name = reader.peek_name()
        if name in FIELDS or name.startswith("@"):
            column = reader.column
            reader.take(name + ":")
            if reader.peek() == "(":
                self._leaves -= 1
                return self._parentheses(name)
            return self._filter_value(name, column)
        if name:
            self._hint_unknown(name)
        return self._text_term()

    def _parentheses(self, field: str) -> Node:
        reader = self._reader
        column = reader.column
        reader.take("(")
        self._depth += 1
        if self._depth > QUERY_DEPTH_MAX:
            raise BadQuery(
                f"more than {QUERY_DEPTH_MAX} parentheses inside one another", column=column, hint="use fewer"
            )
        node = self._or(field)
        if not reader.take(")"):
            raise BadQuery(
                "this '(' is never closed", column=column, hint="add ) at the end, or write \\( to search for it"
            )
        self._depth -= 1
        return node

    def _count_leaf(self) -> None:
        self._leaves += 1
        if self._leaves > QUERY_LEAVES_MAX:
            raise BadQuery(
                f"more than {QUERY_LEAVES_MAX} terms", column=self._reader.column, hint="ask in several queries"
            )

    def _text_term(self) -> Text:
        column = self._reader.column
        value = self._reader.value(in_field=False)
        assert value is not None  # no space, parenthesis or end stands here
        return Text(_checked(value, column), column)

    def _filter_value(self, name: str, column: int) -> Filter:
        reader = self._reader
        comparison: Comparison = next((c for c in _COMPARISONS if reader.take(c)), "")
        if not comparison and reader.peek() == "." and reader.take(".."):
            high = self._needed(name, reader.column)
            return self._checked_filter(Filter(name, "..", None, high, column))
        value = self._needed(name, column)
        if not comparison and reader.take(".."):
            high_or_none = None if reader.ends_term(reader.column - 1) else self._needed(name, reader.column)
            return self._checked_filter(Filter(name, "..", value, high_or_none, column))
        return self._checked_filter(Filter(name, comparison, value, None, column))

    def _needed(self, name: str, column: int) -> Value:
        at = self._reader.column
        value = self._reader.value(in_field=True, regex=name != "path")
        if value is None:
            raise BadQuery(
                f"{name}: has no value", column=column, hint=f"write {name}:something, or \\: to search for a colon"
            )
        return _checked(value, at)

    def _checked_filter(self, found: Filter) -> Filter:
        ordered = found.name in ORDERED_FIELDS or found.name.startswith("@")
        if found.comparison not in ("", "=") and not ordered:
            raise BadQuery(
                f"{found.name}: knows no {found.comparison}",
                column=found.column,
                hint=f'put the value in quotes, for example {found.name}:"a..b"',
            )
        if found.name in ORDERED_FIELDS:
            for value in (found.value, found.high):
                if value is not None:
                    span(found.name, value, 0, found.column)
        elif found.comparison not in ("", "="):
            for value in (found.value, found.high):
                if value is not None and not isinstance(value, Literal):
                    raise BadQuery(
                        "wildcards and regular expressions are neither more nor less",
                        column=found.column,
                        hint="remove the sign, or put the value in quotes",
                    )
        return found

    def _hint_unknown(self, name: str) -> None:
        rest = self._text[self._reader.column - 1 + len(name) + 1 :]
        if not rest.startswith(_NO_HINT_AFTER) and rest[:1].strip():
            hint = f"{name}: is no field and is searched as text"
            guess = near(name.lower(), FIELDS)
            hint += f"; {guess}" if guess.startswith("did you mean") else f"; a field of the lines is @{name}:"
            self._hints.append(Hint(self._reader.column, hint))


def _checked(value: Value, column: int) -> Value:
    return checked_regex(value, column) if isinstance(value, Regex) else cast("Value", value)
