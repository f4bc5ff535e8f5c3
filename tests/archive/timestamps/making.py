"""Random lines with timestamps of every format, with what nearly is one, and damaged in every way."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from logferry.archive.timestamps.formats import FORMATS, KEYS

EXAMPLES = [text for form in FORMATS for text, _ in form.examples]
NEARLY = [
    "10.20.26.11",
    "192.168.100.200:8080",
    "2001:db8::2026:11:26",
    "v1.2.3-rc4",
    "2026.11.26",
    "2026-11-26",
    "07:15:00.123",
    "2026-02-29 07:15:00",
    "2024-02-29 07:15:00",
    "Feb 29 07:15:00",
    "29/Feb/2023:00:00:00 +0000",
    "2026-11-26 24:00:00",
    "2016-12-31T23:59:60Z",
    "2026-11-26 07:15:60",
    "0000-00-00 00:00:00",
    "9999-12-31 23:59:59",
    "1989-12-31 23:59:59",
    "2026-11-28 11:59:59",
    "2026-11-28 12:00:01",
    "Thu Nov 26 07:15:00 CEST 2026",
    "Thu Nov 26 07:15:00 2186",
    "Thu, Nov 26",
    "Sat Sun Mon",
    "Marching may decide",
    "99999999999999999999999",
    "9999999999",
    "9223372036854775808",
    "1795677300.1234567890",
    "1795677300-1",
    "05/06/2026 07:15:00",
    "13-06-2026 07:15:00",
    "12/11/10 09:08:07",
    "[12345.678901]",
    "[    0.000000]",
    "[1.2.3]",
    "UTC+02:00",
    "2026-11-26 07:15:00 UTC+2",
    "2026-11-26T07:15:00+16:00",
    "2026-11-26T07:15:00+01:99",
    "2026-11-26T07:15:00-00",
    "12:15:00 AM",
    "11/26/2026 12:15:00 am",
    "11/26/2026 13:15:00 PM",
    "11/26/2026 0:15 PM",
    "\x1b[1;32m",
    "\x1b[0m2026-11-26 07:15:00",
    "E1126 07:15:00.123",
    "W1399 07:15:00.123",
]
AROUND = [
    " ",
    "",
    "\t",
    "[",
    "]",
    '"',
    "'",
    "=",
    ":",
    ",",
    ", ",
    ".",
    "-",
    "/",
    "_",
    "(",
    ")",
    "<34>",
    "{",
    "}",
    "m",
    "é",
]
AROUND += [
    "ts=",
    '"ts":',
    '"time" : "',
    "TIME=",
    "xts=",
    "audit(",
    "t=",
    '{"msg":"',
    '{"@timestamp":"',
    '\\"ts\\":',
    "\ufeff",
    "\0",
    "é",
]


def line_of(rng: random.Random) -> bytes:
    """One line."""
    parts = []
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        if rng.random() < 0.3:
            parts.append("x" * rng.choice((1, 5, 60, 150, 190, 199)))
        parts += [rng.choice(AROUND) for _ in range(rng.choice((0, 1, 1, 2)))]
        if rng.random() < 0.2:
            parts.append(rng.choice(KEYS).decode() + rng.choice(("=", ":", '":', '": "', "(")))
        parts.append(rng.choice(_CHANGES)(rng, rng.choice(EXAMPLES if rng.random() < 0.7 else NEARLY)))
        parts += [rng.choice(AROUND) for _ in range(rng.choice((0, 1, 1, 2)))]
    line = "".join(parts).encode()
    if rng.random() < 0.1:
        at = rng.randrange(len(line) + 1)
        line = line[:at] + bytes([rng.randrange(256)]) + line[at + rng.randrange(2) :]
    return line[: rng.randrange(len(line) + 1)] if rng.random() < 0.1 else line


def _same(_rng: random.Random, text: str) -> str:
    return text


def _other_digits(rng: random.Random, text: str) -> str:
    return re.sub("[0-9]", lambda found: rng.choice("0123456789") if rng.random() < 0.25 else found[0], text)


def _other_numbers(rng: random.Random, text: str) -> str:
    """Pairs of digits become what days, months and hours may be, or hardly not."""
    return re.sub("[0-9]{2}", lambda found: f"{rng.randrange(33):02d}" if rng.random() < 0.3 else found[0], text)


def _other_count(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return (
        text[:at]
        + (rng.choice("0123456789 .,:+-/TZapAM") if rng.random() < 0.5 else "")
        + text[at + rng.randrange(2) :]
    )


def _other_case(_rng: random.Random, text: str) -> str:
    return text.swapcase()


def _other_end(rng: random.Random, text: str) -> str:
    ends = [
        "Z",
        "z",
        "+01:00",
        " +0530",
        "+02",
        " UTC",
        " GMT",
        " CET",
        " CET 2025",
        " UTC 2024",
        " 2023",
        " AM",
        "pm",
        ".5",
    ]
    ends += [",123", ",12", ":123", ".123456789", ".1234567890", ",123456", "-0800", " -08", "x", "_", ":", "-", "."]
    return text + rng.choice(ends) + (rng.choice(ends) if rng.random() < 0.3 else "")


_CHANGES: list[Callable[[random.Random, str], str]] = [
    _same,
    _other_digits,
    _other_numbers,
    _other_numbers,
    _other_count,
    _other_case,
    _other_end,
]
