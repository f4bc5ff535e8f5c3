"""Agents, folders, files, generations and lines over HTTP, each in the shape the documentation gives."""

from __future__ import annotations

import base64
import hashlib

import pytest

from logferry.web.api import shapes
from tests.web.served import Served

LOG = b"".join(b"%d: some text here\n" % i for i in range(1, 1001))


@pytest.fixture(scope="module")
def fids(site: Served) -> dict[str, int]:
    """Some files under two agents."""
    made = {
        "log": site.put("web-01", "var/log/app.log", LOG),
        "other": site.put("web-01", "var/other.txt", b"x"),
        "empty": site.put("web-01", "var/empty", b""),
        "db": site.put("db", "top.log", b"one\r\ntwo\r\nunfinished"),
        "odd": site.put("db", "odd%0Aname %FF.log", b"odd\n"),
    }
    site.put("db", "turned.log", b"first life\n")
    made["turned"] = site.put("db", "turned.log", b"second life\n")
    return made


def test_agents_are_listed_with_state_and_sums(site: Served, fids: dict[str, int]) -> None:
    """Every agent, by id."""
    found = shapes.AgentList.model_validate(site.client.get("/api/v1/agents").raise_for_status().json())
    sums = {agent.id: (agent.files, agent.bytes) for agent in found.items}
    assert sums["web-01"] == (3, len(LOG) + 1)
    assert [agent.id for agent in found.items] == sorted(sums)
    one = shapes.Agent.model_validate(site.client.get("/api/v1/agents/web-01").json())
    assert one.state in ("ok", "new")
    assert one.last_file.startswith("var/")


def test_a_folder_lists_folders_with_sums_then_files(site: Served, fids: dict[str, int]) -> None:
    """Slashes around the path do not matter."""
    for path in ("var", "/var", "/var/"):
        found = shapes.Tree.model_validate(
            site.client.get("/api/v1/tree", params={"agent": "web-01", "path": path}).raise_for_status().json()
        )
        assert (found.path, found.files, found.bytes) == ("var", 3, len(LOG) + 1)
        assert [(f.name, f.path, f.files, f.bytes) for f in found.folders] == [("log", "var/log", 1, len(LOG))]
        assert [f.name for f in found.items] == ["empty", "other.txt"]
        assert found.next is None


def test_a_folder_is_read_page_by_page(site: Served) -> None:
    """The pages join without gap or repetition."""
    for i in range(7):
        site.put("pages", f"d{i}/f", b"x")
        site.put("pages", f"f{i}", b"x")
    names: list[str] = []
    at: dict[str, str] = {}
    while True:
        page = site.client.get("/api/v1/tree", params={"agent": "pages", "limit": "3", **at}).json()
        names += [row["name"] for row in (*page["folders"], *page["items"])]
        assert len(page["folders"]) + len(page["items"]) <= 3
        if not page["next"]:
            break
        at = {"cursor": page["next"]}
    assert names == [f"d{i}" for i in range(7)] + [f"f{i}" for i in range(7)]


def test_a_file_has_the_same_facts_by_path_and_by_number(site: Served, fids: dict[str, int]) -> None:
    """``/file`` and ``/files/{fid}`` agree."""
    by_path = site.client.get("/api/v1/file", params={"agent": "web-01", "path": "var/log/app.log"}).json()
    by_number = site.client.get(f"/api/v1/files/{fids['log']}").json()
    assert by_path == by_number
    found = shapes.File.model_validate(by_path)
    assert (found.fid, found.size, found.generation, found.generations) == (fids["log"], len(LOG), 1, 1)
    assert "raw_name_b64" not in by_path


def test_a_name_that_is_not_text_tells_its_bytes(site: Served, fids: dict[str, int]) -> None:
    """The escaped name is shown, the node's own name comes as base64."""
    found = site.client.get(f"/api/v1/files/{fids['odd']}").json()
    assert found["name"] == "odd%0Aname %FF.log"
    assert base64.b64decode(found["raw_name_b64"]) == b"odd\nname \xff.log"


