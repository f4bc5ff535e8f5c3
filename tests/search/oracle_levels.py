"""The level of a line, told by the rules of docs/reference/query.md with regular expressions: slow and readable."""

from __future__ import annotations

import re
from collections.abc import Iterator

RANKS = {
    0: "trace trc trce finest finer verbose vrb v t",
    1: "debug dbg dbug fine d",
    2: "info information informational inf i",
    3: "notice note n",
    4: "warn warning wrn w",
    5: "error err severe e failure fail",
    6: "critical crit fatal ftl alert emerg emergency panic f c",
}
RANK_OF = {word: rank for rank, words in RANKS.items() for word in words.split()}
NOT_CAPITALS = {"note", "dbug", "trce", "fail", "failure"}
"""Words that are no level merely because they are written in capital letters."""
NOT_MARKED = {"failure"}
LETTERS = {"V": 0, "D": 1, "I": 2, "W": 4, "E": 5, "F": 6}
SEVERITIES = (6, 6, 6, 5, 4, 3, 2, 1)
TENS = {1: 0, 2: 1, 3: 2, 4: 4, 5: 5, 6: 6}

KEY = r"(?i:level|lvl|severity|loglevel|log_level|log\.level|levelname|severity_text|severitytext|@l|@level)"
VALUE = re.compile(r"""["']?(?:([0-9]{1,2})(?![0-9A-Za-z_.])|([A-Za-z]{1,13})(?![0-9A-Za-z_]))""")
PAIR = re.compile(KEY + r"""(?![0-9A-Za-z_.@-])["']?[ \t]*[=:][ \t]*""")
COLOUR = re.compile(r"\x1b\[[0-9;]{0,16}m")
TAG = re.compile(r"/[^(]{1,64}\( *[0-9]+\):", re.DOTALL)


def level_of(line: bytes) -> int | None:
    """The rank of a line's level, 0 for trace to 6 for critical; None if it has none."""
    text = line.decode("latin-1")
    body = text.removeprefix("\xef\xbb\xbf")
    severity = None
    priority = re.match(r"<([0-9]{1,3})>", body)
    if priority and int(priority[1]) <= 191:
        severity, body = SEVERITIES[int(priority[1]) % 8], body[priority.end() :]
    skipped = len(text) - len(body)
    if body.lstrip(" \t").startswith("{"):
        found = _of_json(body.lstrip(" \t")[: max(0, 4096 - skipped - (len(body) - len(body.lstrip(" \t"))))])
    else:
        found = _of_text(body[: max(0, 256 - skipped)])
    return severity if found is None else found


def _value(text: str, at: int) -> int | None:
    match = VALUE.match(text, at)
    if match is None:
        return None
    if match[1]:
        number = int(match[1])
        return SEVERITIES[number] if number < 8 else TENS.get(number // 10)
    return RANK_OF.get(match[2].lower())


def _of_json(text: str) -> int | None:
    inside: list[str] = []  # of each open bracket: the key it was opened for
    key = ""
    for token in re.finditer(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\],]', text, re.DOTALL):
        if token[0] == ",":
            key = ""
        elif token[0] in "{[":
            inside.append((key.lower() if len(inside) == 1 else "") + token[0])
        elif token[0] in "}]":
            if inside:
                inside.pop()
            if not inside:
                return None
        else:
            colon = re.compile(r"[ \t]*:[ \t]*").match(text, token.end())
            if colon is None:
                continue
            name = token[0][1:].removesuffix('"')
            if len(inside) == 1 or (len(inside) == 2 and inside[-1] == "log{"):
                if re.fullmatch(KEY, name) and (found := _value(text, colon.end())) is not None:
                    return found
                key = name if len(inside) == 1 else ""
    return None


def _of_text(text: str) -> int | None:
    start = re.match(r"(?:\[([VDIWEF]) [0-9]|([VDIWEF])[0-9]{4} [0-9]{2}:[0-9]{2})", text)
    if start:
        return LETTERS[start[1] or start[2]]
    plain = COLOUR.sub(lambda match: "\0" * len(match[0]), text)
    return next(_told(plain), None)


def _told(text: str) -> Iterator[int]:
    for match in re.finditer(r"@|[A-Za-z]+", text):
        at, behind = match.span()
        before = text[at - 1 : at]
        if not re.match(r"[0-9A-Za-z_.@-]", before) and (pair := PAIR.match(text, at)):
            found = _value(text, pair.end())
            if found is not None:
                yield found
        word = match[0]
        if word == "@" or len(word) > 13:
            continue
        after, glued = text[behind:], re.match(r"[0-9A-Za-z_./\\$%&~^+\-@=]", before) is not None
        is_first = _only_numbers(text[:at])
        if len(word) == 1:
            if word in LETTERS and not glued:
                if is_first and re.match(r"[ \t]", after):
                    yield LETTERS[word]
                if before == "[" and after.startswith("]"):
                    yield LETTERS[word]
                if (is_first or at == 0) and TAG.match(after):
                    yield LETTERS[word]
            continue
        rank = RANK_OF.get(word.lower())
        if rank is None or glued or re.match(r"[0-9A-Za-z_=/\\]|[.-][0-9A-Za-z_]", after):
            continue
        if (word.isupper() and word.lower() not in NOT_CAPITALS) or (
            word.lower() not in NOT_MARKED
            and (_is_marked(text[:at], after) or (is_first and re.match(r"[ \t]", after)))
        ):
            yield rank


def _only_numbers(before: str) -> bool:
    """Whether nothing but a time can stand there: digits, and no letters but T and Z."""
    letters = re.findall(r"[A-Za-z]+", before)
    return re.search(r"[0-9]", before) is not None and all(run in ("T", "Z") for run in letters)


def _is_marked(before: str, after: str) -> bool:
    after = re.sub(r"\A\0{3,}", "", after) if after.startswith("\0") else after
    if re.match(r":(?:[ \t\r\n]|\Z)", after) and re.search(r"(?:\A|[^A-Za-z_])[A-Z]{0,4}\Z", before.rstrip(" \t")):
        return True
    if (before.endswith("\t") and after.startswith("\t")) or (before.endswith(":") and after.startswith("]")):
        return True
    return re.search(r"[\[(<|{] *\Z", before) is not None and re.match(r" *[\])>|}]", after) is not None
