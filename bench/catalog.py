"""The catalog with millions of files: `python -m bench.catalog --files 10000000 [--url postgresql://… | --postgresql]`.

Fills an empty catalog in bulk, past the writer, then measures what the API does: pages of a folder with 10,000
entries, a name found by a part of it and by a glob, wherever it is, one file by its path. Prints p50 and p95.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from bench.figures import Figure, Options, keep
from logferry.archive import Archive, Catalog
from logferry.archive.catalog.engine import create_engine
from logferry.archive.catalog.tables import metadata
from logferry.search.service import SearchService

AGENT_FILES = 10_000
FOLDER_FILES = 1_000
LARGE = "large"
NS = 1_764_000_000_000_000_000
_APPS = ("nginx/access", "nginx/error", "app/worker", "postgres/postgresql", "audit/audit", "jobs/job", "sshd/auth")
_COLUMNS = {name: [column.name for column in metadata.tables[name].columns] for name in ("files", "generations")}


class Everything:
    """Whoever may see all."""

    def sees(self, agent: str, path: str) -> bool:  # noqa: ARG002
        return True

    def may_hold(self, agent: str, folder: str) -> bool:  # noqa: ARG002
        return True

    def covers(self, agent: str, folder: str) -> bool:  # noqa: ARG002
        return True


def fill(url: str, count: int) -> float:
    """Fill an empty catalog with ``count`` files, sealed; seconds."""
    Catalog.open(url).close()
    engine = create_engine(url)
    started = time.perf_counter()
    dice = random.Random(5)
    agents = count // AGENT_FILES
    names = [f"{kind}-{number:04d}" for number, kind in enumerate(dice.choices(["web", "db", "app", "edge"], k=agents))]
    tables = [metadata.tables[name] for name in _COLUMNS]
    indexes = [index for table in tables for index in table.indexes]
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":  # without a log, which would be as large as the catalog
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA journal_mode = OFF")
            driver.execute("PRAGMA synchronous = OFF")
            driver.execute("PRAGMA cache_size = -500000")
        for index in indexes:  # making them in the end is many times faster
            index.drop(connection)
        connection.execute(metadata.tables["agents"].insert(), [_agent(name) for name in names])
        folders: list[dict[str, Any]] = []
        for name in names:
            folders += _folders(name, len(folders) + 1)
        connection.execute(metadata.tables["folders"].insert(), folders)
        _copy(connection, "files", _files(names, random.Random(6)))
        _copy(connection, "generations", _generations(agents * AGENT_FILES, random.Random(7)))
        for index in indexes:
            index.create(connection)
        connection.commit()
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            for table in ("folders", "files", "generations"):
                sequence = f"pg_get_serial_sequence('{table}', 'id')"
                connection.execute(text(f"SELECT setval({sequence}, max(id)) FROM {table}"))
            connection.commit()
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    engine.dispose()
    return time.perf_counter() - started


def _agent(name: str) -> dict[str, Any]:
    return {
        "id": name, "folded": name, "group": "", "created_ns": NS, "heard_ns": NS, "uploaded_ns": NS, "address": "",
        "version": "", "interval_s": 10.0, "paused": 0, "gone_ns": None, "error": "", "error_ns": None, "last_path": "",
    }  # fmt: skip


def _folders(agent: str, first: int) -> list[dict[str, Any]]:
    """The root, and below it ten folders of a thousand files (of the first agent: one of ten thousand)."""
    below = [LARGE] if first == 1 else [f"{_APPS[n % len(_APPS)]}-{n}" for n in range(AGENT_FILES // FOLDER_FILES)]
    parts: list[tuple[str, int | None, int]] = [("", None, AGENT_FILES)]
    parts += [(path, first, AGENT_FILES // len(below)) for path in below]
    return [
        {"id": first + at, "agent_id": agent, "parent_id": parent, "path": path, "name": path.replace("/", "_"),
         "present": 1, "files": files, "bytes": files * 1000, "changed_ns": NS}
        for at, (path, parent, files) in enumerate(parts)
    ]  # fmt: skip


def _files(agents: list[str], dice: random.Random) -> Iterator[tuple[Any, ...]]:
    """By time, not by agent: in the order in which they would have come."""
    starts = [1] + [3 + 11 * n for n in range(len(agents) - 1)]
    number = 0
    for turn in range(AGENT_FILES):
        for at, agent in enumerate(agents):
            number += 1
            folder = 0 if at == 0 else turn % 10
            path = LARGE if at == 0 else f"{_APPS[folder % len(_APPS)]}-{folder}"
            day = f"2026{1 + turn // 850:02d}{1 + turn // 30 % 28:02d}"
            name = f"{path.rpartition('/')[2]}-{day}-{turn:05d}-{dice.getrandbits(32):08x}.log"
            yield number, agent, starts[at] + 1 + folder, name, f"{path}/{name}", 1, 1, 1


def _generations(count: int, dice: random.Random) -> Iterator[tuple[Any, ...]]:
    for number in range(1, count + 1):
        size = dice.randrange(1_000_000)
        ns = NS + number * 1_000_000
        yield number, number, 1, size, ns, ns, None, ns, None, 0, "sealed", "", f"{dice.getrandbits(128):032x}", size


def _copy(connection: Any, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    columns = ", ".join(f'"{name}"' for name in _COLUMNS[table])
    driver = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copying:
            for row in rows:
                copying.write_row(row)
    else:
        marks = ", ".join("?" * len(_COLUMNS[table]))
        driver.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


def timed(run: Callable[[int], Any], rounds: int) -> tuple[float, float, float]:
    """p50 and p95 in milliseconds of ``run(number)``, and the median of our own CPU time."""
    run(-1)
    found, used = [], []
    for number in range(rounds):
        started, before = time.perf_counter(), time.process_time()
        run(number)
        found.append((time.perf_counter() - started) * 1000)
        used.append((time.process_time() - before) * 1000)
    found.sort()
    return statistics.median(found), found[min(len(found) - 1, int(len(found) * 0.95))], statistics.median(used)


def answers(catalog: Catalog, folder: Path, rounds: int) -> dict[str, tuple[float, float, float]]:
    """Every question, with its p50, p95 and CPU time in milliseconds."""
    names = [agent.id for agent in catalog.agents.list()]
    dice = random.Random(9)
    with catalog._engine.connect() as connection:
        last = int(connection.execute(text("SELECT max(id) FROM files")).scalar_one())
        samples = [
            connection.execute(
                text("SELECT agent_id, path, name FROM files WHERE id = :id"), {"id": dice.randrange(1, last)}
            ).one()
            for _ in range(rounds)
        ]
    cursors: list[str | None] = [None]
    while (page := catalog.files.folder(names[0], LARGE, cursor=cursors[-1])).next is not None:
        cursors.append(page.next)

    def paged(_: int) -> None:
        for cursor in cursors:
            assert catalog.files.folder(names[0], LARGE, cursor=cursor).files

    def found(query: Callable[[Any], str], least: int = 1) -> Callable[[int], None]:
        def run(number: int) -> None:
            page = search.find_files(query(samples[number % rounds]), scope=Everything(), cursor=None, limit=100)
            assert len(page.files) >= least, query(samples[number % rounds])

        return run

    def at(number: int) -> None:
        sample = samples[number % rounds]
        assert catalog.files.at(sample.agent_id, sample.path) is not None

    questions: dict[str, Callable[[int], Any]] = {
        "file by its path": at,
        "first page of a folder of 10,000": lambda _: catalog.files.folder(names[0], LARGE),
        "page in the middle of it": lambda _: catalog.files.folder(names[0], LARGE, cursor=cursors[len(cursors) // 2]),
        "all its pages": paged,
        "the root of an agent": lambda n: catalog.files.folder(names[n % len(names)], ""),
        "rare part of a name": found(lambda s: s.name[-12:-4]),
        "glob over a name": found(lambda s: f"file:*-{s.name[-18:-13]}-{s.name[-12:-8]}*.log"),
        "part of a name and agent": found(lambda s: f"agent:{s.agent_id} {s.name.split('-')[-2]}"),
        "common part of a name": found(lambda _: "access", 100),
        "absent part of a name": found(lambda _: "zzqqy", 0),
    }
    with Archive(str(folder), catalog) as archive:
        search = SearchService(archive, catalog)
        return {name: timed(run, rounds) for name, run in questions.items()}


def measured(url: str, count: int, folder: Path, rounds: int) -> dict[str, Any]:
    """Fill, make the blocks of names, ask."""
    kind = url.partition(":")[0]
    seconds = fill(url, count)
    print(f"{kind}: {count:,} files in {seconds:.0f} s", flush=True)
    with Catalog.open(url) as catalog:
        without = timed(lambda _: catalog.files.find(needed=["zzqqy"]), 1) if count <= 1_000_000 else (0.0, 0.0, 0.0)
        started = time.perf_counter()
        blocks = 0
        while catalog.naming.make_block():
            blocks += 1
        made = time.perf_counter() - started
        print(f"{kind}: {blocks:,} blocks of names in {made:.0f} s; {_bytes(catalog._engine)}", flush=True)
        found = answers(catalog, folder, rounds)
        for name, (p50, p95, cpu) in found.items():
            print(f"{kind}: {name}: p50 {p50:.2f} ms, p95 {p95:.2f} ms, CPU {cpu:.2f} ms", flush=True)
        if without[0]:
            print(f"{kind}: absent part of a name, looking at all rows: {without[0]:.0f} ms", flush=True)
    return {"files": count, "fill_s": seconds, "blocks": blocks, "blocks_s": made, "ms": found}


def _bytes(engine: Engine) -> str:
    with engine.connect() as connection:
        row = connection.execute(text("SELECT sum(length(grams)), sum(length(names)) FROM name_blocks")).one()
        if engine.dialect.name == "postgresql":
            whole = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        else:
            whole = Path(engine.url.database or "").stat().st_size
    bits, names = int(row[0] or 0), int(row[1] or 0)
    return f"{bits / 1e6:.0f} MB of bits, {names / 1e6:.0f} MB of names, {whole / 1e6:,.0f} MB in all"


TARGETS = {
    "file by its path": 1.0,
    "first page of a folder of 10,000": 50.0,
    "page in the middle of it": 50.0,
    "rare part of a name": 100.0,
    "glob over a name": 100.0,
    "part of a name and agent": 100.0,
    "common part of a name": 50.0,
    "absent part of a name": 100.0,
}
"""p95 in milliseconds, with ten million files."""


def figures_of(kind: str, raw: dict[str, Any]) -> list[Figure]:
    """The p95 of every question that has a target."""
    return [
        Figure(f"catalog-{kind}-{name.replace(' ', '-').replace(',', '')}", raw["ms"][name][1], "ms-p95", target,
               less_is_better=True)
        for name, target in TARGETS.items()
    ]  # fmt: skip


def measure(folder: Path, options: Options) -> tuple[list[Figure], dict[str, Any]]:
    """For `make bench`: a million files (quick: a hundred thousand) in SQLite and on PostgreSQL."""
    count, rounds = (100_000, 10) if options.quick else (1_000_000, options.rounds or 50)
    raw = {"sqlite": measured(f"sqlite:///{folder}/catalog.db", count, folder, rounds)}
    with _server() as url:
        raw["postgresql"] = measured(url, count, folder, rounds)
    return [figure for kind, each in raw.items() for figure in figures_of(kind, each)], raw


@contextlib.contextmanager
def _server() -> Iterator[str]:
    from tests.postgres import running

    with tempfile.TemporaryDirectory(prefix="lf-pg-") as place, running(Path(place)) as server:
        yield server.url()


def main() -> None:
    """Measure what is asked for; raw results go to ``bench/runs``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--url", help="an empty catalog elsewhere")
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL server started for this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lf-catalog-") as folder, contextlib.ExitStack() as stack:
        url = given.url or f"sqlite:///{folder}/catalog.db"
        if given.postgresql:
            url = stack.enter_context(_server())
        kind = url.partition(":")[0]
        raw = measured(url, given.files, Path(folder), given.rounds)
        found = figures_of(kind, raw)
        for figure in found:
            print("\n".join(figure.lines()))
        print(f"raw results: {keep(f'catalog-{kind}', found, {kind: raw}, quick=given.files < 1_000_000)}")


if __name__ == "__main__":
    main()
