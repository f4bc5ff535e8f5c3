"""What every watcher promises, and what inotify's knows beyond that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.agent.journal import Journal
from logferry.agent.watch import Hints, NoWatcher, Watcher
from logferry.agent.watchlist import Watchlist
from logferry.ftp.waiting import readable
from tests.agent.conftest import eventually

if sys.platform != "linux":
    pytest.skip("inotify is Linux's", allow_module_level=True)

from logferry.agent.inotify import Inotify
from logferry.agent.mounts import Remote
from logferry.agent.watch_files import WatchFiles

MAKERS: dict[str, Callable[[Journal], Watcher]] = {"inotify": Inotify, "watchfiles": WatchFiles}


@pytest.fixture(params=list(MAKERS))
def watcher(request: pytest.FixtureRequest) -> Iterator[Watcher]:
    """A watcher of each kind."""
    made = MAKERS[request.param](Journal())
    yield made
    made.close()


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    """Linux's own."""
    made = Inotify(Journal())
    yield made
    made.close()


def raw(path: Path) -> bytes:
    """The path as the watcher is given it."""
    return os.fsencode(path)


def hints(watcher: Watcher, enough: Callable[[Hints], bool] = bool, timeout_s: float = 60.0) -> Hints:
    """All hints until ``enough`` is true of them."""
    found = Hints()
    end_s = time.monotonic() + timeout_s
    while not enough(found):
        assert time.monotonic() < end_s, f"only {found}"
        fd = watcher.fileno()
        assert fd is not None
        readable(fd, timeout_s=1.0)
        new = watcher.read()
        found.everywhere |= new.everywhere
        found.renamed.update(new.renamed)
        for folder, names in new.names.items():
            found.names.setdefault(folder, set()).update(names)
    return found


def told(folder: Path, *names: str) -> Callable[[Hints], bool]:
    """Whether all these names of a folder were hinted at."""
    return lambda found: {os.fsencode(name) for name in names} <= found.names.get(raw(folder), set())


# What every watcher promises ------------------------------------------------------------------------------------------


def test_creation_growth_renaming_and_deletion_are_told(watcher: Watcher, tmp_path: Path) -> None:
    """Each at the name it happened to; the descriptor gets readable."""
    (tmp_path / "old.log").write_text("x")
    watcher.watch(raw(tmp_path))
    assert not watcher.read()
    (tmp_path / "new.log").write_text("x")
    hints(watcher, told(tmp_path, "new.log"))
    with (tmp_path / "old.log").open("a") as file:
        file.write("y")
    hints(watcher, told(tmp_path, "old.log"))
    (tmp_path / "old.log").rename(tmp_path / "old.log.1")
    hints(watcher, told(tmp_path, "old.log", "old.log.1"))
    (tmp_path / "new.log").unlink()
    hints(watcher, told(tmp_path, "new.log"))


def test_a_new_folder_is_told_and_watched_from_when_it_is_entered(watcher: Watcher, tmp_path: Path) -> None:
    """What happens below a folder that nobody entered is told as something that happened to that folder, or not."""
    watcher.watch(raw(tmp_path))
    (tmp_path / "sub").mkdir()
    hints(watcher, told(tmp_path, "sub"))
    watcher.watch(raw(tmp_path / "sub"))
    (tmp_path / "sub/a.log").write_text("x")
    hints(watcher, told(tmp_path / "sub", "a.log"))


def test_a_folder_may_be_given_again_and_again(watcher: Watcher, tmp_path: Path) -> None:
    """Each full look does."""
    for _ in range(5):
        watcher.watch(raw(tmp_path))
        watcher.looked()
    (tmp_path / "a.log").write_text("x")
    hints(watcher, told(tmp_path, "a.log"))
    assert not watcher.polled


