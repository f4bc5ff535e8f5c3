"""SITE (RFC 959 4.1.3): CHMOD and UTIME in the forms other servers have given them, and HELP."""

from __future__ import annotations

import re

from logferry.ftp.protocol import paths
from logferry.ftp.protocol.actions import Action, FileTask
from logferry.ftp.protocol.handlers.replying import Handler, reply
from logferry.ftp.protocol.listing import parse_time_value
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State

_MODE = re.compile(r"[0-7]{3,4}")
# "UTIME 202611230814[05] path", and "UTIME path <accessed> <modified> <created> UTC".
_UTIME_BEFORE = re.compile(r"([0-9]{12}|[0-9]{14}) +(.+)", re.DOTALL)
_UTIME_BEHIND = re.compile(r"(.+?) +[0-9]{14} +([0-9]{14}) +[0-9]{14} +UTC", re.DOTALL | re.IGNORECASE)
_USAGES = {
    "CHMOD": "CHMOD <octal mode> <path>",
    "HELP": "HELP",
    "UTIME": "UTIME <YYYYMMDDHHMM[SS]> <path>",
}


def site(state: State, argument: str) -> Reply | Action:
    """SITE (RFC 959 4.1.3): HELP, CHMOD and UTIME."""
    name, _, value = argument.partition(" ")
    handler = _HANDLERS.get(name.upper())
    if handler is None:
        return reply(504, f"No such SITE command: {name[:40]}.")
    return handler(state, value)


def _help(_state: State, _argument: str) -> Reply:
    return Reply(214, ("SITE commands:", *_USAGES.values(), "End"))


def _change_mode(state: State, argument: str) -> Reply | Action:
    digits, _, path = argument.partition(" ")
    if not state.may_somewhere("M"):
        return reply(550, "Permission denied.")
    if not path or not _MODE.fullmatch(digits):
        return reply(501, f"Usage: SITE {_USAGES['CHMOD']}")
    return FileTask("CHMOD", paths.resolve(state.folder, path), number=int(digits, 8))


def _set_time(state: State, argument: str) -> Reply | Action:
    if not state.may_somewhere("T"):
        return reply(550, "Permission denied.")
    if found := _UTIME_BEHIND.fullmatch(argument):
        path, moment = found[1], found[2]
    elif found := _UTIME_BEFORE.fullmatch(argument):
        path, moment = found[2], found[1].ljust(14, "0")
    else:
        return reply(501, f"Usage: SITE {_USAGES['UTIME']}")
    return FileTask("MFMT", paths.resolve(state.folder, path), number=parse_time_value(moment))


_HANDLERS: dict[str, Handler] = {"CHMOD": _change_mode, "HELP": _help, "UTIME": _set_time}
assert _HANDLERS.keys() == _USAGES.keys()
