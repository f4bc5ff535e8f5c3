"""A file of one gigabyte over HTTP: its end, its middle, its numbers, a search; nothing is read without need."""

from __future__ import annotations

import json
import resource
import shutil
import threading
from collections.abc import Iterator

import pytest

from tests.web.served import Served, served, wait_for

LINE = 100
LINES = 10 * 1024 * 1024 + 7
NEEDLE_AT = 7_000_000


def line(number: int) -> bytes:
    """Line ``number`` (from 1): all are of one length, so that the expected bytes are known without a table."""
    text = b"%010d %s" % (number, b"needle7f" if number == NEEDLE_AT else b"ordinary")
    return text.ljust(LINE - 1, b".") + b"\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, int]]:
    """A server with one file of 1 GiB."""
    folder = tmp_path_factory.mktemp("large")
    with served(folder / "data") as running:
        running.context.catalog.agents.add("big")
        incoming = running.context.archive.begin("big", "huge.log")
        step = 16_384
        for first in range(1, LINES + 1, step):
            incoming.write(b"".join(map(line, range(first, min(first + step, LINES + 1)))))
        done = incoming.commit()
        assert done.file_id is not None
        assert done.size == LINES * LINE
        yield running, done.file_id
    shutil.rmtree(folder)  # a gigabyte is not worth keeping


@pytest.mark.slow
def test_end_middle_and_start_are_there_at_once(large: tuple[Served, int]) -> None:
    """By byte and from the end nothing has to be counted first; the bytes are right."""
    site, fid = large
    url = f"/api/v1/files/{fid}/lines"
    last = site.client.get(url, params={"tail": 3}).json()
    assert [row["b"] for row in last["rows"]] == [(LINES - 3 + i) * LINE for i in range(3)]
    assert last["end"]
    middle = LINES // 2
    at = site.client.get(url, params={"at_byte": middle * LINE + 50, "count": 2}).json()
    assert [row["s"] for row in at["rows"]] == [line(middle + 1 + i).decode().rstrip("\n") for i in range(2)]
    first = site.client.get(url, params={"count": 1}).json()
    assert first["rows"][0]["s"] == line(1).decode().rstrip("\n")


@pytest.mark.slow
def test_numbers_are_exact_when_the_counting_is_done(large: tuple[Served, int]) -> None:
    """The index completes in the background; then any line is found by its number."""
    site, fid = large
    wait_for(lambda: site.client.get(f"/api/v1/files/{fid}/index").json()["complete"], 60)
    for number in (1, 123_456, NEEDLE_AT, LINES):
        page = site.client.get(f"/api/v1/files/{fid}/lines", params={"from_line": number, "count": 1}).json()
        (row,) = page["rows"]
        assert (row["n"], row["b"], row["len"]) == (number, (number - 1) * LINE, LINE)
        assert page["lines_total"] == LINES


@pytest.mark.slow
def test_a_rare_word_is_found_with_its_number(large: tuple[Served, int]) -> None:
    """The whole gigabyte is scanned; the hit is line and byte exact."""
    site, _ = large
    answer = site.client.get("/api/v1/search", params={"q": "NEEDLE7F"})
    events = [json.loads(text) for text in answer.text.splitlines()]
    (hit,) = [event for event in events if event["type"] == "hit"]
    assert (hit["n"], hit["b"], hit["len"]) == (NEEDLE_AT, (NEEDLE_AT - 1) * LINE, LINE)
    assert (events[-1]["reason"], events[-1]["scanned_bytes"]) == ("complete", LINES * LINE)


@pytest.mark.slow
def test_a_download_streams_in_bounded_memory(large: tuple[Served, int]) -> None:
    """A gigabyte passes through; the process does not grow with it."""
    site, fid = large
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 0
    with site.client.stream("GET", f"/api/v1/files/{fid}/raw") as answer:
        for block in answer.iter_raw():
            count += len(block)
    assert count == LINES * LINE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 128 * 1024


@pytest.mark.slow
def test_others_are_served_while_a_gigabyte_is_searched(large: tuple[Served, int]) -> None:
    """A search holds neither the event loop nor the threads of requests."""
    site, fid = large
    other = site.as_("other")
    answered: list[int] = []
    searched = threading.Event()

    def search() -> None:
        site.client.get("/api/v1/search", params={"q": "absent"})
        searched.set()

    thread = threading.Thread(target=search)
    thread.start()
    while not searched.is_set():
        answered.append(other.get(f"/api/v1/files/{fid}/lines", params={"tail": 10}).status_code)
    thread.join()
    assert len(answered) > 3
    assert set(answered) == {200}
