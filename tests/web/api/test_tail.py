"""Following a file: every line once, also after a break, across rotation, and until it may no longer be seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from logferry.web import standing
from logferry.web.api import tail as tail_module
from tests.web.served import Served


class Events:
    """The events of one stream, taken one by one."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def next(self) -> dict[str, Any]:
        """The next event: ``{event, data, id}``."""
        event: dict[str, Any] = {}
        for line in self._lines:
            if not line:
                if event:
                    return event
                continue
            name, _, value = line.partition(": ")
            if name in ("event", "id"):
                event[name] = value
            elif name == "data":
                event["data"] = json.loads(value)
        raise EOFError("the stream ended")


@contextmanager
def following(site: Served, fid: int, last_id: str = "", start: int | None = None) -> Iterator[Events]:
    """An open stream."""
    params = {"f": fid} if start is None else {"f": fid, "from": start}
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with site.client.stream("GET", "/api/v1/tail", params=params, headers=headers) as answer:
        answer.raise_for_status()
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines).startswith(":")  # the stream stands
        yield Events(lines)


def texts(event: dict[str, Any]) -> list[str]:
    """The lines of a ``lines`` event."""
    assert event["event"] == "lines"
    return [row["s"] for row in event["data"]["rows"]]


def test_new_lines_come_with_the_place_behind_them(site: Served) -> None:
    """By default from the end; the id is generation and byte."""
    fid = site.put("t", "a.log", b"old\n")
    with following(site, fid) as events:
        site.append("t", "a.log", b"one\ntwo\n")
        event = events.next()
        assert texts(event) == ["one", "two"]
        assert event["id"] == "1:12"
        assert event["data"]["next"] == 12
        assert set(event["data"]) == {"fid", "gen", "rows", "next"}
        assert set(event["data"]["rows"][0]) == {"n", "b", "len", "s", "cut"}
        assert event["data"]["rows"][0]["n"] == 2


def test_a_broken_stream_continues_without_loss_or_repetition(site: Served) -> None:
    """``Last-Event-ID`` goes before ``from``; what came meanwhile is sent at once."""
    fid = site.put("t", "b.log", b"1\n2\n")
    with following(site, fid, start=0) as events:
        first = events.next()
        assert texts(first) == ["1", "2"]
    site.append("t", "b.log", b"3\n4\n")
    with following(site, fid, first["id"], start=0) as events:
        assert texts(events.next()) == ["3", "4"]


def test_an_unfinished_line_waits_for_its_end(site: Served) -> None:
    """It is sent once, whole."""
    fid = site.put("t", "c.log", b"whole\n")
    with following(site, fid) as events:
        site.append("t", "c.log", b"done\nhalf")
        assert texts(events.next()) == ["done"]
        site.append("t", "c.log", b" and half\n")
        assert texts(events.next()) == ["half and half"]


def test_a_rotation_is_followed_into_the_new_generation(site: Served) -> None:
    """The rest of the old one, a ``gen`` event, then the new one from its start."""
    fid = site.put("t", "d.log", b"a\n")
    with following(site, fid) as events:
        site.append("t", "d.log", b"b\nunfinished")
        assert texts(events.next()) == ["b"]
        site.context.archive.rename("t", "d.log", "d.log.1")
        assert texts(events.next()) == ["unfinished"]
        site.put("t", "d.log", b"new life\n")
        event = events.next()
        assert (event["event"], event["data"]["gen"], event["id"]) == ("gen", 2, "2:0")
        event = events.next()
        assert texts(event) == ["new life"]
        assert event["id"] == "2:9"
    with following(site, fid, "1:2") as events:  # resumed from before the rotation
        assert texts(events.next()) == ["b", "unfinished"]
        assert events.next()["event"] == "gen"
        assert texts(events.next()) == ["new life"]


def test_a_replaced_file_is_followed_too(site: Served) -> None:
    """Other content at the same path is a new generation."""
    fid = site.put("t", "e.log", b"before\n")
    with following(site, fid) as events:
        site.put("t", "e.log", b"after\n")
        assert events.next()["event"] == "gen"
        assert texts(events.next()) == ["after"]


def test_a_large_step_comes_in_several_events(site: Served) -> None:
    """Bounded events, every line once."""
    fid = site.put("t", "f.log", b"")
    wanted = [f"line {i} {'x' * (i % 300)}" for i in range(5000)]
    with following(site, fid) as events:
        site.append("t", "f.log", "\n".join(wanted).encode() + b"\n")
        got: list[str] = []
        while len(got) < len(wanted):
            event = events.next()
            assert len(event["data"]["rows"]) <= 500
            got += texts(event)
    assert got == wanted


