"""Log trees and their ledger agree, through every way of rotation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logferry.testing import Ledger, LogFile, LogTree, Rotation
from logferry.testing.logtree import ODD_NAMES, PLANT, WEB


def make(folder: Path, files: tuple[LogFile, ...] = WEB, *, seed: int = 1, keep: int = 5) -> LogTree:
    return LogTree(folder / "tree", files, ledger=Ledger(folder / "ledger"), seed=seed, keep=keep)


def assert_equal(tree: LogTree) -> None:
    assert tree.ledger
    current = tree.ledger.current()
    assert sorted(current) == tree.paths()
    for path, life in current.items():
        with open(tree.absolute(path), "rb") as file:
            assert file.read() == life.read()
        assert life.on_disk
        assert life.size == len(life.read())


@pytest.mark.parametrize("files", [WEB, PLANT, ODD_NAMES])
def test_the_ledger_holds_what_the_tree_holds(tmp_path: Path, files: tuple[LogFile, ...]) -> None:
    """After any number of writes and rotations every file equals its life in the ledger."""
    tree = make(tmp_path, files)
    for _ in range(8):
        tree.grow(120)
        tree.rotate_all()
        assert_equal(tree)
    tree.settle()
    assert_equal(tree)


def test_the_same_seed_gives_the_same_tree(tmp_path: Path) -> None:
    """Growth and rotation are drawn from the seed alone."""

    def content(name: str) -> dict[bytes, bytes]:
        tree = make(tmp_path / name, seed=5)
        tree.grow(200)
        tree.rotate_all()
        tree.grow(100)
        assert tree.ledger
        return {path: life.read() for path, life in tree.ledger.current().items()}

    assert content("one") == content("other")


def test_a_rename_keeps_the_life_and_moves_it(tmp_path: Path) -> None:
    """Rotation by rename: the same inode under a new name, its history in the ledger."""
    tree = make(tmp_path)
    tree.grow(100)
    before = os.stat(tree.absolute(b"syslog")).st_ino
    tree.rotate(b"syslog", Rotation.RENAME)
    assert os.stat(tree.absolute(b"syslog.1")).st_ino == before
    assert tree.ledger
    assert tree.ledger.current()[b"syslog.1"].paths == [b"syslog", b"syslog.1"]
    assert b"syslog" not in tree.ledger.current()


def test_copytruncate_keeps_the_inode_and_begins_a_life(tmp_path: Path) -> None:
    """Rotation by copy: the copy is a file of its own, the original is cut to nothing."""
    tree = make(tmp_path)
    tree.grow(100)
    before, size = os.stat(tree.absolute(b"syslog")).st_ino, os.path.getsize(tree.absolute(b"syslog"))
    tree.rotate(b"syslog", Rotation.COPYTRUNCATE)
    assert os.stat(tree.absolute(b"syslog")).st_ino == before
    assert os.path.getsize(tree.absolute(b"syslog")) == 0
    assert os.path.getsize(tree.absolute(b"syslog.1")) == size
    assert tree.ledger
    gone = [life for life in tree.ledger.lives if not life.on_disk]
    assert [life.path for life in gone] == [b"syslog"]
    assert_equal(tree)


def test_replacement_ends_a_life_that_the_node_no_longer_has(tmp_path: Path) -> None:
    """Only the ledger still knows what was replaced."""
    tree = make(tmp_path)
    tree.grow(100)
    tree.rotate(b"syslog", Rotation.REPLACE)
    assert tree.ledger
    assert [life.path for life in tree.ledger.lives if not life.on_disk] == [b"syslog"]
    assert_equal(tree)


def test_the_oldest_rotated_file_is_deleted(tmp_path: Path) -> None:
    """No more than ``keep`` rotated files stay on the node."""
    tree = make(tmp_path, keep=2)
    for _ in range(5):
        tree.append(b"syslog", b"x\n")
        tree.rotate(b"syslog")
    assert [p for p in tree.paths() if p.startswith(b"syslog")] == [b"syslog.1", b"syslog.2"]
    assert_equal(tree)


def test_a_planted_word_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    """So that a search finds exactly one line for it."""
    tree = make(tmp_path)
    tree.grow(300)
    line = tree.plant(b"nginx/access.log", b"needle42")
    with open(tree.absolute(b"nginx/access.log"), "rb") as file:
        assert line in file.readlines()
