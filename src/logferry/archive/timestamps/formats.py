"""The timestamps that logs really carry: one table, which the reference reads and the documentation shows.

A pattern is tried at one position of a line. Its groups are named: ``y`` year, ``m`` month (a number or a name), ``d``
day, ``H M S f`` the time of day, ``p`` AM or PM, ``z`` the zone, ``a b c`` numbers of a date whose order the file tells
(``logferry.archive.timestamps.orders``). Optional parts are possessive: what can be read as part of a timestamp is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

END = r"(?![0-9A-Za-z_])"
_SEPARATOR = r"(?>[Tt :\t-]|, ?)"
# A comma also separates columns: only groups of three digits behind it are a fraction.
_FRACTION = r"(?P<f>\.[0-9]{1,9}(?![0-9])|,(?:[0-9]{9}|[0-9]{6}|[0-9]{3})(?![0-9])|:[0-9]{3}(?![0-9]))"
_MERIDIEM = rf"(?: ?(?P<p>[AaPp])[Mm]{END})?+"
_OFFSET = r"[+-](?:0[0-9]|1[0-5])"
ZONE = rf"(?:(?P<z>[Zz]{END}| ?{_OFFSET}:?[0-5][0-9]{END}| ?(?:UTC|GMT)(?![0-9A-Za-z_+-])|{_OFFSET}{END}))?+"
_MINUTES = r"(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})"
_CLOCK = rf"{_MINUTES}:(?P<S>[0-9]{{2}})(?:{_FRACTION})?+{_MERIDIEM}"
_SHORT_CLOCK = rf"{_MINUTES}(?::(?P<S>[0-9]{{2}})(?:{_FRACTION})?+)?+{_MERIDIEM}"
_MONTH = r"(?P<m>(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))"
_YEAR = r"(?P<y>[0-9]{4})"
_TWO = "[0-9]{2}"
_ONE_OR_TWO = "[0-9]{1,2}"
# A year behind the time, as ctime writes it, perhaps with the name of a zone before it: UTC and GMT alone say one.
_YEAR_BEHIND = rf"(?:(?: [A-Z]{{3,4}})?+ (?P<y>(?:199|20[0-9])[0-9]){END})?+"

WEEKDAY = r"(?i:mon|tue|wed|thu|fri|sat|sun),? "


class Place(Enum):
    """Where in a line a format is recognised."""

    ANYWHERE = "anywhere"
    START = "at the start of the line"
    MARKED = "at the start of the line or behind a known key"


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a time. ``examples``: text, and its time in UTC when it arrives on 2026-11-26 at noon."""

    name: str
    pattern: re.Pattern[bytes]
    place: Place
    examples: tuple[tuple[str, str], ...]


def _format(name: str, pattern: str, *examples: tuple[str, str], place: Place = Place.ANYWHERE) -> Format:
    return Format(name, re.compile((pattern + END).encode()), place, examples)


_MORNING = "2026-11-26T07:15:00Z"

