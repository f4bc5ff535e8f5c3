"""Building a lost catalog anew, beside the old one if there is one; it counts when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

from logferry.archive import Archive, Catalog
from logferry.archive.rebuild import Rebuilt
from logferry.clock import SYSTEM, Clock
from logferry.errors import NotFound
from logferry.server import runfiles
from logferry.server.config import ServerConfig
from logferry.server.first_run import CATALOG_FILE, lock_archive
from logferry.server.store import store_of

_NEW = CATALOG_FILE + ".new"
_BESIDE = ("", "-wal", "-shm")
"""A catalog's own file, and those that SQLite keeps beside it while it is open, or after a crash."""


def rebuilt(config: ServerConfig, *, write: bool = True, clock: Clock = SYSTEM) -> Iterator[Rebuilt]:
    """Build the catalog of an archive from its segments and files; yields what was found, agent by agent.

    An old catalog is kept under another name. Cut off, nothing has changed.

    Raises:
        Conflict: a server runs on the archive.
        NotFound: there is no archive.
    """
    data_dir = config.data_dir
    if not os.path.isdir(data_dir):
        raise NotFound(f"no archive in {data_dir}", hint="name its settings with --config")
    os.makedirs(os.path.join(data_dir, runfiles.RUN_FOLDER), mode=0o700, exist_ok=True)
    lock_fd = lock_archive(data_dir)
    try:
        _remove(data_dir, _NEW)
        url = f"sqlite:///{os.path.join(data_dir, _NEW)}"
        with (
            Catalog.open(url, clock) as catalog,
            Archive(data_dir, catalog, clock=clock, store=store_of(config, "care")) as archive,
        ):
            yield from archive.rebuild(write=write)
        if write:
            _put_in_place(data_dir, clock)
        _remove(data_dir, _NEW)
    finally:
        os.close(lock_fd)


def _put_in_place(data_dir: str, clock: Clock) -> None:
    stamp = f"{datetime.fromtimestamp(clock.now_ns() / 1e9, UTC):%Y%m%dT%H%M%SZ}"
    for suffix in _BESIDE:
        old = os.path.join(data_dir, CATALOG_FILE + suffix)
        if os.path.exists(old):
            os.rename(old, os.path.join(data_dir, f"{CATALOG_FILE}.old-{stamp}{suffix}"))
    os.rename(os.path.join(data_dir, _NEW), os.path.join(data_dir, CATALOG_FILE))
    fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(data_dir: str, name: str) -> None:
    for suffix in _BESIDE:
        path = os.path.join(data_dir, name + suffix)
        if os.path.exists(path):
            os.unlink(path)
