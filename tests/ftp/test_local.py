"""The local file system: partials, resuming, links, what a crash leaves."""

from __future__ import annotations

import errno
import gc
import os
import threading
import time
from pathlib import Path

import pytest

from logferry.errors import BadName, Conflict, Later, NotFound, Refused
from logferry.ftp import LocalFilesystem
from logferry.ftp.beneath import Opener, best_opener, walk_beneath
from logferry.ftp.local_upload import is_partial, partial_name


@pytest.fixture(params=[best_opener(), walk_beneath], ids=["kernel", "walk"])
def opener(request: pytest.FixtureRequest) -> Opener:
    """Both ways of opening names beneath the home."""
    found: Opener = request.param
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a neighbour."""
    (tmp_path / "secret").write_text("secret")
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def files(home: Path, opener: Opener) -> LocalFilesystem:
    """Its file system."""
    return LocalFilesystem(str(home), opener=opener)


def put(files: LocalFilesystem, path: str, content: bytes, offset: int = 0) -> None:
    """A whole upload, or the rest of it."""
    upload = files.open_upload(path, offset=offset, append=False)
    upload.write(content)
    upload.commit()


def names(files: LocalFilesystem, path: str = "/") -> list[str]:
    """What a listing shows."""
    return sorted(entry.name for entry in files.entries(path))


def test_an_upload_is_invisible_until_committed(files: LocalFilesystem, home: Path) -> None:
    """Neither listed nor found; the old file stays until the new one is whole."""
    put(files, "/a", b"old")
    upload = files.open_upload("/a", offset=0, append=False)
    upload.write(b"new")
    assert names(files) == ["a"]
    assert (home / "a").read_bytes() == b"old"
    upload.commit()
    assert (home / "a").read_bytes() == b"new"
    assert [path.name for path in home.iterdir()] == ["a"]


def test_an_interrupted_upload_can_be_continued(files: LocalFilesystem, home: Path) -> None:
    """By REST at any offset it has, or by APPE when its size was asked for."""
    upload = files.open_upload("/a", offset=0, append=False)
    upload.write(b"12345")
    upload.abandon()
    with pytest.raises(NotFound):
        files.stat("/a")
    assert files.size("/a") == 5
    upload = files.open_upload("/a", offset=3, append=False)
    upload.write(b"xy")
    upload.abandon()
    assert files.size("/a") == 5
    upload = files.open_upload("/a", offset=0, append=True)
    assert upload.position == 5
    upload.write(b"z")
    upload.commit()
    assert (home / "a").read_bytes() == b"123xyz"


def _half(files: LocalFilesystem, data: bytes, offset: int = 0) -> None:
    """An upload whose server dies: nothing of it is synced."""
    upload = files.open_upload("/a", offset=offset, append=False)
    upload.write(data)
    upload._close()


def _started_anew(home: Path) -> None:
    """The machine: whatever lies in ``home`` was written before."""
    for path in home.iterdir():
        os.utime(path, (1e9, 1e9))


def test_what_a_killed_server_leaves_can_be_continued(files: LocalFilesystem, home: Path) -> None:
    """While the machine lives all of it is there."""
    _half(files, b"12345")
    assert files.size("/a") == 5
    put(files, "/a", b"67", offset=5)
    assert (home / "a").read_bytes() == b"1234567"


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the system does not say when it was started")
def test_what_a_power_cut_leaves_is_sent_again(files: LocalFilesystem, home: Path) -> None:
    """The disk has a length, and nobody knows which of the bytes: no SIZE, no HASH, no REST, and it begins at 0."""
    _half(files, b"12345")
    _started_anew(home)
    with pytest.raises(NotFound):
        files.size("/a")
    with pytest.raises(NotFound):
        files.open_hash("/a", "SHA-256", 0, None, may_read=True)
    with pytest.raises(Refused, match="0 bytes"):
        files.open_upload("/a", offset=5, append=False)
    put(files, "/a", b"again")
    assert (home / "a").read_bytes() == b"again"


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the system does not say when it was started")
def test_what_was_synced_when_an_upload_broke_off_outlives_a_power_cut(files: LocalFilesystem, home: Path) -> None:
    """Until somebody goes on with it; and the file that comes of it looks like any other."""
    upload = files.open_upload("/a", offset=0, append=False)
    upload.write(b"12345")
    upload.abandon()
    _started_anew(home)
    assert files.size("/a") == 5
    upload = files.open_upload("/a", offset=5, append=False)
    upload.write(b"67")
    upload.abandon()
    put(files, "/a", b"89", offset=7)
    assert (home / "a").read_bytes() == b"123456789"
    assert (home / "a").stat().st_mode & 0o111 == 0
    (home / "a").unlink()
    upload = files.open_upload("/a", offset=0, append=False)
    upload.write(b"12345")
    upload.abandon()
    _half(files, b"67", offset=5)
    _started_anew(home)
    with pytest.raises(NotFound):
        files.size("/a")


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_where_files_have_no_modes_of_their_own_uploads_go_on(
    files: LocalFilesystem, home: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a USB stick each file has the same mode, and asking for another one is refused."""

    def refused(_fd: int, wanted: int) -> None:
        if wanted != mode:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refused)
    _half(files, b"123")
    (home / partial_name(b"a").decode()).chmod(mode)
    upload = files.open_upload("/a", offset=3, append=False)
    upload.write(b"45")
    upload.abandon()
    assert files.size("/a") == 5
    put(files, "/a", b"67", offset=5)
    assert (home / "a").read_bytes() == b"1234567"