FORMATS: tuple[Format, ...] = (
    _format(
        "year first (ISO 8601, RFC 3339, RFC 5424, Python, Java, Go, nginx, PostgreSQL)",
        rf"{_YEAR}(?P<sep>[-/.])(?P<m>{_TWO})(?P=sep)(?P<d>{_TWO}){_SEPARATOR}{_SHORT_CLOCK}{ZONE}",
        ("2026-11-26T07:15:00Z", _MORNING),
        ("2026-11-26T08:15:00.123456789+01:00", "2026-11-26T07:15:00.123456789Z"),
        ("2026-11-26 07:15:00,123", "2026-11-26T07:15:00.123Z"),
        ("2026-11-26 08:15:00.5+01", "2026-11-26T07:15:00.5Z"),
        ("2026-11-26 02:15:00 -0500", _MORNING),
        ("2026-11-26 07:15:00 UTC", _MORNING),
        ("2026-11-26 07:15", _MORNING),
        ("2026/11/26 07:15:00", _MORNING),
        ("2026.11.26 07:15:00", _MORNING),
    ),
    _format(
        "basic form of ISO 8601",
        rf"{_YEAR}(?P<m>{_TWO})(?P<d>{_TWO})T(?P<H>{_TWO})(?P<M>{_TWO})(?P<S>{_TWO})(?:{_FRACTION})?+{ZONE}",
        ("20261126T071500Z", _MORNING),
        ("20261126T081500.25+0100", "2026-11-26T07:15:00.25Z"),
    ),
    _format(
        "date without separators (FIX)",
        rf"{_YEAR}(?P<m>{_TWO})(?P<d>{_TWO})[T -]{_CLOCK}{ZONE}",
        ("20261126-07:15:00.123", "2026-11-26T07:15:00.123Z"),
        ("20261126 07:15:00", _MORNING),
    ),
    _format(
        "six digits and six digits (HDFS)",
        rf"(?P<y>{_TWO})(?P<m>{_TWO})(?P<d>{_TWO}) (?P<H>{_TWO})(?P<M>{_TWO})(?P<S>{_TWO})",
        ("261126 071500", _MORNING),
        place=Place.START,
    ),
    _format(
        "six digits and a time (MySQL 5.6 and before)",
        rf"(?P<y>{_TWO})(?P<m>{_TWO})(?P<d>{_TWO}) {{1,2}}{_CLOCK}",
        ("261126  7:15:00", _MORNING),
        place=Place.START,
    ),
    _format(
        "numbers, year last (Windows, Suricata); the file tells whether the day or the month is first",
        rf"(?P<a>{_ONE_OR_TWO})(?P<sep>[/-])(?P<b>{_ONE_OR_TWO})(?P=sep)(?P<c>[0-9]{{4}}){_SEPARATOR}{_SHORT_CLOCK}{ZONE}",
        ("11/26/2026 7:15:00 AM", _MORNING),
        ("11/26/2026-07:15:00.123456", "2026-11-26T07:15:00.123456Z"),
        ("26/11/2026 07:15:00", _MORNING),
        ("26-11-2026 07:15:00", _MORNING),
    ),
    _format(
        "numbers with dots, day first",
        rf"(?P<d>{_ONE_OR_TWO})\.(?P<m>{_ONE_OR_TWO})\.{_YEAR}{_SEPARATOR}{_SHORT_CLOCK}{ZONE}",
        ("26.11.2026 07:15:00", _MORNING),
        ("6.11.2026, 07:15:00", "2026-11-06T07:15:00Z"),
    ),
    _format(
        "three pairs of digits (Spark, DHCP of Windows); the file tells their order",
        rf"(?P<a>{_TWO})/(?P<b>{_TWO})/(?P<c>{_TWO}){_SEPARATOR}{_CLOCK}{ZONE}",
        ("26/11/26 07:15:00", _MORNING),
        ("11/25/26,07:15:00", "2026-11-25T07:15:00Z"),
    ),
    _format(
        "month and day (Android)",
        rf"(?P<m>{_TWO})-(?P<d>{_TWO}) {_CLOCK}{ZONE}",
        ("11-26 07:15:00.123", "2026-11-26T07:15:00.123Z"),
    ),
    _format(
        "day, name of the month, year (CLF, Apache and nginx access logs, Tomcat, BIND, mail)",
        rf"(?P<d>{_ONE_OR_TWO})(?P<sep>[/ -]){_MONTH}(?P=sep){_YEAR}{_SEPARATOR}{_CLOCK}{ZONE}",
        ("26/Nov/2026:07:15:00 +0000", _MORNING),
        ("26-Nov-2026 07:15:00.123", "2026-11-26T07:15:00.123Z"),
        ("Thu, 26 Nov 2026 02:15:00 -0500", _MORNING),
    ),
    _format(
        "day and name of the month (Redis)",
        rf"(?P<d>{_ONE_OR_TWO}) {_MONTH} {_CLOCK}{ZONE}",
        ("26 Nov 07:15:00.123", "2026-11-26T07:15:00.123Z"),
    ),
    _format(
        "name of the month, day, time, perhaps a year (syslog RFC 3164, ctime, Apache error log)",
        rf"{_MONTH} {{1,2}}(?P<d>{_ONE_OR_TWO}),? {_CLOCK}{ZONE}{_YEAR_BEHIND}",
        ("Nov 26 07:15:00", _MORNING),
        ("Nov  6 07:15:00", "2026-11-06T07:15:00Z"),
        ("Dec 31 23:59:59", "2025-12-31T23:59:59Z"),
        ("Thu Nov 26 07:15:00.123456 2026", "2026-11-26T07:15:00.123456Z"),
        ("Thu Nov 26 07:15:00 UTC 2026", _MORNING),
    ),
    _format(
        "name of the month, day, year (Cisco, java.util.logging)",
        rf"{_MONTH} {{1,2}}(?P<d>{_ONE_OR_TWO}),? {_YEAR},? {_CLOCK}{ZONE}",
        ("Nov 26 2026 07:15:00", _MORNING),
        ("Nov 26, 2026 7:15:00 AM", _MORNING),
    ),
    _format(
        "klog and glog (Kubernetes)",
        rf"[DEFIW](?P<m>{_TWO})(?P<d>{_TWO}) (?P<H>{_TWO}):(?P<M>{_TWO}):(?P<S>{_TWO})(?P<f>\.[0-9]{{1,9}})",
        ("I1126 07:15:00.123456", "2026-11-26T07:15:00.123456Z"),
    ),
    _format(
        "seconds since 1970, perhaps with a fraction; milliseconds, microseconds, nanoseconds",
        r"(?P<epoch>[0-9]{10})(?:\.(?P<f>[0-9]{1,9})(?![0-9])|(?P<more>(?>[0-9]{9}|[0-9]{6}|[0-9]{3})))?+(?!-|\.[0-9])",
        ("1795677300", _MORNING),
        ("1795677300.123", "2026-11-26T07:15:00.123Z"),
        ("1795677300123", "2026-11-26T07:15:00.123Z"),
        ("1795677300123456", "2026-11-26T07:15:00.123456Z"),
        ("1795677300123456789", "2026-11-26T07:15:00.123456789Z"),
        place=Place.MARKED,
    ),
)

KEYS: tuple[bytes, ...] = (
    b"ts",
    b"t",
    b"@t",
    b"time",
    b"_time",
    b"timestamp",
    b"@timestamp",
    b"datetime",
    b"date",
    b"created",
    b"asctime",
    b"eventtime",
    b"event_time",
    b"event_timestamp",
    b"log_time",
    b"logtime",
    b"time_local",
    b"time_iso8601",
    b"audit",
    b"msec",
    b"source_realtime_timestamp",
    b"__realtime_timestamp",
)
"""Names of fields that hold a line's time, in lower case, for JSON (``"ts": …``), logfmt (``ts=…``) and ``audit(…``."""

RELATIVE = re.compile(rb"\[ *[0-9]{1,9}\.[0-9]{1,9}\]")
"""Time since a machine was started, as the kernel writes it at the start of a line: no time of day can be told."""
PRIORITY = re.compile(rb"<[0-9]{1,3}>")
"""What syslog writes before everything else."""
