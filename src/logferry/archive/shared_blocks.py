"""One bound for what all open indexes of an archive have expanded, however many are open and whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any

from logferry.archive.index.blockcache import BlockCache


class SharedBlocks(BlockCache):
    """Thread-safe. Blocks are expanded outside of its lock."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(bytes_max)
        self._lock = threading.Lock()

    def known(self, name: Hashable) -> Any:
        """See ``BlockCache``."""
        with self._lock:
            return super().known(name)

    def keep(self, name: Hashable, made: Any, beside: int = 0) -> None:
        """See ``BlockCache``."""
        with self._lock:
            super().keep(name, made, beside)
