"""The store that the settings name."""

from __future__ import annotations

import os

from logferry.archive.store import BucketSettings, BucketStore, CachedStore, Store
from logferry.errors import BadConfig
from logferry.limits import SECRET_BYTES_MAX
from logferry.server.config import BackupConfig, ServerConfig, StoreConfig

CACHE_FOLDER = "cache"


def store_of(config: ServerConfig, part: str) -> Store | None:
    """The bucket that ``[store]`` names, behind the cache of a part; None for the folder beside the live tree.

    Raises:
        BadConfig: the secret cannot be read.
    """
    wanted = config.store
    if wanted.url == "file":
        return None
    bucket = bucket_at(wanted.url, wanted, "store")
    if not wanted.cache:
        return bucket
    # A folder for each part, which counts what is in it; blocks that another process removed are fetched again.
    return CachedStore(bucket, os.path.join(config.data_dir, CACHE_FOLDER, part), wanted.cache)


def bucket_at(url: str, access: StoreConfig | BackupConfig, section: str) -> BucketStore:
    """The bucket at ``url``, with the access that a section of the settings gives.

    Raises:
        BadConfig: ``url`` is none, or the secret cannot be read.
    """
    secret = secret_in(access.secret_file, f"{section}.secret_file") if access.secret_file else ""
    return BucketStore(
        BucketSettings.of_url(url, endpoint=access.endpoint, region=access.region, key_id=access.key_id, secret=secret)
    )


def secret_in(path: str, setting: str) -> str:
    """The first line of the file that a setting names. Raises BadConfig."""
    try:
        with open(path, encoding="utf-8") as file:
            line = file.read(SECRET_BYTES_MAX).split("\n", 1)[0].strip()
    except OSError as error:
        raise BadConfig(f"{setting} {path}: {error.strerror}", hint="put the secret access key there") from error
    if not line:
        raise BadConfig(f"{setting} {path} is empty", hint="the secret access key belongs on its first line")
    return line
