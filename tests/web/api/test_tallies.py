"""Counts over HTTP: how many, when, where; told while they are made to whoever wants that."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from logferry.clock import SystemClock
from logferry.limits import SEARCH_PER_USER_MAX
from logferry.search import tallying
from tests.web.served import Served, served, wait_for

COMPILING_S = 180.0
"""The first reading of times on a machine compiles what reads them."""
TALLY_KEYS = {
    "type", "reason", "total", "exact", "histogram", "facets", "scanned_bytes", "total_bytes", "files_done",
    "files_total", "seconds", "errors", "copies", "remarks",
    "whole_files", "whole_bytes",
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(site: Served) -> Served:
    """Lines of three hours on two agents; some tell no time."""
    lines = [f"2026-11-23T{8 + n // 60:02d}:{n % 60:02d}:00Z INFO request {n}\n" for n in range(150)]
    lines[20] = "2026-11-23T08:20:00Z ERROR request refused\n"
    lines[80] = "2026-11-23T09:20:00Z ERROR request refused\n"
    site.put("web-01", "app/app.log", "".join(lines).encode())
    site.put("web-02", "app/app.log", b"2026-11-23T09:40:00Z ERROR request refused\n")
    site.put("db-01", "notes.txt", b"nothing was refused here\n")
    return site


def tally(site: Served, kind: str, **params: Any) -> dict[str, Any]:
    """A tally as plain JSON."""
    answer = site.client.get(f"/api/v1/search/{kind}", params=params, timeout=COMPILING_S).raise_for_status()
    found: dict[str, Any] = answer.json()
    assert set(found) == TALLY_KEYS
    return found


def test_lines_are_counted(filled: Served) -> None:
    """Exactly, with the account of what was looked at."""
    found = tally(filled, "count", q="refused")
    assert (found["total"], found["exact"], found["reason"]) == (4, True, "complete")
    assert (found["histogram"], found["facets"]) == (None, [])
    assert found["files_total"] == found["whole_files"] == 3
    assert found["total_bytes"] == found["whole_bytes"]
    assert tally(filled, "count", q="refused agent:db*")["files_total"] == 1
    assert tally(filled, "count", q="nosuchword")["total"] == 0
    assert tally(filled, "count", q="REFUSED", case="true")["total"] == 0


def test_lines_are_counted_by_their_time(filled: Served) -> None:
    """Buckets begin at whole hours; what tells no time is counted apart."""
    found = tally(filled, "histogram", q="refused", by="hour")["histogram"]
    assert found == {
        "from": None,
        "to": None,
        "step_s": 3600,
        "buckets": [
            {"at": "2026-11-23T08:00:00.000Z", "count": 1},
            {"at": "2026-11-23T09:00:00.000Z", "count": 2},
        ],
        "untimed": 1,
        "outside": 0,
    }
    days = tally(filled, "histogram", q="refused", by="day")["histogram"]
    assert [bucket["count"] for bucket in days["buckets"]] == [3]


def test_auto_gives_no_more_buckets_than_asked_for(filled: Served) -> None:
    """And all lines are in them."""
    for most in (1, 2, 5, 30, 120):
        found = tally(filled, "histogram", q="request agent:web-01", buckets=most)["histogram"]
        assert 1 <= len(found["buckets"]) <= most
        assert sum(bucket["count"] for bucket in found["buckets"]) == 150


def test_lines_are_counted_by_field(filled: Served) -> None:
    """The values with the most lines first; in the same run as a histogram, too."""
    found = tally(filled, "facets", q="refused")["facets"]
    assert [facet["field"] for facet in found] == ["agent", "path"]
    assert found[0]["values"] == [
        {"value": "web-01", "count": 2},
        {"value": "db-01", "count": 1},
        {"value": "web-02", "count": 1},
    ]
    assert (found[0]["other"], found[0]["distinct"]) == (0, 3)
    assert found[1]["values"][0] == {"value": "web-01/app/app.log", "count": 2}
    both = tally(filled, "histogram", q="refused", facets="ext")
    assert both["facets"][0]["values"] == [{"value": "log", "count": 3}, {"value": "txt", "count": 1}]
    assert both["histogram"]["untimed"] == 1


@pytest.mark.parametrize(
    ("accept", "media"), [("text/event-stream", "text/event-stream"), ("application/x-ndjson",) * 2]
)
def test_a_tally_is_told_while_it_is_made(filled: Served, accept: str, media: str) -> None:
    """Progress, at last the counts, for whoever accepts a stream."""
    answer = filled.client.get("/api/v1/search/count", params={"q": "refused"}, headers={"Accept": media})
    assert answer.headers["content-type"].startswith(media)
    if media.endswith("ndjson"):
        told = [json.loads(line) for line in answer.text.splitlines()]
    else:
        parts = answer.text.strip().split("\n\n")
        told = [json.loads(part.partition("data: ")[2]) for part in parts]
    assert [event["type"] for event in told][-1] == "tally"
    assert {event["type"] for event in told[:-1]} == {"progress"}
    assert told[-1]["total"] == 4


@pytest.mark.parametrize(
    "params",
    [
        {"q": "(x"},
        {"q": "x", "fields": "nosuch"},
        {"q": "x", "from": "nosuch"},
        {"from": "2026-11-24", "to": "2026-11-23"},
    ],
)
def test_wrong_questions_are_refused(filled: Served, params: dict[str, str]) -> None:
    """400 with a hint, and no place is kept."""
    answer = filled.client.get("/api/v1/search/facets", params=params)
    assert answer.status_code == 400
    assert answer.json()["hint"]
    assert not filled.app.state.searches["root"]


@pytest.mark.parametrize("kind", ["count", "histogram", "facets"])
def test_bounds_that_cross_while_it_begins_cost_no_place(filled: Served, kind: str) -> None:
    """``now`` is one moment for all of a question: it is answered or refused, and the place is free again."""
    for moves in range(5):
        clock = Hurried(TO_NS + (10 - moves) * 10**9)
        filled.app.state.context = replace(filled.context, clock=clock)
        try:
            params = {"q": "refused", "from": "now-10s", "to": "2026-11-23T08:59:59Z"}
            answer = filled.client.get(f"/api/v1/search/{kind}", params=params, timeout=COMPILING_S)
        finally:
            filled.app.state.context = filled.context
        assert answer.status_code == (200 if moves else 400)
        wait_for(lambda: not filled.app.state.searches)


TO_NS = 1_795_424_400_000_000_000
"""2026-11-23T09:00:00Z, where ``to`` ends."""


class Hurried(SystemClock):
    """A clock on which a second passes whenever somebody looks."""

    def __init__(self, first_ns: int) -> None:
        self._next_ns = first_ns

    def now_ns(self) -> int:
        self._next_ns += 10**9
        return self._next_ns - 10**9


def test_nobody_counts_what_they_may_not_see(filled: Served) -> None:
    """The sums are those of the files that may be seen."""
    narrow = filled.as_("narrow", scope=("db-*/**",))
    found = narrow.get("/api/v1/search/facets", params={"q": "refused"}).json()
    assert found["total"] == 1
    assert found["facets"][0]["values"] == [{"value": "db-01", "count": 1}]
    assert found["files_total"] == 1
    assert (found["whole_files"], found["whole_bytes"]) == (None, None)


def test_a_count_cut_short_is_a_lower_bound(tmp_path: Path) -> None:
    """``exact`` is false, the reason is told."""
    with served(tmp_path / "data", search_s=0.1) as hasty:
        for n in range(3):
            hasty.put("a", f"{n}.log", b"%d\n" % n + b"some line with text\n" * 400_000)
        found = tally(hasty, "count", q="/[a-z]+ line/ -zzz")
    assert (found["exact"], found["reason"]) == (False, "time")
    assert found["total"] < 1_200_003


def test_what_was_counted_so_far_is_told_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts that grow, marked as not the last; the last is the whole."""
    monkeypatch.setattr(tallying, "TALLY_SO_FAR_S", 0.0)
    with served(tmp_path / "data") as own:
        for n in range(6):
            own.put(
                f"a{n}", "x.log", b"2026-11-23T08:00:00Z %d\n" % n + b"2026-11-23T09:00:00Z line with text\n" * 100_000
            )
        params = {"q": "/l[a-z]+e/ -zzz", "facets": "agent,ext"}
        answer = own.client.get(
            "/api/v1/search/histogram", params=params, headers={"Accept": "application/x-ndjson"}, timeout=COMPILING_S
        )
        told = [json.loads(line) for line in answer.text.splitlines()]
    tallies = [event for event in told if event["type"] == "tally"]
    *so_far, whole = tallies
    assert so_far, "it took long enough to say something"
    assert {each["reason"] for each in so_far} == {"running"}
    assert not any(each["exact"] for each in so_far)
    assert [each["total"] for each in tallies] == sorted(each["total"] for each in tallies)
    assert (whole["reason"], whole["exact"], whole["total"]) == ("complete", True, 600_000)
    assert sum(value["count"] for value in whole["facets"][0]["values"]) == 600_000
    assert whole["facets"][1]["values"] == [{"value": "log", "count": 600_000}]
    for each in tallies:
        assert sum(value["count"] for value in each["facets"][0]["values"]) == each["total"]


def test_whoever_hangs_up_ends_the_count(tmp_path: Path) -> None:
    """The place among the searches of a person is free again, in every form."""
    with served(tmp_path / "data") as own:
        for n in range(2):
            own.put("a", f"{n}.log", b"%d\n" % n + b"some line with text\n" * 400_000)
        for accept in ("application/json", "text/event-stream"):
            with own.new_client(dict(own.client.headers) | {"Accept": accept}) as client:
                for _ in range(SEARCH_PER_USER_MAX + 1):  # more than there are places: they do not add up
                    with contextlib.suppress(httpx.ReadTimeout):
                        client.get("/api/v1/search/histogram", params={"q": "/l[a-z]+e/ -zzz"}, timeout=0.1)
                    wait_for(lambda: not own.app.state.searches)