def test_appe_without_asking_starts_anew(files: LocalFilesystem, home: Path) -> None:
    """A client that appends to a file it has never seen means no old half."""
    upload = files.open_upload("/a", offset=0, append=False)
    upload.write(b"old half")
    upload.abandon()
    upload = files.open_upload("/a", offset=0, append=True)
    upload.write(b"new")
    upload.commit()
    assert (home / "a").read_bytes() == b"new"


def test_beyond_what_is_there_is_refused(files: LocalFilesystem) -> None:
    """For the file and for the partial; nothing at all is not found."""
    put(files, "/a", b"12")
    with pytest.raises(Refused, match="2 bytes"):
        files.open_upload("/a", offset=3, append=False)
    upload = files.open_upload("/b", offset=0, append=False)
    upload.write(b"1")
    upload.abandon()
    with pytest.raises(Refused, match="1 bytes"):
        files.open_upload("/b", offset=2, append=False)
    with pytest.raises(NotFound):
        files.open_upload("/c", offset=1, append=False)
    with pytest.raises(NotFound):
        files.open_upload("/no/folder", offset=0, append=False)


def test_a_partial_under_way_is_not_continued_by_another(files: LocalFilesystem, home: Path) -> None:
    """A second new upload gets its own; both come through."""
    first = files.open_upload("/a", offset=0, append=False)
    first.write(b"1")
    with pytest.raises(Later):
        files.open_upload("/a", offset=1, append=False)
    second = files.open_upload("/a", offset=0, append=False)
    second.write(b"2")
    second.abandon()
    first.commit()
    assert (home / "a").read_bytes() == b"1"
    assert [path.name for path in home.iterdir()] == ["a"]


def test_what_is_not_worth_keeping_is_not_kept(files: LocalFilesystem, home: Path) -> None:
    """Nothing received, or a file of that name that would hide the partial."""
    files.open_upload("/a", offset=0, append=False).abandon()
    put(files, "/b", b"whole")
    upload = files.open_upload("/b", offset=0, append=False)
    upload.write(b"half")
    upload.abandon()
    assert [path.name for path in home.iterdir()] == ["b"]
    assert files.size("/b") == 5


