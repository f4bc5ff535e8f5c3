"""Interrupted uploads nobody came back for: thrown away in passing, in folders that are listed or uploaded to.

There is no thread for it and no walk over the home: a folder is looked through at most once in FTP_SWEEP_S, by whoever
comes there. What lies where nobody ever comes again stays.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict

from logferry.clock import SYSTEM, Clock
from logferry.ftp.local_upload import is_partial, remove_idle_partial
from logferry.limits import FTP_SWEEP_ENTRIES_MAX, FTP_SWEEP_FOLDERS_MAX, FTP_SWEEP_S, PARTIAL_S_MAX

log = logging.getLogger("logferry.ftp")


class Sweeper:
    """Sweeps folders now and then. Safe from all threads: at worst a folder is swept twice."""

    def __init__(self, *, clock: Clock = SYSTEM, folders_max: int = FTP_SWEEP_FOLDERS_MAX) -> None:
        self._clock = clock
        self._folders_max = folders_max
        self._swept_s: OrderedDict[tuple[str, bytes], float] = OrderedDict()

    def pass_by(self, home: str, path: bytes, folder: int) -> None:
        """Somebody has opened ``folder``, which is ``path`` in ``home``: sweep it, unless that was done lately."""
        key = (home, path)
        now = self._clock.monotonic_s()
        swept_s = self._swept_s.get(key)
        if swept_s is not None and now - swept_s < FTP_SWEEP_S:
            return
        self._swept_s[key] = now
        if len(self._swept_s) > self._folders_max:
            self._swept_s.pop(next(iter(self._swept_s)), None)
        try:
            _sweep(folder, self._clock.now_ns() - int(PARTIAL_S_MAX * 1e9))
        except OSError as error:
            # Nobody has asked for it: whoever passes by goes on.
            log.debug("left-over uploads are not looked for: %s", error)


def _sweep(folder: int, before_ns: int) -> None:
    """Remove partials last written to before ``before_ns``, but for those in use. Raises OSError."""
    old: list[bytes] = []
    with os.scandir(folder) as found:
        for count, entry in enumerate(found):
            if count >= FTP_SWEEP_ENTRIES_MAX:
                break
            name = os.fsencode(entry.name)
            if is_partial(name) and entry.stat(follow_symlinks=False).st_mtime_ns < before_ns:
                old.append(name)
    for name in old:
        if remove_idle_partial(folder, name):
            log.info("the rest of an upload that was broken off long ago is removed: %r", name)
