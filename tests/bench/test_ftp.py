"""The FTP benchmark measures what it says: tried with a few files and our own server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from bench.ftp import DISK, distance, fresh, idle, large
from bench.ftp.client import Client
from bench.ftp.load import Work, small_files
from bench.ftp.servers import Running, kinds, running


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_small_files_are_counted_and_cost_cpu(tmp_path: Path, tls: bool) -> None:
    """Rate and CPU time are positive, with commands sent ahead and by two clients too."""
    for number, work in enumerate((Work(20, tls=tls), Work(20, tls=tls, clients=2, ahead=True))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with running("ours", folder, tls=tls) as server:
            rate, cost = small_files(server, work)
            assert rate > 0
            assert cost >= 0
        assert not (folder / "ours").exists()


def test_files_that_do_not_arrive_whole_end_the_run(tmp_path: Path) -> None:
    """A server that loses bytes gets no figure."""
    with running("ours", tmp_path) as server:
        (server.folder / "stranger").write_bytes(b"short")
        with pytest.raises(SystemExit, match="2 of 1 files"):
            small_files(server, Work(1))


def test_a_large_file_goes_up_and_comes_down(tmp_path: Path) -> None:
    """The bytes that came down are counted and compared in number."""
    work = Work(1, 3 << 20)
    source = tmp_path / "source"
    large.make_source(source, work.file_bytes)
    with running("ours", tmp_path) as server:
        assert large.up(server, source, work)[0] > 0
        assert (server.folder / "large").read_bytes() == source.read_bytes()
        assert large.down(server, work)[0] > 0


def test_idle_memory_is_scaled_in_a_straight_line(tmp_path: Path) -> None:
    """From what was measured with half of the sessions and with all."""
    with running("ours", tmp_path) as server:
        found = idle.idle_memory(server, 4)
    assert found["pss"] > 0
    assert idle.scaled({"sessions": 10, "half": 25.0, "pss": 30.0, "rss": 0.0, "logins_s": 0.0}, 100) == 120.0


def test_a_far_server_costs_a_round_trip_for_each_question(tmp_path: Path) -> None:
    """EPSV, the connection, STOR and 226 are four; never less than four round trips a file."""
    round_trip_s = 0.05
    with running("ours", tmp_path) as server, distance.far(server.port, round_trip_s) as port:
        client = Client(distance.ADDRESS, port, server.user, server.password, round_trip_s=round_trip_s)
        start = time.monotonic()
        client.store("up/a", b"x" * 20_000)
        assert time.monotonic() - start >= 4 * round_trip_s * 0.99
        assert client.fetch("up/a") == 20_000
        client.close()


def _sizes(server: Running) -> list[int]:
    return [path.stat().st_size for path in server.folder.iterdir()]


@pytest.mark.peers
@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "ours"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_every_peer_that_is_here_serves_the_same_client(kind: str, tls: bool) -> None:
    """Plain and over TLS; the files are whole."""
    with fresh(DISK) as folder, running(kind, folder, tls=tls) as server:
        small_files(server, Work(2, tls=tls))
        assert _sizes(server) == [20_000, 20_000]
