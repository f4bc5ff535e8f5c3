"""The catalog that the settings name, with what they say about quotas and zones."""

from __future__ import annotations

import os

from logferry.archive.catalog import Catalog, Place, sqlite_url
from logferry.archive.catalog.copying import fact_at
from logferry.archive.catalog.facts import HOLDER
from logferry.archive.catalog.quotas import Quota
from logferry.clock import SYSTEM, Clock
from logferry.server import holder
from logferry.server.config import ServerConfig
from logferry.server.secret import secret_in

CATALOG_FILE = "catalog.db"


def open_catalog(config: ServerConfig, clock: Clock = SYSTEM) -> Catalog:
    """The catalog of an archive, made or migrated when needed.

    Raises:
        Conflict: it is that of another archive's server.
        LogferryError: it cannot be read, does not answer, is from a newer Logferry: see ``Catalog.open``.
    """
    place = catalog_place(config)
    catalog = Catalog.open(place.url, clock, password=place.password)
    if config.catalog.url != "sqlite":
        try:
            holder.claim(catalog.facts, config.data_dir, config.catalog.shown_url)
        except BaseException:
            catalog.close()
            raise
    catalog.quotas.default = Quota(config.quota.bytes, config.quota.files)
    catalog.zones.default = config.archive.zone
    return catalog


def has_catalog(config: ServerConfig) -> bool:
    """Whether the archive has a catalog already. Raises as ``open_catalog`` does."""
    return Catalog.is_there(catalog_place(config))


def check_holder(config: ServerConfig) -> None:
    """Raise Conflict where the catalog is that of another archive's server. Raises as ``open_catalog`` does."""
    if config.catalog.url != "sqlite":
        told = fact_at(catalog_place(config), HOLDER)
        holder.check(told, config.data_dir, config.catalog.shown_url)


def catalog_place(config: ServerConfig) -> Place:
    """Where the catalog lies. Raises BadConfig when its password cannot be read."""
    if config.catalog.url == "sqlite":
        return Place(catalog_url(config.data_dir))
    file = config.catalog.password_file
    secret = secret_in(file, "catalog.password_file", "the password") if file else ""
    return Place(config.catalog.url, secret)


def catalog_url(data_dir: str) -> str:
    """The SQLAlchemy URL of the catalog in ``data_dir``, where the settings name no other."""
    return sqlite_url(os.path.join(data_dir, CATALOG_FILE))
