"""Log bytes as text, in one way everywhere: UTF-8, with every byte that is none written as ``\\xNN``."""

from __future__ import annotations

from logferry.encodings import half_character


def line_text(data: bytes, *, cut: bool = False) -> str:
    """``data`` (a line without its end) as text. ``cut``: half a character at its end is left out."""
    if cut:
        data = data[: len(data) - half_character(data)]
    return data.decode("utf-8", "backslashreplace")


def character_spans(data: bytes, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of bytes of ``data`` (ordered, apart) as spans of characters (code points) of ``line_text(data)``."""
    found: list[tuple[int, int]] = []
    at = characters = 0
    for start, end in spans:
        first = characters + len(line_text(data[at:start]))
        last = first + len(line_text(data[start:end]))
        found.append((first, last))
        at, characters = end, last
    return found
