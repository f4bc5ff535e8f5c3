"""The store that the settings name."""

from __future__ import annotations

import os

from logferry.archive.store import BucketSettings, BucketStore, CachedStore, Store
from logferry.errors import BadConfig
from logferry.limits import SECRET_BYTES_MAX
from logferry.server.config import ServerConfig

CACHE_FOLDER = "cache"


def store_of(config: ServerConfig, part: str) -> Store | None:
    """The bucket that ``[store]`` names, behind the cache of a part; None for the folder beside the live tree.

    Raises:
        BadConfig: the secret cannot be read.
    """
    wanted = config.store
    if wanted.url == "file":
        return None
    secret = secret_in(wanted.secret_file, "store.secret_file") if wanted.secret_file else ""
    bucket = BucketStore(
        BucketSettings.of_url(
            wanted.url, endpoint=wanted.endpoint, region=wanted.region, key_id=wanted.key_id, secret=secret
        )
    )
    if not wanted.cache:
        return bucket
    # A folder for each part, which counts what is in it; blocks that another process removed are fetched again.
    return CachedStore(bucket, os.path.join(config.data_dir, CACHE_FOLDER, part), wanted.cache)


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
