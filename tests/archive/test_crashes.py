"""A crash at every single step: nothing confirmed is lost, nothing is there twice, and work goes on."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.archive.durable import Disk
from logferry.errors import LogferryError
from logferry.names import aside_name
from tests.archive.conftest import AGENT, Shelf
from tests.archive.crashing import STRIDE, grow, killed_at_each_step, move, publish

STAMP = "20261123T081400Z-1a2b3c4d"
LOG, OLD = "var/log/app.log", "var/log/app.log.1"

STEPS: list[tuple[str, Callable[[Shelf], None]]] = [
    ("a new file", lambda shelf: grow(shelf, LOG, b"one\n", 0)),
    ("an append", lambda shelf: grow(shelf, LOG, b"one\ntwo\n", 4)),
    ("the whole file again, longer", lambda shelf: grow(shelf, LOG, b"one\ntwo\nthree\n", 0)),
    ("a second file", lambda shelf: grow(shelf, OLD, b"zero\n", 0)),
    ("a rotation onto it", lambda shelf: move(shelf, LOG, OLD)),
    ("a file in slices", lambda shelf: publish(shelf, LOG, b"four\nfive\n")),
    ("its old handle still written to", lambda shelf: grow(shelf, OLD, b"one\ntwo\nthree\nlate\n", 14)),
    ("aside", lambda shelf: move(shelf, LOG, f"var/log/{aside_name('app.log', STAMP)}")),
    ("the next generation", lambda shelf: grow(shelf, LOG, b"six\n", 0)),
    ("other content over it", lambda shelf: grow(shelf, LOG, b"seven\n", 0)),
    ("more of it in slices", lambda shelf: publish(shelf, LOG, b"seven\neight\n")),
    ("other content in slices", lambda shelf: publish(shelf, LOG, b"nine\n")),
    ("an empty folder", lambda shelf: shelf.archive.make_folder(AGENT, "var/log/empty")),
    ("the folder renamed", lambda shelf: move(shelf, "var/log", "srv/logs")),
    ("a file in the new folder", lambda shelf: grow(shelf, "srv/logs/app.log", b"nine\nten\n", 5)),
]

FINAL = {
    "srv/logs/app.log": [b"nine\nten\n"],
    "srv/logs/app.log.1": [b"one\ntwo\nthree\nlate\n"],
    "var/log/app.log": [b"four\nfive\n", b"six\n", b"seven\neight\n"],
    "var/log/app.log.1": [b"zero\n"],
}


def _states(template: Path, folder: Path) -> list[list[bytes]]:
    """All generations' bytes, sorted, after each number of steps."""
    shutil.copytree(template, folder)
    shelf = Shelf(folder)
    states: list[list[bytes]] = [[]]
    for _, step in STEPS:
        step(shelf)
        states.append(sorted(content for history in shelf.everything().values() for content in history))
    shelf.close()
    return states


@pytest.fixture(scope="module")
def template(quick_folders: Path) -> Path:
    """A new, closed archive to copy."""
    folder = quick_folders / "template"
    folder.mkdir()
    Shelf(folder).close()
    return folder


def _check_end(shelf: Shelf, *, repaired: bool = False) -> None:
    assert shelf.everything() == FINAL
    if repaired:
        list(shelf.archive.check(repair=True))
    assert shelf.live() == {"srv/logs/app.log": b"nine\nten\n", "srv/logs/app.log.1": b"one\ntwo\nthree\nlate\n"}
    sums = shelf.catalog.files.sums()
    assert (sums.files, sums.generations) == (4, 6)
    assert sums.bytes == sum(len(history[-1]) for history in FINAL.values())
    list(shelf.archive.check(repair=True))
    assert list(shelf.archive.check(digests=True)) == []
    assert shelf.everything() == FINAL


def test_uninterrupted_the_steps_end_as_they_should(template: Path, folder: Path) -> None:
    """The script itself is right."""
    shutil.copytree(template, folder / "data")
    shelf = Shelf(folder / "data")
    for _, step in STEPS:
        step(shelf)
    _check_end(shelf)
    shelf.close()


@pytest.mark.slow
def test_killed_at_every_step_nothing_is_lost_or_doubled(template: Path, folder: Path) -> None:
    """SIGKILL before each write, sync, link, rename, unlink and commit of the whole script in turn.

    After each: everything confirmed is readable, nothing is called damaged; the sender repeats the step it has no
    answer for and goes on; the end is the same as without the kill.
    """
    states = _states(template, folder / "reference")
    kills = 0
    for kill_at, done, place in killed_at_each_step(template, folder, STEPS):
        shelf = Shelf(place)
        assert [finding for finding in shelf.archive.check() if finding.is_damage] == [], (kill_at, STEPS[done][0])
        _check_confirmed(shelf, states[done], (kill_at, STEPS[done][0]))
        for _, step in STEPS[done:]:
            step(shelf)
        _check_end(shelf)
        shelf.close()
        kills += 1
    assert (kills + 1) * STRIDE > 100, "the script has fewer steps than it should: is the hook still called everywhere?"


def _check_confirmed(shelf: Shelf, confirmed: list[bytes], where: object) -> None:
    """Each confirmed generation is there once: as it was, or longer by the step that was cut off."""
    found = [content for history in shelf.everything().values() for content in history]
    for content in sorted(confirmed, key=len, reverse=True):
        match = next((there for there in found if there.startswith(content)), None)
        assert match is not None, (where, content, found)
        found.remove(match)
    assert len(found) <= 1, (where, found)


class Faults:
    """A hook that makes the ``fail_at``-th durable step fail once it is ``on``."""

    def __init__(self, fail_at: int, code: int) -> None:
        self.on = self.happened = False
        self.count = -1
        self._fail_at = fail_at
        self._code = code

    def __call__(self, name: str) -> None:
        self.count += self.on
        if self.on and self.count == self._fail_at and name != "committed":  # after the commit nothing can fail
            self.happened = True
            raise OSError(self._code, "injected")


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_an_error_at_every_step_confirms_nothing_false(template: Path, folder: Path, code: int) -> None:
    """Each durable step fails once in turn (disk broken, disk full): an error of ours, then the repetition heals it."""
    fail_at = 0
    while True:
        place = folder / f"failed-{fail_at}"
        shutil.copytree(template, place)
        faults = Faults(fail_at, code)
        shelf = Shelf(place, disk=Disk(faults))
        faults.on = True
        for name, step in STEPS:
            try:
                step(shelf)
            except LogferryError:
                assert faults.happened, name
                step(shelf)
        assert [finding for finding in shelf.archive.check() if finding.is_damage] == []
        _check_end(shelf, repaired=True)  # a left-over name that could not be unlinked is tidied up later
        shelf.close()
        shutil.rmtree(place)
        if not faults.happened and faults.count < fail_at:
            break
        fail_at += 1
    assert fail_at > 100
