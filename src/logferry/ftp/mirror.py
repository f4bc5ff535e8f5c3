"""A tree here made like one on a server, or the other way round: only what differs by size or time is copied.

Nothing is deleted unless asked for. Files travel under temporary names, keep their times and are resumed after a break.
No link is followed on either side, and no name a server sends leads out of the local folder.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from logferry.errors import BadName, Conflict, LogferryError, NotFound
from logferry.ftp.client import FtpClient
from logferry.ftp.client_store import CONNECTION_OVER
from logferry.ftp.lanes import Clients
from logferry.ftp.local_tree import LocalTree
from logferry.ftp.many import FileResult, Job, ManyCallback
from logferry.ftp.many_down import Fetcher
from logferry.ftp.many_up import Sender
from logferry.ftp.remote_tree import join, read_tree, with_exact_times
from logferry.ftp.selection import Selection
from logferry.ftp.tree import Node, Plan, Tree, clashes, make_plan, same_file
from logferry.limits import FTP_ATTEMPTS_MAX, FTP_CONNECTIONS_DEFAULT


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a mirror did, or, in a ``dry_run``, would do. Paths are below the roots, like ``a/b``.

    ``files``: those copied or tried, each with its error; ``same`` files needed nothing. ``skipped`` are links and the
    like. ``failed``: everything that went wrong, files among it; the mirror is ``complete`` when that is empty.
    """

    files: tuple[FileResult, ...] = ()
    folders: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    same: int = 0
    skipped: tuple[str, ...] = ()
    failed: tuple[tuple[str, LogferryError], ...] = ()
    dry_run: bool = False

    @property
    def complete(self) -> bool:
        """Nothing went wrong."""
        return not self.failed

    @property
    def bytes(self) -> int:
        """Bytes of the files that were copied, or would be."""
        return sum(file.size for file in self.files if file.error is None)


@dataclass(frozen=True, slots=True)
class _Wish:
    selection: Selection
    delete: bool
    dry_run: bool
    connections: int
    attempts: int
    verify: bool
    on_result: Callable[[FileResult], object] | None
    progress: ManyCallback | None


def mirror_up(
    clients: Clients,
    local: str,
    remote: str,
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    delete: bool = False,
    dry_run: bool = False,
    connections: int = FTP_CONNECTIONS_DEFAULT,
    attempts: int = FTP_ATTEMPTS_MAX,
    verify: bool = True,
    on_result: Callable[[FileResult], object] | None = None,
    progress: ManyCallback | None = None,
) -> Mirrored:
    """Make the folder ``remote`` on the server like the folder ``local``.

    ``include`` and ``exclude`` are patterns (``logferry.ftp.selection``); what is left out is neither copied nor
    deleted. ``delete`` removes what is only on the server, unless something here could not be read. ``dry_run`` looks
    and tells, and changes nothing.

    Raises NotFound and Refused (``local``), BadConfig (a pattern), and what connecting and listing raise.
    """
    wish = _Wish(Selection.of(include, exclude), delete, dry_run, connections, attempts, verify, on_result, progress)
    with LocalTree(local) as here, _one(clients) as client:
        return _Up(client, here, remote, wish).run()


def mirror_down(
    clients: Clients,
    remote: str,
    local: str,
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    delete: bool = False,
    dry_run: bool = False,
    connections: int = FTP_CONNECTIONS_DEFAULT,
    attempts: int = FTP_ATTEMPTS_MAX,
    verify: bool = True,
    on_result: Callable[[FileResult], object] | None = None,
    progress: ManyCallback | None = None,
) -> Mirrored:
    """Make the folder ``local`` like the folder ``remote`` on the server; it is made when missing. As ``mirror_up``.

    Raises NotFound (``remote``), Refused (``local``), BadConfig (a pattern), and what connecting and listing raise.
    """
    wish = _Wish(Selection.of(include, exclude), delete, dry_run, connections, attempts, verify, on_result, progress)

    with _one(clients) as client:
        if not client.is_folder(remote):
            raise NotFound(f"there is no folder {remote} on {client.where}", hint="check the path")
        there = read_tree(client, remote, wish.selection, attempts=attempts, windows=os.name == "nt")
        if dry_run and not os.path.isdir(local):
            return _told(make_plan(there, Tree(), same=_same_here, delete=False), there, Tree(), remote, local)
        with LocalTree(local, make=True) as here:
            return _Down(client, here, remote, wish).run(there)


@contextmanager
def _one(clients: Clients) -> Iterator[FtpClient]:
    """A signed-in client to list and delete with, whose settings the other connections share; closed if made here."""
    client = clients if isinstance(clients, FtpClient) else clients()
    try:
        client.connect()
        yield client
    finally:
        if client is not clients:
            client.close()


def _told(plan: Plan, source: Tree, target: Tree, remote: str, local: str) -> Mirrored:
    """A plan as an account of what would be done."""
    files = tuple(
        FileResult(os.path.join(local, path), join(remote, path), source.nodes[path].size or 0) for path in plan.copies
    )
    failed = _known_failures(plan, source, target)
    return Mirrored(
        files, tuple(plan.folders), tuple(plan.deletes), plan.same, tuple(plan.skipped), failed, dry_run=True
    )


def _known_failures(plan: Plan, source: Tree, target: Tree) -> tuple[tuple[str, LogferryError], ...]:
    """What is wrong before anything was copied."""
    blocked = [(path, Conflict(f"{path}: {why}", hint="remove one of both")) for path, why in plan.blocked.items()]
    return (*source.problems, *target.problems, *blocked)


