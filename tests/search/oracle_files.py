"""What a search finds in whole files, in plain Python: every term, for lines and for entries, live or sealed alike."""

from __future__ import annotations

import calendar
import datetime
import re
from dataclasses import dataclass
from functools import cached_property

from logferry.archive.timestamps import NO_TIME, Evidence, Reading
from logferry.archive.timestamps.reference import times_of
from logferry.search.query import And, Everything, Filter, Literal, Node, Not, Or, Regex, Text, Value, Wild
from tests.search import oracle, oracle_fields, oracle_levels

REACH = 64 * 1024
NS = 1_000_000_000
CONTINUING = (
    "Caused by:", "Suppressed:", "Traceback (most recent call last)", "During handling of the above exception",
    "The above exception was the direct cause", "}", "]", ")",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A line: where it starts in the text and in the file, its bytes of text, and what it is."""

    start: int
    byte: int
    data: bytes
    level: int | None
    own_ns: int | None
    stamp_at: int


@dataclass
class File:
    """One generation as it is archived, and what the catalog knows of it. ``data``: its bytes, unpacked."""

    agent: str
    path: str
    number: int
    data: bytes
    size: int
    changed_ns: int

    @cached_property
    def encoding(self) -> str:
        """Of its text."""
        if self.data.startswith(b"\xff\xfe"):
            return "utf-16-le"
        return "utf-16-be" if self.data.startswith(b"\xfe\xff") else ""

    @cached_property
    def rows(self) -> list[Row]:
        """Its lines."""
        text = self.data
        if self.encoding:
            whole = self.data[: len(self.data) & ~1]
            text = whole.decode(self.encoding, "surrogatepass").encode("utf-8", "surrogatepass")
        lines = oracle.lines_of(text)
        reading = Reading(self.changed_ns)
        told = Evidence.none()
        times_of([line.data for line in lines], reading, told)
        decided = Evidence(told.counts * (1 << 30))
        times = times_of([line.data for line in lines], reading, decided)
        rows, at = [], 0
        for line, (time_ns, first, _last) in zip(lines, times, strict=True):
            rows.append(
                Row(
                    line.byte,
                    at,
                    line.data,
                    oracle_levels.level_of(line.data),
                    None if time_ns == NO_TIME else time_ns,
                    first,
                )
            )
            at += self.length(line.data + b"\n")
        return rows

    def length(self, text: bytes) -> int:
        """How many bytes of the file a stretch of its text takes."""
        if not self.encoding:
            return len(text)
        return len(text.decode("utf-8", "surrogatepass").encode(self.encoding, "surrogatepass"))

    def time_ns(self, place: int) -> int | None:
        """The time of a line: its own, or that of the nearest line before it that has one."""
        start = self.rows[place].start
        for row in reversed(self.rows[: place + 1]):
            if start - row.start > REACH:
                return None
            if row.own_ns is not None:
                return row.own_ns
        return None

    @cached_property
    def entries(self) -> list[list[int]]:
        """Places of the lines of each entry."""
        entries: list[list[int]] = []
        # Where the latest line of each kind starts.
        timed = told = begun = -REACH - 1
        for place, row in enumerate(self.rows):
            kind = _kind(row)
            if kind == "continuing":
                begins = row.start - begun > REACH
            elif kind == "timed":
                begins, timed, told = True, row.start, row.start
            elif kind == "levelled" and row.start - timed > REACH:
                begins, told = True, row.start
            else:
                begins = row.start - told > REACH
            if begins and kind != "continuing":
                begun = row.start
            if begins or not entries:
                entries.append([])
            entries[-1].append(place)
        return entries

    def found(self, node: Node, *, exact_case: bool, now_ns: int, entries: bool) -> list[tuple[int, int]]:
        """(byte, length with the line end) of every line or entry that matches, in order."""
        units = self.entries if entries else [[place] for place in range(len(self.rows))]
        found = []
        for places in units:
            if not self._holds(node, places, exact_case, now_ns):
                continue
            first, last = self.rows[places[0]], self.rows[places[-1]]
            end = last.byte + self.length(last.data + b"\n")
            whole = len(self.data) & ~1 if self.encoding else len(self.data)
            found.append((first.byte, min(end, whole) - first.byte))
        return found

    def _holds(self, node: Node, places: list[int], exact_case: bool, now_ns: int) -> bool:
        if isinstance(node, Everything):
            return True
        if isinstance(node, Not):
            return not self._holds(node.child, places, exact_case, now_ns)
        if isinstance(node, And):
            return all(self._holds(child, places, exact_case, now_ns) for child in node.children)
        if isinstance(node, Or):
            return any(self._holds(child, places, exact_case, now_ns) for child in node.children)
        if isinstance(node, Text):
            return any(oracle.matches(node, self.rows[place].data, exact_case=exact_case) for place in places)
        if node.name.startswith("@"):
            return any(oracle_fields.holds(node, self.rows[place].data, exact_case=exact_case) for place in places)
        if node.name == "level":
            return _is_between(node, self.rows[places[0]].level, now_ns)
        if node.name == "time":
            return _is_between(node, self.time_ns(places[0]), now_ns)
        return self._is_chosen(node, exact_case, now_ns)

    def _is_chosen(self, wanted: Filter, exact_case: bool, now_ns: int) -> bool:
        name = self.path.rpartition("/")[2]
        if wanted.name in ("size", "modified", "received"):
            assert wanted.name == "size", "the tests draw no others"
            return _is_between(wanted, self.size, now_ns)
        assert wanted.value is not None
        if wanted.name == "path":
            return _names(wanted.value, f"{self.agent}/{self.path}", wanted.comparison == "=", exact_case)
        stem, dot, ending = name.rpartition(".")
        of = {"agent": self.agent, "file": name, "ext": ending if dot and stem else ""}[wanted.name]
        return _names(wanted.value, of, True, exact_case)


def _kind(row: Row) -> str:
    text = row.data.decode("latin-1")
    indented = text[:1] in ("", " ", "\t", "\r")
    if indented and row.own_ns is not None and row.stamp_at <= 4:
        return "timed"
    if indented or text.startswith(CONTINUING):
        return "continuing"
    if row.own_ns is not None:
        return "timed"
    return "plain" if row.level is None else "levelled"


def _names(value: Value, text: str, whole: bool, exact_case: bool) -> bool:
    assert not isinstance(value, Regex), "the tests draw none"
    parts = (value.text,) if isinstance(value, Literal) else value.parts
    pattern = "".join(".*" if p is Wild.RUN else "." if p is Wild.ONE else re.escape(str(p)) for p in parts)
    flags = 0 if exact_case else re.IGNORECASE
    return (re.fullmatch if whole else re.search)(pattern, text, flags) is not None


def _is_between(wanted: Filter, number: int | None, now_ns: int) -> bool:
    if number is None:
        return False
    low, high = (_span(wanted.name, value, now_ns) for value in (wanted.value, wanted.high))
    if wanted.comparison == "..":
        return (low is None or number >= low[0]) and (high is None or number < high[1])
    assert low is not None
    return {
        "": low[0] <= number < low[1], "=": low[0] <= number < low[1],
        ">": number >= low[1], ">=": number >= low[0], "<": number < low[0], "<=": number < low[1],
    }[wanted.comparison]  # fmt: skip


def _span(name: str, value: Value | None, now_ns: int) -> tuple[int, int] | None:
    if value is None:
        return None
    assert isinstance(value, Literal)
    text = value.text
    if name == "size":
        return int(text), int(text) + 1
    if name == "level":
        rank = oracle_levels.RANK_OF[text.lower()]
        return rank, rank + 1
    if ago := re.fullmatch(r"now-([0-9]+)([smhd])", text):
        low = now_ns - int(ago[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[ago[2]] * NS
        return low, low + 1
    if re.fullmatch(r"[0-9]{2}(:[0-9]{2}){1,2}", text):  # of today
        text = f"{datetime.datetime.fromtimestamp(now_ns // NS, datetime.UTC):%Y-%m-%d}T{text}"
    parts = [int(part) for part in re.split(r"[-T:]", text)]
    year, month, *rest = parts
    day, hour, minute, second = rest + [0] * (4 - len(rest))
    start = datetime.datetime(year, month, day or 1, hour, minute, second, tzinfo=datetime.UTC)
    seconds = (86400 * calendar.monthrange(year, month)[1], 86400, 3600, 60, 1)[len(rest)]
    low = int(start.timestamp()) * NS
    return low, low + seconds * NS


__all__ = ["File", "Row"]
