"""Who is connected can be asked from another process, with the secret alone, and one connection can be ended."""

from __future__ import annotations

import contextlib
import ftplib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.errors import Later
from logferry.ftp import SessionInfo
from logferry.limits import PORTER_THREADS
from logferry.server import porter, runfiles
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
    wrong = b"0" * 64 + b' {"ask": "sessions"}\n'
    nested = b"[" * 3000 + b"\n"
    known = place["secret"].encode() + b" "
    strange = [
        known + words for words in (b"[1]\n", b"\n", b'{"ask": "end"}\n', b'{"ask": "end", "session": []}\n', nested)
    ]
    for words in (wrong, nested, b"hello\n", b"[1]\n", b"x" * 10_000 + b"\n", b"0 {", b"\xff\n", *strange):
        with socket.create_connection((place["host"], place["port"]), 10) as connection:
            with contextlib.suppress(OSError):  # it may have hung up on us before all of it was read
                connection.sendall(words)
                connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(100) == b""
    assert connections(site.config.data_dir) == []


def test_guests_who_say_nothing_keep_others_waiting_for_no_longer_than_one_deadline(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One silent guest keeps nobody waiting; one for each thread do until their time is up, though they drip."""
    place = json.loads(door(site).read_text())
    address = (place["host"], place["port"])
    with contextlib.ExitStack() as guests:
        guests.enter_context(socket.create_connection(address, 10))
        assert connections(site.config.data_dir) == []
        monkeypatch.setattr(porter, "PORTER_S_MAX", 0.3)
        dripping = [guests.enter_context(socket.create_connection(address, 10)) for _ in range(PORTER_THREADS - 1)]
        while not all(_hung_up(guest) for guest in dripping):
            time.sleep(0.01)
    assert connections(site.config.data_dir) == []


def _hung_up(guest: socket.socket) -> bool:
    """Whether it was, after one byte more."""
    try:
        guest.sendall(b"x")
        return guest.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_it_stops_while_a_guest_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that was never begun."""
    monkeypatch.setattr(porter, "PORTER_S_MAX", 0.3)

    class Nobody:
        def sessions(self) -> list[SessionInfo]:
            return []

        def end(self, session_id: int) -> bool:
            return False

    (tmp_path / "run").mkdir()
    porter.Porter(Nobody(), str(tmp_path)).stop()
    one = porter.Porter(Nobody(), str(tmp_path))
    one.start()
    place = json.loads((tmp_path / "run" / PORTER_FILE).read_text())
    with socket.create_connection((place["host"], place["port"]), 10) as guest:
        one.stop()
        with contextlib.suppress(ConnectionResetError):  # nobody had taken the connection yet
            assert guest.recv(1) == b""


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
