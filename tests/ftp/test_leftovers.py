"""Uploads that were broken off and never continued do not lie there for ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logferry.clock import ManualClock
from logferry.ftp import LocalFilesystem
from logferry.ftp.leftovers import Sweeper
from logferry.ftp.local_upload import partial_name
from logferry.limits import FTP_SWEEP_S, PARTIAL_S_MAX


def _partial(folder: Path, name: bytes, age_s: float, clock: ManualClock) -> Path:
    path = folder / os.fsdecode(partial_name(name))
    path.write_bytes(b"half")
    at = clock.now_ns() - int(age_s * 1e9)
    os.utime(path, ns=(at, at))
    return path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The sweeper's clock."""
    made = ManualClock()
    monkeypatch.setattr("logferry.ftp.local._SWEEPER", Sweeper(clock=made, folders_max=2))
    return made


@pytest.mark.parametrize("by", ["listing", "upload"])
def test_old_ones_go_and_the_others_stay(tmp_path: Path, clock: ManualClock, by: str) -> None:
    """Young ones, one that is written to, a folder and whole files of any age stay."""
    (tmp_path / "d").mkdir()
    home = tmp_path / "d"
    files = LocalFilesystem(str(tmp_path))
    held = files.open_upload("/d/held", offset=0, append=False)
    held.write(b"x")
    clock.advance(FTP_SWEEP_S)
    old = _partial(home, b"old", PARTIAL_S_MAX + 1, clock)
    young = _partial(home, b"young", PARTIAL_S_MAX - 1, clock)
    in_use = home / os.fsdecode(partial_name(b"held"))
    os.utime(in_use, ns=(0, 0))
    whole = home / "whole"
    whole.write_bytes(b"")
    os.utime(whole, ns=(0, 0))
    folder = home / os.fsdecode(partial_name(b"folder"))
    folder.mkdir()
    os.utime(folder, ns=(0, 0))
    if by == "listing":
        assert [entry.name for entry in files.entries("/d")] == ["whole"]
    else:
        files.open_upload("/d/new", offset=0, append=False).commit()
    assert not old.exists()
    assert young.exists()
    assert in_use.exists()
    assert whole.exists()
    assert folder.exists()
    held.commit()


def test_a_folder_is_looked_through_now_and_then(tmp_path: Path, clock: ManualClock) -> None:
    """Once a day; of more folders than are remembered, again."""
    files = LocalFilesystem(str(tmp_path))
    list(files.entries("/"))
    old = _partial(tmp_path, b"old", PARTIAL_S_MAX + 1, clock)
    clock.advance(FTP_SWEEP_S - 1)
    list(files.entries("/"))
    assert old.exists()
    for name in ("a", "b"):
        files.make_folder(f"/{name}")
        list(files.entries(f"/{name}"))
    list(files.entries("/"))
    assert not old.exists()


def test_a_folder_that_cannot_be_looked_through_is_used_all_the_same(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that may be written to and not read."""

    def refused(_folder: int, _before_ns: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("logferry.ftp.leftovers._sweep", refused)
    files = LocalFilesystem(str(tmp_path))
    files.open_upload("/new", offset=0, append=False).commit()
    assert [entry.name for entry in files.entries("/")] == ["new"]
