"""File requests that need no data connection: from a ``FileTask`` to its reply."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol, runtime_checkable

from logferry.errors import NotFound, NotPermitted, Refused
from logferry.ftp.events import Deleted, Event, FolderMade, Renamed, TimeSet
from logferry.ftp.filesystem import Entry, Filesystem
from logferry.ftp.protocol import listing, paths
from logferry.ftp.protocol.actions import FileTask
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State
from logferry.limits import FTP_LIST_ENTRIES_MAX, FTP_REPLY_LINES_MAX

_WILD = re.compile(r"[*?\[]")


@runtime_checkable
class ModeFilesystem(Protocol):
    """A file system that SITE CHMOD works on."""

    def set_mode(self, path: str, mode: int) -> None:
        """Set the permission bits."""
        ...


def perform(task: FileTask, files: Filesystem, state: State, now_ns: Callable[[], int]) -> Reply:
    """Do ``task``. Errors of the file system pass."""
    return _TASKS[task.verb](task, files, state, now_ns)


def told_of(task: FileTask, session: int, user: str, address: str) -> Event | None:
    """The event that tells of a ``task`` that was done; None when it changed nothing."""
    if task.verb in ("DELE", "RMD"):
        return Deleted(session, user, address, path=task.path, is_folder=task.verb == "RMD")
    if task.verb == "RNTO":
        return Renamed(session, user, address, path=task.path, target=task.target)
    if task.verb == "MKD":
        return FolderMade(session, user, address, path=task.path)
    if task.verb == "MFMT":
        return TimeSet(session, user, address, path=task.path, modified_ns=task.number)
    return None


def _cwd(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    if not files.stat(task.path).is_folder:
        raise NotFound(f"no such folder: {task.path}")
    return Reply(250, (f"Working folder is {task.path}",))


def _delete(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    files.remove_file(task.path)
    return Reply(250, ("File removed.",))


def _remove_folder(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    files.remove_folder(task.path)
    return Reply(250, ("Folder removed.",))


def _make_folder(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    if task.path == "/":
        return Reply(550, ("/ already exists.",))
    files.make_folder(task.path)
    return Reply(257, (f"{paths.quoted(task.path)} created.",))


def _rename_from(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    files.stat(task.path)
    return Reply(350, ("Now RNTO.",))


def _rename_to(task: FileTask, files: Filesystem, state: State, _now: Callable[[], int]) -> Reply:
    rules = state.folders
    # What lies beneath a folder would leave the rules made for it, or come under others, unseen.
    if rules is not None and (rules.divide(task.path) or rules.divide(task.target)) and files.stat(task.path).is_folder:
        raise NotPermitted(f"{task.path} cannot be moved as a whole: other permissions hold beneath it")
    files.rename(task.path, task.target)
    return Reply(250, ("Renamed.",))


def _size(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    return Reply(213, (str(files.size(task.path)),))


def _modified(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    return Reply(213, (listing.time_value(files.stat(task.path).modified_ns),))


def _set_modified(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    files.set_modified(task.path, task.number)
    return Reply(213, (f"Modify={listing.time_value(task.number)}; {task.path}",))


def _facts(task: FileTask, files: Filesystem, state: State, _now: Callable[[], int]) -> Reply:
    entry = files.stat(task.path)
    line = listing.facts(_named(entry, task.path), state.facts, state.letters(task.path))
    return Reply(250, ("Facts:", line, "End"))


def _status(task: FileTask, files: Filesystem, _state: State, now: Callable[[], int]) -> Reply:
    rows = [listing.list_line(entry, now()) for entry in islice(found(task.path, files), FTP_REPLY_LINES_MAX + 1)]
    if len(rows) > FTP_REPLY_LINES_MAX:
        raise Refused(f"{task.path} has more than {FTP_REPLY_LINES_MAX} entries", hint="use LIST or MLSD")
    return Reply(213, ("Status:", *rows, "End"))


def _change_mode(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    if not isinstance(files, ModeFilesystem):
        return Reply(504, ("SITE CHMOD is not offered here.",))
    files.set_mode(task.path, task.number)
    return Reply(200, ("Mode changed.",))


_TASKS: dict[str, Callable[[FileTask, Filesystem, State, Callable[[], int]], Reply]] = {
    "CHMOD": _change_mode,
    "CWD": _cwd,
    "DELE": _delete,
    "MDTM": _modified,
    "MFMT": _set_modified,
    "MKD": _make_folder,
    "MLST": _facts,
    "RMD": _remove_folder,
    "RNFR": _rename_from,
    "RNTO": _rename_to,
    "SIZE": _size,
    "STAT": _status,
}


def _named(entry: Entry, name: str) -> Entry:
    return Entry(name, entry.is_folder, entry.size, entry.modified_ns, entry.mode, entry.unique)


def found(path: str, files: Filesystem) -> Iterator[Entry]:
    """What LIST, NLST and STAT show for ``path``: a folder's entries, the file itself, or what fits a pattern.

    Only the last component may be a pattern (``*``, ``?``, ``[…]``), and a file of exactly that name comes first.

    Raises:
        NotFound: neither folder nor file nor a match; raised here, not while iterating.
    """
    try:
        entry = files.stat(path)
    except NotFound:
        folder, pattern = paths.split(path)
        if not _WILD.search(pattern):
            raise
        fits = re.compile(fnmatch.translate(pattern))
        return _bounded(entry for entry in files.entries(folder) if fits.match(entry.name))
    if not entry.is_folder:
        return iter([_named(entry, paths.split(path)[1])])
    return _bounded(files.entries(path))


def _bounded(entries: Iterable[Entry]) -> Iterator[Entry]:
    return islice(listing.printable(entries), FTP_LIST_ENTRIES_MAX)


def lines(
    verb: str, path: str, prefix: str, files: Filesystem, state: State, now_ns: Callable[[], int]
) -> Iterator[str]:
    """The lines of LIST, NLST or MLSD for ``path``. ``prefix`` is the argument of NLST.

    Raises:
        NotFound: there is nothing at ``path``; raised here, not while iterating.
        Refused: MLSD of a file.
    """
    if verb == "MLSD":
        entry = files.stat(path)
        if not entry.is_folder:
            raise NotAFolder(f"{path} is no folder", hint="use MLST")
        entries = _bounded(files.entries(path))
        here = listing.facts(_named(entry, "."), state.facts, state.letters(path), kind="cdir")
        return _chain(here, _rows(path, entries, state))
    if verb == "NLST":
        return _names(path, prefix, files)
    entries = found(path, files)
    now = now_ns()
    return (listing.list_line(entry, now) for entry in entries)


def _rows(folder: str, entries: Iterable[Entry], state: State) -> Iterator[str]:
    """The lines of MLSD for the entries of ``folder``."""
    if state.folders is None:
        return (listing.facts(one, state.facts, state.permissions) for one in entries)
    return (listing.facts(one, state.facts, state.letters(paths.join(folder, one.name))) for one in entries)


def _names(path: str, argument: str, files: Filesystem) -> Iterator[str]:
    """Names as the client can send them back: those in a folder come with the folder as it was written."""
    entries = found(path, files)
    before = argument.rpartition("/")
    prefix = before[0] + before[1]
    if argument and not _WILD.search(before[2]) and files.stat(path).is_folder:
        prefix = argument if argument.endswith("/") else f"{argument}/"
    return (prefix + entry.name for entry in entries)


class NotAFolder(Refused):
    """MLSD of a file: RFC 3659 7.2.1 wants 501. Use MLST."""

    ftp_reply = 501


def _chain(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest
