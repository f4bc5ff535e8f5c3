"""What searches remember of bytes that are in no segment yet: the lines that came lately, and which of them matched.

Such bytes have no index, and while agents deliver they grow from one search to the next. A generation's bytes only
grow, so that what was looked through once never has to be again: each search reads what came since.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from logferry.archive.shared_blocks import SharedBlocks
from logferry.limits import UNSEALED_FOUND_BYTES_MAX, UNSEALED_PLAIN_MAX, UNSEALED_TEXT_BYTES_MAX
from logferry.search.query import Node
from logferry.search.query.nodes import held_bytes
from logferry.search.scan import Match, Source
from logferry.search.scan.lines import Lines, Matching

I32 = npt.NDArray[np.int32]
_OWN_BYTES = 300
"""What Python's own objects take beside arrays."""


def _none() -> I32:
    return np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Seen:
    """The lines that match among those that start in ``start <= x < until``; there, at ``until``, a line begins.

    ``firsts``, ``ends``: where they begin and end, without line end, counted from ``start``. ``rows``: line ends
    between ``start`` and each, of ``row_count`` in all.
    """

    start: int
    until: int
    row_count: int = 0
    firsts: I32 = field(default_factory=_none)
    ends: I32 = field(default_factory=_none)
    rows: I32 = field(default_factory=_none)

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self.firsts.nbytes + self.ends.nbytes + self.rows.nbytes + _OWN_BYTES

    def also(self, lines: Lines, marks: npt.NDArray[np.bool_], length: int) -> Seen:
        """And the whole ``lines`` behind, of so many bytes, of which those marked match."""
        base, found = self.until - self.start, np.flatnonzero(marks).astype(np.int32)
        if not len(found):
            return Seen(self.start, self.until + length, self.row_count + len(lines), self.firsts, self.ends, self.rows)
        return Seen(
            self.start,
            self.until + length,
            self.row_count + len(lines),
            np.concatenate((self.firsts, lines.starts[found] + np.int32(base))),
            np.concatenate((self.ends, lines.ends[found] + np.int32(base))),
            np.concatenate((self.rows, found + np.int32(self.row_count))),
        )

    def matches(self, *, newest_first: bool) -> Iterator[Match]:
        """They, in the order asked for."""
        step = -1 if newest_first else 1
        for at in range(0, len(self.firsts), 256):
            piece = slice(at, at + 256)
            found = zip(
                self.firsts[::step][piece].tolist(), self.ends[::step][piece].tolist(),
                self.rows[::step][piece].tolist(), strict=True,
            )  # fmt: skip
            for first, end, row in found:
                yield Match(self.start + first, self.start + end, row)


@dataclass(frozen=True, slots=True)
class _Text:
    """Whole lines that were read, and how many bytes they are."""

    lines: Lines
    length: int

    @property
    def nbytes(self) -> int:
        """The memory that they take, in lower case too."""
        return 3 * self.length + self.lines.starts.nbytes + self.lines.ends.nbytes + _OWN_BYTES


class Unsealed:
    """Of one archive. Thread-safe."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As if nobody had looked at anything."""
        self._found = SharedBlocks(UNSEALED_FOUND_BYTES_MAX)
        self._texts = SharedBlocks(UNSEALED_TEXT_BYTES_MAX)
        self._plain = SharedBlocks(UNSEALED_PLAIN_MAX)

    def is_plain(self, generation_id: int) -> bool:
        """Whether it is known to be text as it stands: neither compressed nor UTF-16."""
        return self._plain.known(generation_id) is not None

    def is_now_plain(self, generation_id: int) -> None:
        """From now on that is known."""
        self._plain.keep(generation_id, _One())

    def seen(
        self,
        generation_id: int,
        node: Node,
        matching: Matching,
        span: tuple[int, int],
        source: Callable[[], Source],
        check: Callable[[], None],
        *,
        exact_case: bool,
    ) -> Seen | None:
        """The lines that match among those that start in the span and end before its end. None: no line starts there.

        Args:
            node: asks for text alone.
            source: opens the generation, if it has to be read. It is text as it stands.
        """
        start, end = span
        key: Hashable = (generation_id, start, node, exact_case)
        kept: _Kept | None = self._found.known(key)
        found = None if kept is None else kept.seen
        if found is None:
            found = _begun(source, start, end) if start else Seen(0, 0)
            if found is None:
                return None
        if found.until > end:  # whoever looked there has seen more of it
            return _before(found, end)
        before = found
        while found.until < end:
            check()
            text = self._text(generation_id, found.until, end, source)
            if text is None:
                break
            found = found.also(text.lines, matching(text.lines, check), text.length)
        if found is not before:
            self._found.keep(key, _Kept(found, found.nbytes + held_bytes(node)))
        return found

    def _text(self, generation_id: int, at: int, end: int, source: Callable[[], Source]) -> _Text | None:
        """Whole lines from ``at`` on that end before ``end``, some at least; None where none does."""
        key = generation_id, at
        found: _Text | None = self._texts.known(key)
        if found is not None and at + found.length <= end:
            return found
        data = source().read_at(at, end - at)
        length = data.rfind(b"\n") + 1
        if not length:
            return None
        made = _Text(Lines(data[:length]), length)
        self._texts.keep(key, made)
        return made


@dataclass(frozen=True, slots=True)
class _Kept:
    """With the memory that it takes, the query it stands for included."""

    seen: Seen
    nbytes: int


@dataclass(frozen=True, slots=True)
class _One:
    nbytes: int = 1


def _begun(source: Callable[[], Source], start: int, end: int) -> Seen | None:
    """From the first line on that starts at ``start`` or behind it."""
    newline = source().read_at(start - 1, end - start + 1).find(b"\n")
    if newline < 0 or start + newline >= end:
        return None
    return Seen(start, start + newline, 1 if newline else 0)


def _before(found: Seen, end: int) -> Seen:
    """Of what was found before a later place, the lines that start before this one."""
    count = int(np.searchsorted(found.firsts, end - found.start))
    return Seen(found.start, end, found.row_count, found.firsts[:count], found.ends[:count], found.rows[:count])
