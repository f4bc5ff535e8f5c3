"""The real programs of the demo as child processes: server, agents, single commands. All are stopped in the end."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logferry.cli.api import Api
from logferry.cli.connection import Connection
from logferry.errors import LogferryError, TimedOut
from logferry.testing.demo.nodes import Node

READY_S_MAX = 60.0
STOP_S_MAX = 15.0
_SETUP = re.compile(r"(https?://\S+)/setup\?code=(\S+)")
_JOIN = re.compile(r"agent join (\S+) --token (\S+)(?: --pin (\S+))?")


class DemoFailed(LogferryError):
    """A program of the demo did not do what it must. Its log in .demo/ says why."""

    exit_code = 1


def free_port(wanted: int) -> int:
    """``wanted`` if nobody listens there, else any free port of the loopback interface."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed("no free port on the loopback interface", hint="close some programs")


def until(what: str, holds: Any, *, seconds: float) -> None:
    """Wait until ``holds()``. Raises TimedOut naming ``what``."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimedOut(f"{what}: not within {seconds:.0f} s", hint="the logs of the programs are in .demo/")
        time.sleep(0.05)


@dataclass(slots=True)
class Running:
    """A child process that writes into a log file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """SIGTERM, in the end SIGKILL; returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Programs:
    """Starts and stops the programs; ``folder`` (``.demo``) has their data and logs."""

    def __init__(self, folder: Path, *server_flags: str) -> None:
        self.folder = folder
        self._flags = server_flags
        self.data = folder / "data"
        self.web = f"127.0.0.1:{free_port(8080)}"
        self.ftp = f"127.0.0.1:{free_port(2121)}"
        self.password = secrets.token_urlsafe(12)
        self._running: dict[str, Running] = {}

    # The server ----------------------------------------------------------------------------------------------------

    def start_server(self) -> None:
        """Start ``logferry serve`` and wait until it has printed its banner."""
        flags = ["--data", str(self.data), "--listen", self.web, "--ftp-listen", self.ftp, *self._flags]
        log = self.folder / "server.log"
        before = log.stat().st_size if log.exists() else 0
        # A disk that is all but full does, unless somebody has settings of their own.
        room = {} if "--config" in self._flags else {"LOGFERRY_ARCHIVE__MIN_FREE": "0"}
        server = self._start("server", "serve", *flags, **room)

        def ready() -> bool:
            if server.process.poll() is not None:
                raise DemoFailed("the server ended at once", hint=f"see {server.log}")
            text = server.log.read_text(errors="replace")[before:]
            return "logferry " in text and "web http" in text

        until("the server is ready", ready, seconds=READY_S_MAX)

    def kill_server(self) -> None:
        """SIGKILL to the supervisor and both parts at once, as a power cut would."""
        server = self._running.pop("server")
        parts = [json.loads((self.data / "run" / f"{part}.json").read_text()) for part in ("ftp", "web")]
        for pid in (server.process.pid, *(int(part["pid"]) for part in parts)):
            os.kill(pid, signal.SIGKILL)
        server.process.wait()

    def has_bytes(self) -> bool:
        """Whether anything an agent sent is on the server's disk, whole or not."""
        folders = [self.data / "live", self.data / "incoming"]
        return any(p.is_file() and p.stat().st_size for folder in folders for p in folder.rglob("*"))

    def set_up(self) -> str:
        """Make the administrator through the set-up link. Returns the address of the web pages."""
        found = self._printed(_SETUP, "the server has printed a set-up link")
        with Api(Connection(found[1])) as api:
            api.post("/setup", {"code": found[2], "name": "admin", "password": self.password})
        login = self.folder / "login.txt"
        login.touch(mode=0o600)
        login.write_text(f"admin\n{self.password}\n")
        return found[1]

    def _printed(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        """The first place in what the server printed, line by line, that matches. Raises TimedOut."""
        found: list[re.Match[str]] = []

        def seen() -> bool:
            whole_lines = (self.folder / "server.log").read_text(errors="replace").rpartition("\n")[0]
            found.extend([match] if (match := pattern.search(whole_lines)) else [])
            return bool(found)

        until(what, seen, seconds=READY_S_MAX)
        return found[0]

    # Agents ----------------------------------------------------------------------------------------------------------

    def join(self, node: Node) -> None:
        """``logferry agent join`` with the token the server printed."""
        found = self._printed(_JOIN, "the server has printed a command to join")
        address, token, pin = found.groups()
        watch = [word for folder in node.watched for word in ("--watch", str(folder))]
        pinned = ["--pin", pin] if pin else []
        identity = ["--id", node.agent, "--group", node.group, "--config", str(self.agent_file(node))]
        self.agent_file(node).parent.mkdir(parents=True)
        self.run("agent", "join", address, "--token", token, *pinned, *identity, *watch, "--no-run")

    def start_agent(self, node: Node) -> None:
        """``logferry agent run``, looking at its files twice a second."""
        self._start(
            node.agent, "agent", "run", "--config", str(self.agent_file(node)), LOGFERRY_AGENT__SCAN_INTERVAL="0.5s"
        )

    def agent_file(self, node: Node) -> Path:
        """Where the node's ``agent.toml`` lies; ``agent.secret`` stands beside it."""
        return self.folder / "agents" / node.agent / "agent.toml"

    # Processes -------------------------------------------------------------------------------------------------------

    def run(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run a ``logferry`` command to its end and return what it printed. Raises DemoFailed."""
        command, environment = self._command(arguments), self.environment()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode not in ok:
            raise DemoFailed(f"logferry {' '.join(arguments)} returned {done.returncode}: {done.stderr.strip()[-800:]}")
        return done.stdout

    def stop(self, name: str) -> int:
        """Stop one program; returns its exit status."""
        return self._running.pop(name).stop()

    def stop_all(self) -> None:
        """Stop whatever still runs, agents before the server."""
        for name in sorted(self._running, key=lambda n: n == "server"):
            self.stop(name)

    def broken(self) -> list[str]:
        """Names of programs that ended by themselves."""
        return [name for name, running in self._running.items() if running.process.poll() is not None]

    def api(self) -> Api:
        """The API as the command line on this machine uses it."""
        from logferry.cli import connection

        return Api(connection.find(self.environment()))

    def environment(self) -> dict[str, str]:
        """The variables that lead the command line to this server and no other."""
        return _plain_environment() | {"LOGFERRY_ARCHIVE__ROOT": str(self.data)}

    def _start(self, name: str, *arguments: str, **more: str) -> Running:
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                self._command(arguments),
                env=_plain_environment() | more,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                process_group=0,  # Ctrl-C on the terminal reaches the demo alone, which stops them in order
            )
        self._running[name] = Running(name, process, log)
        return self._running[name]

    @staticmethod
    def _command(arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "logferry.cli", *arguments]


def _plain_environment() -> dict[str, str]:
    """The shell's variables without settings of its user's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOGFERRY_")}
