"""How many lines files have and from when to when, over HTTP: in folders, by path, by number and in file search."""

from __future__ import annotations

from typing import Any

import pytest

from logferry.archive.index_making import MakerHere
from logferry.web.api import shapes
from tests.web.served import Served

LOG = b"".join(b"2023-11-14T22:%02d:20Z line\n" % minute for minute in range(13, 43))
KNOWN = {
    "lines": 30,
    "lines_exact": True,
    "first_at": "2023-11-14T22:13:20.000Z",
    "last_at": "2023-11-14T22:42:20.000Z",
}
FIELDS = ("lines", "lines_exact", "first_at", "last_at")


def told(item: dict[str, Any]) -> dict[str, Any]:
    """What a file says of its lines."""
    return {name: item[name] for name in FIELDS if name in item}


def folder(site: Served, path: str) -> dict[str, dict[str, Any]]:
    """What the files of a folder say, by name."""
    tree = site.client.get("/api/v1/tree", params={"agent": "web-01", "path": path}).raise_for_status().json()
    shapes.Tree.model_validate(tree)
    return {item["name"]: told(item) for item in tree["items"]}


def test_files_say_how_many_lines_they_have_once_somebody_has_looked(site: Served) -> None:
    """Nothing before; then exactly, by estimate when they have grown, and exactly again once sealed."""
    fid = site.put("web-01", "measured/a.log", LOG)
    site.put("web-01", "measured/plain.txt", b"no time\nno end")
    site.put("web-01", "measured/packed.gz", b"a\nb\n")
    site.put("web-01", "measured/empty.log", b"")
    none: dict[str, Any] = {}
    empty = {"lines": 0, "lines_exact": True}
    wanted = {"a.log": none, "empty.log": empty, "packed.gz": none, "plain.txt": none}
    assert folder(site, "measured") == wanted
    archive = site.context.archive
    archive.measurer().growing()
    wanted |= {"a.log": KNOWN, "plain.txt": {"lines": 2, "lines_exact": True}}
    assert folder(site, "measured") == wanted
    by_path = site.client.get("/api/v1/file", params={"agent": "web-01", "path": "measured/a.log"}).json()
    by_id = site.client.get(f"/api/v1/files/{fid}").json()
    found = site.client.get("/api/v1/files", params={"q": "measured/a.log"}).json()["items"]
    assert [told(by_path), told(by_id), told(found[0])] == [KNOWN] * 3
    site.append("web-01", "measured/a.log", LOG)
    assert folder(site, "measured")["a.log"] == KNOWN | {"lines": 60, "lines_exact": False}
    with archive.catalog._engine.begin() as connection:  # nobody looks before it is sealed
        connection.exec_driver_sql("DELETE FROM measures")
    for _ in archive.sealer(maker=MakerHere()).seal(site.context.clock.now_ns() + 10**9):
        pass
    assert folder(site, "measured")["a.log"] == none
    assert sum(step.segments for step in archive.measurer().sealed()) >= 1
    assert folder(site, "measured") == wanted | {"a.log": KNOWN | {"lines": 60}}


def test_a_folder_is_listed_with_one_more_look_whatever_lies_elsewhere(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the keys of the page alone."""
    for number in range(5):
        site.put("web-01", f"paged/{number}.log", LOG)
    site.context.archive.measurer().growing()
    asked: list[list[tuple[int, int]]] = []
    measures_of = site.context.catalog.measuring.of

    def noting(sizes: Any) -> Any:
        asked.append(list(sizes))
        return measures_of(asked[-1])

    monkeypatch.setattr(site.context.catalog.measuring, "of", noting)
    page = site.client.get("/api/v1/tree", params={"agent": "web-01", "path": "paged", "limit": 2}).json()
    assert [told(item) for item in page["items"]] == [KNOWN] * 2
    assert [len(sizes) for sizes in asked] == [2]
