"""Rows 33 to 38: programs are killed, disks are full, confirmations and bytes get lost on the way. On our server and
on those of others."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from logferry.names import is_temporary
from tests.agent.conftest import RunningAgent, eventually
from tests.agent.cutting import CuttingProxy
from tests.agent.shelves import ArchiveShelf
from tests.agent.torture.disks import filled, small_disk
from tests.agent.torture.servers import PeerShelf, ProcessShelf, serving
from tests.agent.torture.wire import Cut, DataProxy
from tests.agent.torture.yard import WAIT_S, AgentProgram, Yard, YardNode

BIG = random.Random(33).randbytes(6_000_000)
ON_ALL = pytest.mark.parametrize("server", ["archive", "folder", "foreign", "vsftpd"], indirect=True)
ON_PROGRAMS = pytest.mark.parametrize("server", ["process", "vsftpd", "pyftpdlib"], indirect=True)


def _published(yard: Yard) -> dict[str, bytes]:
    """What stands under a name that is not temporary."""
    return {name: data for name, data in yard.node.current().items() if not is_temporary(name.rpartition("/")[2])}


def _begun(yard: Yard) -> int:
    """How many bytes of unpublished files the server has."""
    server = yard.node.server
    root = server.data if isinstance(server, ArchiveShelf) else server.home  # type: ignore[attr-defined]
    return sum(path.stat().st_size for path in _unpublished(root))


def _unpublished(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        if path.is_file() and (path.name.startswith(".~") or "incoming" in path.parts):
            yield path


@ON_ALL
def test_row_33_an_agent_killed_in_the_middle_of_a_file_leaves_nothing_that_looks_complete(yard: Yard) -> None:
    """The next one goes on where it was, as far as the server had confirmed."""
    yard.node.upload_rate = "3 MB"
    yard.write("big.bin", BIG)
    agent = AgentProgram(yard.node, small_slices=True)
    eventually(lambda: _begun(yard) > 500_000, timeout_s=WAIT_S)
    agent.kill()
    assert _published(yard) == {}
    yard.node.upload_rate = ""
    # Until the server has noticed that the killed one's upload has ended, it refuses another of that name.
    sent = 0

    def complete() -> bool:
        nonlocal sent
        summary = yard.node.once()
        sent += summary.sent_bytes
        return summary.complete

    eventually(complete, timeout_s=WAIT_S)
    assert 0 < sent < len(BIG)
    yard.finish()


@ON_PROGRAMS
def test_row_34_a_server_killed_in_the_middle_of_a_file_costs_nothing(yard: Yard) -> None:
    """The agent says that it is away, and goes on by itself when it is back."""
    server = yard.node.server
    assert isinstance(server, ProcessShelf | PeerShelf)
    yard.node.upload_rate = "8 MB"
    yard.write("big.bin", BIG)
    with yard.live() as running:
        eventually(lambda: _begun(yard) > 200_000, timeout_s=WAIT_S)
        server.kill()
        eventually(lambda: yard.status().link == "away", timeout_s=WAIT_S)
        assert _published(yard) == {}
        server.start()
        running.agent.hurry()
        yard.wait()
    yard.finish()


@pytest.fixture(params=["archive", "folder", "foreign", "vsftpd"])
def yard_with_small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Yard, Path]]:
    """A server with a disk of a few megabytes, and that disk."""
    base = tmp_path / "server"
    if request.param in ("archive", "folder", "foreign"):
        size = "100m" if request.param == "archive" else "12m"  # an archive keeps a reserve of 64 MiB
        with small_disk(base, size) as disk, serving(request.param, base) as server:
            yield Yard(YardNode(tmp_path / "node", server), tmp_path / "ledger"), disk
        return
    base.mkdir()
    with serving(request.param, base) as server:
        assert isinstance(server, PeerShelf)
        with small_disk(server.home / "logs", "12m") as disk:
            yield Yard(YardNode(tmp_path / "node", server), tmp_path / "ledger"), disk


def test_row_35_a_full_disk_on_the_server_is_said_and_nothing_half_is_believed(
    yard_with_small_disk: tuple[Yard, Path],
) -> None:
    """When there is room again, everything arrives."""
    yard, disk = yard_with_small_disk
    yard.write("app.log", b"there before\n" * 100)
    yard.once()
    with yard.live() as running:
        with filled(disk):
            yard.write("big.bin", BIG)
            yard.write("app.log", b"written meanwhile\n" * 1000)
            eventually(lambda: _complaint(yard) != "", timeout_s=WAIT_S)
            assert "big.bin" not in _published(yard)
            print("said:", _complaint(yard))
        running.agent.hurry()
        yard.wait()
    yard.finish()


def _complaint(yard: Yard) -> str:
    """What the status says is wrong."""
    status = yard.status()
    return " ".join([status.link_why if status.link == "full" else "", *(f.why for f in status.failing)]).strip()


@ON_ALL
def test_row_36_confirmations_that_get_lost_after_the_data_arrived_store_no_byte_twice(yard: Yard) -> None:
    """Every second 226, for new files and for appends."""
    counter = itertools.count()

    def cut(command: bytes, reply: bytes) -> bool:
        return command.startswith(b"STOR") and reply.startswith(b"226") and next(counter) % 2 == 0

    proxy = CuttingProxy(yard.node.server.address, cut)
    yard.node.address = proxy.address
    with yard.live() as running:
        for turn in range(8):
            yard.write(f"new-{turn}.log", BIG[turn * 1000 : turn * 1000 + 700_000])
            yard.write("app.log", BIG[turn * 50_000 : (turn + 1) * 50_000])
            _hurried(running, yard)
    proxy.close()
    assert proxy.cuts >= 4
    yard.node.address = yard.node.server.address
    yard.finish()


def _hurried(running: RunningAgent, yard: Yard) -> None:
    """Until everything has arrived; the agent tries again at once whenever something went wrong."""

    def arrived() -> bool:
        running.agent.hurry()
        return yard.arrived()

    eventually(arrived, timeout_s=WAIT_S)


def _broken_on_the_way(yard: Yard, how: Literal["reset", "fin"]) -> None:
    """Uploads end too early, the server takes what came for all there is: new files, large and small, and appends."""
    dice = random.Random(how)

    def fate(number: int) -> Cut | None:
        doomed = proxy.cuts < 6 and dice.random() < 0.6
        return Cut(dice.randrange(1, 60_000), how) if doomed else None

    with DataProxy(yard.node.server.address, fate) as proxy:
        yard.node.address = proxy.address
        with yard.live() as running:
            for turn in range(4):
                yard.write("app.log", BIG[turn * 90_000 : (turn + 1) * 90_000])
                yard.write(f"new-{turn}.log", BIG[turn * 1000 : 400_000])
                yard.write(f"small-{turn}.log", BIG[: 100 + turn])
                _hurried(running, yard)
        assert proxy.cuts >= 2
        print(f"{proxy.cuts} of {proxy.uploads} uploads were cut; {yard.status().sent_bytes} bytes confirmed")
    yard.node.address = yard.node.server.address
    yard.finish()


@ON_ALL
def test_row_37_uploads_that_are_reset_on_the_way_are_sent_again(yard: Yard) -> None:
    """Also where the server answers 226 to them."""
    _broken_on_the_way(yard, "reset")


@ON_ALL
def test_row_38_uploads_that_end_early_without_an_error_are_found_by_their_size(yard: Yard) -> None:
    """No server can see that something is missing."""
    _broken_on_the_way(yard, "fin")
