"""Bundles against a running server: what is published, what is refused, what is left when one breaks off."""

from __future__ import annotations

import fcntl
import gzip
import io
import os
import random
import socket
import tarfile
import termios
import threading
from pathlib import Path
from typing import Any

import pytest

from logferry.errors import Full, NotPermitted
from logferry.ftp import FolderRules, Incomplete, LocalFilesystem, Received, Unpacked, UploadRequest, User
from logferry.ftp.bundle import Bundle
from logferry.ftp.bundle_files import BundleMember
from logferry.ftp.permissions import Permissions
from logferry.ftp.protocol.bundle import Report, read_report
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.reply_reader import ReplyReader
from logferry.ftp.stage import Stage
from logferry.limits import BUNDLE_BATCH_MEMBERS, BUNDLE_MEMBER_BYTES_MAX
from tests.ftp.kit import SECRET, finish, reset, serving, until
from tests.ftp.protocol.test_tar_reader import archive_of

zstandard: Any = pytest.importorskip("zstandard")

TAR = "STOR /.bundles/x.tar"


def report_of(reply: str) -> Report:
    """The report in the text of a reply."""
    (parsed,) = ReplyReader().feed(reply.replace("\n", "\r\n").encode("utf-8", "surrogateescape") + b"\r\n")
    report = read_report(parsed)
    assert report is not None, reply
    return report


def tree(home: Path) -> dict[str, bytes]:
    """Everything that is there, hidden or not."""
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def with_kinds(*members: tuple[str, bytes, str]) -> bytes:
    """An archive with members of any type: (name, type, link name); files hold ``x``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            if kind == tarfile.REGTYPE:
                info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    return out.getvalue()


class PlainFilesystem:
    """A file system with the methods every one has, and no more."""

    atomic = True

    def __init__(self, home: str) -> None:
        self.inner = inner = LocalFilesystem(home)
        for name in ("stat", "entries", "size", "open_download", "open_upload", "make_folder", "remove_folder",
                     "remove_file", "rename", "set_modified"):  # fmt: skip
            setattr(self, name, getattr(inner, name))


@pytest.fixture(params=["many at once", "one by one"])
def factory(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Both ways into a file system."""
    if request.param == "many at once":
        return {}
    return {"filesystem": lambda user: PlainFilesystem(user.home)}


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("form", ["tar", "tar.gz", "tar.zst"])
def test_members_are_published(tmp_path: Path, form: str, tls: bool, factory: dict[str, Any]) -> None:
    """Every member, small, empty and large, is there when 226 comes; each was told, then the bundle."""
    large = random.Random(1).randbytes(BUNDLE_MEMBER_BYTES_MAX + 12_345)
    files = [("a/b/small", b"1" * 20_000), ("a/empty", b""), ("a/large", large), ("ü ñ/" + "n" * 255, b"2")]
    archive = archive_of(*files, mtime=1_600_000_000.25)
    packed = {"tar": bytes, "tar.gz": gzip.compress, "tar.zst": zstandard.compress}[form](archive)
    with serving(tmp_path, tls="explicit" if tls else "off", **factory) as running:
        with running.client(tls=tls) as client:
            assert f"BUNDLE /.bundles {'tar;tar.gz;tar.zst'}" in client.command("FEAT")
            reply = client.upload(f"STOR /.bundles/x.{form}", packed)
            assert reply == f"226 Bundle: members=4 files=4 folders=0 bytes={len(large) + 20_001} refused=0"
        assert tree(running.home) == dict(files)
        assert (running.home / "a/large").stat().st_mtime_ns == 1_600_000_000_250_000_000
        assert (running.home / "a/b/small").stat().st_mtime_ns == 1_600_000_000_250_000_000
        assert [running.event(Received).path for _ in files] == [f"/{name}" for name, _ in files]
        told = running.event(Unpacked)
        assert (told.files, told.refused, told.count, told.path) == (4, 0, len(packed), f"/.bundles/x.{form}")
        assert not running.partials()


def test_byte_by_byte(tmp_path: Path) -> None:
    """However the network cuts it."""
    archive = zstandard.compress(archive_of(("a", b"1"), ("b/c", b"2" * 600)))
    with serving(tmp_path) as running, running.client() as client:
        data = client.data("STOR /.bundles/x.tar.zst")
        data.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(archive)):
            data.sendall(archive[place : place + 1])
        finish(data)
        assert client.reply().startswith("226 ")
        assert tree(running.home) == {"a": b"1", "b/c": b"2" * 600}


