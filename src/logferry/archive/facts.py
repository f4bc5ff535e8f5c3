"""What a manifest tells of a generation, taken from what the catalog knows of it."""

from __future__ import annotations

from typing import Protocol

from logferry.archive.segment import HeldGeneration


class Known(Protocol):
    """A generation in the catalog's words. ``own_number``: under its file."""

    @property
    def uid(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def own_number(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def started_ns(self) -> int: ...

    @property
    def changed_ns(self) -> int: ...

    @property
    def modified_ns(self) -> int: ...

    @property
    def ended_ns(self) -> int | None: ...

    @property
    def sha256(self) -> str | None: ...

    @property
    def sha256_size(self) -> int | None: ...


def known(generation: Known) -> HeldGeneration:
    """A generation as a manifest tells it. Its digest counts only if it is that of all its bytes."""
    return HeldGeneration(
        uid=generation.uid,
        path=generation.path,
        number=generation.own_number,
        size=generation.size,
        started_ns=generation.started_ns,
        changed_ns=generation.changed_ns,
        modified_ns=generation.modified_ns,
        ended_ns=generation.ended_ns,
        sha256=(generation.sha256 or "") if generation.sha256_size == generation.size else "",
    )