class _Mirror(ABC):
    """What both directions share."""

    def __init__(self, client: FtpClient, here: LocalTree, remote: str, wish: _Wish) -> None:
        self._client = client
        self._here = here
        self._remote = remote
        self._wish = wish
        self._failed: list[tuple[str, LogferryError]] = []

    def _carry_out(self, source: Tree, target: Tree, plan: Plan) -> Mirrored:
        if self._wish.dry_run:
            return _told(plan, source, target, self._remote, self._here.root)
        self._failed += _known_failures(plan, source, target)
        made = self._each(plan.folders, self._make_folder)
        files = self._copy(self._jobs(source, plan))
        self._failed += [(p, r.error) for p, r in zip(plan.copies, files, strict=True) if r.error is not None]
        deleted: list[str] = []
        if not self._failed:  # what is there may be the only copy of what did not get through
            deleted = self._each(plan.deletes, lambda path: self._delete(path, target.nodes[path]))
        return Mirrored(tuple(files), tuple(made), tuple(deleted), plan.same, tuple(plan.skipped), tuple(self._failed))

    def _jobs(self, source: Tree, plan: Plan) -> list[Job]:
        return [
            Job(
                place,
                self._here.shown(path),
                join(self._remote, path),
                source.nodes[path].size or 0,
                partial(self._open, path),
            )
            for place, path in enumerate(plan.copies)
        ]

    def _each(self, paths: Iterable[str], do: Callable[[str], object]) -> list[str]:
        """Do it for every path; return those with which it went well."""
        done = []
        for path in paths:
            try:
                do(path)
            except CONNECTION_OVER:
                raise
            except LogferryError as error:
                self._failed.append((path, error))
            else:
                done.append(path)
        return done

    @abstractmethod
    def _open(self, path: str) -> int: ...

    @abstractmethod
    def _make_folder(self, path: str) -> None: ...

    @abstractmethod
    def _copy(self, jobs: list[Job]) -> list[FileResult]: ...

    @abstractmethod
    def _delete(self, path: str, node: Node) -> None: ...


class _Up(_Mirror):
    def run(self) -> Mirrored:
        source = self._here.read(self._wish.selection)
        target = self._there(source)
        same = partial(same_file, keeps_times=self._client.keeps_times)
        plan = make_plan(source, target, same=same, delete=self._wish.delete)
        if not self._wish.dry_run:
            self._client.ensure_folder(self._remote)
        return self._carry_out(source, target, plan)

    def _there(self, source: Tree) -> Tree:
        if not self._client.is_folder(self._remote):
            return Tree()
        tree = read_tree(self._client, self._remote, self._wish.selection, attempts=self._wish.attempts)
        # Names that only a server can have are nobody's business here.
        tree.problems = [(path, error) for path, error in tree.problems if not isinstance(error, BadName)]
        alike = _alike(tree, source)
        with_exact_times(self._client, self._remote, tree, alike, connections=self._wish.connections)
        return tree

    def _open(self, path: str) -> int:
        return self._here.open(path)

    def _make_folder(self, path: str) -> None:
        self._client.ensure_folder(join(self._remote, path))

    def _copy(self, jobs: list[Job]) -> list[FileResult]:
        wish = self._wish
        sender = Sender(bundles=True, resume=True, verify=wish.verify, attempts=wish.attempts, on_error="collect")
        return sender.run(
            self._client, jobs, connections=wish.connections, on_result=wish.on_result, progress=wish.progress
        )

    def _delete(self, path: str, node: Node) -> None:
        remove = self._client.remove_folder if node.kind == "folder" else self._client.remove
        remove(join(self._remote, path))


class _Down(_Mirror):
    def run(self, source: Tree) -> Mirrored:
        target = self._here.read(self._wish.selection)
        alike = _alike(source, target)
        with_exact_times(self._client, self._remote, source, alike, connections=self._wish.connections)
        plan = make_plan(source, target, same=_same_here, delete=self._wish.delete)
        self._block_clashes(plan, source)
        return self._carry_out(source, target, plan)

    def _block_clashes(self, plan: Plan, source: Tree) -> None:
        """Where case does not tell names apart two of the server's files would overwrite each other."""
        clashing = clashes(path for path, node in source.nodes.items() if node.kind in ("file", "folder"))
        if not clashing or not self._here.folds_case():
            return
        for path in [*plan.folders, *plan.copies]:
            above = path.rpartition("/")[0]
            if path in clashing:
                plan.blocked[path] = f"this system cannot tell it from {clashing[path]}"
            elif above in plan.blocked:
                plan.blocked[path] = f"its folder cannot be made: {plan.blocked[above]}"
        plan.copies = [path for path in plan.copies if path not in plan.blocked]
        plan.folders = [path for path in plan.folders if path not in plan.blocked]

    def _open(self, path: str) -> int:
        return self._here.folder(path.rpartition("/")[0])

    def _make_folder(self, path: str) -> None:
        os.close(self._here.folder(path, make=True))

    def _copy(self, jobs: list[Job]) -> list[FileResult]:
        wish = self._wish
        fetcher = Fetcher(resume=True, verify=wish.verify, attempts=wish.attempts, on_error="collect")
        return fetcher.run(
            self._client, jobs, connections=wish.connections, on_result=wish.on_result, progress=wish.progress
        )

    def _delete(self, path: str, node: Node) -> None:
        self._here.remove(path, is_folder=node.kind == "folder")


def _same_here(there: Node, here: Node) -> bool:
    return same_file(here, there, keeps_times=True)


def _alike(there: Tree, here: Tree) -> list[str]:
    """Files of the same size on both sides: whether they are the same is a question of time."""
    return [
        path
        for path, node in there.nodes.items()
        if node.kind == "file" and (other := here.nodes.get(path)) is not None and other.size == node.size
    ]
