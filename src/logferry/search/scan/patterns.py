"""What a term looks for in bytes: a literal needle, or an RE2 program over bytes. Pure.

Text is UTF-8 in practice, but a log may hold any byte. Patterns that are ASCII as written are therefore compiled over
*bytes* (RE2's Latin-1): there a run such as ``.*`` also crosses bytes that are not UTF-8, while a single ``.`` is one
UTF-8 character. Regular expressions with non-ASCII characters or classes are compiled over UTF-8 as RE2 does it.

Any-case: ASCII letters match their two forms and nothing else; other letters match their upper and lower forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from logferry.errors import BadQuery
from logferry.limits import PROGRAMS_KEPT
from logferry.search.query.nodes import Literal, Regex, Value, Wild
from logferry.search.query.regexes import options
from logferry.search.scan.automaton import Automaton, automaton_of

_MORE = r"[\x80-\xbf]"
_BEYOND_ASCII = (
    rf"(?-i:[\xc2-\xdf]{_MORE}|\xe0[\xa0-\xbf]{_MORE}|[\xe1-\xec\xee\xef]{_MORE}{_MORE}|\xed[\x80-\x9f]{_MORE}"
    rf"|\xf0[\x90-\xbf]{_MORE}{_MORE}|[\xf1-\xf3]{_MORE}{_MORE}{_MORE}|\xf4[\x80-\x8f]{_MORE}{_MORE})"
)
"""One UTF-8 character of several bytes, over bytes; never folded: the case of a single byte means nothing."""
ONE_CHARACTER = rf"(?:[\x00-\x09\x0b-\x7f]|{_BEYOND_ASCII})"
"""One UTF-8 character over bytes, the newline excepted."""
_UNANCHORED = re2._re2.RE2.Anchor.UNANCHORED
_WHOLE = re2._re2.RE2.Anchor.ANCHOR_BOTH


class Program:
    """A compiled pattern. Searching releases the interpreter lock."""

    __slots__ = ("_automaton", "_match", "_pattern")

    def __init__(self, pattern: bytes, chosen: re2.Options) -> None:
        self._automaton: Automaton | None = None
        self._pattern: tuple[bytes, bool] | None = None
        """What an automaton is made of, unless there is one or there can be none."""
        if chosen.encoding == re2.Options.Encoding.LATIN1:
            self._pattern = pattern, chosen.case_sensitive
        try:
            self._match: Any = re2.compile(pattern, chosen)._regexp.Match
        except re2.error as error:
            raise BadQuery("the pattern is too large to run", hint="make it shorter") from error

    def search(self, data: bytes, start: int, end: int) -> tuple[int, int]:
        """(from, to) of the first match within ``data[start:end]``, seen in its surroundings; (-1, -1) if none."""
        span: tuple[int, int] = self._match(_UNANCHORED, data, start, end)[0]
        return span

    @property
    def automaton(self) -> Automaton | None:
        """The same for native code, shared by all that ask; None: there is only RE2."""
        made_of = self._pattern
        if made_of is not None:
            self._automaton = automaton_of(made_of[0], exact_case=made_of[1])
            self._pattern = None
        return self._automaton

    def is_whole(self, data: bytes) -> bool:
        """Whether all of ``data`` matches."""
        return bool(self._match(_WHOLE, data, 0, len(data))[0][0] == 0)


@dataclass(frozen=True, slots=True)
class Needle:
    """Bytes that stand for themselves. ``any_case`` is set when they are not all there is to find."""

    exact: bytes
    program: Program | None = None
    """Set when the case does not matter: finds every spelling."""
    lowered: bytes | None = None
    """Set when, besides, the needle is ASCII: finds every spelling in a lowered copy of the bytes."""


Matcher = Needle | Program | None
"""None: matches every line (a lone ``*``)."""


@lru_cache(maxsize=PROGRAMS_KEPT)
def matcher(value: Value, *, exact_case: bool) -> Matcher:
    """How to find ``value`` anywhere in a line. A regex flag goes before ``exact_case``."""
    if isinstance(value, Literal):
        return _needle(value.text, exact_case)
    if isinstance(value, Regex):
        return regex_program(value, exact_case=exact_case)
    parts = list(value.parts)
    while parts and parts[0] is Wild.RUN:
        del parts[0]
    while parts and parts[-1] is Wild.RUN:
        del parts[-1]
    if not parts:
        return None
    return Program(_glob_pattern(parts, exact_case), _byte_options())


def whole_program(value: Value, *, exact_case: bool) -> Program:
    """How to test a whole text, such as a file name, for ``value``."""
    if isinstance(value, Regex):
        return regex_program(value, exact_case=exact_case)
    parts: tuple[str | Wild, ...] = (value.text,) if isinstance(value, Literal) else value.parts
    return Program(_glob_pattern(parts, exact_case), _byte_options())


def key_program(name: str, *, exact_case: bool) -> Program:
    """What a line must have in it that tells something of the field ``name``: its key in JSON, or before ``=``."""
    return Program((_letters(name, exact_case=exact_case) + '(?:"[ \\t\\r]*:|=)').encode("ascii"), _byte_options())


def part_program(text: str, *, exact_case: bool) -> Program:
    """What a line must have in it that has ``text`` in a value: the text, or a backslash, which may write it."""
    return Program((_letters(text, exact_case=exact_case) + r"|\\").encode("ascii"), _byte_options())


def _byte_options(*, exact_case: bool = True) -> re2.Options:
    chosen = options(exact_case=exact_case)
    chosen.encoding = re2.Options.Encoding.LATIN1
    return chosen


def _needle(text: str, exact_case: bool) -> Needle:
    exact = text.encode("utf-8", "surrogateescape")
    if exact_case or all(len(letter_forms(c)) == 1 for c in text):
        return Needle(exact)
    program = Program(_letters(text, exact_case=False).encode("ascii"), _byte_options())
    return Needle(exact, program, exact.lower() if text.isascii() else None)


def _glob_pattern(parts: tuple[str | Wild, ...] | list[str | Wild], exact_case: bool) -> bytes:
    written = []
    for part in parts:
        if part is Wild.RUN:
            written.append(".*")
        elif part is Wild.ONE:
            written.append(ONE_CHARACTER)
        else:
            assert isinstance(part, str)
            written.append(_letters(part, exact_case=exact_case))
    return "".join(written).encode("ascii")


def _letters(text: str, *, exact_case: bool) -> str:
    """A byte pattern (ASCII text) for ``text`` in one or every case."""
    return "".join(_bytes_pattern(c) if exact_case else _any_case(c) for c in text)


def _any_case(c: str) -> str:
    forms = sorted(letter_forms(c))
    if len(forms) == 1:
        return _bytes_pattern(c)
    if c.isascii():
        return f"[{''.join(forms)}]"
    return f"(?:{'|'.join(_bytes_pattern(form) for form in forms)})"


def letter_forms(c: str) -> set[str]:
    """``c`` and its other case, where that is one character and goes back to ``c``."""
    if c.isascii():
        return {c.lower(), c.upper()}
    return {form for form in (c, c.lower(), c.upper()) if len(form) == 1 and not form.isascii()}


def _bytes_pattern(c: str) -> str:
    if c.isascii() and (c.isalnum() or c in " _"):
        return c
    return "".join(f"\\x{byte:02x}" for byte in c.encode("utf-8", "surrogateescape"))


# Regular expressions ------------------------------------------------------------------------------------------------


def regex_program(regex: Regex, *, exact_case: bool) -> Program:
    """The program of a regular expression; flags ``c`` and ``i`` go before what the search asks for."""
    exact = ("c" in regex.flags or exact_case) and "i" not in regex.flags
    over_bytes = runs_over_bytes(regex.pattern)
    pattern = line_pattern(regex.pattern, over_bytes=over_bytes).encode("utf-8")
    return Program(pattern, _byte_options(exact_case=exact) if over_bytes else options(exact_case=exact))


def runs_over_bytes(pattern: str) -> bool:
    """Whether the pattern is compiled over bytes, not over UTF-8."""
    return pattern.isascii() and not any(code in pattern for code in ("\\p", "\\P", "\\x{"))


def line_pattern(pattern: str, *, over_bytes: bool) -> str:
    """``pattern`` so that it means the line: anchors are the line's (before a CR, too), characters are UTF-8's.

    Works on RE2's syntax, token by token; everything it does not know stays as it is.
    """
    written: list[str] = []
    at = 0
    while at < len(pattern):
        token, at = pattern_token(pattern, at)
        if over_bytes and _is_single(token) and pattern[at : at + 1] not in ("*", "+"):
            written.append(_one_of(token))
        else:
            written.append(_LINE_FORMS.get(token, token))
    return "".join(written)


_LINE_FORMS = {
    "^": "(?m:^)",
    "\\A": "(?m:^)",
    "$": "(?m:\\r?$)",
    "\\z": "(?m:\\r?$)",
    "\\C": ".",
}


def pattern_token(pattern: str, at: int) -> tuple[str, int]:
    """The next token (an escape, a quoted run, a class or a character) and where the one after it starts."""
    c = pattern[at]
    if c == "\\" and pattern[at + 1 : at + 2] == "Q":
        end = pattern.find("\\E", at + 2)
        inside = pattern[at + 2 : end if end >= 0 else len(pattern)]
        return re2.escape(inside), (end + 2 if end >= 0 else len(pattern))
    if c == "\\":
        return pattern[at : at + 2], at + 2
    if c == "[":
        end = _class_end(pattern, at)
        return pattern[at:end], end
    return c, at + 1


def _class_end(pattern: str, at: int) -> int:
    end = at + 1
    if pattern[end : end + 1] == "^":
        end += 1
    if pattern[end : end + 1] == "]":  # a bracket that comes first is a member
        end += 1
    while end < len(pattern) and pattern[end] != "]":
        if pattern[end] == "\\":
            end += 2
        elif pattern.startswith("[:", end) and ":]" in pattern[end:]:
            end = pattern.index(":]", end) + 2
        else:
            end += 1
    return min(end + 1, len(pattern))


def _is_single(token: str) -> bool:
    """Whether the token matches one character out of nearly all, so that non-ASCII ones count."""
    return token in (".", "\\S", "\\W", "\\D") or token.startswith("[^")


def _one_of(token: str) -> str:
    if token == ".":  # noqa: S105 - a token of a pattern
        return ONE_CHARACTER
    # The class decides about ASCII; every other character is outside of what an ASCII class leaves out.
    ascii_part = f"[^\\x80-\\xff{token[2:-1]}]" if token.startswith("[^") else f"[^\\x80-\\xff{token.lower()}]"
    return f"(?:{ascii_part}|{_BEYOND_ASCII})"