def test_a_folder_of_no_source_any_more_is_let_go(watcher: Watcher, tmp_path: Path) -> None:
    """A full look did not come by: nothing is told of it, what stayed is told as before."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("in", "out"):
        watcher.watch(raw(tmp_path / name))
    watcher.looked()
    watcher.watch(raw(tmp_path / "in"))
    watcher.looked()
    (tmp_path / "out/b.log").write_text("x")
    (tmp_path / "in/a.log").write_text("x")
    assert raw(tmp_path / "out") not in hints(watcher, told(tmp_path / "in", "a.log")).names


def test_a_source_that_does_not_exist_is_polled_until_it_does(watcher: Watcher, tmp_path: Path) -> None:
    """And one that is deleted and made again is watched again."""
    folder = tmp_path / "logs"
    for _ in range(2):
        watcher.watch(raw(folder))
        assert raw(folder) in watcher.polled
        folder.mkdir()
        watcher.watch(raw(folder))
        watcher.looked()
        assert not watcher.polled
        (folder / "a.log").write_text("x")
        hints(watcher, told(folder, "a.log"))
        shutil.rmtree(folder)
        time.sleep(0.3)
        watcher.read()
        watcher.looked()


@pytest.mark.parametrize("name", ["line\nbreak", "-dash", "%41", "x" * 255, "\u202egnp.log"])
def test_odd_names_are_told_as_they_are(watcher: Watcher, tmp_path: Path, name: str) -> None:
    """Bytes, not text."""
    watcher.watch(raw(tmp_path))
    (tmp_path / name).write_text("x")
    hints(watcher, told(tmp_path, name))


def test_a_name_that_is_no_text_is_told_or_its_folder_is_looked_at(watcher: Watcher, tmp_path: Path) -> None:
    """Invalid UTF-8: where the system's interface speaks text, the folder is polled once."""
    watcher.watch(raw(tmp_path))
    Path(os.fsdecode(raw(tmp_path) + b"/not-\xff-utf8")).write_text("x")
    found: list[Hints] = []

    def enough(so_far: Hints) -> bool:
        found.append(so_far)
        return b"not-\xff-utf8" in so_far.names.get(raw(tmp_path), set()) or raw(tmp_path) in watcher.polled

    hints(watcher, enough)
    watcher.watch(raw(tmp_path))
    assert not watcher.polled


def test_closing_leaves_no_descriptors(tmp_path: Path) -> None:
    """Of either kind."""
    for make in MAKERS.values():
        before = len(os.listdir("/proc/self/fd"))
        watcher = make(Journal())
        watcher.watch(raw(tmp_path))
        watcher.close()
        del watcher
        eventually(lambda: len(os.listdir("/proc/self/fd")) <= before, timeout_s=60)  # noqa: B023 (called at once)


def test_no_watcher_tells_nothing(tmp_path: Path) -> None:
    """And leaves everything to looking."""
    watcher = NoWatcher()
    watcher.watch(raw(tmp_path))
    (tmp_path / "a.log").write_text("x")
    assert watcher.fileno() is None
    assert not watcher.read()
    watcher.looked()
    watcher.close()
    assert not watcher.polled


# Renames --------------------------------------------------------------------------------------------------------------


def test_a_renamed_file_is_told_with_both_names(inotify: Inotify, tmp_path: Path) -> None:
    """Within a folder and from one to another; several renames of one file count as one."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    inotify.watch(raw(tmp_path))
    inotify.watch(raw(tmp_path / "sub"))
    (tmp_path / "a").rename(tmp_path / "a.1")
    (tmp_path / "a.1").rename(tmp_path / "a.2")
    (tmp_path / "b").rename(tmp_path / "sub/b")
    (tmp_path / "a").write_text("new")
    found = inotify.read()
    assert found.renamed == {raw(tmp_path / "a.2"): raw(tmp_path / "a"), raw(tmp_path / "sub/b"): raw(tmp_path / "b")}
    (tmp_path / "a").rename(tmp_path / "a.2")
    assert inotify.read().renamed == {raw(tmp_path / "a.2"): raw(tmp_path / "a")}


def test_a_renamed_folder_keeps_its_watches_under_its_new_name(inotify: Inotify, tmp_path: Path) -> None:
    """With everything below it; what happened in it before is told where it is now."""
    (tmp_path / "d/e").mkdir(parents=True)
    for folder in ("", "d", "d/e"):
        inotify.watch(raw(tmp_path / folder))
    (tmp_path / "d/e/before.log").write_text("x")
    (tmp_path / "d").rename(tmp_path / "moved")
    (tmp_path / "moved/e/after.log").write_text("x")
    found = inotify.read()
    assert found.names[raw(tmp_path / "moved/e")] == {b"before.log", b"after.log"}
    assert found.names[raw(tmp_path)] == {b"d", b"moved"}
    assert set(found.names) == {raw(tmp_path), raw(tmp_path / "moved/e")}


def test_two_folders_that_exchange_their_names_exchange_their_watches(inotify: Inotify, tmp_path: Path) -> None:
    """Through a third name."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for folder in ("", "a", "b"):
        inotify.watch(raw(tmp_path / folder))
    for old, new in (("a", "x"), ("b", "a"), ("x", "b")):
        (tmp_path / old).rename(tmp_path / new)
    inotify.read()
    (tmp_path / "a/was-b.log").write_text("x")
    assert inotify.read().names == {raw(tmp_path / "a"): {b"was-b.log"}}


