"""Building a lost catalog anew, beside the old one if there is one; it counts when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext

from logferry.archive import Archive
from logferry.archive.backup.restoring import refuse_unfinished
from logferry.archive.catalog.beside import catalog_beside
from logferry.archive.locks import backing_up
from logferry.archive.rebuild import Rebuilt
from logferry.clock import SYSTEM, Clock
from logferry.errors import NotFound
from logferry.server import runfiles
from logferry.server.catalogs import catalog_place, check_holder
from logferry.server.config import ServerConfig
from logferry.server.first_run import lock_archive
from logferry.server.store import store_of


def rebuilt(config: ServerConfig, *, write: bool = True, clock: Clock = SYSTEM) -> Iterator[Rebuilt]:
    """Build the catalog of an archive from its segments and files; yields what was found, agent by agent.

    An old catalog is kept under another name. Cut off, nothing has changed.

    Raises:
        Conflict: a server runs on the archive, a restore to it is not at its end, or a backup is being taken (which
            only ``write`` would harm), or the catalog is that of another archive.
        NotFound: there is no archive.
    """
    data_dir = config.data_dir
    if not os.path.isdir(data_dir):
        raise NotFound(f"no archive in {data_dir}", hint="name its settings with --config")
    os.makedirs(os.path.join(data_dir, runfiles.RUN_FOLDER), mode=0o700, exist_ok=True)
    lock_fd = lock_archive(data_dir)
    try:
        refuse_unfinished(data_dir)
        check_holder(config)
        with (
            backing_up(data_dir) if write else nullcontext(),  # a backup reads by the ids of the old catalog
            catalog_beside(catalog_place(config), clock, keep=write) as catalog,
            Archive(data_dir, catalog, clock=clock, store=store_of(config, "care")) as archive,
        ):
            yield from archive.rebuild(write=write)
    finally:
        os.close(lock_fd)
