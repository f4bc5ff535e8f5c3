"""Objects in an S3-compatible bucket, through obstore. A reply of the bucket is its promise of durability."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import S3Store

from logferry.archive.store.store import StoredObject, checked_object_name
from logferry.errors import BadConfig, Conflict, LogferryError, NotFound, Unreachable
from logferry.limits import BUCKET_PART_BYTES, BUCKET_RETRIES_MAX, BUCKET_S_MAX


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """Where the bucket is. Without keys obstore looks for them as the AWS tools do (environment, instance)."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    """``http(s)://host:port`` of a server other than AWS."""
    region: str = "us-east-1"
    key_id: str = ""
    secret: str = ""

    @classmethod
    def of_url(cls, url: str, **others: str) -> BucketSettings:
        """From ``s3://bucket/prefix``. Raises BadConfig."""
        scheme, _, rest = url.partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise BadConfig(f"store.url {url!r} is not s3://bucket/prefix", hint='or "file" for a local directory')
        return cls(bucket, prefix.strip("/"), **others)


class BucketStore:
    """A ``Store`` in a bucket."""

    def __init__(self, settings: BucketSettings) -> None:
        """Does not connect yet."""
        self._where = f"bucket {settings.bucket}"
        given: dict[str, Any] = {"region": settings.region}
        if settings.endpoint:
            given["endpoint"] = settings.endpoint
            given["virtual_hosted_style_request"] = False
        if settings.key_id:
            given |= {"access_key_id": settings.key_id, "secret_access_key": settings.secret}
        self._store = S3Store(
            settings.bucket,
            prefix=settings.prefix or None,
            client_options={"allow_http": settings.endpoint.startswith("http://"), "timeout": f"{BUCKET_S_MAX}s"},
            retry_config={"max_retries": BUCKET_RETRIES_MAX, "retry_timeout": timedelta(seconds=BUCKET_S_MAX)},
            **given,
        )

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        """See ``Store.put``."""
        if self.size(name) is not None:
            raise Conflict(f"the store has an object {name} already")
        size = 0
        with self._translating(name), obstore.open_writer(self._store, name, buffer_size=BUCKET_PART_BYTES) as writer:
            for part in parts:
                writer.write(part)
                size += len(part)
        return size

    def read(self, name: str, offset: int, count: int) -> bytes:
        """See ``Store.read``."""
        checked_object_name(name)
        if count <= 0:
            return b""
        with self._translating(name):
            try:
                return bytes(obstore.get_range(self._store, name, start=offset, length=count))
            except exceptions.GenericError:
                # A range that begins behind the end is an error to a bucket; to us it is the end.
                size = self.size(name)
                if size is None or offset < size:
                    raise
                return b""

    def size(self, name: str) -> int | None:
        """See ``Store.size``."""
        checked_object_name(name)
        with self._translating(name):
            try:
                return int(obstore.head(self._store, name)["size"])
            except (exceptions.NotFoundError, FileNotFoundError):
                return None

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        """See ``Store.objects``."""
        where = checked_object_name(prefix) if prefix else None
        found: list[StoredObject] = []
        with self._translating(prefix or "everything"):
            for batch in obstore.list(self._store, where, chunk_size=1000):
                found += [
                    StoredObject(str(o["path"]), int(o["size"]), int(o["last_modified"].timestamp() * 1e9))
                    for o in batch
                ]
        yield from sorted(found, key=lambda o: o.name)

    def remove(self, name: str) -> None:
        """See ``Store.remove``."""
        checked_object_name(name)
        with self._translating(name):
            try:
                obstore.delete(self._store, name)
            except (exceptions.NotFoundError, FileNotFoundError):
                return

    def sweep(self, before_ns: int) -> int:  # noqa: ARG002 (the port's)
        """Nothing: a bucket shows no object before it is whole, and drops parts by its own lifecycle rule."""
        return 0

    def close(self) -> None:
        """See ``Store.close``."""

    @contextmanager
    def _translating(self, name: str) -> Iterator[None]:
        try:
            yield
        except LogferryError:
            raise
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            raise NotFound(f"{self._where} has no object {name}") from error
        except (exceptions.BaseError, OSError, PermissionError) as error:
            raise Unreachable(
                f"{self._where}, object {name}: {_first_line(error)}", hint="nothing was lost; it is tried again"
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
