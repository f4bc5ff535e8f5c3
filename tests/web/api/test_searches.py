"""Searches that go on by themselves: read while they run, resumed, cancelled, bounded, and nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from logferry.archive.index_making import MakerHere
from logferry.clock import ManualClock
from logferry.errors import Busy, NotFound
from logferry.limits import (
    SEARCH_JOB_KEPT_S,
    SEARCH_JOB_UNHEARD_S,
    SEARCH_PER_USER_MAX,
)
from logferry.search.service import SearchRequest
from logferry.server.people import Identity
from logferry.server.scope import Scope
from logferry.web import jobs as jobs_module
from logferry.web import streams as streams_module
from logferry.web.api import searches as searches_module
from logferry.web.api import tail as tail_module
from logferry.web.jobs import Job, Jobs
from logferry.web.searching import Slots
from logferry.web.streams import Streams
from tests.web.served import Served, served, wait_for

LINES = 3_000
JOB_KEYS = {
    "id", "state", "why", "complete", "asked", "limit", "started_at", "ended_at", "scanned_bytes", "total_bytes",
    "files_done", "files_total", "hits", "errors", "copies", "remarks",
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two agents with many lines, and one file that takes a while."""
    with served(tmp_path_factory.mktemp("jobs") / "data") as running:
        running.put("web-01", "app.log", b"".join(b"word %d\n" % n for n in range(LINES)))
        running.put("db-01", "pg.log", b"word of the database\n")
        block = b"".join(b"slow %d and some more text\n" % n for n in range(40_000)) * 10
        for n in range(6):
            running.put("slow", f"{n}.log", b"%d\n" % n + block)
        yield running


def start(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    """A new search, as the server tells it."""
    answer = client.post("/api/v1/searches", json=asked)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"].endswith(f"/api/v1/searches/{found['id']}")
    return found


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """The search once it has ended."""
    seen: dict[str, Any] = {}

    def is_over() -> bool:
        seen.update(client.get(f"/api/v1/searches/{job_id}").raise_for_status().json())
        return bool(seen["state"] != "running")

    wait_for(is_over)
    return seen


def pages(client: httpx.Client, job_id: str, limit: int) -> Iterator[list[dict[str, Any]]]:
    """All pages of its hits, to the end."""
    cursor = ""
    while True:
        params: dict[str, Any] = {"limit": limit, "cursor": cursor}
        page = client.get(f"/api/v1/searches/{job_id}/hits", params=params).raise_for_status().json()
        yield page["items"]
        if page["next"] is None:
            return
        cursor = page["next"]


def events(answer: httpx.Response) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(event, id, data) of a stream of server-sent events."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def test_a_search_runs_by_itself_and_is_read_page_by_page(site: Served) -> None:
    """Every hit once, in the order in which a stream tells them; the account says that nothing is missing."""
    job = start(site.client, q="word", agent="web-*", limit=0)
    assert set(job) == JOB_KEYS
    done = ended(site.client, job["id"])
    assert (done["state"], done["complete"], done["hits"], done["why"]) == ("done", True, LINES, "")
    assert done["ended_at"] >= done["started_at"]
    assert done["asked"] == {"q": "word", "agent": "web-*", "limit": 0}
    found = [hit for page in pages(site.client, job["id"], 700) for hit in page]
    streamed = site.client.get("/api/v1/search", params={"q": "word", "agent": "web-*", "limit": 0}).text.splitlines()
    assert found == [hit for hit in map(json.loads, streamed) if hit["type"] == "hit"]


def test_a_page_never_changes(site: Served) -> None:
    """The same cursor gives the same hits, while it runs and afterwards."""
    job = start(site.client, q="slow", limit=5000)
    first: dict[str, Any] = {}

    def has_page() -> bool:
        first.update(site.client.get(f"/api/v1/searches/{job['id']}/hits", params={"limit": 50}).json())
        return len(first["items"]) == 50

    wait_for(has_page)
    assert first["next"] == "50"
    ended(site.client, job["id"])
    again = site.client.get(f"/api/v1/searches/{job['id']}/hits", params={"limit": 50}).json()
    assert again["items"] == first["items"]
    assert [len(page) for page in pages(site.client, job["id"], 1000)] == [1000] * 5


def test_events_come_from_the_first_and_continue_behind_the_last_one_seen(site: Served) -> None:
    """Broken off after any event and resumed with its id: no hit is lost, none comes twice."""
    job = start(site.client, q="word", limit=500)
    url = f"/api/v1/searches/{job['id']}/events"
    got: list[int] = []
    last_id = ""
    for taken in itertools.cycle((1, 7, 90)):
        headers = {"Last-Event-ID": last_id} if last_id else {}
        with site.client.stream("GET", url, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            told = list(itertools.islice(events(answer), taken))
        last_id = told[-1][1] or last_id
        got += [data["b"] for kind, _, data in told if kind == "hit"]
        if told[-1][0] == "done":
            assert told[-1][2]["reason"] == "limit"
            assert told[-1][2]["state"] == "limit"
            break
    hits = [hit for page in pages(site.client, job["id"], 1000) for hit in page]
    assert got == [hit["b"] for hit in hits]
    assert len(got) == 500


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "999999", "9" * 20])
def test_ids_and_cursors_of_others_are_refused(site: Served, given: str) -> None:
    """400 with a hint, not a guess."""
    job = start(site.client, q="database")
    ended(site.client, job["id"])
    answer = site.client.get(f"/api/v1/searches/{job['id']}/events", headers={"Last-Event-ID": given})
    assert answer.status_code == 400
    assert answer.json()["hint"]
    assert site.client.get(f"/api/v1/searches/{job['id']}/hits", params={"cursor": given}).status_code == 400


