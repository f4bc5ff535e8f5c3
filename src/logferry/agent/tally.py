"""Counts since the start: what went wrong, by kind, and how often everything was looked at."""

from __future__ import annotations

import re
import threading
from collections import Counter

from logferry.errors import LogferryError

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


class Tally:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: Counter[str] = Counter()
        self.looks = 0
        """Looks at everything."""

    def failed(self, error: LogferryError) -> None:
        """Something did not work."""
        with self._lock:
            self._errors[kind_of(error)] += 1

    def errors(self) -> dict[str, int]:
        """Kind of error -> how often."""
        with self._lock:
            return dict(sorted(self._errors.items()))


def kind_of(error: LogferryError) -> str:
    """``NotSignedIn`` -> ``not_signed_in``."""
    return _CAPITAL.sub("_", type(error).__name__).lower()
