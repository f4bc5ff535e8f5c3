"""Taking out over the API: folders, picks and queries as zip and tar, lines as rows; scope file by file."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pyarrow.parquet as pq
import pytest

from logferry.takeout import FORMS, Fault, Form, LineRow, from_ndjson
from logferry.web import standing
from tests.takeout.packs import contents, manifest
from tests.web.served import Served, served

RNG = random.Random(3)
FILES = {
    ("web-01", "var/log/nginx/access.log"): b"2026-11-23T08:14:01Z GET /\r\n" * 40_000,
    ("web-01", "var/log/nginx/noise.bin"): RNG.randbytes(2_500_000),
    ("web-01", "var/log/nginx.log"): b"beside\n",
    ("web-01", "var/log/nginx/secrets/key.log"): b"secret\n",
    ("web-01", "odd/\u202eb%0A.log"): b"odd\n",
    ("db-01", "pg/pg.log"): b"no utf-8 \xff\n" * 10,
}
API = "/api/v1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with these files."""
    with served(tmp_path_factory.mktemp("takeout") / "data") as running:
        for (agent, path), data in FILES.items():
            running.put(agent, path, data)
        yield running


def fid(site: Served, agent: str, path: str) -> int:
    return int(site.client.get(f"{API}/file", params={"agent": agent, "path": path}).json()["fid"])


def taken(client: httpx.Client, form: Form = "zip", **query: object) -> dict[str, bytes]:
    answer = client.get(f"{API}/archive.{form}", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    found = contents(form, answer.content)
    rows = manifest(found)
    del found["MANIFEST.json"]
    assert {n: hashlib.sha256(d).hexdigest() for n, d in found.items()} == {n: r["sha256"] for n, r in rows.items()}
    return found


def expected(*places: tuple[str, str]) -> dict[str, bytes]:
    return {f"{a}/{p}": d for (a, p), d in FILES.items() if any(a == b and p.startswith(q) for b, q in places)}


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_is_taken_out_whole(site: Served, form: Form) -> None:
    """All files below it, however deep, and nothing beside it."""
    assert taken(site.client, form, agent="web-01", path="/var/log/nginx/") == expected(("web-01", "var/log/nginx/"))


def test_an_agent_a_file_picks_and_a_query_are_taken_out(site: Served) -> None:
    """Every way to say what is wanted; each file is there once."""
    assert taken(site.client, agent="web-01") == expected(("web-01", ""))
    assert taken(site.client, agent="web-01", path="var/log/nginx.log") == expected(("web-01", "var/log/nginx.log"))
    numbers = [fid(site, "db-01", "pg/pg.log"), fid(site, "web-01", "var/log/nginx.log")]
    picked = expected(("db-01", ""), ("web-01", "var/log/nginx.log"))
    assert taken(site.client, fid=[*numbers, numbers[0]]) == picked
    assert taken(site.client, q="nginx.log OR agent:db-01") == picked
    inside = fid(site, "web-01", "odd/\u202eb%0A.log")
    assert taken(site.client, agent="web-01", fid=inside) == expected(("web-01", ""))


def test_many_picks_are_posted(site: Served) -> None:
    """Places inside each other count once."""
    places = [{"agent": "web-01", "path": "var"}, {"agent": "web-01", "path": "/var/log/nginx"}, {"agent": "db-01"}]
    answer = site.client.post(f"{API}/archive.tar", json={"places": places})
    assert answer.status_code == 200
    found = contents("tar", answer.content)
    del found["MANIFEST.json"]
    assert found == expected(("web-01", "var"), ("db-01", ""))


def test_a_scope_leaves_out_what_may_not_be_seen(site: Served) -> None:
    """File by file; nothing to see and nothing there are the same 404."""
    narrow = site.as_("narrow", scope=("web-*/**", "!**/secrets/**"))
    found = taken(narrow, agent="web-01", path="var/log/nginx")
    assert set(found) == {"web-01/var/log/nginx/access.log", "web-01/var/log/nginx/noise.bin"}
    assert "web-01/var/log/nginx/secrets/key.log" not in taken(narrow, q="log")
    hidden = fid(site, "web-01", "var/log/nginx/secrets/key.log")
    for query in ({"agent": "db-01"}, {"agent": "web-01", "path": "var/log/nginx/secrets"}, {"fid": hidden}):
        for route in ("archive.zip", "export"):
            refused = narrow.get(f"{API}/{route}", params=query)
            assert refused.status_code == 404, (route, query)
    rows = narrow.get(f"{API}/export", params={"agent": "web-01"}).text
    assert "secret" not in rows
    with site.new_client() as stranger:
        assert stranger.get(f"{API}/archive.zip?agent=web-01").status_code == 401


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("agent=web-01&q=x", 400),
        ("agent=nobody", 404),
        ("agent=web-01&path=nothing", 404),
        ("agent=web-01&path=../db-01", 404),
        ("agent=..&path=db-01", 404),
        ("fid=999999", 404),
        ("fid=-1", 400),
        ("q=(", 400),
        ("q=no-such-file-anywhere", 404),
        ("q=level:error", 400),
    ],
)
def test_what_is_wrong_is_told_before_the_first_byte(site: Served, query: str, status: int) -> None:
    """A problem document, never an empty archive."""
    for route in ("archive.zip", "export"):
        answer = site.client.get(f"{API}/{route}?{query}")
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert site.client.get(f"{API}/archive.rar?agent=web-01").status_code == 400


