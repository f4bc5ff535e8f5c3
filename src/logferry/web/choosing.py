"""Files that a query finds, in an order that the catalog does not keep; and near names where none is found."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from logferry.archive.records import FileRecord
from logferry.limits import (
    FILES_SORTED_MAX,
    NEAR_CUTS_MAX,
    NEAR_NAME_CHARS_MIN,
    NEAR_NAMES_MAX,
    NEAR_S_MAX,
    NEAR_WORD_CHARS_MAX,
)
from logferry.server.people import Identity
from logferry.web.context import WebContext

Order = Literal["name", "newest", "largest"]
ORDERS: tuple[Order, ...] = ("name", "newest", "largest")
_KEYS: dict[Order, Callable[[FileRecord], Any]] = {
    "newest": lambda file: (-file.changed_ns, file.agent, file.path),
    "largest": lambda file: (-file.size, file.agent, file.path),
}


@dataclass(frozen=True, slots=True)
class Sorted:
    """The first files in an order, and of how many that match they are the first.

    ``complete`` False: more than ``FILES_SORTED_MAX`` match, and only so many, by name, were looked at.
    """

    files: list[FileRecord]
    count: int
    complete: bool


def sorted_files(context: WebContext, who: Identity, q: str, order: Order, limit: int, *, agent: str = "") -> Sorted:
    """The first ``limit`` files in ``order``, which is not ``name``: that one the catalog keeps, page by page.

    Raises:
        BadQuery: the query does not parse, or has fields of lines.
    """
    page = context.search.find_files(q, agent=agent, scope=who.scope, cursor=None, limit=FILES_SORTED_MAX)
    files = heapq.nsmallest(limit, page.files, key=_KEYS[order])
    return Sorted(files, len(page.files), page.next is None)


def near(context: WebContext, who: Identity, q: str) -> list[FileRecord]:
    """Files whose names begin, or end, like a plain word that none has in it; nothing for longer queries.

    Gives up after ``NEAR_S_MAX``.
    """
    if len(q) > NEAR_WORD_CHARS_MAX or not q.replace("-", "").replace("_", "").replace(".", "").isalnum():
        return []
    until_s = context.clock.monotonic_s() + NEAR_S_MAX
    for cut in range(1, min(len(q) - NEAR_NAME_CHARS_MIN, NEAR_CUTS_MAX) + 1):
        for part in (q[:-cut], q[cut:]):
            if context.clock.monotonic_s() >= until_s:
                return []
            if part.strip("-_."):
                page = context.search.find_files(f'"{part}"', scope=who.scope, cursor=None, limit=NEAR_NAMES_MAX)
                if page.files:
                    return list(page.files)
    return []
