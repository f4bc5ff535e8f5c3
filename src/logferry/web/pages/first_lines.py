"""The first screen of a log, within the page itself: there to be read before any script is.

The script shows the same rows, with terminal colours and all else (``static/log/row.js``, ``ansi.js``, ``levels.js``).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from logferry.archive.records import FileRecord, GenerationRecord
from logferry.errors import LogferryError
from logferry.limits import FIRST_SCREEN_CHARS_MAX, FIRST_SCREEN_LINES
from logferry.search.text import line_text
from logferry.web.api.lines import encoding_asked
from logferry.web.pages.guard import Visit
from logferry.web.trail import note

# What would act, or is not seen; a tab alone may stay.
_ODD = (
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e01ef]"
)
_ESCAPE = (
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, moves
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
_ODD_ONE = re.compile(_ODD)
_ESCAPE_OR_ODD = re.compile(f"{_ESCAPE}|(?P<odd>{_ODD})")
_LOW = "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI"
_HIGH = "DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
_SHORT_NAMES = f"{_LOW} {_HIGH}".split(" ")
_LEVEL_CHARS = 160
_LEVELS = (
    re.compile(r"\b(EMERG|ALERT|FATAL|CRITICAL|CRIT|PANIC|SEVERE|ERROR|ERR|WARNING|WARN)\b", re.ASCII),
    re.compile(
        r'(?:\blevel=|"(?:level|severity|lvl)"\s*:\s*)"?'
        r"(emerg|alert|fatal|critical|crit|panic|error|err|warning|warn)\b",
        re.ASCII | re.IGNORECASE,
    ),
    re.compile(r"[<\[](?:[a-z_]+:)?(emerg|alert|fatal|critical|crit|panic|error|err|warning|warn)[\]>]"),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text, or (with a ``title``) the mark of a character that must not act; ``short``: letters to draw for it."""

    text: str
    short: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line: its number if that is known, where it begins, a letter for its level, its text."""

    number: int | None
    byte: int
    level: str
    pieces: tuple[Piece, ...]


def first_lines(visit: Visit, file: FileRecord, generation: GenerationRecord) -> list[Row]:
    """The lines that the address leads to. None where it leads to a place that only the script can show, or to other
    than all lines as they are; none, too, where they cannot be read: the script will say why."""
    asked = visit.asked
    at = asked("at")
    if at not in ("", "end") or asked("lv") or "1" in (asked("only"), asked("fold")) or asked("tz"):
        return []
    with (
        contextlib.suppress(LogferryError),
        visit.context.archive.lines(generation.id, encoding_asked(asked("enc"))) as lines,
    ):
        page = lines.tail(FIRST_SCREEN_LINES) if at else lines.page_at(0, FIRST_SCREEN_LINES)
        note(visit.request, target=f"{file.agent}/{file.path}", gen=generation.number)
        texts = [line_text(row.data, cut=row.cut) for row in page.rows]
        return [
            Row(row.number, row.byte, level_of(text), tuple(pieces_of(text[:FIRST_SCREEN_CHARS_MAX])))
            for row, text in zip(page.rows, texts, strict=True)
        ]
    return []


def pieces_of(text: str) -> Iterator[Piece]:
    """Plain text and marks. Escapes of terminals leave nothing; one that never ends is none."""
    if not _ODD_ONE.search(text):
        yield Piece(text)
        return
    at = 0
    for found in _ESCAPE_OR_ODD.finditer(text):
        if found.start() > at:
            yield Piece(text[at : found.start()])
        at = found.end()
        if found["odd"]:
            yield _mark(ord(found["odd"]))
    if at < len(text):
        yield Piece(text[at:])


def _mark(code: int) -> Piece:
    title = f"U+{code:04X}"
    if code < 0x20:
        return Piece(chr(0x2400 + code), _SHORT_NAMES[code], title)
    if code == 0x7F:
        return Piece("\u2421", "DEL", title)
    return Piece(f"\\x{code:X}" if code < 0xA0 else f"<{title}>", "", title)


def level_of(text: str) -> str:
    """``E`` for an error and worse, ``W`` for a warning, else nothing."""
    head = text[:_LEVEL_CHARS]
    found = next(filter(None, (words.search(head) for words in _LEVELS)), None)
    if found is None:
        return ""
    return "W" if found[1][0] in "wW" else "E"
