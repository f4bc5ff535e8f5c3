"""FTP commands as they arrive: bytes to lines to verbs (RFC 959 section 5.3; RFC 854 for the telnet codes)."""

from __future__ import annotations

import re
from typing import NamedTuple

from logferry.limits import FTP_LINE_BYTES_MAX, FTP_LINE_DISCARD_BYTES_MAX

# "IAC IP" and "IAC DM" before ABOR (RFC 959 4.1.3), option negotiation with one more byte, and a doubled IAC.
_TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|[\xf0-\xfa]|\xff)", re.DOTALL)
_VERB = re.compile(r"[A-Za-z][A-Za-z0-9]{1,7}")


class Command(NamedTuple):
    """One command: ``verb`` in upper case, ``argument`` as sent (UTF-8 with surrogate escapes), often empty.

    A line that is no command has an empty verb and says in ``fault`` what is wrong with it.
    """

    verb: str
    argument: str = ""
    fault: str = ""


class CommandReader:
    """Cuts what a client sends into commands. Fed whole or byte by byte, it gives the same commands."""

    __slots__ = ("_buffer", "_skipped", "_skipping")

    def __init__(self) -> None:
        self._buffer = b""
        self._skipping = False
        self._skipped = 0

    @property
    def partial(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._buffer) or self._skipping

    @property
    def flooded(self) -> bool:
        """Whether a line is so long that its end is not worth waiting for."""
        return self._skipped > FTP_LINE_DISCARD_BYTES_MAX

    def clear(self) -> None:
        """Forget what has arrived and is not a whole line yet."""
        self._buffer = b""
        self._skipping = False
        self._skipped = 0

    def feed(self, data: bytes) -> list[Command]:
        """Take bytes; return the commands they complete, in order."""
        data = self._buffer + data if self._buffer else data
        *lines, rest = data.split(b"\n")
        commands = []
        for line in lines:
            if self._skipping:
                self.clear()
                continue
            commands.append(_too_long() if len(line) > FTP_LINE_BYTES_MAX else parse_line(line))
        if self._skipping or len(rest) > FTP_LINE_BYTES_MAX:
            if not self._skipping:
                commands.append(_too_long())
            self._skipping = True
            self._skipped += len(rest)
            rest = b""
        self._buffer = rest
        return commands


def _too_long() -> Command:
    return Command("", fault=f"line longer than {FTP_LINE_BYTES_MAX} bytes")


def parse_line(line: bytes) -> Command:
    """One line without its LF as a command. Never raises."""
    if line.endswith(b"\r"):
        line = line[:-1]
    if b"\xff" in line:
        line = _TELNET.sub(lambda code: b"\xff" if code.group() == b"\xff\xff" else b"", line)
    if b"\x00" in line or b"\r" in line:
        # RFC 2640 3.1 would let a CR travel inside a name as CR NUL; such a name could forge lines in a listing.
        return Command("", fault="NUL or CR in a command")
    verb, _, argument = line.decode("utf-8", "surrogateescape").partition(" ")
    if not _VERB.fullmatch(verb):
        return Command("", fault="not a command")
    return Command(verb.upper(), argument)


class Rule(NamedTuple):
    """What holds for a verb before its own meaning is looked at."""

    usage: str
    argument: str = "none"
    """``none`` (ignored), ``optional`` or ``required``."""
    login: bool = True
    permission: str = ""


_MAY = "optional"
_MUST = "required"