def test_a_folder_moved_out_of_the_sources_is_not_watched_any_more(inotify: Inotify, tmp_path: Path) -> None:
    """Nor what lies below; moved back it is a new folder."""
    outside = tmp_path / "outside"
    logs = tmp_path / "logs"
    (logs / "d/e").mkdir(parents=True)
    for folder in ("", "d", "d/e"):
        inotify.watch(raw(logs / folder))
    (logs / "d").rename(outside)
    assert inotify.read().names == {raw(logs): {b"d"}}
    inotify.read()  # the other half of the rename has not come
    (outside / "e/x.log").write_text("x")
    (outside / "y.log").write_text("x")
    assert not inotify.read()
    outside.rename(logs / "d")
    assert inotify.read().names == {raw(logs): {b"d"}}
    inotify.watch(raw(logs / "d"))
    (logs / "d/y.log").write_text("xx")
    assert inotify.read().names == {raw(logs / "d"): {b"y.log"}}


def test_a_source_that_is_renamed_itself_asks_for_a_full_look(inotify: Inotify, tmp_path: Path) -> None:
    """It is waited for under its name."""
    logs = tmp_path / "logs"
    (logs / "d").mkdir(parents=True)
    inotify.watch(raw(logs))
    inotify.watch(raw(logs / "d"))
    logs.rename(tmp_path / "elsewhere")
    assert inotify.read().everywhere
    assert raw(logs) in inotify.polled
    (tmp_path / "elsewhere/d/a.log").write_text("x")
    assert not inotify.read()


