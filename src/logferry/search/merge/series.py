"""Which files of a folder are one log, cut into pieces by rotation, and in which order. Pure: names in, names out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from logferry.compressed import form_by_name

_DATE = r"(?:19|20)[0-9]{2}-?[01][0-9]-?[0-3][0-9](?:[-_T]?[0-9]{2}(?:[-_:]?[0-9]{2}){0,2})?"
_BEHIND = re.compile(rf"(?P<base>.+?)(?:[-._](?P<date>{_DATE}))?(?:[-._](?P<number>[0-9]{{1,4}}))?")
_EXT = re.compile("[A-Za-z][A-Za-z0-9]{0,7}")
_INSIDE = re.compile(
    rf"(?P<stem>.+?)(?:[-._](?P<date>{_DATE}))?(?:[-._](?P<number>[0-9]{{1,4}}))?(?P<ext>\.[A-Za-z][A-Za-z0-9]{{0,7}})"
)


@dataclass(frozen=True, slots=True)
class _Piece:
    base: str
    date: str
    number: int | None
    packed: bool

    @property
    def slot(self) -> tuple[str, int | None]:
        return self.date, self.number

    @property
    def age(self) -> tuple[int, str, int]:
        """The oldest is least: dated ones by date, numbered ones from the largest number down, the log itself last."""
        if self.date:  # a number behind a date counts up within it
            return 0, self.date, self.number or 0
        return (2, "", 0) if self.number is None else (1, "", -self.number)


def series_of(name: str, names: Iterable[str]) -> list[str]:
    """The names among ``names`` (of one folder) that belong to the log of ``name``, the oldest piece first.

    ``app.log``, ``app.log.1``, ``app.log.2.gz``, ``app.log-20261123.gz``, ``app-2026-11-23.log``, ``app.1.log``. Of a
    piece that is there packed and plain the plain one counts.
    """
    wanted = _piece(name).base
    found: dict[tuple[str, int | None], tuple[_Piece, str]] = {}
    for each in sorted({*names, name}):
        piece = _piece(each)
        held = found.get(piece.slot)
        if piece.base == wanted and (held is None or (held[0].packed and not piece.packed)):
            found[piece.slot] = (piece, each)
    return [each for _, each in sorted(found.values(), key=lambda pair: pair[0].age)]


def stem_of(name: str) -> str:
    """What the names of all pieces of the log of ``name`` begin with."""
    base = _piece(name).base
    stem, dot, ext = base.rpartition(".")
    return stem if stem and dot and _EXT.fullmatch(ext) else base


def _piece(name: str) -> _Piece:
    packed = bool(form_by_name(name))
    plain = name.rpartition(".")[0] if packed and "." in name[1:] else name
    match = _INSIDE.fullmatch(plain)
    if match and (match["date"] or match["number"]):
        return _named(match["stem"] + match["ext"], match, packed=packed)
    match = _BEHIND.fullmatch(plain)
    return _named(match["base"], match, packed=packed) if match else _Piece(plain, "", None, packed)


def _named(base: str, match: re.Match[str], *, packed: bool) -> _Piece:
    date = re.sub("[^0-9]", "", match["date"] or "")
    return _Piece(base, date, int(match["number"]) if match["number"] else None, packed)
