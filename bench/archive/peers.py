"""Peers: `python -m bench.archive.peers zstd|duckdb|chdb TREE OUT` puts a tree into OUT and prints JSON.

``zstd``: one file each, level 3; every byte, no index. ``duckdb``: Parquet with zstd, a row a line; no index, line ends
are lost. ``chdb`` (ClickHouse in a process): MergeTree with zstd and a text index over the lines; line ends are lost.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.archive.spent import Result, Spent

_LINE_BYTES_MAX = 100_000_000


def here() -> list[str]:
    """The peers that are installed."""
    found = ["zstd"] if shutil.which("zstd") else []
    return found + [name for name in ("duckdb", "chdb") if importlib.util.find_spec(name) is not None]


def zstd(tree: Path, out: Path) -> Result:
    """Every file with ``zstd -3``."""
    jobs: dict[Path, list[str]] = {}
    for path in sorted(tree.rglob("*")):
        if path.is_file():
            jobs.setdefault(out / path.relative_to(tree).parent, []).append(str(path))
    for folder in jobs:
        folder.mkdir(parents=True, exist_ok=True)
    spent = Spent(children=True)
    for folder, files in jobs.items():
        subprocess.run(["zstd", "-3", "-q", "-f", "--output-dir-flat", str(folder), *files], check=True)
    return spent.result(bytes=_below(out), index_bytes=0)


def duckdb(tree: Path, out: Path) -> Result:
    """One Parquet file of path and line."""
    import duckdb as engine

    spent = Spent()
    target = out / "lines.parquet"
    lines = (
        f"read_csv('{tree}/*/**', columns={{'line': 'VARCHAR'}}, delim='\\x01', quote='', escape='', comment='', "
        f"header=false, auto_detect=false, strict_mode=false, filename=true, max_line_size={_LINE_BYTES_MAX})"
    )
    with engine.connect() as connection:
        connection.execute(
            f"COPY (SELECT filename, line FROM {lines}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )
        found = connection.execute(f"SELECT count(*) FROM '{target}'").fetchone()
    return spent.result(bytes=_below(out), index_bytes=0, lines=found[0] if found else 0)


def chdb(tree: Path, out: Path) -> Result:
    """A MergeTree, merged into as few parts as it likes, with the text index if this version has one."""
    from chdb import session as chdb_session  # a peer; not always there

    spent = Spent()
    make: Any = chdb_session.Session
    session = make(str(out / "chdb"))
    try:
        session.query("CREATE DATABASE IF NOT EXISTS bench")
        columns = "file LowCardinality(String), number UInt64 CODEC(DoubleDelta, ZSTD(3)), line String CODEC(ZSTD(3))"
        index = ", INDEX words line TYPE text(tokenizer = splitByNonAlpha)"
        rest = " ENGINE = MergeTree ORDER BY (file, number)"
        try:
            session.query(f"CREATE TABLE bench.logs ({columns}{index}){rest}")
            has_index = True
        except Exception:  # noqa: BLE001 - whatever this version says of an index it does not know
            session.query(f"CREATE TABLE bench.logs ({columns}){rest}")
            has_index = False
        session.query(
            "INSERT INTO bench.logs SELECT substring(_path, -200), rowNumberInAllBlocks(), line "
            f"FROM file('{tree}/**', 'LineAsString')"
        )
        session.query("OPTIMIZE TABLE bench.logs FINAL")
        facts = session.query(
            "SELECT sum(bytes_on_disk), sum(secondary_indices_compressed_bytes), sum(rows) "
            "FROM system.parts WHERE database = 'bench' AND active",
            "JSONCompact",
        )
        stored, indexed, lines = (int(value) for value in json.loads(str(facts))["data"][0])
        return spent.result(bytes=stored - indexed, index_bytes=indexed, lines=lines, has_index=has_index)
    finally:
        session.close()


def _below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


PEERS: dict[str, Callable[[Path, Path], Result]] = {"zstd": zstd, "duckdb": duckdb, "chdb": chdb}

if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
