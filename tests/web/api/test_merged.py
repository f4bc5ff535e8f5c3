"""Several files as one through the API: pages, places, rights, failures, series, a log that is rotated meanwhile."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from tests.web.served import Served

ONE = b"".join(b"2026-11-23 08:00:%02d one %d\n" % (n, n) for n in range(0, 60, 2))
TWO = b"".join(b"2026-11-23T08:00:%02dZ two %d\n  and more\n" % (n, n) for n in range(1, 60, 2))


def ask(client: httpx.Client, files: list[tuple[str, str]], **place: Any) -> dict[str, Any]:
    """A page. AssertionError unless it came."""
    params: list[tuple[str, str | int | float | bool | None]] = [*files, *place.items()]
    answer = client.get("/api/v1/merged", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def lines(page: dict[str, Any]) -> list[str]:
    """Their texts."""
    return [row["s"] for row in page["rows"]]


@pytest.fixture
def both(site: Served) -> list[tuple[str, str]]:
    """Two files whose lines alternate."""
    site.put("m", "var/one.log", ONE)
    site.put("m", "var/two.log", TWO)
    return [("f", "m/var/one.log"), ("f", "m/var/two.log")]


def test_pages_follow_one_another_both_ways(site: Served, both: list[tuple[str, str]]) -> None:
    """Down from the start and up from the end the same lines, byte for byte and with their places."""
    place: dict[str, Any] = {}
    down: list[dict[str, Any]] = []
    while True:
        page = ask(site.client, both, count=13, **place)
        down += page["rows"]
        if page["at_end"]:
            break
        place = {"after": page["end"]}
    page = ask(site.client, both, tail=True, count=13)
    up = page["rows"]
    while not page["at_start"]:
        page = ask(site.client, both, before=page["start"], count=13)
        up = page["rows"] + up
    assert [row["s"] for row in down] == [row["s"] for row in up]
    assert [row["s"].split()[-1] for row in down if row["t"]] == [str(n) for n in range(60)]
    files = [ONE, TWO]
    for row in down:
        assert files[row["f"]][row["b"] : row["b"] + row["len"]] == row["s"].encode() + b"\n"
    assert all(row["t"] is None for row in down if "more" in row["s"])


def test_places_by_time_line_and_share(site: Served, both: list[tuple[str, str]]) -> None:
    """A time in a zone, a line by its bytes, a share of all bytes."""
    assert lines(ask(site.client, both, time="2026-11-23T08:00:31", count=1)) == ["2026-11-23T08:00:31Z two 31"]
    there = ask(site.client, both, time="2026-11-23T09:00:31", tz="Europe/Berlin", count=1)
    assert lines(there) == ["2026-11-23T08:00:31Z two 31"]
    row = there["rows"][0]
    at = f"{row['fid']}.{row['gen']}.{row['b']}"
    assert ask(site.client, both, at=at)["rows"][0] == row
    above = ask(site.client, both, before=ask(site.client, both, at=at)["start"], count=1)
    assert lines(above) == ["2026-11-23 08:00:30 one 30"]
    assert ask(site.client, both, fraction=0.5)["fraction"] == pytest.approx(0.5, abs=0.05)


def test_what_cannot_be_read_is_told_beside_the_others(site: Served, both: list[tuple[str, str]]) -> None:
    """No such file, no right and nonsense look the same in every answer but their names; all of them is 404."""
    narrow = site.as_("narrow-merge", scope=("m/var/one.log",))
    page = ask(narrow, [*both, ("f", "m/var/never.log")])
    problems = [source["problem"] for source in page["sources"]]
    assert problems[0] is None
    assert problems[1]["detail"].replace("two", "never") == problems[2]["detail"]
    assert lines(page) == ONE.decode().splitlines()
    assert page["sources"][1]["parts"] == []
    assert narrow.get("/api/v1/merged", params=dict(both[1:])).status_code == 404
    fid = ask(site.client, both)["sources"][1]["parts"][0]["fid"]
    assert narrow.get("/api/v1/merged", params={"f": fid}).status_code == 404
    series = narrow.get("/api/v1/merged", params={"s": "m/var/two.log"})
    assert series.status_code == 404


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 400),
        ({"f": "m"}, 400),
        ({"f": "nonsense/"}, 400),
        ({"f": "m/var/one.log", "after": "1.1.1,2.2.2"}, 400),
        ({"f": "m/var/one.log", "after": "x"}, 400),
        ({"f": "m/var/one.log", "at": "1.2"}, 400),
        ({"f": "m/var/one.log", "at": "999999.1.0"}, 400),
        ({"f": "m/var/one.log", "time": "soon"}, 400),
        ({"f": "m/var/one.log", "time": "now", "tz": "Mars"}, 400),
        ({"f": "m/var/one.log", "tail": "true", "fraction": "0"}, 400),
        ({"f": [f"m/{n}" for n in range(9)]}, 400),
        ({"f": "m/var/one.log", "after": "999999999999.1.1"}, 200),
    ],
)
@pytest.mark.usefixtures("both")
def test_what_is_wrong_is_refused(site: Served, params: dict[str, Any], status: int) -> None:
    """With a hint; a place in a part that is gone is the beginning."""
    answer = site.client.get("/api/v1/merged", params=params)
    assert answer.status_code == status, answer.text
    assert status == 200 or answer.json()["hint"]


def test_sources_say_what_had_to_be_assumed(site: Served) -> None:
    """No year, no zone, no times at all; those without come last."""
    site.context.catalog.agents.add("zoned")
    site.context.catalog.agents.change("zoned", zone="Europe/Berlin")
    site.put("zoned", "syslog", b"Nov 23 08:00:00 host app: hello\n")
    site.put("zoned", "full.log", b"2026-11-23T06:59:00Z first\n")
    site.put("zoned", "plain.txt", b"no time here\n")
    page = ask(site.client, [("f", "zoned/plain.txt"), ("f", "zoned/syslog"), ("f", "zoned/full.log")])
    assert [source["timed"] for source in page["sources"]] == [False, True, True]
    assert [source["names_year"] for source in page["sources"]] == [None, False, True]
    assert [source["names_zone"] for source in page["sources"]] == [None, False, True]
    assert page["sources"][1]["zone"] == "Europe/Berlin"
    assert [row["f"] for row in page["rows"]] == [2, 1, 0]
    assert page["rows"][1]["t"].endswith("-11-23T07:00:00.000Z")


def test_a_rotated_log_is_one_and_stays_so(site: Served) -> None:
    """Pieces plain and compressed; a cursor goes on behind a rotation without a line lost or twice."""
    stamp = b"2026-11-23 08:%02d:00 line %d\n"
    site.put("r", "app.log.2.gz", gzip.compress(b"".join(stamp % (n, n) for n in range(10))))
    site.put("r", "app.log.1", b"".join(stamp % (n, n) for n in range(10, 20)))
    fid = site.put("r", "app.log", b"".join(stamp % (n, n) for n in range(20, 30)))
    listed = site.client.get(f"/api/v1/files/{fid}/series").json()["items"]
    assert [item["name"] for item in listed] == ["app.log.2.gz", "app.log.1", "app.log"]
    page = ask(site.client, [("s", "r/app.log")])
    assert lines(page) == [(stamp % (n, n)).decode().rstrip() for n in range(30)]
    assert page["at_end"]
    site.append("r", "app.log", stamp % (30, 30))
    archive = site.context.archive
    archive.rename("r", "app.log.1", "app.log.3")
    archive.rename("r", "app.log", "app.log.1")
    site.put("r", "app.log", stamp % (31, 31))
    news = ask(site.client, [("s", "r/app.log")], after=page["end"])
    assert lines(news) == ["2026-11-23 08:30:00 line 30", "2026-11-23 08:31:00 line 31"]


def test_a_last_line_that_grows_comes_again_whole(site: Served) -> None:
    """With the same place, so it can be put where it was; nothing comes while nothing grew."""
    site.put("g", "a.log", b"2026-11-23 08:00:00 done\n2026-11-23 08:00:01 unfini")
    page = ask(site.client, [("f", "g/a.log")])
    assert page["at_end"]
    assert lines(page)[1] == "2026-11-23 08:00:01 unfini"
    assert lines(ask(site.client, [("f", "g/a.log")], after=page["end"])) == []
    site.append("g", "a.log", b"shed\n2026-11-23 08:00:02 next\n")
    news = ask(site.client, [("f", "g/a.log")], after=page["end"])
    assert lines(news) == ["2026-11-23 08:00:01 unfinished", "2026-11-23 08:00:02 next"]
    assert news["rows"][0]["b"] == page["rows"][1]["b"]
