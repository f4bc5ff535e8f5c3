"""The progress of many files on one line: bar, bytes, rate, time left, the file that moves. On a terminal only."""

from __future__ import annotations

import os
import sys
import threading
import time
import unicodedata
from collections import deque

from logferry.cli import text
from logferry.ftp import ManyProgress

_STEP_S = 0.1
"""How often the line is drawn again."""
_WINDOW_S = 5.0
"""The rate is that of the last seconds."""
_BAR_COLUMNS = 20


class Bar:
    """Give it to ``upload_many`` and the like as ``progress``; ``clear`` before anything else is printed."""

    def __init__(self) -> None:
        self._line = text.Progress()
        self._on = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._drawn_s = 0.0
        self._past: deque[tuple[float, int]] = deque()

    def __call__(self, progress: ManyProgress) -> None:
        """Draw, when it is time."""
        if not self._on:
            return
        with self._lock:
            now = time.monotonic()
            if now - self._drawn_s < _STEP_S:
                return
            self._drawn_s = now
            self._past.append((now, progress.bytes_done))
            while self._past[0][0] < now - _WINDOW_S and len(self._past) > 2:
                self._past.popleft()
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
            self._line.show(drawn(progress, self._rate(), columns - 1))

    def _rate(self) -> float:
        (first_s, first), (last_s, last) = self._past[0], self._past[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0

    def clear(self) -> None:
        """Take the line away."""
        with self._lock:
            self._line.clear()


def drawn(progress: ManyProgress, rate_bytes_s: float, columns: int) -> str:
    """The line, ``columns`` wide at most: what matters least is left out where the terminal is narrow."""
    whole = progress.bytes or 1
    share = min(1.0, progress.bytes_done / whole) if progress.bytes else progress.files_done / max(1, progress.files)
    full = round(share * _BAR_COLUMNS)
    parts = [f"{int(share * 100):3} %"]
    if progress.files > 1:
        parts.append(f"{progress.files_done:,}/{progress.files:,} files")
    parts.append(f"{text.size(progress.bytes_done)} of {text.size(progress.bytes)}")
    if rate_bytes_s > 0:
        parts.append(f"{text.size(round(rate_bytes_s))}/s")
        parts.append(f"{text.duration((progress.bytes - progress.bytes_done) / rate_bytes_s)} left")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    while len(parts) > 1 and len("  ".join(parts)) > columns:
        parts.pop()
    line = "  ".join(parts)
    bar = f"[{'#' * full}{'.' * (_BAR_COLUMNS - full)}]  "
    if len(bar) + len(line) <= columns:
        line = bar + line
    left = columns - len(line) - 2
    return f"{line}  {shortened(progress.name, left)}" if left >= 8 else line[:columns]


def shortened(name: str, columns: int) -> str:
    """The end of a name, which tells files apart, in so many columns; wide characters take two."""
    shown = text.line(name)
    if _columns(shown) <= columns:
        return shown
    while shown and _columns(shown) > columns - 1:
        shown = shown[1:]
    return f"…{shown}"


def _columns(shown: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in shown)