def test_several_batches(tmp_path: Path) -> None:
    """More members than one batch holds, in many folders."""
    count = BUNDLE_BATCH_MEMBERS * 2 + 17
    files = [(f"d{number % 7}/e{number % 3}/f{number}", b"%d" % number) for number in range(count)]
    with serving(tmp_path) as running, running.client() as client:
        assert report_of(client.upload(TAR, archive_of(*files))).files == count
        assert tree(running.home) == dict(files)


def test_hostile_names_are_refused_and_named_and_stop_nobody(tmp_path: Path, factory: dict[str, Any]) -> None:
    """Each is named with a reason; the others are stored; nothing is written outside the home."""
    hostile = ["/absolute", "../outside", "a/../../outside", "..", "a/..", "line\nbreak", "x" * 256, "d/" * 129 + "f"]
    hostile += [".~up-0123456789abcdef", "a/.~up-0123456789abcdef-01234567/x", "through/link/file", "folder/"]
    with serving(tmp_path, **factory) as running, running.client() as client:
        outside = tmp_path / "outside"
        outside.mkdir()
        (running.home / "through").mkdir()
        (running.home / "through/link").symlink_to(outside)
        archive = archive_of(("good/one", b"1"), *((name, b"bad") for name in hostile), ("good/two", b"2"))
        report = report_of(reply := client.upload(TAR, archive))
        assert reply.startswith("550-")
        named = [one.name.decode() for one in report.refusals]
        assert sorted(named) == sorted(hostile)
        assert (report.files, report.members) == (2, len(hostile) + 2)
        assert tree(running.home) == {"good/one": b"1", "good/two": b"2"}
        assert list(outside.iterdir()) == []
        assert [path.name for path in tmp_path.iterdir()] == ["home", "outside"]
        assert client.command("NOOP").startswith("200")


def test_bytes_that_are_no_utf8_are_kept_as_a_single_upload_keeps_them(tmp_path: Path) -> None:
    """A name is bytes; STOR would have stored it so."""
    raw = b"caf\xe9".decode("utf-8", "surrogateescape")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        tar.addfile(tarfile.TarInfo(raw))
    with serving(tmp_path) as running, running.client() as client:
        assert client.upload(TAR, out.getvalue()).startswith("226 ")
        assert os.listdir(os.fsencode(running.home)) == [b"caf\xe9"]


def test_links_and_devices_are_left_out_by_name(tmp_path: Path) -> None:
    """What has no content of its own does not spoil the reply; a hard link, whose content would be lost, does."""
    without = [("s", tarfile.SYMTYPE, "/etc/passwd"), ("c", tarfile.CHRTYPE, ""), ("p", tarfile.FIFOTYPE, "")]
    with serving(tmp_path) as running, running.client() as client:
        report = report_of(reply := client.upload(TAR, with_kinds(("f", tarfile.REGTYPE, ""), *without)))
        assert reply.startswith("226-")
        assert [one.name for one in report.refusals] == [b"s", b"c", b"p"]
        assert "symbolic link" in report.refusals[0].reason
        reply = client.upload(TAR, with_kinds(("g", tarfile.REGTYPE, ""), ("h", tarfile.LNKTYPE, "g")))
        assert reply.startswith("550-")
        assert sorted(path.name for path in running.home.iterdir()) == ["f", "g"]


def test_a_name_counts_once(tmp_path: Path, factory: dict[str, Any]) -> None:
    """The second of the same name is refused, however it is spelled, even when the first failed."""
    archive = archive_of(("a", b"first"), ("./a", b"second"), ("b", b"3"), ("a/", b""), (".//a", b"4"))
    with serving(tmp_path, **factory) as running, running.client() as client:
        report = report_of(client.upload(TAR, archive))
        assert [one.name for one in report.refusals][:1] == [b"./a"]
        assert tree(running.home) == {"a": b"first", "b": b"3"}


