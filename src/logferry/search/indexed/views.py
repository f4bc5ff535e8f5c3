"""The views of all segments that were searched lately."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace

from logferry.archive import Archive
from logferry.archive.catalog.sealing import HeldExtent
from logferry.archive.shared_blocks import SharedBlocks
from logferry.errors import Damaged, NotFound
from logferry.limits import SEARCH_ANSWERS_BYTES_MAX, SEARCH_LEVELS_BYTES_MAX, SEARCH_SEGMENTS_KEPT
from logferry.search.indexed.view import View
from logferry.search.snapshot import Snapshot


class Views:
    """Of one archive. Thread-safe."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._answers = SharedBlocks(SEARCH_ANSWERS_BYTES_MAX)
        self._levels = SharedBlocks(SEARCH_LEVELS_BYTES_MAX)
        self._kept: OrderedDict[int, tuple[str, tuple[HeldExtent, ...], View]] = OrderedDict()

    def of(self, snapshot: Snapshot, segment_id: int) -> View | None:
        """A segment as the snapshot has it; None: its bytes have to be read, its index is of no use.

        Raises:
            Damaged: the index is, as is noted; the next time there is none.
        """
        name, extents = snapshot.indexes[segment_id], snapshot.held[segment_id]
        with self._lock:
            known = self._kept.get(segment_id)
            if known is not None and known[0] == name and (known[1] is extents or known[1] == extents):
                self._kept[segment_id] = (name, extents, known[2])
                self._kept.move_to_end(segment_id)
                return known[2] if known[2].is_tiled else None
        found = self._archive.indexed(segment_id)
        if found is None:
            return None
        try:
            view = View(replace(found, extents=extents), self._answers, self._levels)
        except (Damaged, NotFound) as error:
            found.distrust(error)
            raise
        with self._lock:
            self._kept[segment_id] = (name, extents, view)
            while len(self._kept) > SEARCH_SEGMENTS_KEPT:
                self._kept.popitem(last=False)
        return view if view.is_tiled else None

    def forget_answers(self) -> None:
        """Nothing is remembered of what was asked."""
        with self._lock:
            for _, _, view in self._kept.values():
                view.forget_answers()

    def forget(self, segment_id: int) -> None:
        """Its index is damaged."""
        with self._lock:
            self._kept.pop(segment_id, None)
