"""A tree on this machine, reached folder by folder through open descriptors: no link in it is ever followed.

The root itself may be a link, since the user named it. Whoever may write into the tree can swap folders for links while
it is mirrored; then opening them fails, and nothing outside is read or written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from types import TracebackType
from typing import Self

from logferry.errors import LogferryError, NotFound, Refused, TooLarge
from logferry.ftp.client_copy import open_local
from logferry.ftp.client_place import disk_trouble
from logferry.ftp.protocol.listing_reader import Kind
from logferry.ftp.selection import Selection
from logferry.ftp.tree import Node, Tree
from logferry.limits import FTP_MIRROR_ENTRIES_MAX, PATH_DEPTH_MAX
from logferry.names import is_temporary

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class LocalTree:
    """The folder ``root``, open; close it at the end. Paths below it are ``a/b``."""

    def __init__(self, root: str, *, make: bool = False) -> None:
        """Raises NotFound, Refused (no folder, no rights, no such calls on this system)."""
        if os.open not in os.supports_dir_fd:
            raise Refused("mirrors need a system that opens files relative to a folder", hint="Linux or macOS")
        self.root = root
        try:
            if make:
                os.makedirs(root, exist_ok=True)
            self._root = os.open(root, _FOLDER)
        except FileNotFoundError as error:
            raise NotFound(f"there is no folder {root}", hint="check the path") from error
        except OSError as error:
            raise Refused(f"cannot open the folder {root}: {error.strerror}", hint="check the path") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the root."""
        os.close(self._root)

    def shown(self, path: str) -> str:
        """``path`` for messages."""
        return os.path.join(self.root, path) if path else self.root

    def folder(self, path: str, *, make: bool = False) -> int:
        """A descriptor of the folder ``path``; ``make`` makes what is missing. Raises NotFound, Refused, Full."""
        current = os.dup(self._root)
        try:
            for name in path.split("/") if path else ():
                below = _below(current, name, make=make)
                os.close(current)
                current = below
        except OSError as error:
            os.close(current)
            raise self._trouble(path, error) from error
        return current

    def _trouble(self, path: str, error: OSError) -> LogferryError:
        if isinstance(error, FileNotFoundError):
            return NotFound(f"there is no folder {self.shown(path)}", hint="was it removed meanwhile?")
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return Refused(f"{self.shown(path)} is, or lies below, a link or file", hint="links are not followed")
        return disk_trouble(f"cannot open the folder {self.shown(path)}", error)

    def open(self, path: str) -> int:
        """A descriptor to read the file ``path`` with. Raises NotFound, Refused."""
        above, _, name = path.rpartition("/")
        folder = self.folder(above)
        try:
            return open_local(name, folder)
        finally:
            os.close(folder)

    def remove(self, path: str, *, is_folder: bool) -> None:
        """Delete a file, link or empty folder. Raises NotFound, Refused."""
        above, _, name = path.rpartition("/")
        folder = self.folder(above)
        try:
            if is_folder:
                os.rmdir(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
        except OSError as error:
            raise Refused(f"cannot delete {self.shown(path)}: {error.strerror}", hint="check its rights") from error
        finally:
            os.close(folder)

    def folds_case(self) -> bool:
        """Whether ``a`` and ``A`` are one name here (macOS, Windows, some network drives)."""
        name = f".~lf-case-{secrets.token_hex(6)}a"
        try:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._root))
        except OSError as error:
            raise disk_trouble(f"cannot write in {self.root}", error) from error
        try:
            os.stat(name.upper(), dir_fd=self._root)
        except FileNotFoundError:
            return False
        finally:
            os.unlink(name, dir_fd=self._root)
        return True

    # Looking ---------------------------------------------------------------------------------------------------------

    def read(self, selection: Selection) -> Tree:
        """Everything below the root that is meant; our own temporary files are not."""
        tree = Tree()
        todo = [""]
        while todo:
            path = todo.pop()
            try:
                self._read_folder(path, selection, tree, todo)
            except LogferryError as error:
                tree.problems.append((path, error))
                tree.partly.add(path)
                if len(tree.nodes) >= FTP_MIRROR_ENTRIES_MAX:
                    break
        return tree

    def _read_folder(self, path: str, selection: Selection, tree: Tree, todo: list[str]) -> None:
        if path.count("/") >= PATH_DEPTH_MAX:
            raise TooLarge(f"{self.shown(path)} lies deeper than {PATH_DEPTH_MAX} folders", hint="mirror it by itself")
        descriptor = self.folder(path)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    below = f"{path}/{entry.name}" if path else entry.name
                    with contextlib.suppress(FileNotFoundError):  # gone since the folder was read
                        self._take(below, entry, selection, tree, todo)
        except OSError as error:
            raise disk_trouble(f"cannot read the folder {self.shown(path)}", error) from error
        finally:
            os.close(descriptor)

    def _take(self, path: str, entry: os.DirEntry[str], selection: Selection, tree: Tree, todo: list[str]) -> None:
        is_folder = entry.is_dir(follow_symlinks=False)
        meant = not selection.excluded(path) if is_folder else selection.takes(path)
        if not meant or is_temporary(entry.name):
            tree.partly.add(path.rpartition("/")[0])
            return
        if len(tree.nodes) >= FTP_MIRROR_ENTRIES_MAX:
            raise TooLarge(f"{self.root} has more than {FTP_MIRROR_ENTRIES_MAX} files", hint="mirror its sub-folders")
        tree.nodes[path] = _node(entry.stat(follow_symlinks=False))
        if is_folder:
            todo.append(path)


def _node(state: os.stat_result) -> Node:
    kind: Kind = "other"
    if stat.S_ISDIR(state.st_mode):
        kind = "folder"
    elif stat.S_ISLNK(state.st_mode):
        kind = "link"
    elif stat.S_ISREG(state.st_mode):
        kind = "file"
    return Node(kind, state.st_size, state.st_mtime_ns)


def _below(folder: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER | _NO_LINK, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):  # another connection's thread was quicker
        os.mkdir(name, 0o755, dir_fd=folder)
    return os.open(name, _FOLDER | _NO_LINK, dir_fd=folder)