def test_a_queue_that_overflowed_asks_for_a_full_look(inotify: Inotify, tmp_path: Path) -> None:
    """The system's real queue; afterwards events are told as before."""
    inotify.watch(raw(tmp_path))
    room = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(room // 2 + 10):
        os.close(os.open(tmp_path / f"{number}", os.O_CREAT | os.O_WRONLY))
    found = inotify.read()
    assert found.everywhere
    assert inotify.overflows == 1
    (tmp_path / "after").write_text("x")
    found = inotify.read()
    assert not found.everywhere
    assert found.names == {raw(tmp_path): {b"after"}}


def test_a_folder_that_moved_while_the_queue_overflowed_is_let_go_after_the_full_look(
    inotify: Inotify, tmp_path: Path
) -> None:
    """Its watch would tell of a path that is no more."""
    logs = tmp_path / "logs"
    (logs / "d").mkdir(parents=True)
    inotify.watch(raw(logs))
    inotify.watch(raw(logs / "d"))
    room = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(room // 2 + 10):
        os.close(os.open(logs / f"{number}", os.O_CREAT | os.O_WRONLY))
    (logs / "d").rename(tmp_path / "outside")
    assert inotify.read().everywhere
    inotify.looked()
    inotify.watch(raw(logs))
    inotify.looked()
    (tmp_path / "outside/x.log").write_text("x")
    assert not inotify.read()


# No watches left ------------------------------------------------------------------------------------------------------


def test_folders_beyond_the_budget_are_polled_until_there_is_room(inotify: Inotify, tmp_path: Path) -> None:
    """Said once each way."""
    journal = Journal()
    few = Inotify(journal, watches_max=2)
    folders = [tmp_path / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
        few.watch(raw(folder))
    assert few.polled == {raw(folder) for folder in folders[2:]}
    assert "out of watches" in journal.states()["watching"]
    folders[0].rmdir()
    few.read()
    few.watch(raw(folders[2]))
    assert raw(folders[2]) not in few.polled
    few.watch(raw(folders[3]))
    assert raw(folders[3]) in few.polled
    folders[1].rmdir()
    few.read()
    few.looked()
    few.watch(raw(folders[3]))
    few.looked()
    assert not few.polled
    assert "watching" not in journal.states()
    (folders[3] / "a.log").write_text("x")
    assert few.read().names[raw(folders[3])] == {b"a.log"}
    few.close()


_IN_A_NAMESPACE = """
import os, sys
from pathlib import Path
from logferry.agent.inotify import Inotify
from logferry.agent.journal import Journal

def limit(name, count):
    Path("/proc/sys/user/" + name).write_text(str(count))

base = sys.argv[1].encode()
folders = [base + b"/%d" % n for n in range(10)]
for folder in folders:
    os.mkdir(folder)
journal = Journal()
limit("max_inotify_watches", 4)
inotify = Inotify(journal)
for folder in folders:
    inotify.watch(folder)
assert len(inotify.polled) == 6, inotify.polled
print(journal.states()["watching"])
limit("max_inotify_watches", 100)
for folder in sorted(inotify.polled):
    inotify.watch(folder)
assert not inotify.polled and not journal.states()
open(folders[9] + b"/a", "w").close()
assert inotify.read().names == {folders[9]: {b"a"}}
inotify.close()

limit("max_inotify_instances", 0)
inotify = Inotify(journal)
for folder in folders:
    inotify.watch(folder)
assert inotify.polled == set(folders)
assert not inotify.read()
print(journal.states()["watching"])
limit("max_inotify_instances", 10)
for folder in folders:
    inotify.watch(folder)
assert not inotify.polled and not journal.states()
open(folders[9] + b"/b", "w").close()
import select
assert select.select([inotify.fileno()], [], [], 30)[0]
assert inotify.read().names == {folders[9]: {b"b"}}
"""


def test_the_systems_own_limits_are_borne_and_recovered_from(tmp_path: Path) -> None:
    """Watches and inotify instances of a user namespace that allows few of them, later more."""
    program = [sys.executable, "-c", _IN_A_NAMESPACE, str(tmp_path)]
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no user namespaces")
    done = subprocess.run(["unshare", "-Ur", *program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("out of watches") == 2


_UNMOUNT = """
import os, subprocess, sys
from logferry.agent.inotify import Inotify
from logferry.agent.journal import Journal

base = sys.argv[1].encode()
mounted = base + b"/mounted"
os.mkdir(mounted)
subprocess.run(["mount", "-t", "tmpfs", "none", mounted], check=True)
os.mkdir(mounted + b"/sub")
inotify = Inotify(Journal())
for folder in (base, mounted, mounted + b"/sub"):
    inotify.watch(folder)
subprocess.run(["umount", mounted], check=True)
assert inotify.read().everywhere
inotify.watch(base)
inotify.watch(mounted)
inotify.looked()
open(mounted + b"/below", "w").close()
assert inotify.read().names == {mounted: {b"below"}}
"""


def test_an_unmounted_folder_asks_for_a_full_look(tmp_path: Path) -> None:
    """What lies under the mount point is watched then."""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no user namespaces")
    command = ["unshare", "-Urm", sys.executable, "-c", _UNMOUNT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_network_file_system_is_known_by_its_kind(inotify: Inotify, tmp_path: Path) -> None:
    """Events are not all there is: the watcher does not call itself complete then."""
    device = os.stat(tmp_path).st_dev
    line = "36 35 {}:{} / /mnt rw,noatime master:1 - {} host:/logs rw\n"
    mounts = tmp_path / "mountinfo"
    for kind, remote in (("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False), ("fuseblk", False)):
        mounts.write_text(line.format(7, 77, "nfs") + line.format(os.major(device), os.minor(device), kind))
        found = Remote(str(mounts))
        assert (found(raw(tmp_path)), kind) == (remote, kind)
    assert not Remote(str(tmp_path / "nothing"))(raw(tmp_path))
    seen = []
    inotify.watch(raw(tmp_path))
    seen.append(inotify.complete)
    mounts.write_text(line.format(os.major(device), os.minor(device), "nfs"))
    inotify._remote = Remote(str(mounts))
    (tmp_path / "d").mkdir()
    inotify.watch(raw(tmp_path / "d"))
    seen.append(inotify.complete)
    inotify.looked()
    inotify.watch(raw(tmp_path))
    inotify.looked()
    seen.append(inotify.complete)
    assert seen == [True, False, True]


def test_a_watchlist_knows_each_by_the_other() -> None:
    """Also after renames, replacements and reused numbers."""
    known = Watchlist()
    assert known.put(1, b"/a") is None
    assert known.put(2, b"/a/b") is None
    assert known.put(3, b"/ab") is None
    assert known.rename(b"/a", b"/c") == []
    assert [known.path(n) for n in (1, 2, 3)] == [b"/c", b"/c/b", b"/ab"]
    assert known.put(4, b"/c") == 1  # another folder has the name now
    assert known.path(1) is None
    assert known.put(4, b"/d") is None  # the same folder, seen under another name
    assert b"/c" not in known
    assert known.rename(b"/d", b"/ab") == [3]
    assert known.path(4) == b"/ab"
    assert known.drop(4) == b"/ab"
    assert known.drop(4) is None
    assert known.drop_tree(b"/c") == [2]
    assert len(known) == 0
