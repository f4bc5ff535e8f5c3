"""Compressed files on the command line: listed with what they are a copy of, read unpacked, not counted twice."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.limits import COPIES_QUIET_S
from tests.web.served import Served, served

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
LOG = b"".join(b"%05d some text\n" % i for i in range(1, 501))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a log and its compressed copies in the same and in another folder."""
    with served(tmp_path_factory.mktemp("web") / "data") as running:
        running.put("web-01", "logs/app.log.1", LOG)
        running.put("web-01", "logs/app.log.1.gz", gzip.compress(LOG))
        running.put("web-01", "old/app.log.1.gz", gzip.compress(LOG))
        context = running.context
        for seen in context.catalog.copies.due(context.clock.now_ns() + int(COPIES_QUIET_S * 1e9)):
            context.archive.siblings(lambda count: None).look_into(seen)
        yield running


@pytest.fixture
def run(site: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command as the administrator."""
    token, _ = site.context.people.new_token("root")
    monkeypatch.setenv("LOGFERRY_URL", site.url)
    monkeypatch.setenv("LOGFERRY_TOKEN", token)
    monkeypatch.setenv("HOME", str(tmp_path))

    def running(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([sys.executable, "-m", "logferry.cli", *arguments], capture_output=True, timeout=60)

    return running


def test_ls_says_what_a_copy_is_a_copy_of(run: Run) -> None:
    """By name beside it, by path from elsewhere; a plain ls stays a list of names."""
    beside = run("ls", "-l", "web-01:/logs").stdout.decode()
    assert "app.log.1.gz  (same content as app.log.1, compressed)" in beside
    assert beside.count("same content") == 1
    assert "(same content as /logs/app.log.1, compressed)" in run("ls", "-l", "web-01:/old").stdout.decode()
    assert run("ls", "web-01:/logs").stdout.decode().split() == ["app.log.1", "app.log.1.gz"]


def test_ls_says_how_many_lines_there_are(run: Run, site: Served) -> None:
    """Of what was looked at, with ≈ where it has grown since; a dash for the others."""
    line = b"2023-11-14T22:13:20Z a line\n"
    site.put("web-01", "lines/a.log", line * 100)
    site.put("web-01", "lines/b.log", line * 150_000)
    site.context.archive.measurer().growing()
    site.context.archive.measurer().growing()
    site.append("web-01", "lines/a.log", line * 100 + b"2023-11-15T00:00:00Z last\n")
    site.put("web-01", "lines/c.gz", b"a\n")
    head, grown, long, packed = run("ls", "-l", "web-01:/lines").stdout.decode().splitlines()
    assert "LINES  FIRST – LAST (UTC)" in head
    assert "  ≈201  2023-11-14 22:13 " in grown
    assert "  150K  2023-11-14 22:13 " in long
    assert packed.split()[3:5] == ["-", "-"]
    rows = [json.loads(row) for row in run("ls", "--json", "web-01:/lines").stdout.splitlines()]
    assert [(row.get("lines"), row.get("lines_exact")) for row in rows] == [(201, False), (150_000, True), (None, None)]


def test_grep_counts_a_line_once_and_says_why(run: Run) -> None:
    """Unless the copy is what was asked for."""
    found = run("grep", "00007")
    assert found.stdout.count(b"00007 some text") == 1
    assert b"2 compressed copies not searched twice" in found.stderr
    named = run("grep", "00007", "web-01:/logs/app.log.1.gz")
    assert b"app.log.1.gz:7:00007 some text" in named.stdout
    assert b"not searched twice" not in named.stderr


def test_cat_writes_the_file_or_its_text(run: Run) -> None:
    """As it is stored; unpacked; and lines, which are those of the text."""
    place = "web-01:/logs/app.log.1.gz"
    assert gzip.decompress(run("cat", place).stdout) == LOG
    assert run("cat", "--unpack", place).stdout == LOG
    assert run("cat", "--lines", "3-4", place).stdout == b"00003 some text\n00004 some text\n"
