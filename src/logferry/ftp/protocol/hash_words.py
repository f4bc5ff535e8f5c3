"""Hash algorithms by name, and what HASH, XCRC, XMD5, XSHA1 (also XSHA) and XSHA256 ask for."""

from __future__ import annotations

import re

from logferry.errors import Refused
from logferry.ftp.protocol import paths
from logferry.ftp.protocol.actions import HashRange

ALGORITHMS = ("SHA-256", "SHA-1", "MD5", "CRC32")
"""The names of draft-bryan-ftp-hash, the default first."""

X_COMMANDS = {"XCRC": "CRC32", "XMD5": "MD5", "XSHA1": "SHA-1", "XSHA256": "SHA-256"}
"""Older commands, each of one algorithm."""

_QUOTED = re.compile(r'"((?:[^"]|"")*)"(.*)', re.DOTALL)
_NUMBERS = re.compile(r"[ ,;]*([0-9]{1,19})?(?:[ ,;]+([0-9]{1,19}))?\s*")
_TAIL = re.compile(r"(.+?)[ ,;]+([0-9]{1,19})", re.DOTALL)


def x_ranges(folder: str, argument: str) -> tuple[HashRange, ...]:
    """What ``path [start [end]]`` may mean, the likeliest first; ``end`` is where hashing stops, not the last byte.

    Clients quote names, and double the quotes inside them, or send them as they are. So numbers behind an unquoted
    name may belong to the name: then the whole is tried first. Raises Refused, BadName.
    """
    quoted = _QUOTED.fullmatch(argument)
    if quoted:
        numbers = _NUMBERS.fullmatch(quoted[2])
        if not numbers:
            raise Refused("only numbers may follow the name", hint='"name" [start [end]]')
        return (_range(folder, quoted[1].replace('""', '"'), numbers[1], numbers[2]),)
    found = [_range(folder, argument, None, None)]
    one = _TAIL.fullmatch(argument)
    if one:
        found.append(_range(folder, one[1], one[2], None))
        two = _TAIL.fullmatch(one[1])
        if two:
            found.append(_range(folder, two[1], two[2], one[2]))
    return tuple(found)


def _range(folder: str, name: str, start: str | None, end: str | None) -> HashRange:
    stop = int(end) if end is not None else None
    return HashRange(paths.resolve(folder, name), name, int(start or 0), stop)
