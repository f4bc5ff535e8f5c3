"""The catalog that the settings name, with what they say about quotas."""

from __future__ import annotations

from logferry.archive.catalog import Catalog
from logferry.archive.catalog.quotas import Quota
from logferry.clock import SYSTEM, Clock
from logferry.server.config import ServerConfig
from logferry.server.first_run import catalog_url


def open_catalog(config: ServerConfig, clock: Clock = SYSTEM) -> Catalog:
    """The catalog of an archive, made or migrated when needed. Raises as ``Catalog.open``."""
    catalog = Catalog.open(catalog_url(config.data_dir), clock)
    catalog.quotas.default = Quota(config.quota.bytes, config.quota.files)
    return catalog
