"""What the pages show of agents, folders and files, and what they keep from whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from logferry.limits import FOLDER_PAGE_ENTRIES, NEAR_CUTS_MAX, NEAR_WORD_CHARS_MAX
from logferry.search.service import SearchService
from logferry.web import choosing
from logferry.web.app import create_app
from tests.browser.fleet import NEEDLE, Fleet
from tests.web.pages.conftest import as_person


def test_home_says_what_needs_a_look(admin: TestClient) -> None:
    """The failing and the silent agent with the reason, the disk, the latest arrivals."""
    text = admin.get("/").text
    assert "552 over quota" in text
    assert "last heard 10 h ago" in text
    assert "free of" in text
    assert "days left: not known yet" in text
    assert "usual: not known yet" in text
    assert "/view/web-01/var/log/nginx/access.log" in text


def test_agents_are_sorted_by_need_and_filtered_by_state(admin: TestClient) -> None:
    """Those that need a look come first; ?state= keeps one state."""
    text = admin.get("/agents").text
    assert text.index("/agents/db-01") < text.index("/agents/plc-07") < text.index("/agents/hmi-03")
    silent = admin.get("/agents?state=silent").text
    assert "/agents/plc-07" in silent
    assert "/agents/web-01" not in silent
    assert "No agent is paused" in admin.get("/agents?state=paused").text


def test_an_agent_without_files_says_what_to_do(admin: TestClient) -> None:
    """Joined, never heard: the commands that help."""
    assert "logferry agent check" in admin.get("/agents/lab-99").text


def test_folders_beyond_one_page_go_on(admin: TestClient, fleet: Fleet) -> None:
    """1,050 files: a thousand on the first page, the rest behind "Next page"."""
    fleet.catalog.agents.add("full-01")
    for number in range(FOLDER_PAGE_ENTRIES + 50):
        fleet.put("full-01", f"many/f{number:05d}.log", [b"x\n"])
    first = admin.get("/browse/full-01/many").text
    assert first.count('href="/view/full-01/many/') == FOLDER_PAGE_ENTRIES
    start = first.index('href="/browse/full-01/many?cursor=') + 6
    second = admin.get(first[start : first.index('"', start)].replace("&amp;", "&")).text
    assert second.count('href="/view/full-01/many/') == 50
    assert "Next page" not in second


def test_links_to_a_folder_or_file_of_the_other_kind_are_mended(admin: TestClient) -> None:
    """/view of a folder leads to /browse, /browse of a file to /view."""
    assert admin.get("/view/web-01/var/log").headers["location"] == "/browse/web-01/var/log"
    assert admin.get("/browse/web-02/app/audit.log").headers["location"] == "/view/web-02/app/audit.log"


def test_files_are_found_by_name_in_the_query_language(admin: TestClient) -> None:
    """Bare words match the path; a query that fails is marked; nothing found says so."""
    assert "/view/web-01/var/log/nginx/error.log" in admin.get("/files?q=nginx/error").text
    assert admin.get("/files?q=level:error").status_code == 400
    assert "No file has" in admin.get("/files?q=nosuchfile").text


def test_files_are_narrowed_sorted_picked_and_taken_out_without_script(admin: TestClient) -> None:
    """Fields become part of the query; an order says what it leaves out; picks go to zip or tail as plain forms."""
    narrowed = admin.get("/files?q=log&agent=web-01&size=%3E1MB&modified=%3E%3Dtoday&sort=largest")
    assert narrowed.headers["location"] == (
        "/files?q=log+agent%3Aweb-01+size%3A%3E1MB+modified%3A%3E%3Dtoday&sort=largest"
    )
    assert admin.get("/files?q=log&agent=%22+OR+x").status_code == 200  # no id, and so no part of the query
    text = admin.get("/files?q=agent:web-01+nginx&sort=largest").text
    assert text.index("nginx/access.log</span>") < text.index("nginx/error.log</span>") < text.index("access.log.8")
    assert text.count('name="fid"') == 10
    assert "/api/v1/archive.zip?q=agent%3Aweb-01+nginx" in text
    newest = admin.get("/files?q=agent:web-01&sort=newest").text
    assert newest.index("nginx/access.log</span>") < newest.index("nginx/error.log</span>")


def test_a_misspelt_name_leads_to_near_ones(admin: TestClient) -> None:
    """A word that nothing has, but for an end of it."""
    text = admin.get("/files?q=hostileX").text
    assert "No file has" in text
    assert "/view/web-01/var/log/hostile.log" in text[text.index("Near") :]
    assert "Near" not in admin.get("/files?q=zzzqqqxxx").text


def test_looking_for_near_names_has_an_end(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many searches for one page, whatever the word; none more when the time is up."""
    asked: list[str] = []
    find = SearchService.find_files

    def counted(self: SearchService, query: str, **rest: Any) -> Any:
        asked.append(query)
        return find(self, query, **rest)

    monkeypatch.setattr(SearchService, "find_files", counted)
    for word, searches in (("z" * 400, 1), ("z" * NEAR_WORD_CHARS_MAX, 1 + 2 * NEAR_CUTS_MAX), ("zzzz", 3), ("zz", 1)):
        asked.clear()
        assert "No file has" in admin.get(f"/files?q={word}").text
        assert len(asked) == searches, word
    monkeypatch.setattr(choosing, "NEAR_S_MAX", 0.0)
    assert "Near" not in admin.get("/files?q=hostileX").text


