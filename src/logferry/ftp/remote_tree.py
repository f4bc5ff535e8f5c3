"""A tree on a server, read by listings. Links are not followed, and a tree without an end is not read for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from logferry.errors import BadName, Conflict, LogferryError, TooLarge
from logferry.ftp.client import FtpClient
from logferry.ftp.client_store import CONNECTION_OVER
from logferry.ftp.lanes import Clients, run_lanes
from logferry.ftp.protocol.listing_reader import Listed
from logferry.ftp.reconnect import Backoff, retrying
from logferry.ftp.selection import Selection
from logferry.ftp.tree import SECOND_NS, Node, Tree, check_name
from logferry.limits import FTP_ATTEMPTS_MAX, FTP_MIRROR_ENTRIES_MAX, PATH_DEPTH_MAX
from logferry.names import is_temporary


def join(root: str, path: str) -> str:
    """``path`` below ``root`` as the server wants it; an empty root is the folder the login leads to."""
    if not path:
        return root
    return f"{root.rstrip('/')}/{path}" if root else path


def read_tree(
    client: FtpClient, root: str, selection: Selection, *, attempts: int = FTP_ATTEMPTS_MAX, windows: bool = False
) -> Tree:
    """Everything below ``root`` that is meant.

    Names that must not become local ones (``tree.check_name``), folders that cannot be listed, folders that contain
    themselves and what lies too deep are among the problems. Raises what makes the rest pointless: Unreachable,
    TimedOut, Busy, NotSignedIn, Aborted.
    """
    return _Walk(client, root, selection, attempts, windows).run()


class _Walk:
    def __init__(self, client: FtpClient, root: str, selection: Selection, attempts: int, windows: bool) -> None:
        self._client = client
        self._root = root
        self._selection = selection
        self._attempts = attempts
        self._windows = windows
        self._tree = Tree()
        self._todo: deque[tuple[str, frozenset[str]]] = deque([("", frozenset())])

    def run(self) -> Tree:
        while self._todo:
            path, above = self._todo.pop()
            try:
                self._folder(path, above)
            except CONNECTION_OVER:
                raise
            except LogferryError as error:
                self._tree.problems.append((path, error))
                self._tree.partly.add(path)
                if len(self._tree.nodes) >= FTP_MIRROR_ENTRIES_MAX:
                    break
        return self._tree

    def _folder(self, path: str, above: frozenset[str]) -> None:
        if path.count("/") >= PATH_DEPTH_MAX:
            raise TooLarge(
                f"{join(self._root, path)[:200]} lies deeper than {PATH_DEPTH_MAX} folders",
                hint="does a link on the server lead back to a folder above it?",
            )
        entries = retrying(
            lambda: self._client.entries(join(self._root, path)),
            attempts=self._attempts,
            backoff=Backoff(dice=self._client.dice),
            sleep=self._client.sleep,
        )
        for entry in entries:
            try:
                self._take(path, entry, above)
            except (BadName, Conflict) as error:
                self._tree.problems.append((path, error))
                self._tree.partly.add(path)

    def _take(self, folder: str, entry: Listed, above: frozenset[str]) -> None:
        check_name(entry.name, windows=self._windows)
        path = f"{folder}/{entry.name}" if folder else entry.name
        is_folder = entry.kind == "folder"
        meant = not self._selection.excluded(path) if is_folder else self._selection.takes(path)
        if not meant or is_temporary(entry.name):
            self._tree.partly.add(folder)
            return
        if len(self._tree.nodes) >= FTP_MIRROR_ENTRIES_MAX:
            raise TooLarge(f"more than {FTP_MIRROR_ENTRIES_MAX} files on the server", hint="mirror its sub-folders")
        if is_folder:
            if entry.unique and entry.unique in above:
                raise Conflict(f"{join(self._root, path)} is a folder above itself", hint="a link there; left out")
            self._todo.append((path, above | {entry.unique} if entry.unique else above))
        step_ns = max(entry.step_s, 1) * SECOND_NS
        self._tree.nodes[path] = Node(entry.kind, entry.size, entry.modified_ns, step_ns)


def with_exact_times(clients: Clients, root: str, tree: Tree, paths: Iterable[str], *, connections: int) -> None:
    """Ask MDTM where a listing gave the minute or the day only, perhaps in the server's own time zone.

    Raises what connecting and MDTM raise.
    """
    todo = deque(path for path in paths if tree.nodes[path].step_ns > SECOND_NS)

    def ask(client: FtpClient) -> None:
        if not client.features.has("MDTM"):
            return
        while True:
            try:
                path = todo.popleft()
            except IndexError:
                return
            modified_ns = client.modified(join(root, path))
            if modified_ns is not None:
                node = tree.nodes[path]
                tree.nodes[path] = Node(node.kind, node.size, modified_ns, SECOND_NS)

    if todo:
        run_lanes(clients, ask, connections=min(connections, len(todo)))
