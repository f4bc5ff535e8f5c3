"""A hundred regular expressions and a hundred queries that bring other engines to their knees."""

from __future__ import annotations

import random

from logferry.search.query import parse

_LOOPS = (
    "(a+)+{0}", "(a|a)*{0}", "(a|aa)+{0}", "(a*)*{0}", "(a?){{40}}a{{40}}{0}", "(.*)*{0}", "(.*a){{20}}{0}",
    "((a+)+)+{0}", "(\\w+\\s?)*{0}", "([a-z]+)*{0}", "(?:a|b|ab)*{0}", "([^b]|a)*{0}", "(a{{1,30}}){{1,30}}{0}",
    "[\\s\\S]*[\\s\\S]*{0}", ".*.*.*.*{0}", "(x+x+)+{0}", "^(([a-z])+.)+[A-Z]([a-z])+{0}", "\\b\\b\\b(a+)+\\b{0}",
    "(?:(?:a+)+b?)+{0}", "(a|[a-z]|\\w)+{0}",
)  # fmt: skip
REGEXES = tuple(loop.format(end) for loop in _LOOPS for end in ("$", "b$", "!", "[0-9]$", "(?:x|y){5}"))
assert len(REGEXES) == 100

_TERMS = (
    "a", "-b", "/(a+)+$/", "/.*.*=/", "level:>=warn", "-level:info", "time:<now", "time:today..", "@user:a*", "@a.b:>1",
    '"x y"', "?*?*?*a", "-@zz:*", "@a:/(.*)*x/", "a*b*c*d", "size:>0", "-agent:nobody", "path:*a*", "é*",
    "/[^ ]* [^ ]* [^ ]*$/",
)  # fmt: skip


def queries(dice: random.Random) -> list[str]:
    """A hundred, all of them parse: deep, wide, negated, and of every kind of term."""
    made: list[str] = []
    while len(made) < 100:
        kind = len(made) % 4
        terms = [dice.choice(_TERMS) for _ in range(dice.randint(20, 120))]
        if kind == 0:
            query = " OR ".join(f"({a} {b})" for a, b in zip(terms[::2], terms[1::2], strict=False))
        elif kind == 1:
            depth = dice.randint(10, 60)
            query = "-(" * depth + " ".join(terms) + "".join(f" {dice.choice(_TERMS)})" for _ in range(depth))
        elif kind == 2:
            depth = dice.randint(10, 60)
            query = "(" * depth + "a" + "".join(f" OR {dice.choice(_TERMS)} !x)" for _ in range(depth))
            query += " " + " ".join("-" + term.lstrip("-") for term in terms)
        else:
            query = (
                "NOT " * dice.randint(1, 1500)
                + "*".join("abcdefgh" * dice.randint(1, 40))
                + " OR "
                + " OR ".join(terms)
            )
        parse(query)
        made.append(query)
    return made
