"""When each line of a log was written: timestamps recognised in bytes. Pure: bytes in, numbers out.

``LineTimes`` reads the lines of one file; numba is imported for it alone. What it takes for a time:
``formats.FORMATS``, docs/reference/timestamps.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from logferry.archive.timestamps.orders import Evidence
from logferry.archive.timestamps.reading import NO_TIME, UTC, Reading, Zone, rules_of

if TYPE_CHECKING:
    from logferry.archive.timestamps.times import LineTimes, Times

__all__ = ["NO_TIME", "UTC", "Evidence", "LineTimes", "Reading", "Times", "Zone", "rules_of"]


def __getattr__(name: str) -> Any:
    """Import what is compiled only when it is asked for."""
    if name not in ("LineTimes", "Times"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.times"), name)
