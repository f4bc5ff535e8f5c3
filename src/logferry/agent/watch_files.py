"""Windows and macOS: whole trees watched through ``watchfiles``, one thread for each source's folder.

The system's own interfaces there report trees, not folders, and may lose events without a word: the full look finds
what was missed. The same code runs on Linux, where the tests of the port try it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterable, Set
from logging import WARNING

from watchfiles._rust_notify import RustNotify

from logferry.agent.journal import Journal
from logferry.agent.sources import slashes
from logferry.agent.watch import Hints
from logferry.limits import NOTIFY_GROUP_MS, NOTIFY_STEP_MS

_JOIN_S = 2.0


class WatchFiles:
    """Hints from the system's recursive watcher, only for the folders that were given to ``watch``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.kind = "watchfiles"
        self.overflows = 0
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._lock = threading.Lock()
        self._paths: set[bytes] = set()
        """Changed paths since the last reading."""
        self._broken: dict[bytes, str] = {}
        """Trees whose watching ended, and why."""
        self._trees: dict[bytes, _Tree] = {}
        self._folders: set[bytes] = set()
        self._asked: set[bytes] = set()
        self._unwatched: set[bytes] = set()
        self._unclear: set[bytes] = set()
        """Folders to look at once: something changed whose name the system's interface cannot tell."""

    def fileno(self) -> int | None:
        """A socket that gets readable with the first hint."""
        return self._wake_out.fileno()

    @property
    def polled(self) -> Set[bytes]:
        """Folders whose tree cannot be watched now, and those to be looked at once."""
        return self._unwatched | self._unclear

    @property
    def complete(self) -> bool:
        """Never: the systems' own interfaces lose events without a word."""
        return False

    def watch(self, folder: bytes) -> None:
        """Watch ``folder``: with its tree if it is not part of one that is watched."""
        self._asked.add(folder)
        self._folders.add(folder)
        self._unclear.discard(folder)
        tree = self._tree_of(folder)
        if tree is not None and tree.folder == folder and not tree.is_still_there():
            self._end(tree)
            tree = None
        if tree is None and folder.rpartition(b"/")[0] in self._folders:
            self._unwatched.add(folder)  # its tree begins further up
        elif tree is None:
            self._begin(folder)

    def _tree_of(self, path: bytes) -> _Tree | None:
        return next((tree for tree in self._trees.values() if tree.holds(path)), None)

    def _begin(self, folder: bytes) -> None:
        try:
            tree = self._trees[folder] = _Tree(folder, self._changed, self._ended)
        except FileNotFoundError:
            self._unwatched.add(folder)
        except (OSError, RuntimeError) as error:
            self._unwatched.add(folder)
            self._say_polled(str(error))
        else:
            self._unwatched = {path for path in self._unwatched if not tree.holds(path)}
            if not self._unwatched:
                self._journal.state("watching", "")

    def _say_polled(self, why: str) -> None:
        hint = "watching goes on by itself when it can"
        self._journal.state("watching", "some folders are polled", level=WARNING, why=why, hint=hint)

    def _end(self, tree: _Tree) -> None:
        del self._trees[tree.folder]
        tree.close()

    def looked(self) -> None:
        """Forget the folders that do not belong to the sources any more."""
        self._folders &= self._asked
        self._unwatched &= self._asked
        self._unclear &= self._asked
        for tree in [tree for tree in self._trees.values() if tree.folder not in self._asked]:
            self._end(tree)
        self._asked = set()

    # From the threads -------------------------------------------------------------------------------------------------

    def _changed(self, paths: Iterable[bytes]) -> None:
        with self._lock:
            self._paths.update(paths)
        self._wake()

    def _ended(self, folder: bytes, why: str) -> None:
        with self._lock:
            self._broken[folder] = why
        self._wake()

    def _wake(self) -> None:
        # Full: it is readable anyway. Closed: nobody reads any more.
        with contextlib.suppress(OSError):
            self._wake_in.send(b"\0")

    # Reading ----------------------------------------------------------------------------------------------------------

    def read(self) -> Hints:
        """All hints that wait now."""
        with contextlib.suppress(BlockingIOError):
            while self._wake_out.recv(4096):
                pass
        with self._lock:
            paths, self._paths = self._paths, set()
            broken, self._broken = self._broken, {}
        hints = Hints()
        for folder, why in broken.items():
            if (tree := self._trees.get(folder)) is not None:
                self._end(tree)
                self._unwatched.update(path for path in self._folders if tree.holds(path))
                self._say_polled(why)
        for path in paths:
            self._hint(path, hints)
        return hints

    def _hint(self, path: bytes, hints: Hints) -> None:
        """At the nearest folder that was looked at: what lies deeper is found by walking from there."""
        if path in self._trees:
            hints.everywhere = True
            return
        folder, _, name = path.rpartition(b"/")
        while folder and folder not in self._folders:
            folder, _, name = folder.rpartition(b"/")
        if not folder:
            return
        if _REPLACED in name:
            self._unclear.add(folder)
        else:
            hints.at(folder, name)

    def close(self) -> None:
        """End the threads."""
        for tree in list(self._trees.values()):
            self._end(tree)
        self._wake_in.close()
        self._wake_out.close()


_REPLACED = "\N{REPLACEMENT CHARACTER}".encode()
"""Stands in the reported name for bytes that are not UTF-8."""


class _Tree:
    """A folder watched with everything below it, by a thread."""

    def __init__(
        self, folder: bytes, changed: Callable[[Iterable[bytes]], None], ended: Callable[[bytes, str], None]
    ) -> None:
        """Watching has begun when this returns.

        Raises:
            FileNotFoundError: there is no such folder.
            OSError, RuntimeError: it cannot be watched.
        """
        self.folder = folder
        self._changed = changed
        self._ended = ended
        self._real = slashes(os.fsencode(os.path.realpath(os.fsdecode(folder))))
        self._place = os.stat(folder).st_ino
        self._stop = threading.Event()
        self._notify = RustNotify([os.fsdecode(self._real)], False, False, 0, True, True)
        self._thread = threading.Thread(target=self._run, name="logferry-agent-watch", daemon=True)
        self._thread.start()

    def holds(self, path: bytes) -> bool:
        """Whether ``path`` is in the tree."""
        return path == self.folder or path.startswith(self.folder.rstrip(b"/") + b"/")

    def is_still_there(self) -> bool:
        """Whether the path still names the folder that is being watched."""
        try:
            return os.stat(self.folder).st_ino == self._place
        except OSError:
            return False

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                found = self._notify.watch(NOTIFY_GROUP_MS, NOTIFY_STEP_MS, 0, self._stop)
                if isinstance(found, str):
                    return
                self._changed([self._path(path) for _, path in found])
        except (OSError, RuntimeError) as error:
            self._ended(self.folder, str(error))

    def _path(self, reported: str) -> bytes:
        raw = slashes(reported.encode("utf-8", "surrogateescape"))
        return self.folder + raw[len(self._real) :] if raw.startswith(self._real) else raw

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(_JOIN_S)
        self._notify.close()
