"""Sweeping: what cannot be removed is named, and keeps nothing else."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path

from logferry.archive.durable import Disk
from logferry.archive.seal import Sealed
from logferry.archive.store import LocalStore
from logferry.errors import Later
from tests.archive.conftest import AGENT, Shelf
from tests.archive.segment.making import log_text
from tests.archive.test_seal import seal


class Stuck(Disk):
    """Cannot take away one name."""

    stuck = b"b.log"

    def unlink(self, folder_dir: int, name: bytes) -> None:
        if name == self.stuck:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().unlink(folder_dir, name)


def test_a_file_that_cannot_be_removed_is_named_and_the_others_go(folder: Path) -> None:
    disk = Stuck()
    shelf = Shelf(folder, disk=disk)
    for name in ("a", "b", "c"):
        shelf.put(f"{name}.log", b"line\n")
    sealer = shelf.archive.sealer(level=1)
    assert sum(sealer.seal(shelf.clock.now_ns() + 1), Sealed()).generations == 3
    assert list(shelf.live()) == ["b.log"]
    (left,) = sealer.left
    assert left.startswith(f"live/{AGENT}/b.log could not be removed: the disk refused")
    disk.stuck = b""
    assert sealer.clean_up() == 1
    assert (shelf.live(), sealer.left) == ({}, ())
    shelf.close()


class StuckStore(LocalStore):
    """Cannot remove one object."""

    stuck = ""

    def remove(self, name: str) -> None:
        if name == self.stuck:
            raise Later("the disk refused it")
        super().remove(name)


def test_an_object_that_cannot_be_removed_is_named_and_the_others_go(folder: Path) -> None:
    store = StuckStore(str(folder / "store"))
    shelf = Shelf(folder, store=store)
    shelf.put("a.log", log_text(5_000))
    seal(shelf)
    (segment,) = (folder / "store").rglob("*.zst")
    orphans = [segment.with_name(f"{digit * 32}.zst") for digit in "012"]
    for orphan in orphans:
        shutil.copy(segment, orphan)
    store.stuck = str(orphans[1].relative_to(folder / "store"))
    shelf.clock.advance(max(0.0, time.time() - shelf.clock.now_ns() / 1e9) + 10)
    sealer = shelf.archive.sealer()
    assert sealer.sweep(5) == 2
    (left,) = sealer.left
    assert left == f"store/{store.stuck} could not be removed: the disk refused it"
    store.stuck = ""
    assert sealer.sweep(5) == 1
    assert sealer.left == ()
    assert not any(orphan.exists() for orphan in orphans)
    assert shelf.current("a.log") == log_text(5_000)
    shelf.close()
