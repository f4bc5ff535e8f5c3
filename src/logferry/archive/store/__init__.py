"""The store: where segments lie, a local directory or an S3-compatible bucket. Same promises, same tests."""

from logferry.archive.store.bucket import BucketSettings, BucketStore
from logferry.archive.store.cached import CachedStore
from logferry.archive.store.local import LocalStore
from logferry.archive.store.store import Store, StoredObject, checked_object_name

__all__ = ["BucketSettings", "BucketStore", "CachedStore", "LocalStore", "Store", "StoredObject", "checked_object_name"]
