"""The catalog that the settings name, with what they say about quotas."""

from __future__ import annotations

import os

from logferry.archive.catalog import Catalog, Place, sqlite_url
from logferry.archive.catalog.quotas import Quota
from logferry.clock import SYSTEM, Clock
from logferry.errors import BadConfig
from logferry.limits import SECRET_BYTES_MAX
from logferry.server.config import ServerConfig

CATALOG_FILE = "catalog.db"


def open_catalog(config: ServerConfig, clock: Clock = SYSTEM) -> Catalog:
    """The catalog of an archive, made or migrated when needed.

    Raises:
        LogferryError: it cannot be read, does not answer, is from a newer Logferry: see ``Catalog.open``.
    """
    place = catalog_place(config)
    catalog = Catalog.open(place.url, clock, password=place.password)
    catalog.quotas.default = Quota(config.quota.bytes, config.quota.files)
    return catalog


def has_catalog(config: ServerConfig) -> bool:
    """Whether the archive has a catalog already. Raises as ``open_catalog`` does."""
    return Catalog.is_there(catalog_place(config))


def catalog_place(config: ServerConfig) -> Place:
    """Where the catalog lies. Raises BadConfig when its password cannot be read."""
    if config.catalog.url == "sqlite":
        return Place(catalog_url(config.data_dir))
    secret = _secret(config.catalog.password_file) if config.catalog.password_file else ""
    return Place(config.catalog.url, secret)


def catalog_url(data_dir: str) -> str:
    """The SQLAlchemy URL of the catalog in ``data_dir``, where the settings name no other."""
    return sqlite_url(os.path.join(data_dir, CATALOG_FILE))


def _secret(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            line = file.read(SECRET_BYTES_MAX).split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadConfig(f"catalog.password_file {path}: {why}", hint="put the password there") from error
    if not line:
        raise BadConfig(f"catalog.password_file {path} is empty", hint="the password belongs on its first line")
    return line