def test_a_search_is_its_owners_alone(site: Served) -> None:
    """For everybody else, an administrator too, it is not there."""
    other = site.as_("owner")
    job = start(other, q="word")
    for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/hits"), ("GET", "/events"), ("POST", "/cancel")):
        answer = site.client.request(method, f"/api/v1/searches/{job['id']}{tail}")
        assert answer.status_code == 404, (method, tail)
    assert job["id"] not in {item["id"] for item in site.client.get("/api/v1/searches").json()["items"]}
    assert [item["id"] for item in other.get("/api/v1/searches").json()["items"]] == [job["id"]]
    with site.new_client() as stranger:
        assert stranger.post("/api/v1/searches", json={"q": "x"}).status_code == 401


def test_what_a_search_may_see_is_what_its_owner_may_see(site: Served) -> None:
    """And when that changes, what was found before is gone as well."""
    narrow = site.as_("narrow", scope=("db-*/**",))
    job = start(narrow, q="word")
    assert ended(narrow, job["id"])["hits"] == 1
    site.context.people.change("narrow", scope=["web-*/**"])
    assert narrow.get(f"/api/v1/searches/{job['id']}/hits").status_code == 404


def test_a_removed_search_ends_and_is_forgotten(site: Served) -> None:
    """Its place is free again; whoever listened is told that it was cancelled."""
    job = start(site.client, q="slow -zzz", limit=0)
    with site.client.stream("GET", f"/api/v1/searches/{job['id']}/events") as answer:
        told = events(answer)
        next(told)
        assert site.as_("other").delete(f"/api/v1/searches/{job['id']}").status_code == 404
        assert site.client.delete(f"/api/v1/searches/{job['id']}").status_code == 204
        kind, _, data = list(told)[-1]
    assert (kind, data["reason"]) == ("done", "cancelled")
    assert site.client.get(f"/api/v1/searches/{job['id']}").status_code == 404
    wait_for(lambda: not site.app.state.searches["root"])


def test_a_cancelled_search_keeps_what_it_found_and_says_so(site: Served) -> None:
    """State ``cancelled``, not complete, with the reason in words."""
    job = start(site.client, q="slow", limit=0)
    url = f"/api/v1/searches/{job['id']}"
    wait_for(lambda: site.client.get(url).json()["hits"])
    site.client.post(f"{url}/cancel").raise_for_status()
    done = ended(site.client, job["id"])
    assert (done["state"], done["complete"], done["why"]) == ("cancelled", False, "it was stopped")
    assert done["scanned_bytes"] < done["total_bytes"]
    assert site.client.get(f"{url}/hits").json()["items"]


