"""Long plain uploads flow through a pipe in the kernel: they mean the same as those that are copied."""

from __future__ import annotations

import errno
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from logferry.ftp import Incomplete, LocalFilesystem, Received, User
from logferry.ftp.local_upload import LocalUpload
from logferry.ftp.pipe import CAN_SPLICE, Pipe
from logferry.limits import FTP_SPLICE_FROM_BYTES
from tests.ftp.kit import finish, reset, serving, until

pytestmark = pytest.mark.skipif(not CAN_SPLICE, reason="this system has no splice")
CONTENT = os.urandom(1 << 20) * 12


@pytest.fixture
def spliced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The counts of bytes that went through a pipe."""
    counts: list[int] = []
    splice = LocalUpload.splice

    def counting(upload: LocalUpload, pipe: int, count: int) -> None:
        splice(upload, pipe, count)
        counts.append(count)

    monkeypatch.setattr(LocalUpload, "splice", counting)
    return counts


def test_what_is_spliced_is_whole_and_counted(tmp_path: Path, spliced: list[int]) -> None:
    """All but the beginning goes through the pipe; the event counts every byte, no descriptor stays open."""
    with serving(tmp_path, tls="off") as at, at.client() as client:
        client.upload("STOR first", b"")
        assert at.event(Received).count == 0
        open_before = len(os.listdir("/proc/self/fd"))
        assert client.upload("STOR big", CONTENT).startswith("226")
        assert (at.home / "big").read_bytes() == CONTENT
        assert len(CONTENT) - sum(spliced) < 2 * FTP_SPLICE_FROM_BYTES
        assert at.event(Received).count == len(CONTENT)
        assert len(os.listdir("/proc/self/fd")) == open_before


def test_a_continued_upload_is_spliced_to_its_place(tmp_path: Path, spliced: list[int]) -> None:
    """REST and APPE count from where they began."""
    with serving(tmp_path, tls="off") as at, at.client() as client:
        (at.home / "a").write_bytes(b"0123456789")
        client.command("REST 4")
        assert client.upload("STOR a", CONTENT).startswith("226")
        assert client.upload("APPE a", CONTENT).startswith("226")
        assert (at.home / "a").read_bytes() == b"0123" + CONTENT + CONTENT
        assert sum(spliced) > len(CONTENT)


def test_a_reset_while_splicing_is_never_226(tmp_path: Path, spliced: list[int]) -> None:
    """426, nothing published; what came is a true prefix in the partial."""
    with serving(tmp_path, tls="off") as at, at.client() as client:
        data = client.data("STOR a")
        data.sendall(CONTENT)
        until(lambda: sum(spliced) > 0, "the first bytes through the pipe")
        reset(data)
        assert client.reply().startswith("426")
        assert not (at.home / "a").exists()
        kept = at.partials()[0].read_bytes()
        assert kept == CONTENT[: len(kept)]
        assert at.event(Incomplete).count == len(kept)


def test_abor_stops_a_spliced_upload(tmp_path: Path, spliced: list[int]) -> None:
    """426 and 226, although the data connection is still open."""
    with serving(tmp_path, tls="off") as at, at.client() as client:
        data = client.data("STOR a")
        data.sendall(CONTENT)
        until(lambda: sum(spliced) > 0, "the first bytes through the pipe")
        client.send("ABOR")
        assert client.reply().startswith("426")
        assert client.reply().startswith("226")
        data.close()
        assert not (at.home / "a").exists()


def test_a_slow_sender_is_served_in_blocks_again(
    tmp_path: Path, spliced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many small pieces through the pipe cost more than copying: after some the pipe is left, and nothing is lost."""
    entered, left = threading.Event(), threading.Event()
    enter, leave = Pipe.__enter__, Pipe.__exit__

    def entering(pipe: Pipe) -> Pipe:
        entered.set()
        return enter(pipe)

    def leaving(pipe: Pipe, *error: Any) -> None:
        leave(pipe, *error)
        left.set()

    monkeypatch.setattr(Pipe, "__enter__", entering)
    monkeypatch.setattr(Pipe, "__exit__", leaving)

    def arrived(count: int) -> bool:
        return left.is_set() or sum(spliced) > count

    pieces = 200
    with serving(tmp_path, tls="off") as at, at.client() as client:
        data = client.data("STOR a")
        data.sendall(CONTENT[:FTP_SPLICE_FROM_BYTES])
        until(entered.is_set, "the pipe")
        rest = CONTENT[FTP_SPLICE_FROM_BYTES : FTP_SPLICE_FROM_BYTES + pieces * 1000]
        for start in range(0, len(rest), 1000):
            data.sendall(rest[start : start + 1000])
            # One piece a call, however slow this machine is: pieces that pile up would make a fast sender of it.
            until(partial(arrived, start), "the piece through the pipe")
        finish(data)
        assert client.reply().startswith("226")
        assert (at.home / "a").read_bytes() == CONTENT[: FTP_SPLICE_FROM_BYTES + len(rest)]
        assert sum(spliced) < len(rest)


def test_a_full_disk_while_splicing_is_452(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC out of the pipe is answered like ENOSPC of a write; nothing is published."""

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with serving(tmp_path, tls="off") as at, at.client() as client:
        monkeypatch.setattr(LocalUpload, "splice", full)
        data = client.data("STOR a")
        with pytest.raises(OSError, match=r"reset|pipe"):
            data.sendall(CONTENT * 20)
        data.close()
        assert client.reply().startswith("452")
        assert not (at.home / "a").exists()


def test_a_file_system_that_cannot_splice_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EINVAL leaves the bytes in the pipe; they are read from there and written."""

    def invalid(*_: object, **__: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    upload = LocalFilesystem(str(tmp_path)).open_upload("/a", offset=0, append=False)
    into = os.pipe()
    os.write(into[1], b"x" * 40_000)
    monkeypatch.setattr(os, "splice", invalid)
    upload.splice(into[0], 40_000)
    upload.commit()
    os.close(into[0])
    os.close(into[1])
    assert (tmp_path / "a").read_bytes() == b"x" * 40_000


class _Watching(LocalUpload):
    """An upload whose ``write`` wants to see every byte."""

    __slots__ = ("seen",)

    def write(self, data: memoryview | bytes) -> None:
        self.seen = getattr(self, "seen", 0) + len(data)
        super().write(data)


class _WatchingFiles(LocalFilesystem):
    last: _Watching

    def open_upload(self, path: str, *, offset: int, append: bool) -> LocalUpload:
        begun = super().open_upload(path, offset=offset, append=append)
        self.last = _Watching(begun._fd, begun._folder, begun._name, begun._partial, begun.position)
        return self.last


def test_a_subclass_with_its_own_write_sees_every_byte(tmp_path: Path, spliced: list[int]) -> None:
    """No quota or scanner is passed by because it did not know of splice."""
    made: list[_WatchingFiles] = []

    def files(user: User) -> LocalFilesystem:
        made.append(_WatchingFiles(user.home))
        return made[-1]

    with serving(tmp_path, tls="off", filesystem=files) as at, at.client() as client:
        assert client.upload("STOR a", CONTENT).startswith("226")
        assert made[-1].last.seen == len(CONTENT)
        assert not spliced
        assert (at.home / "a").read_bytes() == CONTENT


def test_a_pipe_is_as_large_as_allowed_and_gone_after_use(tmp_path: Path) -> None:
    """Both ends are closed whatever happens inside."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyError), Pipe():
        raise KeyError
    assert len(os.listdir("/proc/self/fd")) == before