def test_existing_files_are_replaced_and_folders_are_not(tmp_path: Path, factory: dict[str, Any]) -> None:
    """As STOR would: a file gives way whole, a folder stays, and so does a file where a folder is wanted."""
    with serving(tmp_path, **factory) as running, running.client() as client:
        (running.home / "file").write_bytes(b"old and longer")
        (running.home / "folder").mkdir()
        archive = archive_of(("file", b"new"), ("folder", b"x"), ("file/below", b"x"), ("other", b"o"))
        report = report_of(client.upload(TAR, archive))
        assert sorted(one.name for one in report.refusals) == [b"file/below", b"folder"]
        assert tree(running.home) == {"file": b"new", "other": b"o"}


def test_folders_need_their_letter(tmp_path: Path, factory: dict[str, Any]) -> None:
    """Without ``m`` members go where folders are; without ``T`` times are ours; without ``w`` nothing is offered."""
    with serving(tmp_path, **factory) as running:
        (running.home / "there").mkdir()
        running.users.add(User("ben", str(running.home), "elw", SECRET))
        running.users.add(User("cat", str(running.home), "elrm", SECRET))
        out = io.BytesIO(with_kinds(("there", tarfile.DIRTYPE, ""), ("new", tarfile.DIRTYPE, "")))
        archive = archive_of(("there/a", b"1"), ("missing/b", b"2"), mtime=1) + out.getvalue()
        with running.client(login=False) as client:
            client.login("ben")
            report = report_of(reply := client.upload(TAR, archive))
            assert reply.startswith("550-")
            assert sorted(one.name for one in report.refusals) == [b"missing/b", b"new/"]
            assert (report.files, report.folders) == (1, 1)
            assert (running.home / "there/a").stat().st_mtime > 1000
        with running.client(login=False) as client:
            client.login("cat")
            assert "BUNDLE" not in client.command("FEAT")
            client.port()
            assert client.command(TAR).startswith("550")


def test_the_folder_of_bundles_can_be_entered_and_listed(tmp_path: Path) -> None:
    """Clients go there before they store; it need not exist. What is no bundle there is an ordinary upload."""
    with serving(tmp_path) as running, running.client() as client:
        assert client.command("CWD .bundles").startswith("250")
        assert client.download("MLSD") == b""
        assert client.download("LIST /.bundles") == b""
        assert client.upload("STOR x.tar", archive_of(("a", b"1"))).startswith("226 ")
        client.port()
        assert client.command("STOR notes.txt").startswith("550")
        assert tree(running.home) == {"a": b"1"}


def test_a_bundle_is_sent_whole(tmp_path: Path) -> None:
    """No APPE, STOU or REST."""
    with serving(tmp_path) as running, running.client() as client:
        for before, line in (("NOOP", "APPE /.bundles/x.tar"), ("REST 5", TAR)):
            client.port()
            client.command(before)
            assert client.command(line).startswith("554")
        assert tree(running.home) == {}


def test_switched_off_it_is_a_file(tmp_path: Path) -> None:
    """``bundles=False``."""
    with serving(tmp_path, bundles=False) as running, running.client() as client:
        assert "BUNDLE" not in client.command("FEAT")
        assert client.command("CWD /.bundles").startswith("550")
        client.command("MKD /.bundles")
        assert client.upload(TAR, b"anything").startswith("226 ")
        assert tree(running.home) == {".bundles/x.tar": b"anything"}


# Cut short -----------------------------------------------------------------------------------------------------------


