"""The catalog of an archive and the rules over it, for ``logferry admin``: with or without a running server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logferry.cli.environment import for_server
from logferry.cli.serve import need_server

if TYPE_CHECKING:
    from logferry.archive import Catalog
    from logferry.server.audit import Audit
    from logferry.server.config import ServerConfig
    from logferry.server.enrolment import Enrolment
    from logferry.server.people import People


@dataclass(frozen=True, slots=True)
class Desk:
    """An open catalog and the rules over it."""

    config: ServerConfig
    catalog: Catalog
    people: People
    enrolment: Enrolment
    audit: Audit

    def note(self, action: str, target: str = "", **detail: Any) -> None:
        """What was just done, for the audit."""
        note_here(self.audit, action, target, **detail)


def note_here(audit: Audit, action: str, target: str = "", **detail: Any) -> None:
    """What was just done, for the audit: whoever works here is known by the name that this machine has for them."""
    import getpass

    from logferry.server.audit import Deed
    from logferry.server.people import LOCAL_USER

    try:
        account = getpass.getuser()
    except (OSError, KeyError):  # a number without a name
        account = ""
    told = {"account": account, **detail}
    audit.note(Deed("change", action, target, LOCAL_USER, "admin", "command line", detail=told))


@contextmanager
def desk_of(file: str | None) -> Iterator[Desk]:
    """Open what the settings name. Raises NotFound where there is no archive."""
    need_server()
    from logferry.errors import NotFound
    from logferry.server.audit import Audit
    from logferry.server.catalogs import has_catalog, open_catalog
    from logferry.server.config import load_config
    from logferry.server.enrolment import Enrolment
    from logferry.server.logs import configure
    from logferry.server.people import People

    config = load_config(file, for_server())
    if not has_catalog(config):
        raise NotFound(f"no archive in {config.data_dir}", hint="name its settings with --config, or start it first")
    configure(level=logging.WARNING, for_good=False)
    with open_catalog(config) as catalog:
        people = People(catalog)
        yield Desk(config, catalog, people, Enrolment(catalog, people), Audit(catalog))


def web_url(config: ServerConfig) -> str:
    """Where the web part listens, or would: what the running one announced, else the settings."""
    from logferry.server import runfiles
    from logferry.server.config import join_address
    from logferry.server.first_run import shown_host

    told = runfiles.read_json(runfiles.part_file(config.data_dir, "web"))
    host, port = (str(told["host"]), int(told["port"])) if told else config.web.address
    scheme = "https" if config.web.secure else "http"
    return f"{scheme}://{join_address(shown_host(host), port)}{config.web.root_path}"
