"""A server killed in the middle of bundles: what was confirmed is there, and nothing is there by half."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from logferry.errors import LogferryError
from logferry.ftp import BundleResult, FtpClient, StoreItem

KILLS = int(os.environ.get("LOGFERRY_BUNDLE_KILLS", "6"))
FILES = 700
_SERVER = """
import sys
from logferry.ftp import FtpServer, MemoryUsers, User, hash_password
users = MemoryUsers(User("ann", sys.argv[1], password_hash=hash_password("secret", light=True)))
with FtpServer(("127.0.0.1", 0), users=users, tls="off") as server:
    print(server.address[1], flush=True)
    sys.stdin.read()
"""


def _server(home: Path) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def _end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.wait(30)
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


def _items(turn: int, dice: random.Random) -> dict[str, bytes]:
    return {
        f"t{turn}/d{n % 5}/f{n}": b"%d:%d:" % (turn, n) + dice.randbytes(dice.randrange(0, 9000)) for n in range(FILES)
    }


def _send(port: int, files: dict[str, bytes], told: list[BundleResult]) -> None:
    items = [StoreItem(name, content, 0, len(content)) for name, content in files.items()]
    with FtpClient("127.0.0.1", port, user="ann", password="secret", tls="off", timeout_s=20) as client:
        told.append(client.store_bundle(items, form="tar"))


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Kill -9 during a bundle: no partial content under a final name, what an answer confirmed is there; sent again
    to a new server all is there and nothing is left over."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    everything: dict[str, bytes] = {}
    for turn in range(KILLS):
        files = _items(turn, dice)
        everything |= files
        process, port = _server(tmp_path)
        told: list[BundleResult] = []
        try:
            killer = threading.Timer(dice.uniform(0.0, 0.25), process.kill)
            killer.start()
            with contextlib.suppress(LogferryError):
                _send(port, files, told)
            killer.join()
        finally:
            _end(process, signal.SIGKILL)
        _check(tmp_path, everything, f"seed {seed}, turn {turn}")
        for result in told:
            for one in result.results:
                if one.error is None:
                    assert (tmp_path / one.item.path).read_bytes() == files[one.item.path], f"seed {seed}, turn {turn}"
        process, port = _server(tmp_path)
        try:
            _send(port, files, told)
        finally:
            _end(process, signal.SIGKILL)
        assert all(one.error is None for one in told[-1].results), f"seed {seed}, turn {turn}"
        found = _check(tmp_path, everything, f"seed {seed}, turn {turn}")
        assert found == everything.keys()
        assert not list(tmp_path.rglob(".~up-*")), "leftovers are swept"


def _check(home: Path, everything: dict[str, bytes], where: str) -> set[str]:
    """Every file under a final name is whole; the names of those."""
    found = set()
    for path in home.rglob("*"):
        name = str(path.relative_to(home))
        if path.is_file() and ".~up-" not in name:
            assert path.read_bytes() == everything[name], f"{where}: {name} is not whole"
            found.add(name)
    return found


@pytest.mark.parametrize("step", ["rename", "fsync", "syncfs", "mkdir", "rmdir"])
def test_killed_at_a_step(tmp_path: Path, step: str) -> None:
    """The same at chosen steps of publishing: before the sync, between renames, before the folders are synced, before
    the answer."""
    dice = random.Random(step)
    files = _items(0, dice)
    script = _SERVER.replace(
        "with FtpServer",
        f"""
import os, signal
from logferry.ftp import local_bundle
left = {dice.randrange(1, 5)}
def dying(real):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call
if {step!r} == "syncfs":
    left = 1
    local_bundle.sync_disk = dying(local_bundle.sync_disk)
else:
    os.{step} = dying(os.{step})
with FtpServer""",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told: list[BundleResult] = []
    with contextlib.suppress(LogferryError):
        _send(int(process.stdout.readline()), files, told)
    assert process.wait(20) == -signal.SIGKILL
    _end(process, signal.SIGKILL)
    assert told == [] or told[0].error is not None
    found = _check(tmp_path, files, step)
    confirmed = {one.item.path for result in told for one in result.results if one.error is None}
    assert confirmed <= found
