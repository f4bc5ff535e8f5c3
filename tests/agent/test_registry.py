"""The registry keeps what was confirmed, and neither damage nor a full disk stops the agent."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import pytest

from logferry.agent.identity import Fingerprint, Stat, digest
from logferry.agent.registry import Registry
from logferry.agent.rows import Row, State
from logferry.errors import Full

NOW = 1_760_000_000_000_000_000


def make(registry: Registry, path: bytes, *, inode: int = 7, state: State = State.LIVE) -> Row:
    """A row with 100 confirmed bytes."""
    prints = Fingerprint(100, digest(b"head"), digest(b"tail"))
    return Row(registry.new_id(), path, "logs/a", "logs/a", state, inode, 3, Stat(inode, 100, 5, 6), prints, "", 100, 0)


def full_disk(registry: Registry, *, pages: int) -> None:
    """From now on the database may not grow beyond ``pages`` (SQLite takes its present size at least)."""
    registry._db.execute(f"PRAGMA max_page_count={pages}")


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    """By id, path, inode and place; also inode numbers that use all 64 bits and paths that are no text."""
    registry = Registry(tmp_path / "r.db", NOW)
    row = make(registry, b"/logs/\xff\n", inode=2**64 - 3)
    assert registry.apply([row], now_ns=NOW)
    registry.close()
    again = Registry(tmp_path / "r.db", NOW)
    assert again.by_id(row.id) == again.by_path(row.path) == row
    assert again.by_inode(2**64 - 3) == again.by_place("logs/a") == [row]
    assert dict(again.marks()) == {row.path: row.seen.mark}
    assert again.new_id() > row.id
    again.close()


def test_paths_are_exchanged_in_one_transaction(tmp_path: Path) -> None:
    """Two rows may swap their paths."""
    registry = Registry(tmp_path / "r.db", NOW)
    a, b = make(registry, b"/a"), make(registry, b"/b")
    registry.apply([a, b], now_ns=NOW)
    swapped = [dataclasses.replace(a, path=b"/b"), dataclasses.replace(b, path=b"/a")]
    assert registry.apply(swapped, now_ns=NOW)
    assert registry.by_path(b"/a") == swapped[1]
    assert registry.counts()[State.LIVE] == 2
    registry.close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "zeros", "other version", "wrong schema"])
def test_a_damaged_registry_is_set_aside_and_a_new_one_begun(tmp_path: Path, damage: str) -> None:
    """It always starts, and says where the old one is."""
    path = tmp_path / "r.db"
    registry = Registry(path, NOW)
    registry.apply([make(registry, b"/a%d" % n) for n in range(500)], now_ns=NOW)
    registry.close()
    size = path.stat().st_size
    if damage == "garbage":
        path.write_bytes(b"\x37" * size)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[: size // 2])
    elif damage == "zeros":
        path.write_bytes(path.read_bytes()[:4096] + b"\x00" * (size - 4096))
    else:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version=99" if damage == "other version" else "DROP TABLE files")
        db.close()
    again = Registry(path, NOW + 1)
    assert again.set_aside is not None
    assert again.set_aside.exists()
    assert again.is_new
    assert again.counts()[State.LIVE] == 0
    assert again.apply([make(again, b"/a1")], now_ns=NOW)
    again.close()


def test_a_row_that_makes_no_sense_is_dropped(tmp_path: Path) -> None:
    """Its file is compared with the server again."""
    registry = Registry(tmp_path / "r.db", NOW)
    row = make(registry, b"/a")
    registry.apply([row], now_ns=NOW)
    with sqlite3.connect(tmp_path / "r.db") as db:
        db.execute("UPDATE files SET head = x'00'")
    db.close()
    assert registry.by_path(b"/a") is None
    assert registry.dropped == 1
    assert registry.counts()[State.LIVE] == 0
    registry.close()


def test_a_full_disk_keeps_changes_in_memory_until_there_is_room(tmp_path: Path) -> None:
    """What could not be written is served from memory and written with the next change that can be."""
    registry = Registry(tmp_path / "r.db", NOW)
    row, gone = make(registry, b"/a"), make(registry, b"/gone")
    registry.apply([row, gone], now_ns=NOW)
    full_disk(registry, pages=1)
    try:
        grown = dataclasses.replace(row, path=b"/b", want="logs/" + "x" * 3000)
        many = [make(registry, b"/many%d" % n) for n in range(2000)]
        written = registry.apply([grown, *many], remove=[gone.id], now_ns=NOW)
        assert (written, type(registry.behind)) == (False, Full)
        assert registry.by_path(b"/b") == registry.by_id(row.id) == grown
        assert registry.by_path(b"/a") is None
        assert registry.by_path(b"/gone") is None
        assert len(registry.by_inode(7)) == 2001
    finally:
        full_disk(registry, pages=2**30)
    written = registry.apply(now_ns=NOW)
    assert (written, registry.behind) == (True, None)
    registry.close()
    again = Registry(tmp_path / "r.db", NOW)
    assert again.by_path(b"/b") == grown
    assert again.by_path(b"/gone") is None
    again.close()


def test_files_long_gone_are_forgotten_and_others_never(tmp_path: Path) -> None:
    """A row is dropped only when its file is gone for long."""
    registry = Registry(tmp_path / "r.db", NOW)
    registry.apply([make(registry, b"/here"), make(registry, b"/gone", state=State.GONE)], now_ns=NOW)

    def forget(before_ns: int, *, is_gone: bool = True) -> int:
        return registry.forget(gone_before_ns=before_ns, is_gone=lambda path: is_gone, now_ns=NOW)

    assert forget(NOW) == 0
    assert forget(NOW + 1, is_gone=False) == 0  # the file is back, and no look has found it yet
    assert forget(NOW + 1) == 1
    assert registry.by_path(b"/here") is not None
    registry.close()
