"""What a search learns by reading is kept for the next one, and takes little memory until then."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.search.events import Hit
from logferry.search.indexed import lookup
from logferry.search.indexed.lookup import Lookup
from logferry.search.running import Running
from logferry.search.service import SearchRequest, SearchService
from tests.search.test_indexed import EVERYTHING, Grown
from tests.security.amounts import seed

QUERY = SearchRequest("/ [0-9]*7$/", EVERYTHING, limit=10**6)
BOUND = 2_000
RUN = 700
"""More than one run adds; all of them add some 4,500."""


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Grown]:
    """Some granules that have to be read."""
    made = Grown(tmp_path, random.Random(seed("learning")))
    made.put("db", "big.log", b"".join(made.stamped() for _ in range(20_000)))
    made.seal()
    yield made
    made.close()


def test_a_long_export_holds_little_of_what_it_read(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits, put with the answers as soon as they are many; the next search reads nothing again."""
    monkeypatch.setattr(lookup, "SEARCH_LEARNED_BYTES_MAX", BOUND)
    used: list[Lookup] = []
    make = Running.lookup

    def seen(running: Running) -> Lookup:
        used.append(make(running))
        return used[-1]

    monkeypatch.setattr(Running, "lookup", seen)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    found, most = [], 0
    for event in service.run(QUERY):
        if isinstance(event, Hit):
            found.append(event)
        most = max(most, used[0].learned_bytes if used else 0)
    assert len(found) > 1000
    assert BOUND / 4 < most <= BOUND + RUN
    (view,) = (used[0].view(record.id) for record in grown.segments())
    assert view is not None
    again = used[0].answer(view, used[0]._selection.nodes[0])
    assert not again.maybe.any()
    assert int(again.sure.sum()) == len(found)
    assert [event for event in service.run(QUERY) if isinstance(event, Hit)] == found
