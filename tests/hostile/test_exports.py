"""What leaves the archive as a file: nothing in it computes, leads elsewhere or breaks the form it is in."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from logferry.web.app import create_app
from logferry.web.auth import COOKIE
from tests.hostile.payloads import payloads
from tests.hostile.planted import AGENT, LINES, NAMES, Planted, names
from tests.security.amounts import HEAVY

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"-?\d+")
MISREAD = re.compile(r"[;\t\r\n]\"*[=+\-@＝＋－＠]")
"""Where a program that ends cells at other characters begins one that computes."""


@pytest.fixture(scope="module")
def client(planted: Planted) -> Iterator[TestClient]:
    """The administrator."""
    session = planted.people.begin_session(planted.people.get("admin"))
    with TestClient(create_app(planted.context), base_url="http://127.0.0.1") as client:
        client.cookies.set(COOKIE, session.secret)
        yield client


def _check_csv(content: bytes, columns: int) -> list[list[str]]:
    """The rows: RFC 4180, each with all its cells, none of which a spreadsheet computes."""
    text = content.decode()
    assert "\0" not in text
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert all(len(row) == columns for row in rows)
    for row in rows[1:]:
        for cell in row:
            assert not cell.startswith(FORMULA) or NUMBER.fullmatch(cell), cell
            assert not MISREAD.search(cell), cell
    return rows


def test_hits_as_csv_compute_nothing(client: TestClient) -> None:
    """Every line of every file, names included."""
    answer = client.get("/api/v1/search", params={"q": f"agent:{AGENT}", "format": "csv", "limit": 100_000})
    rows = _check_csv(answer.content, 6)
    assert len(rows) > len(payloads()) + len(names())
    assert any("HYPERLINK" in row[-1] for row in rows)


def test_the_audit_as_csv_computes_nothing(client: TestClient, planted: Planted) -> None:
    """Entries of which every text is somebody else's."""
    rows = _check_csv(client.get("/api/v1/audit", params={"format": "csv"}).content, 12)
    assert len(rows) > len(planted.some)


def test_the_audit_as_json_lines_has_one_a_line(client: TestClient, planted: Planted) -> None:
    """No word begins another line, whatever ends lines where it is read."""
    content = client.get("/api/v1/audit", params={"format": "ndjson"}).content
    assert content.isascii()
    rows = [json.loads(line) for line in content.decode().splitlines()]
    assert len(rows) > len(planted.some)


def test_hits_as_text_steer_no_terminal(client: TestClient) -> None:
    """Each is one line, which begins with its place."""
    answer = client.get("/api/v1/search", params={"q": f"path:{LINES}", "format": "text", "limit": 100_000})
    lines = answer.content.decode().split("\n")
    assert all(line.startswith(f"{AGENT}:/{LINES}:") for line in lines if line)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", answer.text)


def test_rows_are_json_lines_that_hold_every_byte(client: TestClient) -> None:
    """Joined, the lines are the file."""
    content = client.get("/api/v1/export", params={"agent": AGENT, "path": LINES}).content
    joined = b""
    for line in content.decode().splitlines():
        row = json.loads(line)
        joined += row["text"].encode() if "text" in row else base64.b64decode(row["base64"])
    assert joined == b"".join(raw + b"\n" for raw in payloads())


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_names_of_members_stay_below_where_they_are_unpacked(client: TestClient, form: str) -> None:
    """On every system: no step up, no drive, no device, no control character; none twice."""
    content = client.get(f"/api/v1/archive.{form}", params={"agent": AGENT, "path": NAMES}).content
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = archive.namelist()
            assert archive.testzip() is None
    else:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = tar.getmembers()
            assert all(member.isreg() for member in members)
            found = [member.name for member in members]
    assert len(set(found)) == len(found) == len(names()) + 1  # and the manifest
    for name in found:
        steps = re.split(r"[/\\]", name)
        assert ".." not in steps
        assert "" not in steps
        assert name.startswith(f"{AGENT}/{NAMES}/") or name == "MANIFEST.json"
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", name)


def test_headers_are_one_line_whatever_the_name(client: TestClient, planted: Planted) -> None:
    """Of every file with a hostile name: one disposition, an attachment, with the name in it and nothing else."""
    form = re.compile(r"attachment; filename=\"[ !#-\[\]-~]*\"; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]*")
    for path in names()[:: 1 if HEAVY else 6]:
        file = planted.catalog.files.at(AGENT, f"{NAMES}/{path}")
        assert file is not None
        answer = client.get(f"/api/v1/files/{file.id}/raw", params={"download": "true"})
        assert answer.status_code == 200
        assert form.fullmatch(answer.headers["content-disposition"]), answer.headers["content-disposition"]
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert not any("pwned" in name for name in answer.headers)


def test_no_word_of_a_request_becomes_a_header(client: TestClient) -> None:
    """Words in the query, in the path, in other headers: answers have the usual headers and no more."""
    usual = set(client.get("/nothing").headers) | {
        "location", "set-cookie", "retry-after", "content-disposition", "content-length", "x-accel-buffering",
    }  # fmt: skip
    for raw in payloads()[:: 1 if HEAVY else 9]:
        sent = {"X-Request-Id": quote(raw), "Referer": quote(raw)}
        for path in (
            f"/login?next={quote(raw)}",
            f"/view/{AGENT}/{quote(raw)}",
            f"/api/v1/archive.zip?agent={AGENT}&path={LINES}",
        ):
            answer = client.get(path, headers=sent, follow_redirects=False)
            assert answer.status_code < 500
            assert set(answer.headers) <= usual
            location = answer.headers.get("location", "/")
            assert location.startswith("/")
            assert not location.startswith(("//", "/\\"))
