"""Commands as bytes: what a client puts on the control connection.

The end of a line ends a command (RFC 959 section 5.3), so neither CR nor LF may stand inside an argument; NUL pads a
bare carriage return in Telnet. The connection is a Telnet one: the byte 255 (IAC) is data only when it comes twice.
"""

from __future__ import annotations

import re

from logferry.errors import BadName
from logferry.limits import FTP_LINE_BYTES_MAX

_VERB = re.compile(r"[A-Za-z]{3,8}")
_LINE_END = re.compile("[\r\n\x00]")


def command_line(verb: str, argument: str = "") -> bytes:
    """``verb argument`` CR LF; text is UTF-8, surrogate escapes turn back into the bytes they came from.

    Raises:
        BadName: the verb is no word of letters, the argument holds CR, LF or NUL, or the line is too long.
    """
    if not _VERB.fullmatch(verb):
        raise BadName(f"{verb!r} is not an FTP command", hint="3 to 8 letters")
    if _LINE_END.search(argument):
        raise BadName(f"FTP cannot carry {argument!r}", hint="escape it first, see logferry.names.escape")
    line = f"{verb} {argument}" if argument else verb
    try:
        raw = line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise BadName(
            f"{argument!r} is neither text nor escaped bytes", hint="a lone surrogate has no bytes"
        ) from error
    wire = raw.replace(b"\xff", b"\xff\xff") + b"\r\n"
    if len(wire) > FTP_LINE_BYTES_MAX:
        raise BadName(f"{verb} {argument[:40]}… is {len(wire)} bytes long", hint=f"at most {FTP_LINE_BYTES_MAX}")
    return wire
