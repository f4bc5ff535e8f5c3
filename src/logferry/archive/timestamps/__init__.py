"""When each line of a log was written: timestamps recognised in bytes. Pure: bytes in, numbers out.

``LineTimes`` reads the lines of one file. What it takes for a time: ``formats.FORMATS``, docs/reference/timestamps.md.
"""

from logferry.archive.timestamps.orders import Evidence
from logferry.archive.timestamps.reading import NO_TIME, UTC, Reading, Zone, rules_of
from logferry.archive.timestamps.times import LineTimes, Times

__all__ = ["NO_TIME", "UTC", "Evidence", "LineTimes", "Reading", "Times", "Zone", "rules_of"]