def test_files_are_found_by_query(site: Served, fids: dict[str, int]) -> None:
    """Bare words match the path, in any case; ``agent`` is a glob."""

    def names(**params: str) -> list[str]:
        answer = site.client.get("/api/v1/files", params=params).raise_for_status().json()
        return [row.path for row in shapes.FileList.model_validate(answer).items]

    assert names(q="APP.LOG") == ["var/log/app.log"]
    assert names(q="size:>1k", agent="web-*") == ["var/log/app.log"]
    assert names(q="ext:log", agent="web-*") == ["var/log/app.log"]
    assert names(q="nothing-like-it") == []


def test_generations_are_all_there_with_digests_on_request(site: Served, fids: dict[str, int]) -> None:
    """The older one stays readable under its number."""
    fid = fids["turned"]
    answer = site.client.get(f"/api/v1/files/{fid}/generations", params={"sha256": 1}).raise_for_status().json()
    found = shapes.GenerationList.model_validate(answer).items
    assert [(g.number, g.current) for g in found] == [(1, False), (2, True)]
    assert found[0].ended_at is not None
    assert found[0].sha256 == hashlib.sha256(b"first life\n").hexdigest()
    assert site.client.get(f"/api/v1/files/{fid}/raw", params={"gen": 1}).content == b"first life\n"
    assert site.client.get(f"/api/v1/files/{fid}/raw").content == b"second life\n"


def lines(site: Served, fid: int, **params: int) -> shapes.LinePage:
    """A page of lines, checked."""
    answer = site.client.get(f"/api/v1/files/{fid}/lines", params=params)
    return shapes.LinePage.model_validate(answer.raise_for_status().json())


def test_lines_come_by_number_by_byte_and_from_the_end(site: Served, fids: dict[str, int]) -> None:
    """All three ways lead to the same rows."""
    fid = fids["log"]
    page = lines(site, fid, from_line=500, count=3)
    assert [(row.n, row.s) for row in page.rows] == [(n, f"{n}: some text here") for n in (500, 501, 502)]
    assert page.exact
    assert page.lines_total == 1000
    assert lines(site, fid, at_byte=page.rows[0].b + 5, count=3).rows == page.rows
    last = lines(site, fid, tail=2)
    assert [row.n for row in last.rows] == [999, 1000]
    assert last.end
    assert last.next is None
    first = lines(site, fid, count=2)
    assert (first.prev, first.rows[0].b, first.end) == (None, 0, False)
    assert first.next == first.rows[-1].b + first.rows[-1].len
    for row in page.rows:
        assert LOG[row.b : row.b + row.len] == row.s.encode() + b"\n"


def test_line_ends_bad_bytes_and_unfinished_lines_are_shown_as_they_are(site: Served, fids: dict[str, int]) -> None:
    """CR LF is no part of the text, its length counts; what is not UTF-8 is ``\\xNN``."""
    rows = lines(site, fids["db"]).rows
    assert [(row.s, row.len) for row in rows] == [("one", 5), ("two", 5), ("unfinished", 10)]
    fid = site.put("db", "bytes.log", b"a\xff\x00b \x1b[31m caf\xc3\xa9\n" + b"\xc3\xa9" * 10_000 + b"\n")
    first, second = lines(site, fid).rows
    assert first.s == "a\\xff\x00b \x1b[31m café"
    assert second.cut
    assert set(second.s) == {"é"}


def test_an_empty_file_has_no_lines(site: Served, fids: dict[str, int]) -> None:
    """And says that this is the end."""
    page = lines(site, fids["empty"])
    assert (page.rows, page.size, page.lines_total, page.end) == ([], 0, 0, True)


