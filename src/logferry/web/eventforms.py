"""What a search tells, written out: JSON lines, server-sent events, text as grep has it, CSV that no spreadsheet runs.

Text and CSV have no place for an account of the search, so only what is missing is told: their last lines begin with
``#`` when the answer is not all there is.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from logferry.contexts import Block, Blocks, Placed
from logferry.errors import LogferryError
from logferry.names import shown
from logferry.search.events import Done, Event, Hit, Progress, Row
from logferry.web.streams import NDJSON, SSE, compact, ndjson, sse

Form: TypeAlias = Literal["ndjson", "text", "csv"]
TEXT = "text/plain; charset=utf-8"
CSV = "text/csv; charset=utf-8; header=present"
MEDIA_TYPES = {"ndjson": NDJSON, "sse": SSE, "text": TEXT, "csv": CSV}
CSV_COLUMNS = ("agent", "path", "generation", "line", "byte", "text")

_PARTIAL = {
    "limit": "there may be more: it stopped at the limit of {hits:,} hits",
    "time": "there may be more: it stopped at the time limit, {files_done:,} of {files_total:,} files searched",
    "cancelled": "there may be more: it was stopped, {files_done:,} of {files_total:,} files searched",
}


@dataclass(frozen=True, slots=True)
class Whole:
    """All that whoever asks may see, for the account to compare with."""

    files: int
    bytes: int


class EventWriter:
    """Events of one search as bytes, in one of the forms."""

    def __init__(self, form: Form | Literal["sse"], *, limited: bool, whole: Whole | None = None) -> None:
        self.media_type = MEDIA_TYPES[form]
        self._limited = limited
        self._whole = whole
        self._write: Callable[[Iterable[Event]], bytes] = {
            "ndjson": self._ndjson,
            "sse": self._sse,
            "text": self._text,
            "csv": self._csv,
        }[form]
        self._form = form
        self._begun = False
        self._blocks = Blocks[str]()
        self._has_blocks = False

    def write(self, events: Iterable[Event]) -> bytes:
        """The next events."""
        return self._write(events)

    def failed(self, error: LogferryError) -> bytes:
        """The end of an answer that had begun when something went wrong."""
        data = {"type": "problem", "detail": error.message, "hint": error.hint, "status": error.http_status}
        if self._form == "sse":
            return sse("problem", data)
        if self._form == "ndjson":
            return ndjson(data)
        return self._remarks([f"there may be more: {error.message}"])

    def _ndjson(self, events: Iterable[Event]) -> bytes:
        return b"".join(ndjson(event_json(event, self._whole)) for event in events)

    def _sse(self, events: Iterable[Event]) -> bytes:
        parts = (event_json(event, self._whole) for event in events)
        return b"".join(sse(data["type"], data) for data in parts)

    # Text ------------------------------------------------------------------------------------------------------------

    def _text(self, events: Iterable[Event]) -> bytes:
        made: list[str] = []
        end = b""
        for event in events:
            if isinstance(event, Hit):
                place = (f"{event.agent}:/{shown(event.path)}", event.generation)
                if event.before or event.after:
                    self._add(self._blocks.add(place, _placed(event, place[0])), made)
                else:
                    self._add(self._blocks.rest(), made)
                    made.append(_text_hit(place[0], event))
            elif isinstance(event, Done):
                self._add(self._blocks.rest(), made)
                end = self._remarks(missing(event, limited=self._limited))
        return "".join(f"{line}\n" for line in made).encode("utf-8", "backslashreplace") + end

    def _add(self, blocks: Iterator[Block[str]], made: list[str]) -> None:
        for block in blocks:
            if self._has_blocks and not block.follows:
                made.append("--")
            self._has_blocks = True
            made.extend(line.row for line in block.lines)

    def _remarks(self, told: list[str]) -> bytes:
        if self._form == "csv":
            return b"".join(csv_row(("#", *[""] * (len(CSV_COLUMNS) - 2), text)) for text in told)
        return "".join(f"# {shown(text)}\n" for text in told).encode()

    # CSV -------------------------------------------------------------------------------------------------------------

    def _csv(self, events: Iterable[Event]) -> bytes:
        made: list[bytes] = []
        if not self._begun:
            self._begun = True
            made.append(csv_row(CSV_COLUMNS))
        for event in events:
            if isinstance(event, Hit):
                number = "" if event.number is None else event.number
                made.append(csv_row((event.agent, event.path, event.generation, number, event.byte, _whole(event))))
            elif isinstance(event, Done):
                made.append(self._remarks(missing(event, limited=self._limited)))
        return b"".join(made)


def missing(done: Done, *, limited: bool) -> list[str]:
    """Why an answer is not all there is: nothing where it is, or where whoever asked set the limit it ended at."""
    told = []
    if done.reason in _PARTIAL and not (done.reason == "limit" and limited):
        told.append(
            _PARTIAL[done.reason].format(hits=done.hits, files_done=done.files_done, files_total=done.files_total)
        )
    return told + [f"not searched: {error}" for error in done.errors]


def _placed(hit: Hit, place: str) -> Iterator[Placed[str]]:
    """A hit and its neighbours as text, each where it stands."""
    for row in hit.before:
        yield Placed(row.byte, row.byte + row.length, False, _text_row(place, row, "-"))
    yield Placed(hit.byte, hit.byte + hit.length, True, _text_hit(place, hit))
    for row in hit.after:
        yield Placed(row.byte, row.byte + row.length, False, _text_row(place, row, "-"))


def _text_hit(place: str, hit: Hit) -> str:
    """A hit, or all lines of an entry, numbered as they are in the file."""
    first, *others = _whole(hit).split("\n")
    rows = [_text_line(place, hit, ":", first)]
    for shift, text in enumerate(others, start=1):
        number = None if hit.number is None else hit.number + (0 if hit.text_from else shift)
        rows.append(_text_line(place, replace(hit, number=number), ":", text.removesuffix("\r")))
    return "\n".join(rows)


def _text_row(place: str, row: Row, sign: str) -> str:
    return _text_line(place, row, sign, _whole(row))


def _text_line(place: str, row: Hit | Row, sign: str, text: str) -> str:
    number = f"@{row.byte}" if row.number is None else str(row.number)
    return f"{place}{sign}{number}{sign}{_marked(text)}"


def _whole(row: Hit | Row) -> str:
    """The text of a row; of a long line what is carried of it, with ``…`` where it goes on."""
    before = "…" * bool(isinstance(row, Hit) and row.text_from)
    return f"{before}{row.text}{'…' * row.cut}"


def _marked(text: str) -> str:
    """A line without characters that steer a terminal; tabs stay."""
    return "\t".join(shown(part) for part in text.split("\t"))


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # wide forms are read as the narrow ones
"""What a spreadsheet takes for the beginning of something to compute."""


_CUT = re.compile(r"""([;\t\r\n]"*)(?=[=+\-@＝＋－＠])""")
"""Where a spreadsheet that takes ``;`` (many languages do) or a tab for the end of a cell, and so passes over the
quotes around it, begins another one with something to compute."""


