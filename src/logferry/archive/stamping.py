"""Timestamps for the index: those of each file by what is known of it."""

from __future__ import annotations

from collections.abc import Callable

from logferry.archive.index.stamps import I32, Stamps
from logferry.archive.index.words import U8
from logferry.archive.timestamps import Evidence, LineTimes, Reading


class FileStamps:
    """A ``StampFinder``. It keeps something only of files with dates whose order the file itself tells."""

    def __init__(self, reading_of: Callable[[str], Reading]) -> None:
        """``reading_of``: when the generation of this uid arrived, and its zone. The same answers, the same index."""
        self._reading_of = reading_of
        self._evidence: dict[str, Evidence] = {}
        self._uid = ""
        self._times: LineTimes | None = None
        """Of the generation that was asked for last."""

    def __call__(self, uid: str, data: U8, starts: I32, ends: I32, /) -> Stamps:
        """The timestamps of consecutive lines ``data[starts[i]:ends[i]]`` of one generation."""
        if self._times is None or uid != self._uid:
            self._uid, self._times = uid, LineTimes(self._reading_of(uid), self._evidence.get(uid))
        found = self._times(data, starts, ends)
        if uid not in self._evidence and self._times.evidence.counts.any():
            self._evidence[uid] = self._times.evidence
        return Stamps(found.starts, found.ends, found.times)
