"""Who is connected can be asked from another process, with the secret alone, and one connection can be ended."""

from __future__ import annotations

import contextlib
import ftplib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.errors import Later
from logferry.server import runfiles
from logferry.server.porter import PORTER_FILE, connections, end_connection
from tests.server.helpers import eventually
from tests.server.site import Running, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A running FTP part with an empty archive."""
    made = Site.make(tmp_path / "data")
    with Running(made) as running:
        yield running
    made.catalog.close()


def door(site: Site) -> Path:
    """The file that tells where the porter is."""
    return Path(runfiles.run_path(site.config.data_dir, PORTER_FILE))


def test_connections_are_listed_with_what_they_do_and_can_be_ended(site: Site) -> None:
    """An upload under way shows its verb, path and bytes; its end is told to the client."""
    data_dir = site.config.data_dir
    assert connections(data_dir) == []
    with site.agent(site.join("web-01")) as client:
        transfer = client.transfercmd("STOR big.log")
        transfer.sendall(b"x" * 100_000)
        eventually(lambda: any(one.moved == 100_000 for one in connections(data_dir)))
        (one,) = connections(data_dir)
        assert (one.user, one.doing, one.path, one.secure) == ("web-01", "STOR", "/big.log", False)
        assert end_connection(data_dir, one.id)
        eventually(lambda: connections(data_dir) == [])
        assert not end_connection(data_dir, one.id)
        transfer.close()
        with pytest.raises((ftplib.Error, EOFError, OSError)):
            _twice_alive(client)


def _twice_alive(client: ftplib.FTP) -> None:
    """The first answer may be that of the upload."""
    client.voidcmd("NOOP")
    client.voidcmd("NOOP")


def test_without_the_secret_nothing_is_told_and_the_next_is_served(site: Site) -> None:
    """Wrong secret, no JSON, no line end, silence: hung up on, one after the other."""
    place = json.loads(door(site).read_text())
    assert os.stat(door(site)).st_mode & 0o777 == 0o600
    wrong = json.dumps({"ask": "sessions", "secret": "0" * 64}).encode() + b"\n"
    for words in (wrong, b"hello\n", b"[1]\n", b"x" * 10_000 + b"\n", b'{"ask": "end", "secret": "x"', b"\xff\n"):
        with socket.create_connection((place["host"], place["port"]), 10) as connection:
            with contextlib.suppress(OSError):  # it may have hung up on us before all of it was read
                connection.sendall(words)
                connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(100) == b""
    assert connections(site.config.data_dir) == []


def test_where_no_ftp_part_runs_that_is_said(site: Site, tmp_path: Path) -> None:
    """No file, a file left behind by a crash, a file of something else."""
    with pytest.raises(Later, match="does not run"):
        connections(str(tmp_path / "elsewhere"))
    left = tmp_path / "left"
    runfiles.write_json(runfiles.run_path(str(left), PORTER_FILE), {"host": "127.0.0.1", "port": 1, "secret": "x"})
    with pytest.raises(Later, match="does not answer"):
        connections(str(left))
    runfiles.write_json(runfiles.run_path(str(left), PORTER_FILE), {"host": "127.0.0.1"})
    with pytest.raises(Later, match="does not answer"):
        connections(str(left))


def test_it_goes_with_the_ftp_part(tmp_path: Path) -> None:
    """Stopped, the file is gone; several processes are one list."""
    made = Site.make(tmp_path / "data", processes=2)
    with Running(made) as running:
        clients = [running.agent(running.join(f"web-0{number}")) for number in range(1, 4)]
        eventually(lambda: len(connections(running.config.data_dir)) == 3)
        listed = connections(running.config.data_dir)
        assert {one.user for one in listed} == {"web-01", "web-02", "web-03"}
        assert end_connection(running.config.data_dir, listed[0].id)
        eventually(lambda: len(connections(running.config.data_dir)) == 2)
        for client in clients:
            client.close()
    assert not door(made).exists()
    made.catalog.close()
