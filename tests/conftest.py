"""Fixtures that several rooms share: the environment kept out, a free port, a running server and its command line."""

from __future__ import annotations

import gc
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from logferry.limits import MIB
from logferry.testing.demo.programs import Programs
from tests import ports
from tests.postgres import Postgres, running
from tests.security.amounts import MORE_THAN_USUAL

settings.register_profile("steady", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("steady")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Tests begun in the background of a shell are deaf to Ctrl-C, and so is every program they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


if hasattr(os, "register_at_fork"):
    # A child forked off a test collects nothing that it was born with: that might wait for threads that are not there.
    os.register_at_fork(after_in_child=gc.freeze)


def pytest_configure(config: pytest.Config) -> None:
    """Full counts take as long as they take."""
    if MORE_THAN_USUAL and config.getoption("timeout") is None:
        config.option.timeout = 0


def pytest_collection_finish() -> None:
    """Thousands of collected tests are garbage never: tests that look at garbage look at their own."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever LOGFERRY_* the developer has set, tests start without."""
    for name in [name for name in os.environ if name.startswith("LOGFERRY_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_logging_left_behind() -> Iterator[None]:
    """Commands that run in this process set up logging as theirs."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses at this moment."""
    return ports.free_port()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for all tests; each takes a schema of its own. In memory where there is room."""
    memory = "/dev/shm"
    parent = memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1024 * MIB else None
    with tempfile.TemporaryDirectory(dir=parent, prefix="lf-pg-") as folder, running(Path(folder)) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Done:
    """What a command line returned and printed."""

    code: int
    out: str
    err: str


class Site:
    """A running server with its data in ``folder``, an administrator and the real command line against it."""

    def __init__(self, folder: Path) -> None:
        self.programs = Programs(folder)
        self.folder = folder
        self.url = ""

    def start(self) -> None:
        """Start the server and make the administrator (``admin`` / ``self.password``)."""
        self.programs.start_server()
        self.url = self.programs.set_up()

    @property
    def password(self) -> str:
        """The administrator's."""
        return self.programs.password

    def logferry(self, *arguments: str, **environment: str) -> Done:
        """Run ``logferry`` against this server, as its own user on the same machine."""
        done = self._run(arguments, environment)
        return Done(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))

    def logferry_bytes(self, *arguments: str) -> bytes:
        """What a command writes to standard output, byte for byte. It must succeed."""
        done = self._run(arguments, {})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, arguments: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "logferry.cli", *arguments],
            env=self.programs.environment() | environment,
            cwd=self.folder,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def join_token(self) -> str:
        """A fresh token for an agent."""
        found = re.search(r"--token (\S+)", self.logferry("admin", "join-token").out)
        assert found
        return found[1]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One running server for all tests that only add to it and read from it."""
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        made.start()
        yield made
    finally:
        made.programs.stop_all()
