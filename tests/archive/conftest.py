"""An archive in a temporary folder, with one agent, and short words for uploading to it and reading from it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from logferry.archive import Archive, Catalog
from logferry.archive.catalog.engine import create_engine, sqlite_url
from logferry.archive.durable import Disk
from logferry.archive.records import GenerationRecord, Received
from logferry.archive.store import Store
from logferry.clock import ManualClock
from logferry.limits import MIB
from tests.security.amounts import amount

AGENT = "web-01"
_ELSEWHERE = "catalog.url"
_ALL = amount("databases", 0, 1)


def catalog_url(folder: Path) -> str:
    """Where the catalog of the archive in ``folder`` is: what a file there says, else SQLite beside the live tree."""
    elsewhere = folder / _ELSEWHERE
    return elsewhere.read_text() if elsewhere.exists() else sqlite_url(f"{folder}/catalog.db")


class Shelf:
    """An open archive with one agent, ``web-01``."""

    def __init__(
        self, folder: Path, *, disk: Disk | None = None, min_free_bytes: int = 0, store: Store | None = None
    ) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.catalog = Catalog.open(catalog_url(folder), self.clock, disk=disk)
        self.archive = Archive(
            str(folder), self.catalog, clock=self.clock, min_free_bytes=min_free_bytes, disk=disk, store=store
        )
        if self.catalog.agents.get(AGENT) is None:
            self.catalog.agents.add(AGENT)

    def put(self, path: str, data: bytes, *, offset: int = 0, append: bool = False) -> Received:
        """Upload all of ``data`` and commit."""
        incoming = self.archive.begin(AGENT, path, offset=offset, append=append)
        try:
            incoming.write(data)
            return incoming.commit()
        finally:
            incoming.abandon()

    def rename(self, source: str, target: str) -> None:
        """RNFR, RNTO."""
        self.archive.rename(AGENT, source, target)

    def size(self, path: str) -> int | None:
        """SIZE."""
        return self.archive.size(AGENT, path)

    def bytes_of(self, generation_id: int) -> bytes:
        """All bytes of a generation."""
        with self.archive.open(generation_id) as reader:
            return reader.read_at(0, reader.size)

    def current(self, path: str) -> bytes | None:
        """The bytes of the current generation of ``path``, None when it has none."""
        file = self.catalog.files.at(AGENT, path)
        return self.bytes_of(file.generation_id) if file is not None and file.has_current else None

    def generations(self, path: str) -> list[GenerationRecord]:
        """The generations held under ``path``, oldest first."""
        file = self.catalog.files.at(AGENT, path)
        return self.catalog.files.generations(file.id) if file is not None else []

    def history(self, path: str) -> list[bytes]:
        """The bytes of the generations held under ``path``, oldest first."""
        return [self.bytes_of(generation.id) for generation in self.generations(path)]

    def everything(self) -> dict[str, list[bytes]]:
        """All histories by path."""
        return {file.path: self.history(file.path) for file in self.catalog.files.each()}

    def live(self) -> dict[str, bytes]:
        """The live tree as plain files."""
        root = self.folder / "live" / AGENT
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def lose_catalog(self) -> Shelf:
        """Close, and open the same archive with an empty catalog."""
        self.close()
        url = catalog_url(self.folder)
        if url.startswith("sqlite"):
            for path in self.folder.glob("catalog.db*"):
                path.unlink()
        else:
            engine = create_engine(url)
            with engine.begin() as connection:
                schema = connection.execute(text("SELECT current_schema()")).scalar_one()
                connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
                connection.execute(text(f"CREATE SCHEMA {schema}"))
            engine.dispose()
        return Shelf(self.folder)

    def close(self) -> None:
        """Close archive and catalog."""
        self.archive.close()
        self.catalog.close()


@pytest.fixture(scope="module")
def quick_folders() -> Iterator[Path]:
    """A folder in memory where there is one: syncing costs nothing there, and killing a process loses nothing."""
    memory = "/dev/shm"
    parent = memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 512 * MIB else None
    with tempfile.TemporaryDirectory(dir=parent, prefix="logferry-test-") as folder:
        yield Path(folder)


@pytest.fixture
def folder(quick_folders: Path) -> Path:
    """An empty folder of the test's own in ``quick_folders``."""
    return Path(tempfile.mkdtemp(dir=quick_folders))


@pytest.fixture
def database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The URL under which the catalog of the archive in ``folder`` may be made: see ``pytest_generate_tests``."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield catalog_url(folder)
        return
    with request.getfixturevalue("postgres").schema() as url:
        (folder / _ELSEWHERE).write_text(url)
        yield url


@pytest.fixture
def shelf(folder: Path, database: str) -> Iterator[Shelf]:
    """An empty archive with the agent ``web-01``."""
    made = Shelf(folder)
    yield made
    made.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked ``databases`` run on every database; with HEAVY=1 all do that have a ``shelf`` and are not marked
    ``sqlite``."""
    if "database" not in metafunc.fixturenames:
        return
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "databases" in marks or (_ALL and "sqlite" not in marks):
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)