def _cut_places(archive: bytes) -> list[int]:
    return [1, 511, 512, 700, 1024, 1500, len(archive) // 2, len(archive) - 2000, len(archive) - 1025]


@pytest.mark.parametrize("how", ["reset", "abor", "end", "vanish"])
def test_a_cut_bundle_keeps_the_whole_members(tmp_path: Path, how: str, factory: dict[str, Any]) -> None:
    """What had arrived whole is there and counted, nothing else; sent again it is all there."""
    files = [(f"d/f{number}", bytes([number]) * 700) for number in range(9)]
    archive = archive_of(*files, form=tarfile.USTAR_FORMAT)
    archive = archive.rstrip(b"\x00") + bytes(-len(archive.rstrip(b"\x00")) % 512 + 1024)
    with serving(tmp_path, **factory) as running:
        for place in _cut_places(archive)[:: 3 if how == "abor" else 1]:
            client = running.client()
            data = client.data(TAR)
            data.sendall(archive[:place])
            if how == "reset":
                # What has not left our side dies with a reset.
                _until_sent(data)
                reset(data)
            elif how == "abor":
                client.send("ABOR")
            elif how == "end":
                finish(data)
            else:
                client.close()
                finish(data)
            told = running.event(Incomplete)
            assert (told.path, told.direction) == ("/.bundles/x.tar", "in")
            there = tree(running.home)
            assert there.items() <= dict(files).items()
            if how != "vanish":
                report = report_of(reply := client.reply())
                assert reply.startswith("426-")
                assert report.members == len(there)
                if how == "end":
                    assert report.members == place // (512 + 1024) + (place % 1536 >= 1212)
                client.close()
            data.close()
            assert not running.partials()
        with running.client() as client:
            assert client.upload(TAR, archive).startswith("226 ")
            assert tree(running.home) == dict(files)


def _until_sent(data: socket.socket) -> None:
    """Wait until nothing of ours waits in our socket (SIOCOUTQ)."""

    def is_empty() -> bool:
        waiting = bytearray(4)
        fcntl.ioctl(data, termios.TIOCOUTQ, waiting)
        return waiting == bytes(4)

    until(is_empty, "the bytes are sent")


def test_without_close_notify_it_is_cut(tmp_path: Path) -> None:
    """Over TLS the end of TCP alone is no end, though all of the bundle has come."""
    with serving(tmp_path, tls="explicit") as running, running.client(tls=True) as client:
        data = client.data(TAR)
        data.sendall(archive_of(("a", b"1")))
        socket.socket.shutdown(data, socket.SHUT_WR)
        reply = client.reply()
        data.close()
        assert reply.startswith("426-")
        assert report_of(reply).files == 1
        assert running.event(Incomplete).reason
        assert tree(running.home) == {"a": b"1"}


def test_a_large_member_that_is_cut_is_not_there(tmp_path: Path) -> None:
    """It waits as a partial, as after any upload that broke off."""
    archive = archive_of(("small", b"1"), ("large", bytes(BUNDLE_MEMBER_BYTES_MAX * 2)))
    with serving(tmp_path) as running, running.client() as client:
        data = client.data(TAR)
        data.sendall(archive[: BUNDLE_MEMBER_BYTES_MAX + 5000])
        finish(data)
        assert report_of(client.reply()).members == 1
        assert [name for name in tree(running.home) if ".~up" not in name] == ["small"]


def test_garbage_is_refused_and_nothing_of_it_stored(tmp_path: Path) -> None:
    """What is no bundle gets 554, not 426: sending it again will not help."""
    with serving(tmp_path) as running:
        for form, garbage in (
            ("tar", b"no tar" * 1000),
            ("tar.gz", b"no gzip" * 1000),
            ("tar.zst", b"no zstd" * 1000),
            ("tar.zst", zstandard.compress(b"no tar" * 1000)),
        ):
            with running.client() as client:
                data = client.data(f"STOR /.bundles/x.{form}")
                data.sendall(garbage)
                assert report_of(reply := client.reply()).members == 0
                assert reply.startswith("554-")
                data.close()
        assert tree(running.home) == {}


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What expands beyond the caps ends there: by size, by ratio, by count."""
    monkeypatch.setattr("logferry.ftp.bundle.BUNDLE_RATIO_FREE_BYTES", 2**20)
    bomb = zstandard.compress(archive_of(("ok", b"1"), ("zeros", bytes(64 * 2**20))))
    with serving(tmp_path) as running:
        with running.client() as client:
            report = report_of(reply := client.upload("STOR /.bundles/x.tar.zst", bomb))
            assert reply.startswith("554-")
            assert "times as many" in reply
            assert report.files == 1
            assert client.command("DELE zeros").startswith("250")
        monkeypatch.setattr("logferry.ftp.bundle.BUNDLE_BYTES_MAX", 10_000)
        with running.client() as client:
            assert "GiB in one bundle" in client.upload(TAR, archive_of(("f", bytes(20_000))))
        monkeypatch.setattr("logferry.ftp.bundle.BUNDLE_MEMBERS_MAX", 10)
        for name in ("f{}", "/f{}"):
            with running.client() as client:
                many = archive_of(*((name.format(number), b"") for number in range(12)), form=tarfile.USTAR_FORMAT)
                assert "members in one bundle" in client.upload(TAR, many[:10_000])


class FullFilesystem(LocalFilesystem):
    """Has room for three more files."""

    left = 3

    def publish_many(self, members: Any, *, make_folders: bool) -> Any:
        outcomes: list[Any] = []
        for member in members:
            if FullFilesystem.left == 0:
                outcomes.append(Full("the quota is used up"))
                continue
            FullFilesystem.left -= 1
            outcomes += super().publish_many([member], make_folders=make_folders)
        return outcomes


def test_a_full_disk_ends_it_with_452(tmp_path: Path) -> None:
    """No 226 for what found no room; what did is counted and the others are named."""
    with serving(tmp_path, filesystem=lambda user: FullFilesystem(user.home)) as running, running.client() as client:
        report = report_of(reply := client.upload(TAR, archive_of(*((f"f{number}", b"x") for number in range(5)))))
        assert reply.startswith("452-the quota is used up")
        assert (report.files, [one.name for one in report.refusals]) == (3, [b"f3", b"f4"])
        assert len(tree(running.home)) == 3


# Who may what --------------------------------------------------------------------------------------------------------


def unpacked(files: Any, archive: bytes, letters: Any, **more: Any) -> Bundle:
    """An archive unpacked without a server."""
    bundle = Bundle(files, "tar", letters, lambda _path, _size: None, **more)
    bundle.write(archive)
    bundle.commit()
    return bundle


def test_letters_hold_where_they_are_given(tmp_path: Path) -> None:
    """``w`` at each file, ``m`` at each folder that is missing, ``T`` for its time."""

    def letters(path: str) -> Permissions:
        return Permissions("wmT" if path.startswith("/in") else "w" if path.startswith("/there") else "")

    (tmp_path / "there").mkdir()
    (tmp_path / "closed/in").mkdir(parents=True)
    names = ["in/new/deep/a", "there/b", "there/new/c", "closed/in/d", "e", "in/f"]
    archive = archive_of(*((name, b"x") for name in names), mtime=1)
    report = unpacked(LocalFilesystem(str(tmp_path)), archive, letters).report
    assert [one.name.decode() for one in report.refusals] == ["there/new/c", "closed/in/d", "e"]
    assert tree(tmp_path).keys() == {"in/new/deep/a", "there/b", "in/f"}
    assert (tmp_path / "in/f").stat().st_mtime == 1
    assert (tmp_path / "there/b").stat().st_mtime > 1000


def test_each_member_is_admitted_for_itself(tmp_path: Path) -> None:
    """Whoever is asked before uploads is asked before each file, with its size."""
    asked: list[tuple[str, int]] = []

    def admit(path: str, size: int) -> Reply | None:
        asked.append((path, size))
        return Reply(553, ("not that one",)) if path == "/b" else None

    archive = archive_of(("a", b"1"), ("b", b"22"), ("c", b"333"))
    report = unpacked(LocalFilesystem(str(tmp_path)), archive, lambda _path: Permissions(), admit=admit).report
    assert asked == [("/a", 1), ("/b", 2), ("/c", 3)]
    assert [(one.name, one.code, one.reason) for one in report.refusals] == [(b"b", 553, "not that one")]
    assert tree(tmp_path).keys() == {"a", "c"}


def test_a_bundle_keeps_to_the_quota_the_folder_rules_and_the_hook(tmp_path: Path) -> None:
    """What an ordinary upload may not do no member may: each is named, and those that fit are stored."""

    def hook(request: UploadRequest) -> None:
        if request.path.endswith(".exe"):
            raise NotPermitted("no programs")

    with serving(tmp_path, before_upload=hook) as running:
        rules = FolderRules({"/closed": "el"})
        running.users.add(User("ben", str(running.home), "elwm", SECRET, quota_bytes=5_000, folders=rules))
        with running.client(login=False) as client:
            client.login("ben")
            files = [("a", b"1" * 3000), ("closed/b", b"2"), ("c.exe", b"3"), ("d", b"4" * 1000)]
            report = report_of(reply := client.upload(TAR, archive_of(*files)))
            assert reply.startswith("550-")
            assert sorted(one.name for one in report.refusals) == [b"c.exe", b"closed/b"]
            report = report_of(client.upload(TAR, archive_of(("e", b"5" * 3000))))
            assert [(one.name, one.code) for one in report.refusals] == [(b"e", 552)]
        assert tree(running.home).keys() == {"a", "d"}


class Wrapper(PlainFilesystem):
    """Counts uploads, and hands on whatever else it is asked for."""

    def __init__(self, home: str) -> None:
        super().__init__(home)
        self.publish_many = self.inner.publish_many
        self.uploads: list[str] = []
        self.open_upload = self.counted

    def counted(self, path: str, *, offset: int, append: bool) -> Any:
        self.uploads.append(path)
        return LocalFilesystem.open_upload(self.inner, path, offset=offset, append=append)


def test_a_wrapper_sees_each_member(tmp_path: Path) -> None:
    """One that passes unknown methods through is not passed by."""
    files = Wrapper(str(tmp_path))
    unpacked(files, archive_of(("a", b"1"), ("b", b"2")), lambda _path: Permissions())
    assert files.uploads == ["/a", "/b"]
    assert tree(tmp_path).keys() == {"a", "b"}


# The local file system -----------------------------------------------------------------------------------------------


def test_a_failed_sync_confirms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO from the sync of a batch: no file of it appears, and the next batch works."""

    def fail(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    files = LocalFilesystem(str(tmp_path))
    members = [BundleMember(f"/d/f{number}", b"x") for number in range(20)]
    with monkeypatch.context() as broken:
        broken.setattr("logferry.ftp.local_bundle.sync_disk", fail)
        outcomes = files.publish_many([*members, BundleMember("/folder", None)], make_folders=True)
    assert [isinstance(outcome, OSError) for outcome in outcomes] == [True] * 20 + [False]
    assert tree(tmp_path) == {}
    assert files.publish_many(members, make_folders=True) == [None] * 20
    assert len(tree(tmp_path)) == 20


@pytest.mark.parametrize("count", [3, 30])
def test_a_failed_sync_of_a_folder_confirms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """EIO from any sync: each one that fails takes its files' confirmation with it."""
    files = LocalFilesystem(str(tmp_path))
    real, calls = os.fsync, 0

    def fail_at(number: int) -> None:
        nonlocal calls
        calls = 0

        def fsync(fd: int) -> None:
            nonlocal calls
            calls += 1
            if calls == number:
                raise OSError(5, "Input/output error")
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)

    step = 0
    while True:
        step += 1
        fail_at(step)
        members = [BundleMember(f"/s{step}/d{number % 2}/f{number}", b"x") for number in range(count)]
        outcomes = files.publish_many(members, make_folders=True)
        if calls < step:
            assert outcomes == [None] * count
            break
        assert any(isinstance(outcome, OSError) for outcome in outcomes), step
    assert step > 4


def test_what_a_killed_server_leaves_is_swept(tmp_path: Path) -> None:
    """A stage that nobody holds goes with the next batch; one that is in use stays."""
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    left = tmp_path / (".~up-" + "0" * 16) / "0123456789abcdef"
    left.mkdir(parents=True)
    (left / "17").write_bytes(b"half")
    used = Stage(root)
    used.write(b"0", b"in use", None, sync=False)
    files = LocalFilesystem(str(tmp_path))
    assert list(files.entries("/")) == []
    assert files.publish_many([BundleMember("/a", b"1")], make_folders=True) == [None]
    assert not left.exists()
    assert sorted(tree(tmp_path).values()) == [b"1", b"in use"]
    used.close()
    os.close(root)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_bundles_at_once_into_one_home(tmp_path: Path) -> None:
    """Sessions do not disturb each other, and the last of them leaves nothing behind."""
    with serving(tmp_path) as running:
        replies: list[str] = []

        def send(number: int) -> None:
            with running.client() as client:
                for turn in range(3):
                    files = [(f"c{number}/t{turn}/f{index}", bytes([number])) for index in range(40)]
                    replies.append(client.upload(TAR, archive_of(*files, ("shared", b"whole"))))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(reply.startswith("226 ") for reply in replies)
        assert len(tree(running.home)) == 4 * 3 * 40 + 1
        assert not running.partials()
