"""`tail -f`: whatever is added, through rotation and through a server that goes away."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Site

pytestmark = pytest.mark.slow  # a running server, real processes


@contextmanager
def following(site: Site, *arguments: str) -> Iterator[queue.Queue[str]]:
    """A running ``logferry tail -f`` and the lines it prints."""
    rows: queue.Queue[str] = queue.Queue()
    command = [sys.executable, "-u", "-m", "logferry.cli", "tail", "-f", *arguments]
    with subprocess.Popen(
        command, env=site.programs.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:

        def read() -> None:
            assert running.stdout
            for row in running.stdout:
                rows.put(row.rstrip("\n"))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield rows
        finally:
            running.terminate()
            reader.join()


def node(site: Site, folder: Path, agent_id: str) -> Path:
    """A joined node with ``log/app.log`` of two lines, shipped."""
    (folder / "log").mkdir()
    (folder / "log" / "app.log").write_text("one\ntwo\n")
    done = site.logferry(
        *("agent", "join", site.url.partition("//")[2], "--token", site.join_token(), "--id", agent_id),
        *("--watch", str(folder / "log"), "--config", str(folder / "agent.toml"), "--no-run"),
    )
    assert done.code == 0, done.err
    ship(site, folder)
    return folder / "log" / "app.log"


def ship(site: Site, folder: Path) -> None:
    done = site.logferry("agent", "once", "--config", str(folder / "agent.toml"))
    assert done.code == 0, done.err


def test_added_lines_appear_and_a_rotation_is_followed(site: Site, tmp_path: Path) -> None:
    """The last lines first, then each new one once, then those of the next generation."""
    log = node(site, tmp_path, "tail-1")
    with following(site, "-n", "1", f"tail-1:{log}") as rows:
        assert rows.get(timeout=30) == "two"
        with log.open("a") as out:
            out.write("three\nfo")
        ship(site, tmp_path)
        assert rows.get(timeout=30) == "three"
        with log.open("a") as out:
            out.write("ur\n")
        ship(site, tmp_path)
        assert rows.get(timeout=30) == "four"
        os.rename(log, f"{log}.1")
        log.write_text("after rotation\n")
        ship(site, tmp_path)
        assert rows.get(timeout=30) == "after rotation"


def test_a_server_that_goes_away_costs_no_line(tmp_path: Path) -> None:
    """Killed and started again, while a line arrives in between: it is printed once."""
    site = Site(tmp_path)
    try:
        site.start()
        log = node(site, tmp_path, "tail-2")
        with following(site, f"tail-2:{log}") as rows:
            assert [rows.get(timeout=30), rows.get(timeout=30)] == ["one", "two"]
            site.programs.kill_server()
            with log.open("a") as out:
                out.write("three\n")
            site.programs.start_server()
            ship(site, tmp_path)
            assert rows.get(timeout=60) == "three"
            with log.open("a") as out:
                out.write("four\n")
            ship(site, tmp_path)
            assert rows.get(timeout=60) == "four"
            assert rows.empty()
    finally:
        site.programs.stop_all()
