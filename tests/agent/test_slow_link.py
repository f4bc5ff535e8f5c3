"""Bundles over a slow link: compressed after the first; on loopback never."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent import packing, roster, shipper
from logferry.ftp import FtpClient, FtpServer, MemoryUsers, ServerLimits, Unpacked, User
from logferry.ftp.client_bundle import BundleResult
from logferry.limits import MIB
from tests.agent.conftest import Node, lines
from tests.agent.shelves import _LIGHT_HASH, AGENT, LocalShelf


class SlowShelf(LocalShelf):
    """A server that takes no more than so many bytes per second."""

    rate = 0

    def start(self) -> None:
        users = MemoryUsers(User(name=AGENT, home=str(self.home), password_hash=_LIGHT_HASH))
        self.server = FtpServer(
            self.address,
            users=users,
            filesystem=self._filesystem,
            tls="off",
            limits=ServerLimits(upload_rate=self.rate),
        )
        self.server.start()
        self.address = self.server.address


@contextlib.contextmanager
def slow(base: Path, rate: int) -> Iterator[SlowShelf]:
    """Such a server."""
    base.mkdir()
    kind = type("Slow", (SlowShelf,), {"rate": rate})
    made = kind(base)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The forms of all bundles that are sent."""
    seen: list[str] = []
    whole = FtpClient.store_bundle

    def noting(self: FtpClient, *args: object, form: str = "", **more: object) -> BundleResult:
        seen.append(form)
        return whole(self, *args, form=form, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(FtpClient, "store_bundle", noting)
    return seen


@pytest.mark.parametrize("zstd", [True, False], ids=["zstd", "gzip"])
def test_a_slow_link_gets_compressed_bundles_and_fewer_bytes(
    tmp_path: Path, forms: list[str], monkeypatch: pytest.MonkeyPatch, zstd: bool
) -> None:
    """The first goes plain and tells; then a third of the bytes go over the wire. What arrives is the same."""
    if not zstd:
        monkeypatch.setattr(shipper, "zstd_library", lambda: None)
    monkeypatch.setattr(roster, "BATCH_NEW_FILES", 32)
    with slow(tmp_path / "server", MIB // 2) as server:
        unpacked: list[Unpacked] = []
        server.server.on(Unpacked, unpacked.append)
        node = Node(tmp_path / "node", server)
        node.connections = 1
        for number in range(160):
            node.write(f"d{number % 4}/{number}.log", lines(number * 1000, 400))
        assert node.once().complete
        assert node.current() == {f"d{n % 4}/{n}.log": lines(n * 1000, 400) for n in range(160)}
        assert forms == ["tar", *["tar.zst" if zstd else "tar.gz"] * 4]
        plain, *packed = [one.count for one in unpacked]
        assert max(packed) < plain / 2


def test_on_loopback_bundles_stay_plain(plain_node: Node, forms: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts as slow is lowered here, for a machine that is busy with other things."""
    monkeypatch.setattr(packing, "SLOW_LINK_BYTES_S", MIB // 4)
    monkeypatch.setattr(roster, "BATCH_NEW_FILES", 32)
    plain_node.connections = 1
    for number in range(160):
        plain_node.write(f"d{number % 4}/{number}.log", lines(number * 1000, 400) * 10)
    assert plain_node.once().complete
    assert set(forms) == {"tar"}