def test_the_documentation_has_an_example_of_every_question_and_answer(site: Served) -> None:
    """Each route of the search; the examples of shapes are such shapes."""
    schema = site.client.get("/api/v1/openapi.json").json()
    shapes = schema["components"]["schemas"]

    def has_example(part: dict[str, Any]) -> bool:
        name = part.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if name == "SearchList":
            name = "Search"
        fields = shapes.get(name, {}).get("properties", {}).values()
        return "example" in part or "examples" in shapes.get(name, {}) or any("examples" in each for each in fields)

    for path, methods in schema["paths"].items():
        for method, what in methods.items() if path.startswith("/api/v1/search") else []:
            answers = [
                c for status, a in what["responses"].items() if status[0] == "2" for c in a.get("content", {}).values()
            ]
            assert not answers or any(map(has_example, answers)), (method, path)
            body = what.get("requestBody", {}).get("content", {}).get("application/json")
            assert body is None or has_example(body), (method, path)
    (example,) = shapes["Search"]["examples"]
    assert set(example) == JOB_KEYS


def test_wrong_questions_are_refused_before_they_run(site: Served) -> None:
    """A query with its column; unknown keys by name; nothing is kept."""
    before = len(site.client.get("/api/v1/searches").json()["items"])
    bad = site.client.post("/api/v1/searches", json={"q": "(word"})
    assert (bad.status_code, bad.json()["column"]) == (400, 1)
    unknown = site.client.post("/api/v1/searches", json={"q": "x", "limt": 5})
    assert unknown.status_code == 400
    assert "limt" in unknown.json()["detail"]
    assert site.client.post("/api/v1/searches", json={"q": "x", "from": "yesterdy"}).status_code == 400
    assert len(site.client.get("/api/v1/searches").json()["items"]) == before
    assert not site.app.state.searches["root"]


def test_the_deadline_is_told_from_the_other_ends(tmp_path: Path) -> None:
    """State ``time``: partial, and it says so."""
    with served(tmp_path / "data", search_s=0.1) as hasty:
        for n in range(3):
            hasty.put("a", f"{n}.log", b"%d\n" % n + b"some line with text\n" * 400_000)
        done = ended(hasty.client, start(hasty.client, q="-text")["id"])
    assert (done["state"], done["complete"]) == ("time", False)
    assert "time limit" in done["why"]
    assert done["scanned_bytes"] < done["total_bytes"]


def test_a_damaged_index_leaves_a_search_complete(tmp_path: Path) -> None:
    """Everything is found without it: it is a remark."""
    with served(tmp_path / "data") as running:
        running.put("web-01", "app.log", b"".join(b"word %d\n" % n for n in range(LINES)))
        archive = running.context.archive
        list(archive.sealer(level=1, segment_bytes=1 << 20, maker=MakerHere()).seal(time.time_ns() + 1))
        (index,) = (tmp_path / "data").rglob("*.idx")
        data = bytearray(index.read_bytes())
        for at in range(400, len(data) - 100, 50):  # behind the directory: without one it counts as none
            data[at] ^= 0xFF
        index.write_bytes(data)
        done = ended(running.client, start(running.client, q="word 77")["id"])
    assert (done["state"], done["complete"], done["why"]) == ("done", True, "")
    assert (done["hits"] > 0, done["errors"]) == (True, [])
    assert any(".idx" in remark for remark in done["remarks"])


def test_files_that_cannot_be_read_make_a_search_incomplete(tmp_path: Path) -> None:
    """It is done, but not complete, and names them."""
    with served(tmp_path / "data") as own:
        own.put("a", "broken.log", b"x\n" * 50)
        own.put("a", "whole.log", b"x\n")
        (tmp_path / "data" / "live" / "a" / "broken.log").write_bytes(b"x")
        done = ended(own.client, start(own.client, q="x")["id"])
    assert (done["state"], done["complete"], done["hits"]) == ("done", False, 1)
    assert "broken.log" in done["errors"][0]


