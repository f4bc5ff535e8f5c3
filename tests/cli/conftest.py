"""A server with one agent whose files are known, for the tests of all readers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from logferry.testing import LogTree
from tests.conftest import Site

AGENT = "web-01"
LINES = [
    f"2026-11-23 08:{i // 60 % 60:02d}:{i % 60:02d} INFO request {i} done in {i * 7 % 900} ms" for i in range(1, 501)
]
LINES[120] = "2026-11-23 08:02:01 ERROR connect() failed (111: Connection refused)"
LINES[300] = "2026-11-23 08:05:01 ERROR connect() failed (111: connection REFUSED)"
ESCAPES = "\x1b[2Jcleared\x07 and \u202eright to left\n".encode() + b"bad \xff\xfe bytes\r\n"


@dataclass(frozen=True, slots=True)
class Shipped:
    """What lies on the node, and where it lies in the archive."""

    site: Site
    folder: Path
    home: str
    tree: LogTree

    def place(self, name: str) -> str:
        """``agent:/path`` of a file of the node."""
        return f"{AGENT}:/{self.home}/{name}"

    def once(self) -> None:
        """Ship what is there."""
        done = self.site.logferry("agent", "once", "--config", str(self.site.folder / "agent.toml"))
        assert done.code == 0, done.err


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    """Files of known content, a grown tree, an odd name: all shipped by the real agent to a server of its own.

    Its own, because tests of the agent join more agents to ``site``, and these tests know everything there is.
    """
    site = Site(tmp_path_factory.mktemp("shipped"))
    try:
        site.start()
        yield _ship(site)
    finally:
        site.programs.stop_all()


def _ship(site: Site) -> Shipped:
    folder = site.folder / "log"
    tree = LogTree(folder / "grown", seed=11)
    tree.grow(800)
    tree.settle()
    (folder / "app.log").write_text("\n".join(LINES) + "\n")
    (folder / "escapes.log").write_bytes(ESCAPES)
    (folder / "cut.log").write_text("before one\nbefore two\n")
    (folder / "empty.log").write_bytes(b"")
    (folder / "odd\nname.log").write_text("odd\n")
    joined = site.logferry(
        *("agent", "join", site.url.partition("//")[2], "--token", site.join_token(), "--id", AGENT, "--group", "web"),
        *("--watch", str(folder), "--config", str(site.folder / "agent.toml"), "--no-run"),
    )
    assert joined.code == 0, joined.err
    made = Shipped(site, folder, str(folder).strip("/"), tree)
    made.once()
    (folder / "cut.log").write_text("after\n")
    made.once()
    return made
