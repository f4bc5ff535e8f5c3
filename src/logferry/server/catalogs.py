"""The catalog that the settings name, with what they say about quotas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from logferry.archive.catalog import Catalog
from logferry.archive.catalog.quotas import Quota
from logferry.clock import SYSTEM, Clock
from logferry.server.config import ServerConfig
from logferry.server.first_run import catalog_url


def quota_of(config: ServerConfig) -> Quota:
    """What agents without a quota of their own may hold."""
    return Quota(config.quota.bytes, config.quota.files)


@contextmanager
def opened_catalog(config: ServerConfig, clock: Clock = SYSTEM) -> Iterator[Catalog]:
    """The catalog that the settings name, with their quotas. Raises as ``Catalog.open``."""
    with Catalog.open(catalog_url(config.data_dir), clock) as catalog:
        catalog.quotas.default = quota_of(config)
        yield catalog
