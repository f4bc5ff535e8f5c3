"""A tree back to text: one way to write each query, which parses to an equal tree and is its own canonical form."""

from __future__ import annotations

from logferry.search.query.nodes import And, Everything, Filter, Glob, Literal, Node, Not, Or, Regex, Text, Value, Wild
from logferry.search.query.parser import FIELDS
from logferry.search.query.reader import ESCAPABLE, Reader

_KEYWORDS = ("AND", "OR", "NOT")


def canonical(node: Node) -> str:
    """The text of ``node``; the empty text for everything."""
    return _text(node, inside=None)


def _text(node: Node, inside: type | None) -> str:
    if isinstance(node, Everything):
        return ""
    if isinstance(node, Text):
        return _value(node.value, in_field=False)
    if isinstance(node, Filter):
        return _filter(node)
    if isinstance(node, Not):
        return "-" + _text(node.child, Not)
    joined = (" " if isinstance(node, And) else " OR ").join(_text(child, type(node)) for child in node.children)
    needs_parentheses = inside is Not or (isinstance(node, Or) and inside is And)
    return f"({joined})" if needs_parentheses else joined


def _filter(node: Filter) -> str:
    def value(of: Value | None) -> str:
        return "" if of is None else _value(of, in_field=True, regex=node.name != "path")

    if node.comparison == "..":
        return f"{node.name}:{value(node.value)}..{value(node.high)}"
    return f"{node.name}:{node.comparison}{value(node.value)}"


def _value(value: Value, *, in_field: bool, regex: bool = True) -> str:
    if isinstance(value, Regex):
        return f"/{_slashes_escaped(value.pattern)}/{value.flags}"
    if isinstance(value, Glob):
        return _glob(value, in_field=in_field)
    if _is_plain_word(value.text, in_field=in_field, regex=regex):
        return value.text
    return _phrase(value)


def _slashes_escaped(pattern: str) -> str:
    escaped, at = [], 0
    while at < len(pattern):
        if pattern[at] == "\\" and at + 1 < len(pattern):
            escaped.append(pattern[at : at + 2])
            at += 2
        else:
            escaped.append("\\/" if pattern[at] == "/" else pattern[at])
            at += 1
    return "".join(escaped)


def _is_plain_word(text: str, *, in_field: bool, regex: bool) -> bool:
    """Whether ``text`` as it stands reads as this one word, at the start of a term and after a ``-``."""
    if text in _KEYWORDS or text[0] in "-!\"'@<>=" or (text[0] == "/" and regex) or "\\" in text:
        return False
    if in_field and text[0] == ".":
        return False
    if not in_field and Reader(text).peek_name() in FIELDS:
        return False
    reader = Reader(text)
    return reader.value(in_field=in_field, regex=regex) == Literal(text) and reader.at_end()


def _phrase(value: Literal) -> str:
    quote = "'" if '"' in value.text and "'" not in value.text else '"'
    escaped = value.text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return f"{quote}{escaped}{quote}"


def _glob(value: Glob, *, in_field: bool) -> str:
    """A word with wildcards: every character escaped that could be read as something else."""
    word = _word(value, " ()*?\\")
    name = "" if in_field else Reader(word).peek_name()
    return _word(value, " ()*?:\\") if name in FIELDS or name.startswith("@") else word


def _word(value: Glob, escaped: str) -> str:
    written: list[str] = []
    for part in value.parts:
        if isinstance(part, Wild):
            written.append(part.value)
            continue
        for c in part:
            special = c in escaped or (not written and c in ESCAPABLE)
            written.append("\\" + c if special else c)
    return "".join(written)