def test_a_quiet_stream_says_that_it_lives(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping after some time without lines."""
    monkeypatch.setattr(tail_module, "TAIL_PING_S", 0.05)
    fid = site.put("t", "g.log", b"x\n")
    with following(site, fid) as events:
        assert events.next()["event"] == "ping"


def test_a_stream_ends_with_the_right_to_see_it(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disabled person's stream says so and closes."""
    monkeypatch.setattr(standing, "TAIL_IDENTITY_S", 0.05)
    fid = site.put("t", "h.log", b"x\n")
    viewer = site.as_("tess")
    with viewer.stream("GET", "/api/v1/tail", params={"f": fid}) as answer:
        events = Events(answer.iter_lines())
        site.context.people.change("tess", enabled=False)
        event = events.next()
        assert (event["event"], event["data"]["status"]) == ("problem", 401)
        with pytest.raises(EOFError):
            events.next()


def test_a_foreign_id_is_refused(site: Served) -> None:
    """400, before the stream begins."""
    fid = site.put("t", "i.log", b"x\n")
    answer = site.client.get("/api/v1/tail", params={"f": fid}, headers={"Last-Event-ID": "nonsense"})
    assert answer.status_code == 400


def test_many_followers_leave_room_for_others(site: Served) -> None:
    """Forty open streams hold no thread: requests and new lines still come."""
    fid = site.put("t", "j.log", b"x\n")
    opened = [following(site, fid) for _ in range(40)]
    streams = [stream.__enter__() for stream in opened]
    try:
        assert site.client.get("/api/v1/agents").status_code == 200
        site.append("t", "j.log", b"for all\n")
        assert all(texts(stream.next()) == ["for all"] for stream in streams)
    finally:
        for stream in opened:
            stream.__exit__(None, None, None)


@contextmanager
def following_all(site: Served, fids: list[int], at: str = "", last_id: str = "") -> Iterator[Events]:
    """An open stream of several files."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with site.client.stream("GET", "/api/v1/tail", params={"f": fids, "at": at}, headers=headers) as answer:
        answer.raise_for_status()
        lines = answer.iter_lines()
        assert next(lines).startswith(":")
        yield Events(lines)


def test_several_files_are_one_stream_that_continues_for_each(site: Served) -> None:
    """Lines of all as they come; the id of any event says where every file goes on."""
    one, two = site.put("m", "one.log", b"old\n"), site.put("m", "two.log", b"old\n")
    with following_all(site, [one, two, one]) as events:
        site.append("m", "one.log", b"1\n")
        first = events.next()
        assert (first["data"]["fid"], texts(first), first["id"]) == (one, ["1"], f"{one}:1:6,{two}:1:4")
        site.append("m", "two.log", b"2\nunfinished")
        second = events.next()
        assert (second["data"]["fid"], texts(second), second["id"]) == (two, ["2"], f"{one}:1:6,{two}:1:6")
    site.append("m", "one.log", b"while away\n")
    site.append("m", "two.log", b" and done\n")
    for resume in ({"last_id": second["id"]}, {"at": second["id"]}):
        with following_all(site, [one, two], **resume) as events:
            got = {event["data"]["fid"]: texts(event) for event in (events.next(), events.next())}
        assert got == {one: ["while away"], two: ["unfinished and done"]}


def test_of_several_each_has_its_own_generations(site: Served) -> None:
    """One is replaced, the other grows on."""
    one, two = site.put("m", "rot.log", b"old\n"), site.put("m", "stays.log", b"old\n")
    with following_all(site, [one, two]) as events:
        site.put("m", "rot.log", b"new life\n")
        assert events.next()["data"] == {"fid": one, "gen": 2}
        assert texts(events.next()) == ["new life"]
        site.append("m", "stays.log", b"on\n")
        event = events.next()
        assert (texts(event), event["id"]) == (["on"], f"{one}:2:9,{two}:1:7")


def test_places_that_are_none_of_ours_are_refused(site: Served) -> None:
    """Also too many files, and a place for one given for several."""
    one, two = site.put("m", "x.log", b"x\n"), site.put("m", "y.log", b"y\n")
    wrong: tuple[dict[str, Any], ...] = (
        {"f": [one, two], "at": "1:2"},
        {"f": [one, two], "at": f"{one}:1:0,{two}"},
        {"f": [one, two], "at": ",".join(f"{n}:1:0" for n in range(30))},
        {"f": [one, two], "from": 0},
        {"f": [one, two], "gen": 1},
        {"f": list(range(1, 23))},
        {"f": []},
    )
    for params in wrong:
        assert site.client.get("/api/v1/tail", params=params).status_code in (400, 422), params
    assert site.client.get("/api/v1/tail", params={"f": [one, 10**9]}).status_code == 404