def test_it_is_a_download_with_a_name(site: Served) -> None:
    """Named after the folder; never kept by a cache, never shown as a page."""
    answer = site.client.get(f"{API}/archive.tar.zst", params={"agent": "web-01", "path": "var/log"})
    assert answer.headers["content-disposition"].startswith('attachment; filename="log.tar.zst"')
    assert answer.headers["content-type"] == "application/zstd"
    assert answer.headers["cache-control"] == "no-store"


def test_a_damaged_file_is_named_in_the_archive_and_in_the_rows(tmp_path: Path) -> None:
    """Bytes that are not there any more: ERRORS.txt, the manifest, a row with `error`; the others are whole."""
    with served(tmp_path / "data") as site:
        site.put("web-01", "a/bad.log", b"x" * 3_000_000 + b"\n")
        site.put("web-01", "a/good.log", b"good\n")
        os.truncate(tmp_path / "data" / "live" / "web-01" / "a" / "bad.log", 1000)
        found = contents("zip", site.client.get(f"{API}/archive.zip?agent=web-01").content)
        assert found["web-01/a/good.log"] == b"good\n"
        assert "web-01/a/bad.log" in found["ERRORS.txt"].decode()
        assert "error" in manifest(found)["web-01/a/bad.log"]
        rows = list(from_ndjson(site.client.get(f"{API}/export?agent=web-01").content.split(b"\n")))
        assert [type(row) for row in rows] == [Fault, LineRow]


def joined(rows: list[LineRow | Fault]) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    for row in rows:
        assert isinstance(row, LineRow)
        name = f"{row.agent}/{row.path}"
        made[name] = made.get(name, b"") + row.raw
    return made


def test_exported_rows_are_the_files(site: Served) -> None:
    """NDJSON and Parquet give back every byte."""
    text = site.client.get(f"{API}/export?q=agent:web-01 OR agent:db-01").content
    everything = expected(("web-01", ""), ("db-01", ""))
    assert joined(list(from_ndjson(text.split(b"\n")))) == everything
    table = pq.read_table(
        io.BytesIO(site.client.get(f"{API}/export?q=agent:web-01 OR agent:db-01&format=parquet").content)
    )
    made: dict[str, bytes] = {}
    for agent, path, raw in zip(*(table[c].to_pylist() for c in ("agent", "path", "raw")), strict=True):
        made[f"{agent}/{path}"] = made.get(f"{agent}/{path}", b"") + raw
    assert made == everything


def test_compressed_files_are_exported_as_they_are_or_unpacked(site: Served) -> None:
    """`text=1` gives the lines of the text; without it the rows are the file itself."""
    text = b"one\ntwo\n"
    packed = gzip.compress(text)
    site.put("zip-01", "app.log.1.gz", packed)
    for query, data in (("", packed), ("&text=1", text)):
        answer = site.client.get(f"{API}/export?agent=zip-01{query}").content
        assert joined(list(from_ndjson(answer.split(b"\n")))) == {"zip-01/app.log.1.gz": data}


def test_an_archive_that_is_cut_by_the_end_of_the_server_is_seen_as_cut(tmp_path: Path) -> None:
    """It must never look whole: the answer breaks off."""
    with served(tmp_path / "data") as site:
        for number in range(8):
            site.put("web-01", f"noise{number}", RNG.randbytes(8_000_000))
        with site.client.stream("GET", f"{API}/archive.tar?agent=web-01") as answer:
            pieces = answer.iter_raw()
            next(pieces)
            site.app.state.streams.stop()
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)


def test_a_download_ends_with_the_right_to_see_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who is disabled gets no more of it, and it never looks whole; whoever stays gets all."""
    monkeypatch.setattr(standing, "TAIL_IDENTITY_S", 0.01)
    data = RNG.randbytes(24_000_000)
    with served(tmp_path / "data") as site:
        number = site.put("web-01", "long.bin", data)
        raw = f"files/{number}/raw"
        for at, way in enumerate(("archive.zip?agent=web-01", "archive.tar?agent=web-01", "export?agent=web-01", raw)):
            name = f"leaver-{at}"
            with site.as_(name).stream("GET", f"{API}/{way}") as answer:
                assert answer.status_code == 200
                pieces = answer.iter_raw()
                next(pieces)
                site.context.people.change(name, enabled=False)
                with pytest.raises(httpx.RemoteProtocolError):
                    list(pieces)
        assert site.as_("stayer").get(f"{API}/{raw}").content == data


def test_a_folder_page_links_zip_and_tar(site: Served) -> None:
    """The links take out exactly the folder that is shown."""
    page = site.client.get("/browse/web-01/var/log/nginx", follow_redirects=False)
    if page.status_code != 200:  # pages know sessions, not tokens
        pytest.fail(page.text)
    for form in ("zip", "tar"):
        assert f"/api/v1/archive.{form}?agent=web-01&amp;path={quote('var/log/nginx', safe='')}" in page.text
