"""A server process whose system calls strace writes down, or spoils."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ftp.kit import RawClient
from tests.ftp.peers import wait_for_port
from tests.ports import free_port

_LINE = re.compile(r"(?P<thread>[0-9]+) +(?P<name>[a-z0-9_]+)\((?P<arguments>.*)\) += (?P<result>-?[0-9]+)")
_BEGUN = re.compile(r"(?P<thread>[0-9]+) +(?P<head>[a-z0-9_]+\(.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(?P<thread>[0-9]+) +<\.\.\. [a-z0-9_]+ resumed>(?P<tail>.*)")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call: its name, its arguments as strace shows them (descriptors with paths), what it returned."""

    name: str
    arguments: str
    result: int


@dataclass(frozen=True, slots=True)
class Traced:
    """A server under strace on ``root``, user ``ann``."""

    port: int
    root: Path
    log: Path

    def client(self) -> RawClient:
        """A client that is logged in."""
        client = RawClient(self.port)
        client.login()
        return client

    def calls(self) -> list[Call]:
        """What was called, in the order in which the calls returned."""
        found, begun = [], {}
        for line in self.log.read_text(errors="replace").splitlines():
            if match := _BEGUN.match(line):
                begun[match["thread"]] = match["head"]
                continue
            if match := _RESUMED.match(line):
                line = f"{match['thread']} {begun.pop(match['thread'])}{match['tail']}"
            if match := _LINE.match(line):
                found.append(Call(match["name"], match["arguments"], int(match["result"])))
        return found


@contextmanager
def traced(folder: Path, *options: str) -> Iterator[Traced]:
    """The server with strace's ``options``; strace and server are gone afterwards."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is missing: apt install strace")
    root = folder / "root"
    root.mkdir(exist_ok=True)
    port = free_port()
    log = folder / "trace"
    server = [sys.executable, "-m", "tests.ftp.serve", str(port), str(root)]
    # -D: strace is the grandchild, so the process we start, and end, is the server itself.
    command = [strace, "-D", "-f", "-y", "-s", "80", "-o", str(log), *options, *server]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    try:
        wait_for_port(port, process)
        yield Traced(port, root, log)
    finally:
        process.kill()
        process.wait()
