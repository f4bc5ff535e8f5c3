"""How long to rest between two looks at everything. Pure."""

from __future__ import annotations

from logferry.limits import SCAN_CPU_SHARE, SCAN_WATCHED_CPU_SHARE, SCAN_WATCHED_S_MAX


def rest_s(cost_s: float, *, interval_s: float, watched: bool) -> float:
    """Seconds until the next look, after one that took ``cost_s`` seconds of CPU time.

    At least ``interval_s``, longer where a look costs much. Where every folder is ``watched`` the look only finds what
    the watcher missed, which is next to nothing: there it takes next to no share of a core, but is never put off for
    longer than ``SCAN_WATCHED_S_MAX`` because of that.
    """
    rest = max(interval_s, cost_s / SCAN_CPU_SHARE)
    if watched:
        rest = max(rest, min(cost_s / SCAN_WATCHED_CPU_SHARE, SCAN_WATCHED_S_MAX))
    return rest
