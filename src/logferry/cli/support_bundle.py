"""``logferry support-bundle``: what somebody who helps has to know of a server, in one zip, without secrets."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logferry.cli import failures, text
from logferry.cli.desk import note_here
from logferry.cli.environment import for_server
from logferry.cli.healthcheck import ask
from logferry.cli.serve import need_server
from logferry.errors import LogferryError, Refused

if TYPE_CHECKING:
    from logferry.server.config import LoadedConfig
    from logferry.server.support import Subject


@click.command("support-bundle")
@click.argument("out", metavar="OUT.zip", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--config", "file", type=click.Path(dir_okay=False), help="Settings; default: server.toml, if there.")
@click.option("--hide-names", is_flag=True, help="Pseudonyms for agents, files, people and machines.")
def support_bundle(out: Path, file: str | None, hide_names: bool) -> int:
    """Write OUT.zip: settings with origins, versions, doctor, metrics, sizes, the newest log lines of the server.

    Secrets are masked wherever they stand, and no contents of archived logs are in it. Look at it before you send it.
    """
    need_server()
    from logferry.server.config import load_config_with_origins
    from logferry.server.logs import configure
    from logferry.server.support import bundle

    configure(level=logging.WARNING, for_good=False)
    loaded = load_config_with_origins(file, for_server())
    with ExitStack() as stack:
        subject = _subject(loaded, stack)
        data = bundle(subject, hide_names=hide_names)
        _write(out, data)
        if subject.catalog is not None:
            from logferry.server.audit import Audit

            note_here(Audit(subject.catalog), "support.bundle", hide_names=hide_names, bytes=len(data))
    text.note(f"wrote {out} ({text.size(len(data))}), for its owner alone; look into it before you send it")
    return failures.OK


def _subject(loaded: LoadedConfig, stack: ExitStack) -> Subject:
    """What there is of the server: whoever asks for help may have nothing that can be opened."""
    from logferry.archive import Archive
    from logferry.archive.catalog.glance import glance
    from logferry.server.catalogs import catalog_place, has_catalog, open_catalog
    from logferry.server.store import store_of
    from logferry.server.support import Subject

    config = loaded.config
    try:
        metrics = ask(config.data_dir, config.web.root_path, "/metrics")
    except LogferryError:
        metrics = ""
    try:
        # Opening would migrate it, which is not for this to do.
        if not has_catalog(config) or not glance(catalog_place(config), within_s=0.0).is_current:
            return Subject(loaded, metrics=metrics)
        catalog = stack.enter_context(open_catalog(config))
        archive = stack.enter_context(Archive(config.data_dir, catalog, store=store_of(config, "care")))
    except (LogferryError, OSError) as error:
        text.note(f"without the archive's sizes: {error}")
        return Subject(loaded, metrics=metrics)
    return Subject(loaded, catalog, archive, metrics)


def _write(out: Path, data: bytes) -> None:
    """For its owner alone; nothing is written over."""
    try:
        fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Refused(f"{out} exists already", hint="choose another name") from error
    with os.fdopen(fd, "wb") as file:
        file.write(data)
