"""Exact bytes over HTTP: whole, in part, only if changed, and never as a page."""

from __future__ import annotations

import random

import pytest

from tests.web.served import Served

DATA = random.Random(3).randbytes(2_500_000) + b"<script>alert(1)</script>"


@pytest.fixture(scope="module")
def url(site: Served) -> str:
    """A file of some blocks whose bytes are anything."""
    fid = site.put("raw", 'x/<b>"evil".html', DATA)
    return f"/api/v1/files/{fid}/raw"


def test_the_bytes_are_those_that_arrived(site: Served, url: str) -> None:
    """Whole, with their length and a strong tag."""
    answer = site.client.get(url)
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"].startswith('"')


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000000-2000000", 1_000_000, 2_000_001),
        ("bytes=2500000-", 2_500_000, len(DATA)),
        ("bytes=-10", len(DATA) - 10, len(DATA)),
        ("bytes=5-99999999999", 5, len(DATA)),
    ],
)
def test_a_range_gives_just_those_bytes(site: Served, url: str, header: str, start: int, end: int) -> None:
    """206 with the place of the part in the whole."""
    answer = site.client.get(url, headers={"Range": header})
    assert answer.status_code == 206
    assert answer.content == DATA[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"


def test_a_range_behind_the_end_is_refused_with_the_size(site: Served, url: str) -> None:
    """416, so that a client knows it has everything."""
    answer = site.client.get(url, headers={"Range": f"bytes={len(DATA)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"
    assert answer.json()["request_id"]


def test_several_ranges_and_nonsense_give_the_whole(site: Served, url: str) -> None:
    """What is not understood is ignored."""
    for header in ("bytes=0-1,5-6", "bytes=x", "lines=0-1"):
        assert site.client.get(url, headers={"Range": header}).status_code == 200


def test_a_tag_that_still_stands_saves_the_bytes(site: Served, url: str) -> None:
    """304 without a body; another tag gets everything."""
    tag = site.client.head(url).headers["etag"]
    answer = site.client.get(url, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert site.client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_download_continues_only_while_nothing_changed(site: Served) -> None:
    """If-Range: the part when the tag stands, the whole when the file has grown meanwhile."""
    url = f"/api/v1/files/{site.put('raw', 'grows', b'12345')}/raw"
    tag = site.client.get(url).headers["etag"]
    resumed = site.client.get(url, headers={"Range": "bytes=2-", "If-Range": tag})
    assert (resumed.status_code, resumed.content) == (206, b"345")
    site.append("raw", "grows", b"678")
    whole = site.client.get(url, headers={"Range": "bytes=2-", "If-Range": tag})
    assert (whole.status_code, whole.content) == (200, b"12345678")


def test_head_tells_all_but_the_bytes(site: Served, url: str) -> None:
    """The same headers, no body, ranges too."""
    answer = site.client.head(url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(DATA))
    part = site.client.head(url, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["content-length"]) == (206, "10")


def test_hostile_bytes_are_plain_text_in_a_sandbox(site: Served, url: str) -> None:
    """Nothing in a log can run in a browser, whatever it is called."""
    answer = site.client.get(url)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].startswith("inline; ")
    download = site.client.get(url, params={"download": 1}, headers={"Range": "bytes=0-0"})
    assert download.headers["content-disposition"].startswith("attachment; filename=")
    assert "%3Cb%3E" in download.headers["content-disposition"]


def test_an_empty_file_is_empty(site: Served) -> None:
    """200 and nothing; a range of it cannot be satisfied."""
    url = f"/api/v1/files/{site.put('raw', 'empty', b'')}/raw"
    answer = site.client.get(url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert site.client.get(url, headers={"Range": "bytes=0-0"}).status_code == 416
