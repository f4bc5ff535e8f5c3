"""Search over HTTP: streamed as found, in either form, with an honest end; bad queries refused before it begins."""

from __future__ import annotations

import contextlib
import csv
import gc
import io
import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from logferry.limits import SEARCH_HITS_DEFAULT, SEARCH_PER_USER_MAX
from logferry.web import standing
from logferry.web.searching import Running
from tests.web.served import Served, served, wait_for

HIT_KEYS = {
    "type", "agent", "path", "fid", "gen", "n", "b", "len", "s", "s_from", "cut", "spans", "before", "after",
}  # fmt: skip
COUNT_KEYS = {"type", "scanned_bytes", "total_bytes", "files_done", "files_total", "hits"}


@pytest.fixture(scope="module")
def fids(site: Served) -> dict[str, int]:
    """Two agents with a few lines each."""
    return {
        "web": site.put("web-01", "app.log", b"first\nan Error here\nlast <script>alert(1)</script>\n"),
        "db": site.put("db-01", "pg.log", "error: größe \x1b[31m\n".encode()),
    }


def search(site: Served, **params: Any) -> list[dict[str, Any]]:
    """All events of a search as NDJSON."""
    answer = site.client.get("/api/v1/search", params=params).raise_for_status()
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_hits_progress_and_done_have_their_shapes(site: Served, fids: dict[str, int]) -> None:
    """Exactly the documented keys."""
    events = search(site, q="error", context=1)
    hits = [event for event in events if event["type"] == "hit"]
    assert {hit["path"] for hit in hits} == {"app.log", "pg.log"}
    for hit in hits:
        assert set(hit) == HIT_KEYS
    web = next(hit for hit in hits if hit["agent"] == "web-01")
    assert (web["fid"], web["gen"], web["n"], web["b"], web["len"]) == (fids["web"], 1, 2, 6, 14)
    assert web["s"][slice(*web["spans"][0])] == "Error"
    assert [row["s"] for row in web["before"]] == ["first"]
    assert set(web["after"][0]) == {"n", "b", "len", "s", "cut"}
    assert all(set(event) == COUNT_KEYS for event in events if event["type"] == "progress")
    told = {"reason", "seconds", "errors", "copies", "remarks", "whole_files", "whole_bytes"}
    assert set(events[-1]) == COUNT_KEYS | told
    assert (events[-1]["reason"], events[-1]["hits"], events[-1]["errors"]) == ("complete", 2, [])


