"""Row 21 of the torture matrix: real gzip in real rotations, live and away. Files whole, lines counted once."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.archive import Archive, GenerationReader, siblings
from logferry.archive.catalog import filing
from logferry.archive.reader import open_generation
from logferry.archive.rooms import Rooms
from logferry.search.events import Done, Hit
from logferry.search.service import SearchRequest, SearchService
from logferry.server import copies
from logferry.server.scope import Scope
from tests.server.helpers import eventually
from tests.server.site import Running, Site
from tests.server.test_with_agent import Node

LINES_PER_DAY = 400


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A running FTP part that does not wait long before it looks into a compressed file."""
    monkeypatch.setattr(filing, "_QUIET_NS", 50_000_000)
    monkeypatch.setattr(copies, "COPIES_LOOK_S", 0.05)
    made = Site.make(tmp_path / "data")
    with Running(made) as running:
        yield running
    made.catalog.close()


def gzipped(path: Path) -> None:
    """What logrotate does to compress."""
    subprocess.run(["gzip", "-n", path], check=True)


class Log:
    """A log whose every line is known."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "app.log"
        self.written: list[str] = []

    def write(self, file: Path | None = None) -> None:
        """A day's lines."""
        start = len(self.written)
        lines = [f"marker line {number:08d} of the log" for number in range(start, start + LINES_PER_DAY)]
        self.written += lines
        with open(file or self.path, "a") as opened:
            opened.write("".join(line + "\n" for line in lines))

    def numbered(self, number: int, suffix: str = "") -> Path:
        """``app.log.2.gz``."""
        return self.path.with_name(f"app.log.{number}{suffix}")

    def shift(self, first: int) -> None:
        """``app.log.N.gz`` becomes ``app.log.N+1.gz``."""
        for number in range(9, first - 1, -1):
            if self.numbered(number, ".gz").exists():
                self.numbered(number, ".gz").rename(self.numbered(number + 1, ".gz"))


def compress_later(log: Log, step: Callable[[], None]) -> None:
    """``delaycompress``: what was rotated yesterday is compressed today."""
    log.shift(2)
    if log.numbered(1).exists():
        gzipped(log.numbered(1))
        step()
        log.numbered(1, ".gz").rename(log.numbered(2, ".gz"))
    log.path.rename(log.numbered(1))
    step()
    log.write()


def compress_at_once(log: Log, step: Callable[[], None]) -> None:
    """``compress``: renamed and compressed in one go; the writer gets a new file meanwhile."""
    log.shift(1)
    log.path.rename(log.numbered(1))
    log.write()
    step()
    gzipped(log.numbered(1))
    step()


def copytruncate(log: Log, step: Callable[[], None]) -> None:
    """``copytruncate`` and ``compress``: a copy is compressed, the log is cut.

    The copy is made where nobody watches: a plain copy that is archived is a file of its own.
    """
    log.shift(1)
    copy = log.path.parent.parent / "app.log.1"
    shutil.copyfile(log.path, copy)
    step()
    os.truncate(log.path, 0)
    gzipped(copy)
    shutil.move(copy.with_name("app.log.1.gz"), log.numbered(1, ".gz"))
    step()
    log.write()


ROTATIONS = [compress_later, compress_at_once, copytruncate]


def on_node(node: Node) -> dict[str, bytes]:
    """What lies there."""
    return {path.name: path.read_bytes() for path in node.logs.iterdir()}


def in_archive(site: Site, node: Node) -> dict[str, bytes]:
    """What the archive has under the same names (those that are gone from the node are kept, too)."""
    live = site.live(node.id, "logs")
    found: dict[str, bytes] = {}
    for path in live.iterdir() if live.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # renamed while we look
            found[path.name] = path.read_bytes()
    return found


def found(site: Site, query: str = "marker") -> tuple[Counter[str], Done]:
    """Every line that a search finds, with how often; and the account."""
    with Archive(site.config.data_dir, site.catalog) as archive:
        service = SearchService(archive, site.catalog)
        events = list(service.run(SearchRequest(query, Scope(), limit=1_000_000)))
    account = events[-1]
    assert isinstance(account, Done)
    return Counter(event.text for event in events if isinstance(event, Hit)), account


