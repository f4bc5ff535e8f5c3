"""The store's port: immutable objects with names, written once, read by ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from logferry.errors import BadName
from logferry.limits import OBJECT_NAME_BYTES_MAX

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a store. ``changed_ns``: when it was written, nanoseconds since 1970 by the store's own clock."""

    name: str
    size: int
    changed_ns: int


class Store(Protocol):
    """Objects are written whole and never changed. Thread-safe.

    Every method may raise Later (the store cannot be reached, or refused for now) and BadName.
    """

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        """Write an object and return its size when it is durable. Nothing shows under ``name`` before.

        Whatever ``parts`` raises ends it, and nothing shows.

        Raises:
            Conflict: there is an object of this name.
            Full: no room.
        """
        ...

    def read(self, name: str, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``, fewer only at the end. Raises NotFound."""
        ...

    def size(self, name: str) -> int | None:
        """How large the object is, None where there is none."""
        ...

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        """All objects whose name begins with the folder ``prefix`` (``""``: all), by name."""
        ...

    def remove(self, name: str) -> None:
        """Delete an object. That it is gone already is no error."""
        ...

    def sweep(self, before_ns: int) -> int:
        """Remove what writers that died before ``before_ns`` (nanoseconds since 1970) left; returns how much."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


def is_object_name(name: str) -> bool:
    """Whether ``name`` can name an object, or a folder of objects."""
    return len(name) <= OBJECT_NAME_BYTES_MAX and _NAME.fullmatch(name) is not None


def checked_object_name(name: str) -> str:
    """``name`` if it can name an object: parts of ASCII letters, digits, ``.``, ``_``, ``-`` with ``/`` between.

    Raises:
        BadName: otherwise.
    """
    if not is_object_name(name):
        raise BadName(f"{name[:80]!r} can name no object of a store")
    return name
