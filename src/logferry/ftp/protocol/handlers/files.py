"""Folders, files and facts about them without a data connection (RFC 959 4.1.3, RFC 3659 3 4 7, drafts)."""

from __future__ import annotations

import re

from logferry.ftp.protocol import paths
from logferry.ftp.protocol.actions import Action, FileTask, HashFile, HashRange
from logferry.ftp.protocol.commands import RULES
from logferry.ftp.protocol.handlers.replying import Handler, reply, task
from logferry.ftp.protocol.hash_words import X_COMMANDS, x_ranges
from logferry.ftp.protocol.listing import parse_time_value
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State

_TIME_BEFORE_PATH = re.compile(r"([0-9]{14}(?:\.[0-9]{1,9})?) +(.+)", re.DOTALL)

delete = task("DELE", "DELE (RFC 959 4.1.3): delete a file.", home=False)
remove_folder = task("RMD", "RMD (RFC 959 4.1.3), XRMD (RFC 775): remove an empty folder.", home=False)
make_folder = task("MKD", "MKD (RFC 959 4.1.3), XMKD (RFC 775): make a folder; 257 tells its path.")
rename_from = task("RNFR", "RNFR (RFC 959 4.1.3): what to rename; RNTO must follow.", home=False)
size = task("SIZE", "SIZE (RFC 3659 4): bytes as they would be sent, and from where an upload may be continued.")
facts = task("MLST", "MLST (RFC 3659 7): the facts of one file or folder, over the control connection.")
available = task("AVBL", "AVBL (draft-peterson-streamlined-ftp-command-extensions 4): bytes that still fit.")


def cwd(state: State, argument: str) -> Action:
    """CWD (RFC 959 4.1.1), XCWD (RFC 775): enter a folder; without an argument, the home."""
    return FileTask("CWD", paths.resolve(state.folder, argument or "/"))


def cdup(state: State, _argument: str) -> Action:
    """CDUP (RFC 959 4.1.1), XCUP (RFC 775): enter the folder above."""
    return FileTask("CWD", paths.resolve(state.folder, ".."))


def pwd(state: State, _argument: str) -> Reply:
    """PWD (RFC 959 4.1.3, appendix II), XPWD (RFC 775): the working folder, in double quotes."""
    return reply(257, f"{paths.quoted(state.folder)} is the working folder.")


def rename_to(state: State, argument: str) -> Reply | Action:
    """RNTO (RFC 959 4.1.3): the new name; RNFR must be the command before it."""
    source, state.rename_from = state.rename_from, ""
    if not source:
        return reply(503, "Send RNFR first.")
    target = paths.resolve(state.folder, argument)
    if target == "/":
        return reply(553, "/ is the home.")
    return FileTask("RNTO", source, target=target)


def modified(state: State, argument: str) -> Action:
    """MDTM (RFC 3659 3): when a file was modified, UTC; with a time before the path, set it.

    ``MDTM YYYYMMDDHHMMSS[.sss] path`` sets that time, as MFMT does and with the same permission; many clients send it
    where MFMT is unknown. A file may really be called so: then it is meant.
    """
    path = paths.resolve(state.folder, argument)
    found = _TIME_BEFORE_PATH.fullmatch(argument)
    if not found:
        return FileTask("MDTM", path)
    return FileTask("MDTM", path, target=paths.resolve(state.folder, found[2]), number=parse_time_value(found[1]))


def set_modified(state: State, argument: str) -> Reply | Action:
    """MFMT (draft-somers-ftp-mfxx 3): set when a file was modified, UTC.

    Right behind an upload of that path that failed it is refused once: it was sent ahead and meant what did not come.
    """
    moment, _, path = argument.partition(" ")
    if not path:
        return reply(501, f"Usage: {RULES['MFMT'].usage}")
    path = paths.resolve(state.folder, path)
    if path == state.failed_upload:
        state.failed_upload = ""
        return reply(550, "The upload right before failed; what is there keeps its time. Asked again it is set.")
    return FileTask("MFMT", path, number=parse_time_value(moment))


def hash_(state: State, argument: str) -> Action:
    """HASH (draft-bryan-ftp-hash 3): the digest of a file, or of the range that RANG has set, by OPTS HASH's algorithm.

    Who may read a file may hash it; who may not, only what the file system consents to (``HashFilesystem``).
    """
    first, stop = 0, None
    if state.range is not None:
        first, stop = state.range[0], state.range[1] + 1
        state.range = None
    return HashFile("HASH", state.algorithm, (HashRange(paths.resolve(state.folder, argument), argument, first, stop),))


def x_hash(verb: str) -> Handler:
    """The handler of XCRC, XMD5, XSHA1 or XSHA256."""

    def handler(state: State, argument: str) -> Action:
        return HashFile(verb, X_COMMANDS[verb], x_ranges(state.folder, argument))

    handler.__doc__ = f"{verb} (no RFC): {X_COMMANDS[verb]} of a file, or of a part of it; 250 and the digest."
    return handler
