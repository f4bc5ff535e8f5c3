"""The routes of the application, for tests that walk all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def flat(routes: Iterable[Any]) -> Iterator[Any]:
    """All routes with their whole paths, those of routers that were included too."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):
            yield from flat(route.effective_route_contexts())
        elif hasattr(route, "methods"):  # else a mount of files, which are anybody's
            yield route