def test_a_job_keeps_no_more_than_its_share(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with what fits, state ``limit``, and says how to get the rest."""
    monkeypatch.setattr(jobs_module, "SEARCH_JOB_BYTES_MAX", 100_000)
    done = ended(site.client, start(site.client, q="word", limit=0)["id"])
    assert (done["state"], done["complete"]) == ("limit", False)
    assert 100 < done["hits"] < LINES
    assert "GET /api/v1/search" in done["why"]


def test_a_job_without_room_still_tells_what_it_could_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its account is that of the search, with the files that failed before."""
    monkeypatch.setattr(jobs_module, "SEARCH_JOB_BYTES_MAX", 10_000)
    with served(tmp_path / "data") as own:
        for n in range(3):
            own.put("a", f"{n}.log", b"%d x\n" % n * 500)
        own.put("a", "broken.log", b"x\n" * 50)
        (tmp_path / "data" / "live" / "a" / "broken.log").write_bytes(b"x")
        job_id = start(own.client, q="x", limit=0)["id"]
        done = ended(own.client, job_id)
        with own.client.stream("GET", f"/api/v1/searches/{job_id}/events") as answer:
            kind, _, data = list(events(answer))[-1]
    assert (done["state"], done["complete"]) == ("limit", False)
    assert "broken.log" in done["errors"][0]
    assert "it keeps no more hits" in done["why"]
    assert (kind, data["reason"], data["hits"]) == ("done", "limit", done["hits"])
    assert 0 < done["hits"] < 500
    assert done["scanned_bytes"] < done["total_bytes"]


def test_one_person_cannot_take_all_the_searches(site: Served) -> None:
    """Jobs and streams share the places of a person."""
    running = [start(site.client, q="slow -zzz", limit=0)["id"] for _ in range(SEARCH_PER_USER_MAX)]
    try:
        refused = site.client.post("/api/v1/searches", json={"q": "x"})
        assert refused.status_code == 429
        assert refused.headers["retry-after"]
        assert site.client.get("/api/v1/search", params={"q": "x"}).status_code == 429
        assert ended(site.as_("other"), start(site.as_("other"), q="database")["id"])["state"] == "done"
    finally:
        for job_id in running:
            site.client.delete(f"/api/v1/searches/{job_id}")
    wait_for(lambda: not site.app.state.searches["root"])


def test_one_person_cannot_take_all_the_streams(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Followers of a job, of a file and searches count together; others have room, and a closed one gives it back."""
    monkeypatch.setattr(streams_module, "STREAMS_PER_USER_MAX", 3)
    monkeypatch.setattr(streams_module, "STREAMS_MAX", 4)
    eager, other = site.as_("eager"), site.as_("other")
    fid = site.put("web-01", "app.log", b"".join(b"word %d\n" % n for n in range(LINES)))
    job = start(eager, q="slow -zzz", limit=0)
    url = f"/api/v1/searches/{job['id']}/events"
    held: list[Iterator[bytes]] = []
    with contextlib.ExitStack() as opened:
        for address in (url, url, f"/api/v1/tail?f={fid}"):
            answer = opened.enter_context(eager.stream("GET", address))
            held.append(answer.iter_raw())  # it hangs up when it is let go of
            assert next(held[-1]).startswith(b":")
        for address in (url, "/api/v1/search?q=database", "/api/v1/search/count?q=database", f"/api/v1/tail?f={fid}"):
            refused = eager.get(address)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "5"), address
            assert "eager has 3 open streams" in refused.json()["detail"]
        assert other.get("/api/v1/search?q=database").status_code == 200
    wait_for(lambda: eager.get("/api/v1/search?q=database").status_code == 200)
    eager.delete(f"/api/v1/searches/{job['id']}")


@pytest.mark.parametrize("kind", ["job", "tail"])
def test_a_stream_that_finds_no_room_says_so(site: Served, kind: str) -> None:
    """Its answer has begun when it opens: a ``problem`` event, not a broken connection."""
    fid = site.put("db-01", "pg.log", b"word of the database\n")
    jobs = Jobs(site.context.search, Slots(), ManualClock())
    job = started(jobs, who(1), "database")
    assert job.wait(20)

    async def told() -> bytes:
        streams = Streams()
        streams.stop()
        request = Request({"type": "http", "headers": []})
        if kind == "job":
            parts = searches_module._events(request, site.context, who(1), streams, job, 0)
        else:
            parts = tail_module._events(request, streams, site.context, who(1), {fid: tail_module._Place(1, 0)})
        return b"".join([part async for part in parts])

    (event, _, data) = next(events(httpx.Response(200, content=asyncio.run(told()))))
    assert (event, data["status"]) == ("problem", 429)
    assert not job.is_followed


def test_a_follower_is_woken_once_however_much_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in the event loop does not grow with the hits; what comes after a look wakes again."""

    async def waiting() -> list[int]:
        loop = asyncio.get_running_loop()
        news = searches_module._News()
        calls = 0
        plain = loop.call_soon_threadsafe

        def counted(*arguments: Any, **more: Any) -> asyncio.Handle:
            nonlocal calls
            calls += 1
            return plain(*arguments, **more)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        seen = []
        for _ in range(3):
            for _ in range(1000):
                news.wake()
            await news.wait()
            news.taken()
            seen.append(calls)
        return seen

    assert asyncio.run(waiting()) == [1, 2, 3]


def test_old_searches_go_when_new_ones_come(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number that one person keeps is bounded; the one that ended first is forgotten."""
    monkeypatch.setattr(jobs_module, "SEARCH_JOBS_PER_USER_MAX", 3)
    mine = site.as_("collector")
    first = start(mine, q="database")["id"]
    ended(mine, first)
    for _ in range(3):
        ended(mine, start(mine, q="database")["id"])
    assert mine.get(f"/api/v1/searches/{first}").status_code == 404
    assert len(mine.get("/api/v1/searches").json()["items"]) == 3


def test_the_end_of_the_server_ends_its_searches(tmp_path: Path) -> None:
    """No thread is left, and listeners are told."""
    with served(tmp_path / "data") as own:
        for n in range(4):
            own.put("a", f"{n}.log", b"%d\n" % n + b"some line with text\n" * 400_000)
        jobs: Jobs = own.app.state.jobs
        job = start(own.client, q="-text", limit=0)
        (held,) = jobs._jobs.values()
        assert held.id == job["id"]
    assert not held.is_running
    assert held.state == "cancelled"


def who(number: int) -> Identity:
    """Somebody who sees everything."""
    return Identity(number, f"user-{number}", "viewer", Scope(), "token")


def started(jobs: Jobs, identity: Identity, query: str) -> Job:
    """A job, begun directly."""
    return jobs.start(identity, SearchRequest(query=query, scope=identity.scope), {"q": query})


def test_what_nobody_asks_for_is_forgotten(site: Served) -> None:
    """Ended jobs after a while, unless somebody asks or listens; running ones are cancelled."""
    clock = ManualClock()
    jobs = Jobs(site.context.search, Slots(), clock)
    job = started(jobs, who(1), "database")
    assert job.wait(20)
    clock.advance(SEARCH_JOB_KEPT_S - 1)
    jobs.sweep()
    jobs.get(who(1), job.id)  # asked for: its time begins anew
    clock.advance(SEARCH_JOB_KEPT_S - 1)
    jobs.sweep()
    assert jobs.all(who(1)) == [job]

    def wake() -> None:
        """Listens, and has nothing to do."""

    job.follow(wake)
    clock.advance(10 * SEARCH_JOB_KEPT_S)
    jobs.sweep()
    assert jobs.all(who(1)) == [job]
    job.unfollow(wake)
    jobs.sweep()
    with pytest.raises(NotFound):
        jobs.get(who(1), job.id)
    slow = started(jobs, who(1), "-zzz")
    clock.advance(SEARCH_JOB_UNHEARD_S + 1)
    jobs.sweep()
    assert slow.wait(20)
    assert slow.state in ("cancelled", "limit")


def test_all_jobs_together_keep_a_bounded_number_of_bytes(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that ended first makes room; the total never passes the bound by more than a job's step."""
    monkeypatch.setattr(jobs_module, "SEARCH_JOB_BYTES_MAX", 200_000)
    monkeypatch.setattr(jobs_module, "SEARCH_JOBS_BYTES_MAX", 500_000)
    jobs = Jobs(site.context.search, Slots(), ManualClock())
    made = []
    for number in range(6):
        made.append(started(jobs, who(number), "word agent:web-01"))
        assert made[-1].wait(20)
    kept = [job for job in made if jobs.all(job.owner)]
    assert made[-1] in kept
    assert made[0] not in kept
    assert sum(job.kept_bytes for job in kept) <= 500_000


def test_a_server_with_too_many_jobs_refuses_more(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """And after its end begins, any."""
    monkeypatch.setattr(jobs_module, "SEARCH_JOBS_RUNNING_MAX", 0)
    slots = Slots()
    jobs = Jobs(site.context.search, slots, ManualClock())
    with pytest.raises(Busy):
        started(jobs, who(1), "x")
    assert not slots["user-1"]
    monkeypatch.setattr(jobs_module, "SEARCH_JOBS_RUNNING_MAX", 4)
    started(jobs, who(1), "x")
    jobs.stop()
    with pytest.raises(Busy):
        started(jobs, who(1), "x")
    jobs.close()
