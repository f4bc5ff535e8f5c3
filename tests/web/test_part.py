"""The web part as a process: HTTPS where others can reach it, a clear word when it cannot start, a clean stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from logferry.archive import Archive, Catalog
from logferry.limits import STOP_S_MAX
from logferry.server.catalogs import catalog_url
from logferry.server.config import ArchiveConfig, ServerConfig, WebConfig
from logferry.server.people import People
from logferry.server.runfiles import part_file, read_json
from tests.web.served import wait_for


@dataclass
class Running:
    """The process, where it listens, and a token of its administrator."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    token: str


@contextmanager
def running(folder: Path, listen: str) -> Iterator[Running]:
    """``run_web`` in a process of its own, on an archive with one file."""
    config = ServerConfig(archive=ArchiveConfig(root=str(folder), min_free="0"), web=WebConfig(listen=listen))
    folder.mkdir()
    with Catalog.open(catalog_url(str(folder))) as catalog, Archive(str(folder), catalog) as archive:
        people = People(catalog)
        people.create("root", "correct horse battery", role="admin")
        token, _ = people.new_token("root")
        catalog.agents.add("a")
        incoming = archive.begin("a", "f.log")
        incoming.write(b"x\n")
        incoming.commit()
    (folder / "config.json").write_text(config.to_json())
    process = subprocess.Popen(
        [sys.executable, "-m", "logferry.web", str(folder / "config.json")], stderr=subprocess.PIPE
    )
    try:
        wait_for(lambda: read_json(part_file(str(folder), "web")) or process.poll() is not None)
        told = read_json(part_file(str(folder), "web")) or {}
        yield Running(process, str(told.get("host")), int(told.get("port", 0)), token)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_clean_stop_does_not_wait_for_open_streams(tmp_path: Path) -> None:
    """SIGTERM with ten followers and a search open: all end, exit status 0, within the bound."""
    with running(tmp_path / "data", "127.0.0.1:0") as web:
        client = httpx.Client(
            base_url=f"http://{web.host}:{web.port}", headers={"Authorization": f"Bearer {web.token}"}, timeout=20
        )
        with client:
            opened = [client.stream("GET", "/api/v1/tail", params={"f": 1}) for _ in range(10)]
            lines = [stream.__enter__().iter_lines() for stream in opened]
            assert all(next(each).startswith(":") for each in lines)
            start_s = time.monotonic()
            web.process.send_signal(signal.SIGTERM)
            assert web.process.wait(STOP_S_MAX * 4) == 0
            took_s = time.monotonic() - start_s
            for each in lines:
                assert [line for line in each if line] == []  # the stream ended properly, it was not cut
            for stream in opened:
                stream.__exit__(None, None, None)
    assert took_s < STOP_S_MAX * 2  # the bound is for a machine that is not busy with other tests


def test_where_others_can_reach_it_it_speaks_https_with_the_pinned_certificate(tmp_path: Path) -> None:
    """On every address but loopback, and nothing in clear text."""
    with running(tmp_path / "data", "0.0.0.0:0") as web:
        url = f"//127.0.0.1:{web.port}/api/v1/me"
        headers = {"Authorization": f"Bearer {web.token}"}
        trusted = ssl.create_default_context(cafile=str(_certificate(tmp_path / "data")))
        answer = httpx.get("https:" + url, headers=headers, verify=trusted, timeout=20)
        assert answer.json()["name"] == "root"
        assert "strict-transport-security" in answer.headers
        with pytest.raises(httpx.HTTPError):
            httpx.get("http:" + url, headers=headers, timeout=20)


def _certificate(folder: Path) -> Path:
    found = [path for path in (folder / "tls").iterdir() if b"BEGIN CERTIFICATE" in path.read_bytes()]
    assert len(found) == 1
    return found[0]


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """One line, the address and the next step, exit status 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running(tmp_path / "data", f"127.0.0.1:{port}") as web:
            assert web.process.wait(20) == 2
            assert web.process.stderr is not None
            said = web.process.stderr.read().decode()
    assert f"127.0.0.1:{port}" in said
    assert "web.listen" in said
    assert "Traceback" not in said


def test_its_own_log_is_one_json_line_per_request(tmp_path: Path) -> None:
    """With method, path, status and who, whatever was asked; never the query string, which may hold a code."""
    with running(tmp_path / "data", "127.0.0.1:0") as web:
        url = f"http://127.0.0.1:{web.port}"
        httpx.get(f"{url}/api/v1/files?q=secret-code", headers={"Authorization": f"Bearer {web.token}"}, timeout=20)
        httpx.get(f"{url}/x%0A%7B%22event%22%3A%22forged%22%7D", timeout=20)
        os.kill(web.process.pid, signal.SIGTERM)
        _, said = web.process.communicate(timeout=20)
    events = [json.loads(line) for line in said.decode().splitlines()]
    request, hostile = [event for event in events if event["event"] == "request"]
    assert hostile["path"] == '/x\n{"event":"forged"}'
    assert (request["method"], request["path"], request["status"], request["who"]) == (
        "GET",
        "/api/v1/files",
        200,
        "root",
    )
    assert b"secret-code" not in said
