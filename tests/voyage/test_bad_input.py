"""A whole journey under bad input: no room, no server, odd names, an enormous line, a source that is no folder.

Each gets a message that names the thing and the next step; everything else goes on; nothing is lost.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent.status import read_status
from logferry.cli.agent_status import lines
from logferry.cli.place import parse
from tests.conftest import Site
from tests.ports import free_port
from tests.server.helpers import eventually

AGENT = "web-01"
LONG_LINE_BYTES = 100_000_000
READER_GROWTH_KB_MAX = 80_000
"""The web part may grow by this much while a line of 100 MB is read in every way there is."""


class Node:
    """A node whose files a real agent ships to a real server, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.site = Site(folder)
        self.logs = folder / "log"
        self.logs.mkdir()
        self.config = folder / "agent.toml"

    def join(self, *more: str) -> None:
        """Start the server and join, without running the agent."""
        self.site.start()
        done = self.site.logferry(
            *("agent", "join", self.site.url.partition("//")[2], "--token", self.site.join_token(), "--id", AGENT),
            *("--watch", str(self.logs), *more, "--config", str(self.config), "--no-run"),
        )
        assert done.code == 0, done.err

    def start_agent(self) -> None:
        """``logferry agent run`` that looks five times a second."""
        run = ("agent", "run", "--config", str(self.config))
        self.site.programs._start("agent", *run, LOGFERRY_AGENT__SCAN_INTERVAL="200ms")

    def status(self) -> str:
        """What ``logferry agent status`` prints, without a process for each look."""
        status = read_status(self.config.parent / "agent-state")
        return "\n".join(lines(status, running=True, now_ns=status.written_ns))

    def place(self, name: str) -> str:
        """Where a file of the node lies in the archive."""
        return f"{AGENT}:{self.logs / name}"

    def stored(self, name: str) -> bytes:
        """The bytes the archive has for a name."""
        return self.site.logferry_bytes("cat", self.place(name))

    def ship(self) -> None:
        """Everything there is, at once."""
        done = self.site.logferry("agent", "once", "--config", str(self.config))
        assert done.code == 0, done.err

    def web_kb(self, what: str) -> int:
        """``VmHWM`` or ``VmRSS`` of the web part."""
        pid = json.loads((self.site.programs.data / "run" / "web.json").read_text())["pid"]
        return int(Path(f"/proc/{pid}/status").read_text().split(what + ":")[1].split()[0])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A fresh node with a server of its own; everything is stopped afterwards."""
    made = Node(tmp_path)
    made.site.programs.web, made.site.programs.ftp = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    try:
        yield made
    finally:
        made.site.programs.stop_all()


@pytest.mark.slow
def test_an_agent_waits_for_a_server_that_is_away_and_for_room_and_loses_nothing(node: Node, tmp_path: Path) -> None:
    """It starts without a server, meets one whose disk is full, says so each time, and ships as soon as it can."""
    node.join()
    node.site.programs.stop("server")
    (node.logs / "app.log").write_text("one\n")
    node.start_agent()
    eventually((tmp_path / "agent-state" / "status.json").exists)
    away = eventually(lambda: told if "away" in (told := node.status()) else "", within_s=90)
    assert "Connection refused" in away
    assert node.site.programs.ftp in away

    settings = tmp_path / "full.toml"
    settings.write_text('[archive]\nmin_free = "99.99%"\n')
    node.site.programs._flags = ("--config", str(settings))
    node.site.programs.start_server()
    full = eventually(lambda: told if " full " in (told := node.status()) else "", within_s=90)
    assert "app.log" in full
    assert "make room on the server" in full
    eventually(lambda: "failing" in node.site.logferry("agents").out, within_s=90)  # the server says so, too
    with (node.logs / "app.log").open("a") as written:
        written.write("two\n")

    node.site.programs.stop("server")
    node.site.programs._flags = ()
    node.site.programs.start_server()
    eventually(lambda: "connected" in (told := node.status()) and "nothing waiting" in told, within_s=90)
    assert node.stored("app.log") == b"one\ntwo\n"
    assert node.site.programs.stop("agent") == 0
    log = (tmp_path / "agent.log").read_text() + (tmp_path / "server.log").read_text()
    assert "Traceback" not in log


@pytest.mark.slow
def test_odd_names_empty_sparse_and_endless_files_arrive_whole(node: Node) -> None:
    """A name with a line feed, one that is no UTF-8, 0 bytes, a hole of 20 MB, a file as source, a missing one."""
    contents = {b"new\nline.log": b"a\n", b"bad\xffutf.log": b"b\n", b"empty.log": b"", b"cr\r\x1b[2J.log": b"c"}
    for name, content in contents.items():
        with open(os.path.join(os.fsencode(node.logs), name), "wb") as file:
            file.write(content)
    with (node.logs / "hole.log").open("wb") as file:
        file.write(b"begin\n")
        file.seek(20_000_000)
        file.write(b"end\n")
    node.join("--watch", str(node.logs / "empty.log"), "--watch", str(node.logs.parent / "nosuch"))
    done = node.site.logferry("agent", "once", "--config", str(node.config))
    assert done.code == 4, "partial: two sources cannot be watched"
    assert "empty.log: this source is a file, not a folder (watch the folder it lies in" in done.err
    assert "nosuch: source folder does not exist (create it" in done.err
    assert "Traceback" not in done.err
    names = node.site.logferry("ls", node.place("")).out.splitlines()
    assert sorted(names) == ["bad%FFutf.log", "cr%0D%1B[2J.log", "empty.log", "hole.log", "new%0Aline.log"]
    for name, shown in zip(sorted(contents), sorted(n for n in names if n != "hole.log"), strict=True):
        assert node.stored(shown) == contents[name]
    with (node.logs / "hole.log").open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    got = node.site.folder / "got.log"
    assert node.site.logferry("get", node.place("hole.log"), "-o", str(got)).code == 0
    with got.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == expected


@pytest.mark.slow
def test_a_line_of_a_hundred_megabytes_is_read_with_little_memory(node: Node) -> None:
    """Pages, the tail and hits show its beginning and say that it is cut; ``cat`` writes all of it."""
    with (node.logs / "long.log").open("wb") as file:
        file.write(b"first\n")
        for _ in range(LONG_LINE_BYTES // 1_000_000):
            file.write(b"abcdefghi " * 100_000)
        file.write(b"needle\nlast\n")
    node.join()
    node.ship()
    before_kb = node.web_kb("VmRSS")
    place = node.place("long.log")
    tail = node.site.logferry("tail", "-n", "2", place).out
    assert len(tail) < 20_000
    assert "… [cut; the line has 100 MB]\nlast\n" in tail
    assert node.site.logferry("cat", "--lines", "3", place).out == "last\n"
    hit = node.site.logferry("grep", "-C1", "needle")
    assert hit.code == 0
    assert len(hit.out) < 20_000
    assert ":2:…" in hit.out
    assert "abcdefghi needle\n" in hit.out
    assert node.site.logferry("grep", "-c", "abcdefghi").out == "1\n"
    with node.site.programs.api() as api:
        row = api.file(parse(place))
        for where in ({"from_line": 2, "count": 500}, {"at_byte": 50_000_000, "count": 500}, {"tail": 500}):
            rows = api.lines(row["fid"], gen=row["generation"], **where)["rows"]
            assert sum(len(each["s"]) for each in rows) < 100_000
            assert any(each["cut"] and each["len"] > LONG_LINE_BYTES for each in rows)
    assert node.web_kb("VmHWM") - before_kb < READER_GROWTH_KB_MAX
    assert len(node.stored("long.log")) == (node.logs / "long.log").stat().st_size