def test_the_same_comes_as_server_sent_events(site: Served, fids: dict[str, int]) -> None:
    """For ``Accept: text/event-stream``."""
    answer = site.client.get("/api/v1/search", params={"q": "error"}, headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = [dict(line.split(": ", 1) for line in part.splitlines()) for part in answer.text.strip().split("\n\n")]
    assert [part["event"] for part in told][-1] == "done"
    assert all(json.loads(part["data"])["type"] == part["event"] for part in told)


def test_agent_path_case_limit_order_and_file_narrow_the_search(site: Served, fids: dict[str, int]) -> None:
    """Each parameter does what its name says."""

    def texts(**params: Any) -> list[str]:
        return [event["s"] for event in search(site, **params) if event["type"] == "hit"]

    assert texts(q="error", agent="web-*") == ["an Error here"]
    assert texts(q="error", path="app") == ["an Error here"]
    assert texts(q="error", path="*.log", agent="web-01") == ["an Error here"]
    assert texts(q="Error", case="true") == ["an Error here"]
    assert texts(q="", agent="web-01", order="oldest")[:2] == ["first", "an Error here"]
    assert texts(q="", fid=fids["db"]) == ["error: größe \x1b[31m"]
    events = search(site, q="", limit=2)
    assert events[-1]["reason"] == "limit"


def test_hostile_lines_travel_as_json_text(site: Served, fids: dict[str, int]) -> None:
    """Nothing is escaped away, nothing can run: it is data."""
    (hit,) = [e for e in search(site, q="script") if e["type"] == "hit"]
    assert hit["s"] == "last <script>alert(1)</script>"


@pytest.mark.parametrize(
    ("query", "column"), [("(error", 1), ('x "y', 3), ("a OR", 5), ("/a(/", 2), ("x level:loud", 3), ("a @b:", 3)]
)
def test_a_bad_query_is_refused_with_its_column(site: Served, query: str, column: int) -> None:
    """400 before the stream begins, and by ``/query/parse``."""
    answer = site.client.get("/api/v1/search", params={"q": query})
    assert answer.status_code == 400
    assert answer.json()["column"] == column
    assert answer.json()["hint"]
    assert site.client.post("/api/v1/query/parse", json={"q": query}).json()["column"] == column


def test_a_query_is_parsed_into_chips(site: Served) -> None:
    """Canonical form, chips, hints."""
    found = site.client.post("/api/v1/query/parse", json={"q": "agent:web*  NOT x  agnt:y"}).raise_for_status().json()
    assert found["canonical"] == "agent:web* -x agnt:y"
    assert [(chip["kind"], chip["negated"], chip["label"]) for chip in found["chips"]] == [
        ("field", False, "agent=web*"), ("text", True, 'not "x"'), ("text", False, '"agnt:y"'),
    ]  # fmt: skip
    assert found["hints"][0]["column"] == 20


def text_of(site: Served, **params: Any) -> list[str]:
    """A search as text."""
    answer = site.client.get("/api/v1/search", params={"format": "text", **params}).raise_for_status()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "content-disposition" not in answer.headers
    return answer.text.splitlines()


def test_text_is_what_grep_prints(site: Served, fids: dict[str, int]) -> None:
    """Place, line, text; context with dashes; nothing that steers a terminal."""
    assert sorted(text_of(site, q="error")) == [
        "db-01:/pg.log:1:error: größe \u241b[31m",
        "web-01:/app.log:2:an Error here",
    ]
    assert text_of(site, q="error", agent="web-*", context=1) == [
        "web-01:/app.log-1-first",
        "web-01:/app.log:2:an Error here",
        "web-01:/app.log-3-last <script>alert(1)</script>",
    ]


def test_gaps_between_contexts_are_marked(site: Served) -> None:
    """``--`` between lines that do not follow each other, as grep has it."""
    site.put("gap", "gap.log", b"".join(b"%s %d\n" % (b"hit" if n in (2, 3, 9) else b"row", n) for n in range(12)))
    for order in ("oldest", "newest"):
        rows = text_of(site, q="hit", agent="gap", context=1, order=order)
        first = ["-2-row 1", ":3:hit 2", ":4:hit 3", "-5-row 4"]
        second = ["-9-row 8", ":10:hit 9", "-11-row 10"]
        blocks = [*first, "--", *second] if order == "oldest" else [*second, "--", *first]
        assert [row.removeprefix("gap:/gap.log") for row in rows] == blocks


def test_an_entry_is_all_its_lines(site: Served) -> None:
    """As text each with its number; as CSV in one cell; as JSON one text."""
    rows = ["2026-11-23 08:00:02 FATAL boom", "  at a.b(c)", "  at d.e(f)"]
    lines = ["2026-11-23 08:00:01 INFO fine", *rows, "2026-11-23 08:00:03 INFO on"]
    site.put("trace", "t.log", "".join(f"{line}\n" for line in lines).encode())
    asked = {"q": "at boom", "agent": "trace", "entries": "true"}
    assert text_of(site, **asked) == [f"trace:/t.log:{n}:{row}" for n, row in enumerate(rows, start=2)]
    around = text_of(site, **asked, context=1)
    assert (around[0], around[-1]) == (
        "trace:/t.log-1-2026-11-23 08:00:01 INFO fine",
        "trace:/t.log-5-2026-11-23 08:00:03 INFO on",
    )
    (hit,) = [event for event in search(site, **asked) if event["type"] == "hit"]
    assert hit["s"].split("\n") == rows
    answer = site.client.get("/api/v1/search", params={**asked, "format": "csv"})
    _, row = csv.reader(io.StringIO(answer.text, newline=""))
    assert row[5] == "\n".join(rows)


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(1)", "\t=1", "\r=1", '"quoted", and more', "plain", "＝1+1"]


CUT = {
    " a;=cmd|'/C calc'!A0": " a;'=cmd|'/C calc'!A0",
    'a;"=1+1"': 'a;"\'=1+1"',
    "a\t+1\t-2": "a\t'+1\t'-2",
    "=1;@SUM(1)": "'=1;'@SUM(1)",
    "a;\uff1d1": "a;'\uff1d1",
    "(compatible; +http://e/bot) a=b;c-d": "(compatible; +http://e/bot) a=b;c-d",
}


def test_csv_computes_nothing_where_another_sign_ends_cells(site: Served) -> None:
    """Many languages' spreadsheets cut at ``;``, whatever quotes stand around it."""
    site.put("cuts", "a.log", "".join(f"{text}\n" for text in CUT).encode())
    asked = {"q": "", "agent": "cuts", "format": "csv", "order": "oldest"}
    answer = site.client.get("/api/v1/search", params=asked).raise_for_status()
    _, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert [row[5] for row in rows] == list(CUT.values())


ROUTES = ("/api/v1/search", "/api/v1/search/count", "/api/v1/search/histogram", "/api/v1/search/facets")


@pytest.mark.parametrize("route", ROUTES)
def test_unknown_parameters_are_refused_by_name(site: Served, fids: dict[str, int], route: str) -> None:
    """A misspelt one would be passed over; all that are documented are known."""
    refused = site.client.get(route, params={"q": "error", "agnet": "web-01"})
    assert (refused.status_code, refused.json()["hint"]) == (400, "did you mean 'agent'?")
    assert "agnet" in refused.json()["detail"]
    assert site.client.get(route, params={"limit\x1b": "1"}).json()["detail"].isprintable()
    usual = {"from": "2026-11-23", "to": "2026-11-24", "fid": "1", "gen": "1", "limit": "5", "context": "1"}
    usual |= {"order": "oldest", "format": "ndjson", "by": "hour", "buckets": "5", "facets": "agent", "fields": "agent"}
    documented = [
        each["name"]
        for each in site.client.get("/api/v1/openapi.json").json()["paths"][route]["get"]["parameters"]
        if each["in"] == "query"
    ]
    assert {"q", "from", "to", "case"} <= set(documented)
    given = {name: usual.get(name, "false" if name in ("case", "entries", "download") else "") for name in documented}
    site.client.get(route, params=given, timeout=180).raise_for_status()


@pytest.mark.parametrize("route", ROUTES)
def test_since_and_until_are_other_names_of_from_and_to(site: Served, route: str) -> None:
    """They narrow the time as well; both at once are refused."""
    site.put("times", "a.log", b"2026-11-23T08:00:00Z x\n2026-11-23T09:00:00Z x\n2026-11-23T10:00:00Z x\n")

    def lines(address: str) -> int:
        answer = site.client.get(f"{route}?q=x&agent=times{address}", timeout=180).raise_for_status()
        if route.endswith("/search"):
            return answer.text.count('"type":"hit"')
        found: int = answer.json()["total"]
        return found

    assert lines("") == 3
    assert lines("&since=2026-11-23T09:00:00Z") == lines("&from=2026-11-23T09:00:00Z") == 2
    assert lines("&until=2026-11-23T08:30:00Z") == 1
    assert lines("&from=1970-01-01&to=9999-12-31") == 3
    assert lines("&from=2026-11-23T10:30:00+02:00&until=2026-11-23T09:30:00Z") == 1
    both = site.client.get(f"{route}?from=now-1h&since=now-2h")
    assert (both.status_code, both.json()["detail"]) == (400, "since is another name of from")


def test_csv_computes_nothing(site: Served) -> None:
    """What a spreadsheet would take for a formula begins with a quote; everything else is as it was."""
    site.put("sheet", "=evil.csv", "".join(f"{text} cell\n" for text in FORMULAS).encode())
    answer = site.client.get(
        "/api/v1/search", params={"q": "cell", "agent": "sheet", "format": "csv", "order": "oldest", "download": "true"}
    ).raise_for_status()
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    head, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert head == ["agent", "path", "generation", "line", "byte", "text"]
    assert all(row[:2] == ["sheet", "'=evil.csv"] for row in rows)
    assert [int(row[3]) for row in rows] == list(range(1, len(FORMULAS) + 1))
    for row, text in zip(rows, FORMULAS, strict=True):
        begins = text.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
        inner = text.replace("\t=", "\t'=").replace("\r=", "\r'=")
        assert row[5] == ("'" if begins else "") + f"{inner} cell"


@pytest.mark.parametrize("form", ["text", "csv"])
def test_text_and_csv_say_what_is_missing(tmp_path: Path, form: str) -> None:
    """A limit nobody asked for, a file that cannot be read: told at the end, behind ``#``; else nothing is told."""
    with served(tmp_path / "data") as own:
        own.put("a", "broken.log", b"x\n" * 50)
        own.put("a", "whole.log", b"x\n" * 1_500)
        own.put("b", "whole.log", b"x\n" * 3)
        (tmp_path / "data" / "live" / "a" / "broken.log").write_bytes(b"x")

        def told(**params: Any) -> list[str]:
            answer = own.client.get("/api/v1/search", params={"q": "x", "format": form, **params}).raise_for_status()
            return [line for line in answer.text.splitlines() if line.startswith("#")]

        assert "limit of 1,000" in told(path="whole")[0]
        assert told(path="whole", limit=5) == []
        assert told(agent="b", limit=0) == []
        (missing,) = told(limit=0)
        assert "broken.log" in missing


def test_without_a_limit_all_hits_come(large: Served) -> None:
    """More than any limit lets through; the server holds none of them meanwhile."""
    with large.client.stream("GET", "/api/v1/search", params={"q": "/ 39[0-9]?[0-9]? with/", "limit": 0}) as answer:
        hits = sum(1 for line in answer.iter_lines() if line.startswith('{"type":"hit"'))
    numbers = re.findall(rb" 39[0-9]?[0-9]? with", BLOCK)
    assert hits == 4 * len(numbers)
    assert hits > 5 * SEARCH_HITS_DEFAULT


def test_a_stream_is_made_no_faster_than_it_is_read(large: Served) -> None:
    """Whoever does not read makes the search wait, long before all is found."""
    with large.client.stream("GET", "/api/v1/search", params={"q": "", "limit": 0, "order": "oldest"}) as answer:
        lines = answer.iter_lines()  # held: it hangs up when it is let go of
        next(lines)
        (running,) = (each for each in gc.get_objects() if isinstance(each, Running))
        seen = [-1, 0]

        def stands_still() -> bool:
            time.sleep(0.3)
            seen.append(running.scanned_bytes)
            return seen[-1] == seen[-2] == seen[-3]

        wait_for(stands_still)
        assert running.scanned_bytes < 2 * len(BLOCK)
        assert large.app.state.searches["root"] == 1, "it waits, it has not ended"
    wait_for(lambda: not large.app.state.searches)


BLOCK = b"".join(b"line %d with some more text\n" % i for i in range(40_000)) * 20


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose archive takes a while to search."""
    with served(tmp_path_factory.mktemp("large") / "data") as running:
        for i in range(4):
            running.put("a", f"{i}.log", b"%d\n" % i + BLOCK)
        yield running


def test_the_deadline_ends_a_search_honestly(tmp_path: Path) -> None:
    """Reason ``time``, fewer bytes scanned than there are."""
    with served(tmp_path / "data", search_s=0.1) as hasty:
        for i in range(2):
            hasty.put("a", f"{i}.log", b"%d\n" % i + BLOCK)
        answer = hasty.client.get("/api/v1/search", params={"q": "-text"})  # every line matches and none is a hit
    last = json.loads(answer.text.splitlines()[-1])
    assert (last["type"], last["reason"]) == ("done", "time")
    assert last["scanned_bytes"] < last["total_bytes"]


def test_hanging_up_ends_the_search(large: Served) -> None:
    """The place among the person's searches is free again."""
    with large.client.stream("GET", "/api/v1/search", params={"q": "", "limit": 1_000_000}) as answer:
        lines = answer.iter_lines()  # held: it hangs up when it is let go of
        next(lines)
        assert large.app.state.searches["root"] == 1
    wait_for(lambda: not large.app.state.searches)


@pytest.mark.parametrize("form", ["ndjson", "text", "csv"])
def test_a_search_ends_with_the_right_to_see_it(large: Served, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Somebody who is disabled gets no more lines, and the answer says why."""
    monkeypatch.setattr(standing, "TAIL_IDENTITY_S", 0.01)
    client = large.as_(f"leaver-{form}")
    with client.stream("GET", "/api/v1/search", params={"q": "", "limit": 0, "format": form}) as answer:
        lines = answer.iter_lines()
        next(lines)
        large.context.people.change(f"leaver-{form}", enabled=False)
        rest = list(lines)
    assert len(rest) < 2 * BLOCK.count(b"\n")
    assert "the token is wrong, revoked or expired" in rest[-1]
    wait_for(lambda: not large.app.state.searches)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_count_ends_with_the_right_to_see_it(large: Served, monkeypatch: pytest.MonkeyPatch, accept: str) -> None:
    """401, or a ``problem`` where the answer has begun."""
    monkeypatch.setattr(standing, "TAIL_IDENTITY_S", 0.01)
    name = f"counter-{accept[:4]}"
    client = large.as_(name)
    with ThreadPoolExecutor(1) as other:
        asked: dict[str, Any] = {"params": {"q": "/l[a-z]+e [0-9]+ w/ -zzz"}, "headers": {"Accept": accept}}
        counting = other.submit(client.get, "/api/v1/search/count", **asked)
        wait_for(lambda: large.app.state.searches[name])
        large.context.people.change(name, enabled=False)
        answer = counting.result(60)
    assert answer.status_code == (401 if accept == "application/json" else 200)
    assert "the token is wrong, revoked or expired" in answer.text
    wait_for(lambda: not large.app.state.searches)


def test_whoever_hangs_up_leaves_no_file_open(large: Served, request: pytest.FixtureRequest) -> None:
    """Searches, downloads and followers that were left in the middle; nothing waits to be collected as garbage."""
    fid = large.put("a", "0.log", b"0\n" + BLOCK)
    gc.collect()
    gc.disable()
    request.addfinalizer(gc.enable)
    for _ in range(5):
        for url, params in (
            ("/api/v1/search", {"q": "", "limit": "1000000"}),
            (f"/api/v1/files/{fid}/raw", {}),
            ("/api/v1/tail", {"f": str(fid), "from": "0"}),
        ):
            with large.client.stream("GET", url, params=params) as answer:
                next(answer.iter_bytes(100))
    wait_for(lambda: not _open_files(large))


def _open_files(site: Served) -> list[str]:
    """Generations that this process has open."""
    live = f"{site.context.config.data_dir}/live/"
    found = []
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(entry.path))
    return [path for path in found if path.startswith(live) and os.path.isfile(path)]


def test_one_person_cannot_take_all_the_searches(large: Served) -> None:
    """One more than allowed is 429; others are served meanwhile."""
    streams = [
        large.client.stream("GET", "/api/v1/search", params={"q": "", "limit": 1_000_000})
        for _ in range(SEARCH_PER_USER_MAX)
    ]
    opened = [stream.__enter__() for stream in streams]
    try:
        assert all(answer.status_code == 200 for answer in opened)
        wait_for(lambda: large.app.state.searches["root"] == SEARCH_PER_USER_MAX)
        refused = large.client.get("/api/v1/search", params={"q": "x"})
        assert refused.status_code == 429
        assert refused.headers["retry-after"]
        assert large.as_("other").get("/api/v1/search", params={"q": "line", "limit": 1}).status_code == 200
    finally:
        for stream in streams:
            stream.__exit__(None, None, None)


def test_a_damaged_file_is_named_at_the_end(tmp_path: Path) -> None:
    """The others are searched, the account names the one that was not."""
    with served(tmp_path / "data") as own:
        own.put("a", "broken.log", b"x\n" * 50)
        own.put("a", "whole.log", b"x\n")
        (tmp_path / "data" / "live" / "a" / "broken.log").write_bytes(b"x")
        events = search(own, q="x")
    assert [event["path"] for event in events if event["type"] == "hit"] == ["whole.log"]
    assert len(events[-1]["errors"]) == 1
    assert "broken.log" in events[-1]["errors"][0]