def csv_row(cells: Iterable[str | int]) -> bytes:
    """One row (RFC 4180). Where a spreadsheet would compute, ``'`` stands in front; numbers are what they are."""
    line = io.StringIO()
    csv.writer(line).writerow([_inert(cell) if isinstance(cell, str) else cell for cell in cells])
    return line.getvalue().encode("utf-8", "backslashreplace")


def _inert(text: str) -> str:
    text = text.replace("\0", "\u2400")  # readers of CSV end at it
    inert = _CUT.sub(r"\1'", text)
    return f"'{inert}" if text.startswith(_FORMULA) else inert


# JSON ----------------------------------------------------------------------------------------------------------------


def hit_bytes(hit: Hit) -> bytes:
    """A hit as JSON, without a line end."""
    return compact(event_json(hit)).encode()


def event_json(event: Event, whole: Whole | None = None) -> dict[str, Any]:
    """An event as JSON has it."""
    if isinstance(event, Hit):
        return {
            "type": "hit",
            "agent": event.agent,
            "path": event.path,
            "fid": event.file_id,
            "gen": event.generation,
            "n": event.number,
            "b": event.byte,
            "len": event.length,
            "s": event.text,
            "s_from": event.text_from,
            "cut": event.cut,
            "spans": [list(span) for span in event.spans],
            "before": [_row(row) for row in event.before],
            "after": [_row(row) for row in event.after],
        }
    counted = {
        "scanned_bytes": event.scanned_bytes,
        "total_bytes": event.total_bytes,
        "files_done": event.files_done,
        "files_total": event.files_total,
        "hits": event.hits,
    }
    if isinstance(event, Progress):
        return {"type": "progress", **counted}
    seconds = round(event.seconds, 3)
    told = {"seconds": seconds, "errors": list(event.errors), "copies": event.copies, "remarks": list(event.remarks)}
    return {"type": "done", "reason": event.reason, **counted, **told, **whole_json(whole)}


def whole_json(whole: Whole | None) -> dict[str, int | None]:
    """All there is, for the account; null where it is not known without looking at every file."""
    return {"whole_files": whole.files if whole else None, "whole_bytes": whole.bytes if whole else None}


def _row(row: Row) -> dict[str, Any]:
    return {"n": row.number, "b": row.byte, "len": row.length, "s": row.text, "cut": row.cut}