def settled(site: Site) -> bool:
    """Whether every compressed file was looked into."""
    return site.catalog.copies.sums().waiting == 0


def check(site: Site, node: Node, log: Log) -> Done:
    """Every file of the node is in the archive, byte for byte, and every line is found once."""
    eventually(lambda: on_node(node).items() <= in_archive(site, node).items(), within_s=60)
    # A file is in its place a moment before its row is.
    eventually(lambda: settled(site) and found(site)[0] == Counter(log.written), within_s=60)
    account = found(site)[1]
    assert account.errors == ()
    return account


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_every_file_is_there_and_every_line_is_found_once_after_rotations_that_the_agent_sees(
    site: Site, tmp_path: Path, rotation: Callable[[Log, Callable[[], None]], None]
) -> None:
    """Live: each step of a rotation is delivered before the next."""
    node = Node(site, tmp_path / "node", "web-01")
    log = Log(node.logs)

    def step() -> None:
        eventually(lambda: on_node(node).items() <= in_archive(site, node).items(), within_s=60)

    with node.running():
        log.write()
        step()
        for _ in range(3):
            rotation(log, step)
            step()
        account = check(site, node, log)
    assert any(name.endswith(".gz") for name in on_node(node))
    assert account.copies > 0


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_every_file_is_there_and_every_line_is_found_once_after_rotations_while_the_agent_was_away(
    site: Site, tmp_path: Path, rotation: Callable[[Log, Callable[[], None]], None]
) -> None:
    """Away: it meets each day's rotation when all of it is over, then three rotations at once."""
    node = Node(site, tmp_path / "node", "web-01")
    log = Log(node.logs)
    log.write()
    assert node.agent().once().complete
    for _ in range(2):
        rotation(log, lambda: None)
        assert node.agent().once().complete
    check(site, node, log)
    for _ in range(3):
        rotation(log, lambda: None)
    assert node.agent().once().complete
    check(site, node, log)


def test_two_agents_with_the_same_logs_are_not_taken_for_copies(site: Site, tmp_path: Path) -> None:
    """The same lines on two nodes are two events each."""
    one, two = (Node(site, tmp_path / name, name) for name in ("web-01", "web-02"))
    (one.logs / "app.log.1").write_text("marker\n" * 10)
    (two.logs / "app.log.1.gz").write_bytes(gzip.compress(b"marker\n" * 10))
    assert one.agent().once().complete
    assert two.agent().once().complete
    eventually(lambda: settled(site))
    hits, account = found(site)
    assert (hits["marker"], account.copies) == (20, 0)


def test_a_file_that_cannot_be_read_holds_up_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails under one; the next is looked into all the same."""
    true_open = open_generation

    def failing(rooms: Rooms, generation_id: int) -> GenerationReader:
        if generation_id == bad:
            raise OSError(5, "Input/output error")
        return true_open(rooms, generation_id)

    site.join("web-01")
    with Archive(site.config.data_dir, site.catalog) as archive:
        bad = 0
        for path, data in (("bad.gz", b"x\n"), ("app.log", b"marker\n" * 9), ("good.gz", b"marker\n" * 9)):
            incoming = archive.begin("web-01", path)
            incoming.write(gzip.compress(data) if path.endswith("gz") else data)
            committed = incoming.commit().generation_id
            bad = bad or committed or 0
            monkeypatch.setattr(siblings, "open_generation", failing)
    eventually(lambda: site.catalog.copies.sums().copies == 1 and settled(site))


def test_a_copy_waits_for_an_original_that_is_still_on_its_way(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compressed file arrives first, its original afterwards; in the end the lines count once."""
    monkeypatch.setattr("logferry.archive.siblings.COPIES_AGAIN_S_MIN", 0.2)
    node = Node(site, tmp_path / "node", "web-01")
    content = b"".join(b"marker %06d\n" % n for n in range(1000))
    (node.logs / "app.log.1.gz").write_bytes(gzip.compress(content))
    assert node.agent().once().complete
    eventually(lambda: settled(site))
    assert (sum(found(site)[0].values()), found(site)[1].copies) == (1000, 0)
    (node.logs / "app.log.1").write_bytes(content)
    assert node.agent().once().complete
    eventually(lambda: found(site)[1].copies == 1, within_s=60)
    assert sum(found(site)[0].values()) == 1000
