"""Encodings, folded entries, and the lines that a query keeps, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from logferry.limits import LINE_BYTES_SHOWN_MAX
from logferry.web.api import shapes
from tests.web.served import Served

TRACE = "Traceback (most recent call last):\n  File x\n    größe()\nValueError: bad\n"
TEXT = "".join(
    f"2026-11-23 08:{i // 60:02}:{i % 60:02} {'ERROR' if i % 100 == 50 else 'INFO'} größe {i}\n"
    + TRACE * (i % 100 == 50)
    for i in range(400)
)
KEPT = dict(enumerate(TEXT.splitlines(), 1))


def _get(site: Served, fid: int, what: str, **params: Any) -> dict[str, Any]:
    answer = site.client.get(f"/api/v1/files/{fid}/{what}", params=params)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def fids(site: Served) -> dict[str, int]:
    """The same text in some encodings."""
    return {
        "utf-8": site.put("enc", "utf8.log", TEXT.encode()),
        "utf-16-le": site.put("enc", "le.log", b"\xff\xfe" + TEXT.encode("utf-16-le")),
        "utf-16-be": site.put("enc", "be.log", TEXT.encode("utf-16-be")),
        "windows-1252": site.put("enc", "latin.log", TEXT.encode("cp1252")),
        "gb18030": site.put("enc", "gb.log", TEXT.replace("größe", "错误连接").encode("gb18030")),
    }


@pytest.mark.parametrize("name", ["utf-8", "utf-16-le", "utf-16-be", "windows-1252", "gb18030"])
def test_a_file_is_read_in_its_encoding_and_found_in_it(site: Served, fids: dict[str, int], name: str) -> None:
    """Text, true numbers and bytes; the same by number, by byte and by search; the raw bytes stand where it says."""
    fid = fids[name]
    word = "错误连接" if name == "gb18030" else "größe"
    page = _get(site, fid, "lines", from_line=300, count=3)
    shapes.LinePage.model_validate(page)
    assert page["encoding"] == name
    assert [row["n"] for row in page["rows"]] == [300, 301, 302]
    assert [row["s"] for row in page["rows"]] == [KEPT[n].replace("größe", word) for n in (300, 301, 302)]
    row = page["rows"][0]
    assert _get(site, fid, "lines", at_byte=row["b"] + 5, count=1)["rows"] == [row]
    raw = site.client.get(
        f"/api/v1/files/{fid}/raw", headers={"Range": f"bytes={row['b']}-{row['b'] + row['len'] - 1}"}
    ).content
    assert raw.decode({"windows-1252": "cp1252"}.get(name, name)) == row["s"] + "\n"
    found = site.client.get(
        "/api/v1/search", params={"q": f'"{word} 12"', "fid": fid, "enc": name, "order": "oldest", "context": 1}
    )
    hits = [hit for hit in map(json.loads, found.text.splitlines()) if hit["type"] == "hit"]
    assert [hit["s"] for hit in hits] == [KEPT[n].replace("größe", word) for n in KEPT if "größe 12" in KEPT[n]]
    assert [hit["n"] for hit in hits] == [n for n in KEPT if "größe 12" in KEPT[n]]
    for hit in hits[:3]:
        start, end = hit["spans"][0]
        assert hit["s"][start:end] == f"{word} 12"
        assert _get(site, fid, "lines", from_line=hit["n"], count=1)["rows"][0]["b"] == hit["b"]
        assert hit["before"][0]["s"] == KEPT[hit["n"] - 1].replace("größe", word)


def test_an_encoding_can_be_chosen_and_a_better_one_is_told(site: Served, fids: dict[str, int]) -> None:
    """Bad bytes are ``\\xNN``; where they look like something, that is said; an unknown one is refused."""
    fid = fids["windows-1252"]
    page = _get(site, fid, "lines", count=1, enc="utf-8")
    assert page["rows"][0]["s"].endswith("gr\\xf6\\xdfe 0")
    assert page["looks_like"] == "windows-1252"
    assert _get(site, fid, "lines", count=1)["looks_like"] is None
    assert _get(site, fid, "lines", count=1, enc="koi8-r")["rows"][0]["s"].endswith("grЖъe 0")
    refused = site.client.get(f"/api/v1/files/{fid}/lines", params={"enc": "utf-7"})
    assert refused.status_code == 400
    assert "gb18030" in refused.json()["hint"]
    assert site.client.get("/api/v1/search", params={"q": "x", "enc": "gb18030"}).status_code == 400


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "gb18030"])
def test_the_rest_of_a_long_line_comes_piece_by_piece(site: Served, encoding: str) -> None:
    """Every character once, none cut in two, up to the end of the line."""
    line = "é中😀" * 4000
    fid = site.put("enc", f"long-{encoding}.log", ("first\n" + line + "\r\nafter\n").encode(encoding))
    row = _get(site, fid, "lines", from_line=2, count=1, enc=encoding)["rows"][0]
    assert row["cut"]
    assert row["shown"] <= LINE_BYTES_SHOWN_MAX
    text, at = row["s"], row["shown"]
    while True:
        piece = _get(site, fid, "text", at_byte=row["b"] + at, max_bytes=9001, enc=encoding)
        text += piece["s"]
        at += piece["bytes"]
        if at >= row["len"]:
            break
    assert text == line
    assert at == row["len"]


def test_entries_are_folded_and_kept_whole(site: Served, fids: dict[str, int]) -> None:
    """Folded: one row each; kept by a query or a level: all lines of the entry, with lines around it."""
    fid = fids["utf-8"]
    page = _get(site, fid, "kept", fold=True, count=60, times=True)
    shapes.KeptPage.model_validate(page)
    folded = page["rows"][50]
    assert (folded["n"], folded["more"], folded["t"]) == (51, 4, "2026-11-23T08:00:50.000Z")
    assert page["rows"][51]["n"] == 56
    assert page["rows"][51]["b"] == folded["b"] + folded["span"]
    page = _get(site, fid, "kept", q="ValueError", context=1, count=500)
    assert page["end"]
    assert [row["n"] for row in page["rows"]][:7] == [50, 51, 52, 53, 54, 55, 56]
    assert [row["hit"] for row in page["rows"]][:7] == [False, True, True, True, True, True, False]
    levels = _get(site, fid, "kept", q="level:>=error", fold=True)
    assert [row["s"].split()[-1] for row in levels["rows"]] == ["50", "150", "250", "350"]
    both = _get(site, fid, "kept", q="ValueError level:>=error", fold=True)
    assert [row["b"] for row in both["rows"]] == [row["b"] for row in levels["rows"]]
    before = _get(site, fid, "kept", q="level:>=error", fold=True, before=levels["rows"][2]["b"])
    assert [row["n"] for row in before["rows"]] == [row["n"] for row in levels["rows"][:2]]
    latin = _get(site, fids["windows-1252"], "kept", q='"größe 17"')
    assert latin["rows"][0]["s"].endswith("größe 17")


def test_what_cannot_be_kept_is_refused(site: Served, fids: dict[str, int]) -> None:
    """A query that does not parse names its column; two places exclude each other."""
    path = f"/api/v1/files/{fids['utf-8']}/kept"
    wrong = site.client.get(path, params={"q": "(a"})
    assert wrong.status_code == 400
    assert wrong.json()["column"] == 1
    assert site.client.get(path, params={"before": 1, "at_byte": 1}).status_code == 400
    nothing = site.client.get(path, params={"q": "nowhere"}).json()
    assert (nothing["rows"], nothing["prev"], nothing["next"]) == ([], None, None)
