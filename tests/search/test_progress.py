"""A search says how far it is all the time, so whoever takes it piece by piece is never held for long."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from logferry.clock import SYSTEM
from logferry.limits import PROGRESS_S
from logferry.search import tallying
from logferry.search.events import Progress
from logferry.search.executor import Crew
from logferry.search.indexed.view import View
from logferry.search.indexed.views import Views
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Tally
from tests.search.test_indexed import EVERYTHING, Grown
from tests.security.amounts import seed

SEGMENTS = 6


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Grown]:
    """Some segments."""
    with closing(Grown(tmp_path, random.Random(seed("progress")))) as made:
        for number in range(SEGMENTS):
            made.put("web-01", f"{number}.log", made.text(200))
            made.seal(1 << 20)
        yield made


@pytest.mark.parametrize("kind", ["hits", "tally"])
def test_it_tells_between_one_slow_segment_and_the_next(
    grown: Grown, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Indexes may come from far away: after each there is an event, where one is due."""
    opened = 0
    of = Views.of

    def slow(self: Views, *given: Any) -> View | None:
        nonlocal opened
        opened += 1
        grown.clock.advance(2 * PROGRESS_S)
        return of(self, *given)

    monkeypatch.setattr(Views, "of", slow)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    request = SearchRequest("nowherefound", EVERYTHING)
    events = service.run(request) if kind == "hits" else service.tally(request)
    seen = [0, *(opened for _ in events)]
    assert opened >= SEGMENTS
    assert max(after - before for before, after in pairwise(seen)) == 1


class Silent(Executor):
    """Never answers."""

    def submit(self, *_given: Any, **_more: Any) -> Future[Any]:
        """Never done."""
        return Future()


class Away:
    """A place whose one worker never answers."""

    def count(self) -> int:
        """One."""
        return 1

    def check(self) -> None:
        """It is there."""

    def executor(self, lane: int) -> Executor:
        """The same for all."""
        assert lane == 0
        return Silent()

    def close(self) -> None:
        """Nothing to let go."""


def test_it_tells_while_a_worker_is_waited_for(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be stopped meanwhile, too."""
    monkeypatch.setattr(tallying, "SEARCH_SPREAD_BYTES", 1)
    cancel = threading.Event()
    with closing(Crew(Away())) as crew:
        service = SearchService(grown.archive, grown.catalog, clock=SYSTEM, crew=crew)
        events = service.tally(SearchRequest("/e.r/", EVERYTHING, cancel=cancel))
        for _ in range(3):
            assert isinstance(next(events), Progress)
        cancel.set()
        *_, last = events
        assert isinstance(last, Tally)
        assert last.reason == "cancelled"
