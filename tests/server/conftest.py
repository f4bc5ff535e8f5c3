"""A catalog and its people on a temporary folder, with a clock that tests turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.archive.catalog import Catalog
from logferry.clock import ManualClock
from logferry.server.enrolment import Enrolment
from logferry.server.people import People


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until it is moved."""
    return ManualClock()


@pytest.fixture
def catalog(tmp_path: Path, clock: ManualClock) -> Iterator[Catalog]:
    """An empty catalog."""
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", clock) as opened:
        yield opened


@pytest.fixture
def people(catalog: Catalog, clock: ManualClock) -> People:
    """Nobody yet."""
    return People(catalog, clock=clock)


@pytest.fixture
def enrolment(catalog: Catalog, people: People, clock: ManualClock) -> Enrolment:
    """No codes yet."""
    return Enrolment(catalog, people, clock=clock)
