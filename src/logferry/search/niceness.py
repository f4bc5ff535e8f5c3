"""Threads that let others go first."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

from logferry.limits import SEARCH_NICE


def be_nice() -> None:
    """Let this thread stand back behind others of the machine, where threads have priorities of their own (Linux)."""
    if sys.platform == "linux":
        # Not more than is allowed: it would only be slower for others.
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + SEARCH_NICE)
