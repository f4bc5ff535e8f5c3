"""Many whole files stored at once end as they would one by one, also when it breaks off anywhere."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.archive import WholeFile
from logferry.archive.durable import Disk
from logferry.archive.records import Received
from logferry.errors import Conflict, LogferryError, NotPermitted
from logferry.limits import STORED_TOGETHER_MAX, SYNC_EACH_MAX
from logferry.names import temporary_name
from tests.archive.conftest import AGENT, Shelf
from tests.archive.crashing import dying_at, forked, told
from tests.archive.test_crashes import Faults

FILES = [WholeFile(f"d{n % 2}/e/f{n}", b"content %d\n" % n * n, 10**18 + n) for n in range(SYNC_EACH_MAX + 4)]
FINAL = {file.path: [file.data] for file in FILES}


def store(shelf: Shelf, files: list[WholeFile]) -> list[Received]:
    """Store them all; they must all work."""
    outcomes = shelf.archive.store_many(AGENT, files)
    for outcome in outcomes:
        if isinstance(outcome, LogferryError):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Received)]


def test_new_files_are_there_with_their_times_and_digests(shelf: Shelf) -> None:
    """Bytes, rows, sums; what is told of each."""
    received = store(shelf, FILES)
    assert [(one.path, one.size, one.number, one.is_new_file) for one in received] == [
        (file.path, len(file.data), 1, True) for file in FILES
    ]
    assert shelf.everything() == FINAL
    assert shelf.live() == {file.path: file.data for file in FILES}
    for file in FILES:
        found = shelf.catalog.files.at(AGENT, file.path)
        assert found is not None
        assert found.modified_ns == file.modified_ns
        assert found.sha256 is not None
    assert shelf.catalog.files.sums().bytes == sum(len(file.data) for file in FILES)
    assert list(shelf.archive.check(digests=True)) == []
    assert list((shelf.folder / "incoming" / AGENT).iterdir()) == []


def test_more_than_share_a_transaction(shelf: Shelf) -> None:
    """Several transactions in turn."""
    files = [WholeFile(f"f{n}", b"%d" % n) for n in range(STORED_TOGETHER_MAX + 30)]
    store(shelf, files)
    assert shelf.live() == {file.path: file.data for file in files}


def test_existing_files_are_compared_grown_and_kept(shelf: Shelf) -> None:
    """The same again changes nothing; more of it grows; other content begins a generation; new ones stand beside."""
    shelf.put("same", b"one\n")
    shelf.put("grown", b"one\n")
    shelf.put("other", b"one\n")
    shelf.put(temporary_name("slow"), b"half")
    files = [
        WholeFile("same", b"one\n"),
        WholeFile("grown", b"one\ntwo\n", 10**18),
        WholeFile("other", b"two\n"),
        WholeFile("new", b"x"),
        WholeFile(temporary_name("slow"), b"whole"),
    ]
    store(shelf, files)
    store(shelf, files)
    assert shelf.everything() == {
        "same": [b"one\n"], "grown": [b"one\ntwo\n"], "other": [b"one\n", b"two\n"], "new": [b"x"],
    }  # fmt: skip
    shelf.rename(temporary_name("slow"), "slow")
    assert shelf.current("slow") == b"whole"


def test_one_that_fails_stops_no_other(shelf: Shelf) -> None:
    """A folder in the way, a file in the way, a bad name, a missing folder that may not be made."""
    shelf.put("file", b"x")
    shelf.put("folder/inside", b"x")
    files = [WholeFile(path, b"y") for path in ("file/below", "folder", "../up", "", "good", "new/good")]
    outcomes = shelf.archive.store_many(AGENT, files)
    assert [isinstance(outcome, Received) for outcome in outcomes] == [False, False, False, False, True, True]
    assert isinstance(outcomes[0], Conflict)
    assert shelf.current("good") == b"y"
    outcomes = shelf.archive.store_many(
        AGENT, [WholeFile("none/a", b"y"), WholeFile("new/b", b"y"), WholeFile("root", b"y")], make_folders=False
    )
    assert isinstance(outcomes[0], NotPermitted)
    assert [isinstance(outcome, Received) for outcome in outcomes[1:]] == [True, True]


def test_a_running_upload_of_the_same_path_is_superseded(shelf: Shelf) -> None:
    """As by a second single upload."""
    running = shelf.archive.begin(AGENT, FILES[0].path)
    running.write(b"half")
    store(shelf, FILES)
    with pytest.raises(Conflict):
        running.write(b"more")
    assert shelf.everything() == FINAL


def test_without_its_live_file_a_current_generation_is_damage_and_stays_so(shelf: Shelf) -> None:
    """Nothing else takes the place of what is missing without a word."""
    store(shelf, FILES)
    victim = shelf.folder / "live" / AGENT / FILES[3].path
    victim.unlink()
    outcomes = shelf.archive.store_many(AGENT, [FILES[3], WholeFile("beside", b"x")])
    assert isinstance(outcomes[0], LogferryError)
    assert isinstance(outcomes[1], Received)
    assert not victim.exists()


@pytest.fixture(scope="module")
def template(quick_folders: Path) -> Path:
    """A new, closed archive to copy."""
    folder = quick_folders / "many"
    folder.mkdir()
    Shelf(folder).close()
    return folder


def _check_end(shelf: Shelf, *, repaired: bool = False) -> None:
    if repaired:
        list(shelf.archive.check(repair=True))
    assert shelf.everything() == FINAL
    assert shelf.live() == {file.path: file.data for file in FILES}
    assert [finding for finding in shelf.archive.check(digests=True) if finding.is_damage] == []
    assert (shelf.catalog.files.sums().files, shelf.catalog.files.sums().generations) == (len(FILES), len(FILES))


def test_killed_at_every_step(template: Path, folder: Path) -> None:
    """SIGKILL before each write, sync, rename and commit: whole files or none; repeated all is well."""
    kill_at = 0
    while True:
        place = folder / f"killed-{kill_at}"
        shutil.copytree(template, place)

        def work(tell: Callable[[str], None], folder: Path = place, kill_at: int = kill_at) -> None:
            store(Shelf(folder, disk=Disk(dying_at(kill_at))), FILES)
            tell("end")

        with forked(work) as (_, reading):
            acknowledged = told(reading)
        shelf = Shelf(place)
        if acknowledged:
            _check_end(shelf)
            shelf.close()
            break
        assert [finding for finding in shelf.archive.check() if finding.is_damage] == [], kill_at
        assert shelf.everything().items() <= FINAL.items()
        assert shelf.live().items() <= {file.path: file.data for file in FILES}.items()
        store(shelf, FILES)
        _check_end(shelf)
        shelf.close()
        shutil.rmtree(place)
        kill_at += 1
    assert kill_at > 2 * len(FILES)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_an_error_at_every_step(template: Path, folder: Path, code: int) -> None:
    """Each durable step fails once: what was told stored is, nothing is damaged, the repetition heals the rest."""
    fail_at = 0
    while True:
        place = folder / f"failed-{fail_at}"
        shutil.copytree(template, place)
        faults = Faults(fail_at, code)
        shelf = Shelf(place, disk=Disk(faults))
        faults.on = True
        outcomes = shelf.archive.store_many(AGENT, FILES)
        for file, outcome in zip(FILES, outcomes, strict=True):
            if isinstance(outcome, Received):
                assert shelf.current(file.path) == file.data, fail_at
        assert faults.happened or all(isinstance(outcome, Received) for outcome in outcomes)
        store(shelf, FILES)
        _check_end(shelf, repaired=True)
        shelf.close()
        shutil.rmtree(place)
        if not faults.happened and faults.count < fail_at:
            break
        fail_at += 1
    assert fail_at > 2 * len(FILES)
    assert os.listdir(folder) == []
