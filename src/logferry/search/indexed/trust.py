"""Whether the times in an index are those that a search reads in the text of a generation today.

They may differ: where dates do not tell their year or the order of their numbers, the rest of the file and its last
arrival decide, and it may have grown since it was sealed. So the two are compared, at the beginning and at the end of
what a segment has of the generation, before a granule is left out or counted by its times. An index that took times for
those of another zone than the agent's is no witness at all.
"""

from __future__ import annotations

import numpy as np

from logferry.archive import Archive
from logferry.archive.index.timecolumn import seconds_of
from logferry.errors import LogferryError
from logferry.search.filters import Candidate
from logferry.search.indexed.view import I64, View
from logferry.search.linefacts import facts_of
from logferry.search.scan.lines import Lines


def agree(archive: Archive, view: View, file: Candidate, zone: str) -> bool:
    """Whether they are the same, as far as a sample shows. What cannot be read does not agree. ``zone``: the agent's.

    Raises:
        Damaged: the index is.
    """
    if view.segment.zone != zone:
        return False
    runs = np.flatnonzero((view.generation == file.generation_id) & view.is_plain)
    if not len(runs):
        return False
    known = view.trusted.get(file.generation_id)
    if known is not None and known[0] == file.changed_ns:
        return known[1]
    samples: list[tuple[int, I64]] = []
    try:
        with archive.open(file.generation_id) as reader:
            facts = facts_of(archive, file, reader, None)
            for run in {int(runs[0]), int(runs[-1])}:
                lines = Lines(view.content(run))
                samples.append((run, seconds_of(facts.times(lines.data, lines.starts, lines.ends).times)))
    except (LogferryError, OSError):  # it is named when it is searched
        return False
    same = all(np.array_equal(read, _seconds(view, run, len(read))) for run, read in samples)
    view.trusted[file.generation_id] = (file.changed_ns, same)
    return same


def _seconds(view: View, run: int, rows: int) -> I64:
    granule = int(view.granule[run])
    with view.lock:
        seconds = view.index.row_seconds(granule)
    first = int(view.runs.rows[run] - view.runs.rows[view.runs.granules[granule]])
    return seconds[first : first + rows]
