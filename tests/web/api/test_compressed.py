"""Compressed files over HTTP: their text, and whose copy they are, for those who may see both."""

from __future__ import annotations

import bz2
import gzip
import json

import pytest

from logferry.limits import COPIES_QUIET_S
from logferry.web.api import shapes
from tests.web.served import Served

LOG = b"".join(b"%05d some text here\n" % i for i in range(1, 1001))


@pytest.fixture(scope="module")
def fids(site: Served) -> dict[str, int]:
    """A log, its compressed copy, and another compressed file; looked into by the server."""
    made = {
        "log": site.put("web-01", "logs/app.log.1", LOG),
        "copy": site.put("web-01", "logs/app.log.1.gz", gzip.compress(LOG)),
        "other": site.put("web-01", "logs/other.bz2", bz2.compress(b"other\n" * 9)),
    }
    later_ns = site.context.clock.now_ns() + int(COPIES_QUIET_S * 1e9)
    for seen in site.context.catalog.copies.due(later_ns):
        site.context.archive.siblings(lambda count: None).look_into(seen)
    return made


def test_a_copy_says_what_it_is_a_copy_of_and_others_say_nothing(site: Served, fids: dict[str, int]) -> None:
    """In the folder, by path, by number and in file search."""
    original = {"fid": fids["log"], "path": "logs/app.log.1", "generation": 1, "whole": True}
    tree = site.client.get("/api/v1/tree", params={"agent": "web-01", "path": "logs"}).raise_for_status().json()
    assert [item.get("copy_of") for item in tree["items"]] == [None, original, None]
    assert "copy_of" not in tree["items"][0]
    by_path = site.client.get("/api/v1/file", params={"agent": "web-01", "path": "logs/app.log.1.gz"}).json()
    by_id = site.client.get(f"/api/v1/files/{fids['copy']}").json()
    found = site.client.get("/api/v1/files", params={"q": "ext:gz"}).json()["items"]
    assert [by_path["copy_of"], by_id["copy_of"], found[0]["copy_of"]] == [original] * 3
    shapes.File.model_validate(by_id)


def test_who_may_not_see_the_original_is_not_told_of_it(site: Served, fids: dict[str, int]) -> None:
    """And finds the lines in the copy."""
    scoped = site.as_("scoped", scope=("web-01/**", "!web-01/logs/app.log.1"))
    assert "copy_of" not in scoped.get(f"/api/v1/files/{fids['copy']}").json()
    *hits, last = [json.loads(line) for line in scoped.get("/api/v1/search", params={"q": "00007"}).text.splitlines()]
    assert {hit["path"] for hit in hits if hit["type"] == "hit"} == {"logs/app.log.1.gz"}
    assert last["copies"] == 0


def test_the_account_of_a_search_tells_of_copies(site: Served, fids: dict[str, int]) -> None:
    """One hit, not two."""
    lines = site.client.get("/api/v1/search", params={"q": "00007"}).text.splitlines()
    last = json.loads(lines[-1])
    assert (last["hits"], last["copies"], last["errors"]) == (1, 1, [])


def test_lines_index_and_text_are_those_of_the_unpacked_file(site: Served, fids: dict[str, int]) -> None:
    """A hit's byte leads to its line; raw bytes are those that arrived unless the text is asked for."""
    copy = f"/api/v1/files/{fids['copy']}"
    page = site.client.get(f"{copy}/lines", params={"from_line": 500, "count": 2}).raise_for_status().json()
    assert [row["s"] for row in page["rows"]] == ["00500 some text here", "00501 some text here"]
    assert (page["size"], page["lines_total"]) == (len(LOG), 1000)
    assert site.client.get(f"{copy}/index").json()["lines_total"] == 1000
    stored = site.client.get(f"{copy}/raw")
    assert gzip.decompress(stored.content) == LOG
    text = site.client.get(f"{copy}/raw", params={"text": 1})
    assert text.content == LOG
    assert text.headers["ETag"] != stored.headers["ETag"]
    byte = page["rows"][0]["b"]
    part = site.client.get(f"{copy}/raw", params={"text": 1}, headers={"Range": f"bytes={byte}-{byte + 4}"})
    assert (part.status_code, part.content) == (206, b"00500")
    plain = site.client.get(f"/api/v1/files/{fids['log']}/raw", params={"text": 1})
    assert plain.content == LOG


def test_operators_see_how_far_the_look_into_compressed_files_is(site: Served, fids: dict[str, int]) -> None:
    """Others do not."""
    jobs = shapes.JobList.model_validate(site.client.get("/api/v1/system/jobs").raise_for_status().json())
    (job,) = [job for job in jobs.items if job.name == "compressed-copies"]
    assert (job.name, job.items, job.waiting, job.found, job.failed) == ("compressed-copies", 2, 0, 1, 0)
    assert site.as_("viewer").get("/api/v1/system/jobs").status_code == 403
