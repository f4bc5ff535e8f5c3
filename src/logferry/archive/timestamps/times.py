"""Times of a file's lines, as its bytes come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logferry.archive.timestamps.formats import KEYS
from logferry.archive.timestamps.kernel import I32, I64, U8, read_lines
from logferry.archive.timestamps.orders import Evidence
from logferry.archive.timestamps.reading import Reading

_KEYS = np.frombuffer(b"".join(KEYS), np.uint8)
_KEY_ENDS = np.cumsum([len(key) for key in KEYS], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Times:
    """One item per line. ``times``: nanoseconds since 1970, ``NO_TIME`` where there is none. The timestamp of a line
    is ``data[starts[i]:ends[i]]``, empty where there is none.
    """

    times: I64
    starts: I32
    ends: I32


class LineTimes:
    """Reads the times of one file. It remembers what the file told of the order of its dates: give it in order."""

    def __init__(self, reading: Reading, evidence: Evidence | None = None) -> None:
        self.evidence = Evidence.none() if evidence is None else evidence
        zone = reading.zone
        self._breaks, self._offsets = np.asarray(zone.breaks_s, np.int64), np.asarray(zone.offsets_s, np.int64)
        self._known = np.array((reading.last_ns, reading.arrival_ns, reading.arrival_year), np.int64)

    def __call__(self, data: bytes | U8, starts: npt.ArrayLike, ends: npt.ArrayLike) -> Times:
        """The times of the lines ``data[starts[i]:ends[i]]``, line ends left out.

        Raises ValueError where a line does not lie in the data.
        """
        text = np.frombuffer(data, np.uint8)
        text.flags.writeable = False  # one kind of array, one compiled kernel
        first = np.ascontiguousarray(starts, np.int32)
        last = np.ascontiguousarray(ends, np.int32)
        if len(first) != len(last) or (len(first) and (first.min() < 0 or last.max() > len(text))):
            raise ValueError("a line lies outside its data")
        if (first > last).any():
            raise ValueError("a line ends before it starts")
        found = Times(np.empty(len(first), np.int64), np.empty(len(first), np.int32), np.empty(len(first), np.int32))
        read_lines(
            text,
            first,
            last,
            _KEYS,
            _KEY_ENDS,
            self._known,
            self._breaks,
            self._offsets,
            self.evidence.counts,
            found.times,
            found.starts,
            found.ends,
        )
        return found
