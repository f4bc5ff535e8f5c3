"""How FTP programs that people use are run against our server: plain, and over TLS of every kind they know."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from logferry.ftp import Incomplete
from tests.ftp.kit import Serving, until

CONTENT = os.urandom(300_000)
RUN_S_MAX = 60


class Way(NamedTuple):
    """A way to connect: ``tls`` as the server has it, and the newest TLS version the program may use."""

    tls: str
    version: str = "1.3"

    @property
    def implicit(self) -> bool:
        return self.tls == "implicit"

    @property
    def explicit(self) -> bool:
        return self.tls == "required"


PLAIN = Way("off")
EXPLICIT = Way("required")
WAYS = {
    "plain": PLAIN,
    "tls": EXPLICIT,
    "tls-1.2": Way("required", "1.2"),
    "implicit": Way("implicit"),
    "implicit-1.2": Way("implicit", "1.2"),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def needs(program: str) -> str:
    """The program's path; without it the test is skipped and says what to install."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is missing: tools/programs.sh installs it")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False, stdin=subprocess.DEVNULL
    )


def done(*command: str) -> str:
    """Run, expect success, return what it printed."""
    result = run(*command)
    assert result.returncode == 0, (command, result.stdout, result.stderr)
    return result.stdout


def half_uploaded(at: Serving, name: str, count: int) -> None:
    """Leave an interrupted upload of ``name`` behind: its first ``count`` bytes, sent in the clear or over TLS."""
    partial = at.home / name
    with at.client(tls=at.server_tls) as client:
        connection = client.data(f"STOR {name}")
        connection.sendall(CONTENT[:count])
        until(lambda: bool(at.partials()) and at.partials()[0].stat().st_size >= count, "the bytes have not come")
        client.socket.close()
        connection.close()
        at.event(Incomplete)
    assert not partial.exists()


def tree(folder: Path) -> Path:
    """A folder of files with names that are not easy."""
    for number in range(24):
        path = folder / f"sub {number % 4}" / f"fi'le ä {number}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT[: number * 1000])
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files below ``folder``."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