def test_the_api_sorts_files_too(admin: TestClient) -> None:
    """One page, and of how many."""
    told = admin.get("/api/v1/files?q=agent:web-01+nginx&sort=largest&limit=2").json()
    assert [one["name"] for one in told["items"]] == ["access.log", "error.log"]
    assert (told["matching"], told["complete"], told["next"]) == (10, True, None)
    assert admin.get("/api/v1/files?q=nginx&sort=largest&cursor=x").status_code == 400
    assert "matching" not in admin.get("/api/v1/files?q=nginx").json()


@pytest.mark.parametrize(
    "path",
    ["/nosuch", "/agents/nosuch", "/browse/web-01/nosuch", "/view/web-01/nosuch", "/view/web-01/var/log/syslog?gen=99",
     "/view/web-01/var/log/syslog?gen=x", "/browse/web-01/%2e%2e/%2e%2e/etc", "/view/web-01/..%2f..%2fetc%2fpasswd"],
)  # fmt: skip
def test_what_is_not_there_is_a_page_with_the_request_id(admin: TestClient, path: str) -> None:
    """404 as a page of ours, in the frame, with the id that the log has."""
    answer = admin.get(path)
    assert answer.status_code == 404
    assert answer.headers["x-request-id"] in answer.text
    assert "Nothing here" in answer.text


def test_a_narrow_viewer_sees_nothing_else(stranger: TestClient, fleet: Fleet) -> None:
    """Other agents are in no list, and their pages look like pages of nothing."""
    as_person(stranger, fleet, "narrow")
    for path in ("/", "/agents", "/files", "/files?q=log"):
        text = stranger.get(path).text
        assert "db-01" in text
        assert "web-01" not in text
        assert "plc-07" not in text
    there = stranger.get("/view/web-02/app/audit.log")
    nowhere = stranger.get("/view/web-02/app/nosuch.log")
    assert there.status_code == nowhere.status_code == 404
    assert stranger.get("/agents/web-01").status_code == 404
    assert "free of" not in stranger.get("/").text
    assert NEEDLE not in there.text


def test_pages_stand_below_a_sub_path(fleet: Fleet) -> None:
    """Behind a proxy that serves the program at /logs every link and redirect begins with it."""
    config = replace(fleet.config, web=replace(fleet.config.web, root_path="/logs"))
    app = create_app(replace(fleet.context, config=config))
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        assert client.get("/logs/agents").headers["location"].startswith("/logs/login?next=%2Fagents")
        as_person(client, fleet, "admin")
        for path in ("/logs/", "/agents", "/logs/browse/web-01/var/log", "/logs/search?q=a"):
            text = client.get(path).text
            links = [part.split('"', 1)[0] for part in text.split('href="')[1:]]
            assert all(link.startswith(("/logs/", "#")) for link in links), links
            assert 'data-base="/logs"' in text
