"""Pages that are run: the blocks of a Markdown file in order, and what they print beside what stands there.

What is recognised, by the first words behind the fence (readers of the page see the first only):

- ``python``: run in one interpreter, block after block; a following ``text`` block is what it prints. A block whose
  first line is ``# NAME.py`` is that file instead.
- ``console``: ``$`` lines are run by bash, other lines are what they print, on either stream.
- ``console server``: the same, but it goes on running; ``console output`` is what the server started last prints then.

``…`` stands for anything within a line, alone on a line for any number of lines. Ports 2121 to 2129 are exchanged for
free ones.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WAIT_S = 30.0
_FENCE = re.compile(r"^```(\S+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"\b212[1-9]\b")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: ``language`` and ``kind`` are the words behind the fence, ``line`` is where its text begins."""

    language: str
    kind: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page."""
    return [
        Block(found[1], found[2].strip(), found[3], page.count("\n", 0, found.start(3)) + 1)
        for found in _FENCE.finditer(page)
    ]


def matches(shown: str, printed: str) -> bool:
    """Whether ``printed`` is what is ``shown``, with … for anything; blanks at the ends of lines do not count."""
    pattern = ""
    for line in _lines(shown):
        if line == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(map(re.escape, line.split("…"))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(printed))) is not None


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


@contextlib.contextmanager
def _ctrl_c() -> Iterator[None]:
    """Programs begun now hear Ctrl-C, also when the tests themselves were begun in the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Server:
    """A program that goes on running, and the lines it prints."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        with _ctrl_c():
            self._process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._seen = ""
        self._reader = threading.Thread(target=self._read, name="page-server")
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as out:
            for line in out:
                self._waiting.put(line)

    def expect(self, shown: str) -> str:
        """Wait until it has printed what is ``shown`` since the last call; return what it printed instead, if not."""
        end = time.monotonic() + WAIT_S
        while not matches(shown, self._seen):
            try:
                self._seen += self._waiting.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                return self._seen
        self._seen = ""
        return shown

    def stop(self) -> tuple[int, str]:
        """Ctrl-C; its exit code and what it printed since."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        self._process.stdin.close()
        while not self._waiting.empty():
            self._seen += self._waiting.get()
        return code, self._seen


@dataclass
class Reader:
    """Somebody who works through a page in ``folder``."""

    name: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    servers: list[Server] = field(default_factory=list)
    _ports: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        home = {"HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state"), "COLUMNS": "100"}
        self.environment = os.environ | home | {"PATH": path} | self.environment

    def read(self, page: str) -> None:
        """Do what the page says; raises AssertionError where something else comes out than stands there."""
        found = blocks(page)
        follows = [*found[1:], Block("", "", "", 0)]
        for block, after in zip(found, follows, strict=True):
            if block.language == "python":
                self.python(block, after.text if after.language == "text" else "")
            elif block.language == "console":
                self.console(block)
            else:
                assert block.language == "text", f"{self.name}:{block.line}: nobody runs ```{block.language}"

    def python(self, block: Block, shown: str) -> None:
        """Run a block in the one interpreter, or write it to its file."""
        text = self.there(block.text)
        if found := re.match(r"# (\w+\.py)\n", text):
            (self.folder / found[1]).write_text(text)
            return
        out = io.StringIO()
        code = compile("\n" * (block.line - 1) + text, self.name, "exec")
        with contextlib.redirect_stdout(out):
            exec(code, self.names)
        self._compare(block.line, shown, out.getvalue())

    def console(self, block: Block) -> None:
        """Run the commands of a block, or wait for what a server prints."""
        if block.kind == "output":
            self._compare(block.line, block.text, self.servers[-1].expect(self.there(block.text)))
            return
        for command, shown in commands(block.text):
            if command.startswith("export "):
                name, _, value = shlex.split(command)[1].partition("=")
                self.environment[name] = value
            elif block.kind == "server":
                self.servers.append(Server(self.there(command), self.folder, self.environment))
                self._compare(block.line, shown, self.servers[-1].expect(self.there(shown)))
            else:
                done = subprocess.run(
                    ["bash", "-o", "pipefail", "-c", self.there(command)],
                    cwd=self.folder,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=WAIT_S,
                    check=False,
                )
                self._compare(block.line, shown, done.stdout)
                assert done.returncode == 0, f"{self.name}:{block.line}: {command}: exit code {done.returncode}"

    def _compare(self, line: int, shown: str, printed: str) -> None:
        assert matches(self.there(shown), printed), f"{self.name}:{line} shows\n{shown}\nbut printed was\n{printed}"

    def there(self, text: str) -> str:
        """``text`` with free ports in the place of those of the page."""
        return _PORT.sub(lambda found: self._port(found.group()), text)

    def _port(self, shown: str) -> str:
        while shown not in self._ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = str(probe.getsockname()[1])
            if port not in self._ports.values():
                self._ports[shown] = port
        return self._ports[shown]

    def close(self) -> None:
        """Ctrl-C for every server; none may fail."""
        ends = [server.stop() for server in reversed(self.servers)]
        for code, printed in ends:
            assert code == 0, f"exit code {code}: {printed}"
            assert "Traceback" not in printed, printed


def commands(text: str) -> Iterator[tuple[str, str]]:
    """(command, what it prints) of a console block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = re.sub(r"\\\n\s*", "", part).partition("\n")
        yield command, shown