RULES: dict[str, Rule] = {
    "ABOR": Rule("ABOR", login=False),
    "ACCT": Rule("ACCT <account>", _MAY),
    "ALLO": Rule("ALLO <bytes> [R <record bytes>]", _MUST),
    "APPE": Rule("APPE <path>", _MUST, permission="a"),
    "AUTH": Rule("AUTH TLS", _MUST, login=False),
    "AVBL": Rule("AVBL [path]", _MAY, permission="l"),
    "CCC": Rule("CCC", login=False),
    "CDUP": Rule("CDUP", permission="e"),
    "CLNT": Rule("CLNT <name>", _MAY, login=False),
    "CWD": Rule("CWD <path>", _MAY, permission="e"),
    "DELE": Rule("DELE <path>", _MUST, permission="d"),
    "EPRT": Rule("EPRT |1 or 2|address|port|", _MUST),
    "EPSV": Rule("EPSV [1|2|ALL]", _MAY),
    "FEAT": Rule("FEAT", login=False),
    "HASH": Rule("HASH <path>", _MUST),
    "HELP": Rule("HELP [verb]", _MAY, login=False),
    "HOST": Rule("HOST <name>", _MUST, login=False),
    "LIST": Rule("LIST [-tSrRdF] [path]", _MAY, permission="l"),
    "MDTM": Rule("MDTM [YYYYMMDDHHMMSS[.sss]] <path>", _MUST, permission="l"),
    "MFMT": Rule("MFMT YYYYMMDDHHMMSS[.sss] <path>", _MUST, permission="T"),
    "MKD": Rule("MKD <path>", _MUST, permission="m"),
    "MLSD": Rule("MLSD [path]", _MAY, permission="l"),
    "MLST": Rule("MLST [path]", _MAY, permission="l"),
    "MODE": Rule("MODE S", _MUST),
    "NLST": Rule("NLST [-tSrRdFl] [path]", _MAY, permission="l"),
    "NOOP": Rule("NOOP", login=False),
    "OPTS": Rule("OPTS UTF8 ON | OPTS MLST <fact;…> | OPTS HASH [algorithm]", _MUST, login=False),
    "PASS": Rule("PASS <password>", _MAY, login=False),
    "PASV": Rule("PASV"),
    "PBSZ": Rule("PBSZ 0", _MUST, login=False),
    "PORT": Rule("PORT h1,h2,h3,h4,p1,p2", _MUST),
    "PROT": Rule("PROT P|C", _MUST, login=False),
    "PWD": Rule("PWD"),
    "QUIT": Rule("QUIT", login=False),
    "RANG": Rule("RANG <first byte> <last byte> | RANG 1 0", _MUST),
    "REST": Rule("REST <offset>", _MUST),
    "RETR": Rule("RETR <path>", _MUST, permission="r"),
    "RMD": Rule("RMD <path>", _MUST, permission="d"),
    "RNFR": Rule("RNFR <path>", _MUST, permission="f"),
    "RNTO": Rule("RNTO <path>", _MUST, permission="f"),
    "SITE": Rule("SITE HELP | SITE CHMOD <mode> <path> | SITE UTIME <time> <path>", _MUST),
    "SIZE": Rule("SIZE <path>", _MUST, permission="l"),
    "STAT": Rule("STAT [-tSrRdF] [path]", _MAY, login=False),
    "STOR": Rule("STOR <path>", _MUST, permission="w"),
    "STOU": Rule("STOU [path]", _MAY, permission="w"),
    "STRU": Rule("STRU F", _MUST),
    "SYST": Rule("SYST", login=False),
    "TYPE": Rule("TYPE A|I", _MUST),
    "USER": Rule("USER <name>", _MUST, login=False),
    "XCRC": Rule("XCRC <path> [start [end]]", _MUST),
    "XMD5": Rule("XMD5 <path> [start [end]]", _MUST),
    "XSHA1": Rule("XSHA1 <path> [start [end]]", _MUST),
    "XSHA256": Rule("XSHA256 <path> [start [end]]", _MUST),
}
"""Every verb that is understood. ``XCWD``-style names (RFC 775) are in ``ALIASES``."""

ALIASES = {"XCWD": "CWD", "XCUP": "CDUP", "XPWD": "PWD", "XMKD": "MKD", "XRMD": "RMD", "XSHA": "XSHA1"}