def test_the_index_counts_the_lines_of_each_step(site: Served, fids: dict[str, int]) -> None:
    """Counts add up to the total."""
    found = shapes.LineIndex.model_validate(site.client.get(f"/api/v1/files/{fids['log']}/index").json())
    assert sum(found.counts) == found.lines_total == 1000
    assert found.complete


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/agents/nobody", 404),
        ("/api/v1/tree?agent=nobody", 404),
        ("/api/v1/tree?agent=web-01&path=nowhere", 404),
        ("/api/v1/tree?agent=web-01&path=../../etc", 404),
        ("/api/v1/tree", 400),
        ("/api/v1/tree?agent=web-01&limit=0", 400),
        ("/api/v1/tree?agent=web-01&cursor=x", 400),
        ("/api/v1/file?agent=web-01&path=nowhere", 404),
        ("/api/v1/file?agent=web-01&path=%00", 404),
        ("/api/v1/files?q=%22", 400),
        ("/api/v1/files?q=level:error", 400),
        ("/api/v1/files/0", 400),
        ("/api/v1/files/999999", 404),
        ("/api/v1/files/99999999999999999999999", 400),
        ("/api/v1/files/x", 400),
        ("/api/v1/files/999999/raw", 404),
        ("/api/v1/files/999999/lines", 404),
        ("/api/v1/files/1/lines?gen=99", 404),
        ("/api/v1/files/1/lines?from_line=1&tail=2", 400),
        ("/api/v1/files/1/lines?count=1000000", 400),
        ("/api/v1/nothing", 404),
        ("/api/v2/agents", 404),
    ],
)
def test_what_is_wrong_or_not_there_is_a_problem_with_an_id(
    site: Served, fids: dict[str, int], path: str, status: int
) -> None:
    """RFC 9457, the same id as the header, and a hint."""
    answer = site.client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    told = shapes.Problem.model_validate(answer.json())
    assert told.status == status
    assert told.request_id == answer.headers["x-request-id"]
    assert told.detail
    assert told.hint


def test_lines_have_their_times_where_they_are_asked_for(site: Served) -> None:
    """In UTC, by the zone of the agent; null for a line that shows none."""
    site.context.catalog.agents.add("timed")
    site.context.catalog.agents.change("timed", zone="Europe/Berlin")
    fid = site.put("timed", "a.log", b"2026-11-23 08:14:01,250 one\n  more\n2026-11-23T08:14:02Z two\n")
    rows = site.client.get(f"/api/v1/files/{fid}/lines", params={"times": True}).json()["rows"]
    assert [row["t"] for row in rows] == ["2026-11-23T07:14:01.250Z", None, "2026-11-23T08:14:02.000Z"]
    assert "t" not in site.client.get(f"/api/v1/files/{fid}/lines").json()["rows"][0]


def test_lines_are_found_by_time(site: Served) -> None:
    """The first of that time or later, in the zone asked for; behind the last the end; without times a reason."""
    fid = site.put("timed-b", "b.log", b"".join(b"2026-11-23 08:%02d:00 line %d\n" % (n, n) for n in range(60)))

    def first(**params: str) -> str:
        answer = site.client.get(f"/api/v1/files/{fid}/lines", params=params | {"count": "1"})
        return str(answer.json()["rows"][0]["s"])

    assert first(at_time="2026-11-23T08:31") == "2026-11-23 08:31:00 line 31"
    assert first(at_time="2026-11-23T09:30:30", tz="Europe/Berlin") == "2026-11-23 08:31:00 line 31"
    assert first(at_time="2026-11-24").endswith("line 59")
    plain = site.put("timed-b", "plain.txt", b"none\n")
    refused = site.client.get(f"/api/v1/files/{plain}/lines", params={"at_time": "now"})
    assert refused.status_code == 400
    assert "no times" in refused.json()["detail"]
    assert site.client.get(f"/api/v1/files/{fid}/lines", params={"at_time": "soon"}).status_code == 400
    assert site.client.get(f"/api/v1/files/{fid}/lines", params={"at_time": "now", "tail": 1}).status_code == 400
