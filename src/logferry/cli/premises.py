"""The archive itself, opened by commands that run on the server's own machine, beside a running server or without."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from logferry.cli.desk import note_here
from logferry.cli.environment import for_server
from logferry.cli.serve import need_server

if TYPE_CHECKING:
    from logferry.archive import Archive, Catalog
    from logferry.server.config import ServerConfig

config_option = click.option(
    "--config", "file", type=click.Path(dir_okay=False), help="Settings; default: server.toml, if there."
)


@dataclass(frozen=True, slots=True)
class Premises:
    """An open archive with its settings."""

    config: ServerConfig
    catalog: Catalog
    archive: Archive

    def note(self, action: str, target: str = "", **detail: Any) -> None:
        """What was just done, for the audit."""
        from logferry.server.audit import Audit

        note_here(Audit(self.catalog), action, target, **detail)


@contextmanager
def premises(file: str | None, *, need_catalog: bool = True) -> Iterator[Premises]:
    """Open what the settings name.

    Raises:
        NotFound: there is no archive (``need_catalog``: or it has lost its catalog).
        Conflict: a backup is being restored to it.
    """
    need_server()
    from logferry.archive import Archive
    from logferry.archive.backup.restoring import refuse_unfinished
    from logferry.errors import NotFound
    from logferry.server.catalogs import has_catalog, open_catalog
    from logferry.server.config import load_config
    from logferry.server.logs import configure
    from logferry.server.store import store_of

    config = load_config(file, for_server())
    root = config.data_dir
    if not os.path.isdir(root):
        raise NotFound(f"no archive in {root}", hint="name its settings with --config, or start it first")
    refuse_unfinished(root)
    if need_catalog and not has_catalog(config):
        raise NotFound(f"the archive in {root} has no catalog", hint="logferry repair builds it from what is there")
    configure(level=logging.WARNING, for_good=False)
    with (
        open_catalog(config) as catalog,
        Archive(root, catalog, store=store_of(config, "care")) as archive,
    ):
        yield Premises(config, catalog, archive)


def as_plain(value: Any) -> dict[str, Any]:
    """A frozen record for JSON."""
    import dataclasses

    return dataclasses.asdict(value)