def test_a_failed_sync_publishes_nothing(files: LocalFilesystem, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After it the kernel may have dropped the bytes: the partial goes too."""
    upload = files.open_upload("/a", offset=0, append=False)
    upload.write(b"x")

    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            upload.commit()
    assert list(home.iterdir()) == []


def test_bytes_are_synced_before_the_name_and_the_name_before_the_reply(
    files: LocalFilesystem, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync of the file, rename, fsync of the folder."""
    steps: list[str] = []
    sync, rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")
        sync(fd)

    def renaming(source: bytes, target: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        steps.append("rename")
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", renaming)
    put(files, "/a", b"x")
    assert steps == ["file", "rename", "folder"]


def test_partials_have_no_name_for_clients(files: LocalFilesystem, home: Path) -> None:
    """They are neither read nor written nor listed by their own name; a client can delete what it gave up."""
    hidden = "/" + partial_name(b"a").decode()
    upload = files.open_upload("/a", offset=0, append=False)
    upload.write(b"1")
    with pytest.raises(FileNotFoundError):
        files.remove_file("/a")
    upload.abandon()
    for path in (hidden, f"/x{hidden}"):
        with pytest.raises(BadName):
            files.open_download(path)
        with pytest.raises(BadName):
            files.open_upload(path, offset=0, append=False)
    files.remove_file("/a")
    assert list(home.iterdir()) == []
    assert is_partial(partial_name(b"a"))
    assert not is_partial(b".~up-note.txt")


def test_a_folder_with_only_partials_counts_as_empty(files: LocalFilesystem, home: Path) -> None:
    """To its user it is."""
    files.make_folder("/d")
    upload = files.open_upload("/d/a", offset=0, append=False)
    upload.write(b"1")
    with pytest.raises(OSError, match="not empty"):
        files.remove_folder("/d")
    upload.abandon()
    files.remove_folder("/d")
    assert list(home.iterdir()) == []


def test_folders_files_times_and_modes(files: LocalFilesystem, home: Path) -> None:
    """The small requests."""
    files.make_folder("/d")
    with pytest.raises(Conflict):
        files.make_folder("/d")
    put(files, "/d/a", b"12345")
    files.rename("/d/a", "/b")
    files.set_modified("/b", 1_000_000_000_000_000_001)
    files.set_mode("/b", 0o4640)
    entry = files.stat("/b")
    assert (entry.name, entry.is_folder, entry.size, entry.modified_ns) == ("b", False, 5, 1_000_000_000_000_000_001)
    assert (home / "b").stat().st_mode & 0o7777 == 0o640
    assert files.stat("/").is_folder
    with pytest.raises(Refused):
        files.size("/d")
    with pytest.raises(NotFound):
        list(files.entries("/b"))
    with pytest.raises(Refused):
        files.open_download("/d")
    os.mkfifo(home / "fifo")
    with pytest.raises((Refused, OSError)):
        files.open_download("/fifo")
    with pytest.raises((Refused, OSError)):
        files.open_upload("/fifo", offset=0, append=True)
    files.remove_file("/b")
    assert names(files) == ["d", "fifo"]


ESCAPES = ["absolute", "relative", "folder/secret", "deep/up/secret", "proc/etc/passwd"]


@pytest.fixture
def links(home: Path) -> None:
    """Links that lead out of the home in every way."""
    (home / "absolute").symlink_to(home.parent / "secret")
    (home / "relative").symlink_to("../secret")
    (home / "folder").symlink_to("..")
    (home / "deep").mkdir()
    (home / "deep" / "up").symlink_to("../..")
    (home / "proc").symlink_to("/proc/self/root")


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize("name", ESCAPES)
def test_no_link_leads_out(files: LocalFilesystem, home: Path, name: str) -> None:
    """Not for looking, not for reading, not for writing."""
    path = f"/{name}"
    for attempt in (files.stat, files.size, files.entries, files.open_download):
        with pytest.raises(NotFound):
            attempt(path)
    with pytest.raises(NotFound):
        files.open_upload(path, offset=1, append=False)
    with pytest.raises(NotFound):
        files.set_modified(path, 0)
    with pytest.raises(NotFound):
        files.set_mode(path, 0o777)
    if "/" in name:
        with pytest.raises(NotFound):
            files.open_upload(path, offset=0, append=False)
    assert (home.parent / "secret").read_text() == "secret"
    assert names(files) == ["deep"]


def test_links_inside_are_followed_by_the_kernel(home: Path) -> None:
    """Where openat2 guards them; the walk follows none."""
    if best_opener() is walk_beneath:
        pytest.skip("no openat2 here")
    files = LocalFilesystem(str(home))
    put(files, "/a", b"12")
    files.make_folder("/d")
    (home / "d" / "link").symlink_to("../a")
    assert files.stat("/d/link").size == 2
    assert names(files, "/d") == ["link"]


@pytest.mark.slow
def test_a_folder_swapped_for_a_link_never_lets_out(files: LocalFilesystem, home: Path) -> None:
    """Two threads: one swaps a folder for a link to the neighbour, one reads and writes through it."""
    outside = home.parent / "outside"
    outside.mkdir()
    (outside / "a").write_text("outside")
    (home / "real").mkdir()
    (home / "real" / "a").write_text("inside")
    (home / "link").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(home / "real", home / "d")
            os.rename(home / "d", home / "real")
            os.rename(home / "link", home / "d")
            os.rename(home / "d", home / "link")

    swapper = threading.Thread(target=swap)
    swapper.start()
    inside = 0
    try:
        for _ in range(20_000):
            try:
                download = files.open_download("/d/a")
            except (NotFound, OSError):
                continue
            content = download.read_at(0, 100)
            download.close()
            assert content == b"inside"
            inside += 1
    finally:
        stop.set()
        swapper.join()
    assert inside > 0
    assert [path.name for path in outside.iterdir()] == ["a"]


def test_a_home_made_anew_is_opened_anew(home: Path) -> None:
    """Sessions share an open home, but not one that was replaced."""
    first = LocalFilesystem(str(home))
    home.rename(home.parent / "gone")
    second = LocalFilesystem(str(home))
    put(second, "/a", b"1")
    assert names(first) == []
    assert (home / "a").read_bytes() == b"1"


def test_no_descriptor_is_left_open(files: LocalFilesystem) -> None:
    """Whatever succeeded or failed."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        put(files, "/a", b"1")
        files.open_upload("/b", offset=0, append=False).abandon()
        files.open_download("/a").close()
        list(files.entries("/"))
        for attempt in (
            lambda: files.open_upload("/a", offset=9, append=False),
            lambda: files.open_upload("/x/y", offset=0, append=False),
            lambda: files.open_download("/missing"),
            lambda: files.entries("/a"),
        ):
            with pytest.raises(Refused):
                attempt()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_home_being_closed_is_not_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last session of a home ends while the next begins: that one opens the home anew, whenever it asks."""
    close = os.close
    begun: list[LocalFilesystem] = []

    def close_slowly(fd: int) -> None:
        if not begun:
            begun.append(LocalFilesystem(str(tmp_path)))
        close(fd)

    monkeypatch.setattr(os, "close", close_slowly)
    first = LocalFilesystem(str(tmp_path))
    del first
    gc.collect()
    assert begun[0].stat("/").is_folder


def test_a_listing_nobody_reads_leaves_nothing_open(tmp_path: Path) -> None:
    """The folder was looked up, then the data connection never came."""
    files = LocalFilesystem(str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        files.entries("/")
    assert len(os.listdir("/proc/self/fd")) <= before
