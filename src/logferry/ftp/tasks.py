"""File requests that need no data connection: from a ``FileTask`` to its reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from logferry.errors import BadName, NotFound, NotPermitted
from logferry.ftp.events import Deleted, Event, FolderMade, Renamed, TimeSet
from logferry.ftp.filesystem import Entry, Filesystem, SpaceFilesystem
from logferry.ftp.listings import status_rows
from logferry.ftp.protocol import listing, paths
from logferry.ftp.protocol.actions import FileTask
from logferry.ftp.protocol.admission import DENIED
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State
from logferry.limits import FTP_REPLY_LINES_MAX


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


def meant(task: FileTask, files: Filesystem) -> FileTask:
    """``task``, or the MFMT that an MDTM with a time in front of its name is, unless that is all a file's name."""
    if task.verb != "MDTM" or not task.target:
        return task
    try:
        files.stat(task.path)
    except (NotFound, BadName):
        return task._replace(verb="MFMT", path=task.target, target="")
    return task


def _modified(task: FileTask, files: Filesystem, state: State, now: Callable[[], int]) -> Reply:
    wish = meant(task, files)
    if wish is not task:
        return _set_modified(wish, files, state, now)
    return Reply(213, (listing.time_value(files.stat(task.path).modified_ns),))


def _set_modified(task: FileTask, files: Filesystem, state: State, _now: Callable[[], int]) -> Reply:
    if not state.letters(task.path).allow("T"):  # an MDTM was asked for the letter of looking only
        return DENIED
    files.set_modified(task.path, task.number)
    return Reply(213, (f"Modify={listing.time_value(task.number)}; {task.path}",))


def _facts(task: FileTask, files: Filesystem, state: State, _now: Callable[[], int]) -> Reply:
    entry = files.stat(task.path)
    line = listing.facts(_named(entry, task.path), state.facts, state.letters(task.path))
    return Reply(250, ("Facts:", line, "End"))


def _status(task: FileTask, files: Filesystem, state: State, now: Callable[[], int]) -> Reply:
    rows = status_rows(task.path, task.options, files, state, now, FTP_REPLY_LINES_MAX)
    return Reply(213, ("Status:", *rows, "End"))


def _available(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    if not isinstance(files, SpaceFilesystem):
        return Reply(504, ("AVBL is not offered here.",))
    return Reply(213, (str(max(files.free_bytes(task.path), 0)),))


def _change_mode(task: FileTask, files: Filesystem, _state: State, _now: Callable[[], int]) -> Reply:
    if not isinstance(files, ModeFilesystem):
        return Reply(504, ("SITE CHMOD is not offered here.",))
    files.set_mode(task.path, task.number)
    return Reply(200, ("Mode changed.",))


_TASKS: dict[str, Callable[[FileTask, Filesystem, State, Callable[[], int]], Reply]] = {
    "AVBL": _available,
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
