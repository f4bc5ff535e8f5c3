"""Many files and trees when things go wrong: cut connections, full disks, hostile servers, links planted here."""

from __future__ import annotations

import errno
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from logferry.clock import ManualClock
from logferry.errors import BadName, Conflict, Damaged, Full, NotFound, NotSignedIn, Refused, TooLarge, Unreachable
from logferry.ftp import FileResult, FtpClient, LocalFilesystem, User, mirror_down, mirror_up, upload_many
from logferry.ftp.local_upload import LocalUpload
from tests.ftp.faulty import Faults, FaultyServer
from tests.ftp.kit import Serving, reset, serving

FILES = int(os.environ.get("LOGFERRY_MANY_FILES", "1000"))
DICE = random.Random(11)
MLST = ("MLST type*;size*;modify*;unique*;", "SIZE", "REST STREAM", "MDTM", "EPSV")


class CuttingWire:
    """Forwards control connections to a server; ``cut`` resets all that are there. Data connections go past it."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except ConnectionRefusedError:
                    near.close()
                    continue
                self.connections += 1
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=self._forward, args=pair))
                    self._threads[-1].start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Reset what is open."""
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            reset(sock)
        self._open.clear()

    def close(self) -> None:
        """Cut, and listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads[1:]:
            thread.join()


@contextmanager
def wire(port: int) -> Iterator[CuttingWire]:
    """A wire that can be cut."""
    made = CuttingWire(port)
    try:
        yield made
    finally:
        made.close()


def client_of(port: int, **more: object) -> FtpClient:
    """A client for ``ann`` whose waits between tries take no time."""
    settings: dict[str, object] = {"user": "ann", "password": "secret", "tls": "off", "timeout_s": 20.0}
    return FtpClient("127.0.0.1", port, clock=ManualClock(), dice=DICE, **(settings | more))  # type: ignore[arg-type]


def sources(folder: Path, count: int) -> list[tuple[str, str]]:
    """``count`` small files and where they shall go."""
    folder.mkdir()
    pairs = []
    for n in range(count):
        (folder / f"{n}.log").write_bytes(DICE.randbytes(n % 300))
        pairs.append((str(folder / f"{n}.log"), f"/in/{n % 7}/{n}.log"))
    return pairs


@pytest.mark.parametrize("bundles", [False, True])
def test_a_thousand_files_survive_cut_connections(tmp_path: Path, bundles: bool) -> None:
    """All control connections are reset, twice; every file is there in the end, whole."""
    pairs = sources(tmp_path / "here", FILES)
    with serving(tmp_path) as server, wire(server.port) as between:
        done: list[FileResult] = []

        def cut_now_and_then(result: FileResult) -> None:
            done.append(result)
            if len(done) in (FILES // 4, FILES // 2):
                between.cut()

        with client_of(between.port) as client:
            results = upload_many(client, pairs, connections=3, bundles=bundles, on_result=cut_now_and_then)
        assert [result.error for result in results] == [None] * FILES
        assert between.connections > 3
        for local, remote in pairs:
            assert (server.home / remote.lstrip("/")).read_bytes() == Path(local).read_bytes(), remote


def test_a_server_that_is_gone_is_given_up_once(tmp_path: Path) -> None:
    """Not by every file anew; those before it are stored, those after it name the reason."""
    pairs = sources(tmp_path / "here", 60)
    with serving(tmp_path) as server, wire(server.port) as between:
        done: list[FileResult] = []

        def cut_for_good(result: FileResult) -> None:
            done.append(result)
            if len(done) == 20:
                between._to = 1
                between.cut()

        client = client_of(between.port)
        results = upload_many(client, pairs, connections=1, bundles=False, attempts=3, on_result=cut_for_good)
        client.close()
        assert len(results) == 60
        failed = [result for result in results if result.error]
        assert 0 < len(failed) <= 40
        assert all(isinstance(result.error, Unreachable) for result in failed)
        assert between.connections < 12


class _Quota(LocalFilesystem):
    """Room for small files only."""

    def open_upload(self, path: str, *, offset: int, append: bool) -> LocalUpload:
        upload = super().open_upload(path, offset=offset, append=append)
        return _SmallUpload(upload._fd, upload._folder, upload._name, upload._partial, upload.position)


class _SmallUpload(LocalUpload):
    def write(self, data: memoryview | bytes) -> None:
        if len(data) > 200:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(data)


def _quota(user: User) -> LocalFilesystem:
    return _Quota(user.home)


@pytest.mark.parametrize("size", [250, 2_000_000])
def test_a_full_disk_is_told_for_each_file_it_has_no_room_for(tmp_path: Path, size: int) -> None:
    """With its name and what to do; the others arrive."""
    pairs = sources(tmp_path / "here", 20)
    Path(pairs[7][0]).write_bytes(b"x" * size)
    pairs[8:] = [pair for pair in pairs[8:] if os.stat(pair[0]).st_size < 200]
    with serving(tmp_path, filesystem=_quota) as server, client_of(server.port) as client:
        results = upload_many(client, pairs, connections=2, bundles=False)
        failed = [result for result in results if result.error]
        assert [result.local for result in failed] == [pairs[7][0]]
        assert isinstance(failed[0].error, Full)
        assert "STOR" in failed[0].error.message
        assert failed[0].error.hint == "make room on the server"


def test_wrong_passwords_and_pins_are_told_once_before_any_file(tmp_path: Path) -> None:
    """Not a thousand times; and the first failure ends it all when asked to."""
    pairs = sources(tmp_path / "here", 5)
    with serving(tmp_path, tls="required") as server:
        wrong = FtpClient("127.0.0.1", server.port, user="ann", password="secret", pins=("sha256/" + "0" * 64,))
        with pytest.raises(Refused, match="has the pin sha256/"):
            upload_many(wrong, pairs)
    with serving(tmp_path) as plain:
        with pytest.raises(NotSignedIn, match="ann"):
            upload_many(client_of(plain.port, password="wrong"), pairs)
        with client_of(plain.port) as client, pytest.raises(NotFound, match="missing"):
            upload_many(client, [(str(tmp_path / "missing"), "/x"), *pairs], on_error="raise")


# Digests -------------------------------------------------------------------------------------------------------------


def test_other_bytes_than_were_sent_are_damage(tmp_path: Path) -> None:
    """The server's digest decides; the temporary file goes, nothing gets the name."""
    (tmp_path / "x").write_bytes(b"content")
    lie = b"213 SHA-256 0-7 " + b"0" * 64 + b" x\r\n"
    with FaultyServer(Faults(features=("HASH SHA-256*", "SIZE"), digest=lie)) as server, server.client() as client:
        with pytest.raises(Damaged, match="SHA-256"):
            client.upload(str(tmp_path / "x"), "/x")
        assert "/x" not in server.files
        assert "DELE" in server.verbs()
        assert client.upload(str(tmp_path / "x"), "/y", verify=False).digest == ""


def test_a_resumed_upload_whose_beginning_is_wrong_is_sent_anew(tmp_path: Path) -> None:
    """By its last bytes where there is no digest, by the digest where there is one."""
    content = DICE.randbytes(50_000)
    (tmp_path / "x").write_bytes(content)
    for features in (("SIZE", "REST STREAM"), ("SIZE", "REST STREAM", "HASH SHA-256*")):
        with FaultyServer(Faults(features=features)) as server:
            broken = content[:20_000] if "HASH SHA-256*" in features else content[:29_999]
            server.files["/x"] = b"?" + broken[1:] + (b"" if "HASH SHA-256*" in features else b"?")
            with server.client(clock=ManualClock()) as client:
                copied = client.upload(str(tmp_path / "x"), "/x", temporary=False)
            assert server.files["/x"] == content
            assert copied.digest == ("SHA-256" if "HASH SHA-256*" in features else "")


def test_a_digest_the_server_cannot_tell_is_no_failure(tmp_path: Path) -> None:
    """The size must do then."""
    (tmp_path / "x").write_bytes(b"content")
    faults = Faults(features=("HASH SHA-256*", "SIZE"), replies={"HASH": b"504 not this one\r\n"})
    with FaultyServer(faults) as server, server.client() as client:
        assert client.upload(str(tmp_path / "x"), "/x").digest == ""
        client.download("/x", str(tmp_path / "y"))
    assert (tmp_path / "y").read_bytes() == b"content"


# Hostile servers -----------------------------------------------------------------------------------------------------


def facts(name: str, kind: str = "file", **more: object) -> str:
    """A line of MLSD."""
    return f"type={kind};" + "".join(f"{key}={value};" for key, value in more.items()) + f" {name}"


def test_no_name_a_server_sends_leads_out_of_the_folder(tmp_path: Path) -> None:
    """Each is named among the failures; what is harmless arrives."""
    evil = ["../out", "..", "/etc/x", "a/../../out", "sub/x", "nul\x00x", "good"]
    listing = [facts(name, size=3) for name in evil] + [facts("..", "dir"), facts("../up", "dir")]
    with FaultyServer(Faults(features=MLST, listings={"/r": listing, "/r/../up": []})) as server:
        server.files |= {f"/r/{name}": b"abc" for name in evil} | {"/etc/x": b"abc"}
        with server.client() as client:
            mirrored = mirror_down(client, "/r", str(tmp_path / "deep" / "here"))
    assert [path.name for path in tmp_path.rglob("*")] == ["deep", "here", "good"]
    assert len(mirrored.failed) == 6
    assert all(isinstance(error, BadName) for _, error in mirrored.failed)
    assert [file.error for file in mirrored.files] == [None]


def test_links_planted_here_are_not_followed(tmp_path: Path) -> None:
    """Neither a folder that leads out, nor a file; nothing outside is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"mine")
    here = tmp_path / "here"
    here.mkdir()
    (here / "folder").symlink_to(outside)
    (here / "file").symlink_to(outside / "victim")
    listings = {
        "/r": [facts("folder", "dir"), facts("file", size=3)],
        "/r/folder": [facts("new", size=3), facts("victim", size=3)],
    }
    with FaultyServer(Faults(features=MLST, listings=listings)) as server:
        server.files |= {"/r/file": b"abc", "/r/folder/new": b"abc", "/r/folder/victim": b"abc"}
        with server.client() as client:
            mirrored = mirror_down(client, "/r", str(here))
    assert [(path.name, path.read_bytes()) for path in outside.iterdir()] == [("victim", b"mine")]
    assert sorted(path for path, _ in mirrored.failed) == ["folder", "folder/new", "folder/victim"]
    assert (here / "file").read_bytes() == b"abc"
    assert not (here / "file").is_symlink()


def test_links_here_are_not_uploaded_through(tmp_path: Path) -> None:
    """They are told as skipped."""
    (tmp_path / "here").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "here" / "up").symlink_to(tmp_path)
    (tmp_path / "here" / "file").write_bytes(b"x")
    with FaultyServer(Faults(features=MLST, listings={"/r": []})) as server, server.client() as client:
        mirrored = mirror_up(client, str(tmp_path / "here"), "/r")
        assert list(server.files) == ["/r/file"]
    assert (mirrored.skipped, mirrored.failed) == (("link", "up"), ())


def test_folders_that_contain_themselves_end(tmp_path: Path) -> None:
    """Known by their unique facts, or by being too deep."""
    listings = {"/r": [facts("a", "dir", unique="1g1")], "/r/a": [facts("b", "dir", unique="1g1"), facts("f", size=1)]}
    with FaultyServer(Faults(features=MLST, listings=listings)) as server:
        server.files["/r/a/f"] = b"x"
        with server.client() as client:
            mirrored = mirror_down(client, "/r", str(tmp_path / "x"))
    assert [(path, type(error)) for path, error in mirrored.failed] == [("a", Conflict)]
    assert (tmp_path / "x" / "a" / "f").read_bytes() == b"x"
    endless = {"/r" + "/a" * n: [facts("a", "dir")] for n in range(200)}
    with FaultyServer(Faults(features=MLST, listings=endless)) as server, server.client() as client:
        mirrored = mirror_down(client, "/r", str(tmp_path / "y"), dry_run=True)
    assert [type(error) for _, error in mirrored.failed] == [TooLarge]


def test_nothing_here_is_deleted_when_a_folder_there_cannot_be_listed(tmp_path: Path) -> None:
    """It might be full."""
    (tmp_path / "here" / "a").mkdir(parents=True)
    (tmp_path / "here" / "a" / "kept").write_bytes(b"x")
    (tmp_path / "here" / "old").write_bytes(b"x")
    with FaultyServer(Faults(features=MLST, listings={"/r": [facts("a", "dir")]})) as server, server.client() as client:
        mirrored = mirror_down(client, "/r", str(tmp_path / "here"), delete=True)
    assert [type(error) for _, error in mirrored.failed] == [NotFound]
    assert mirrored.deleted == ()
    assert (tmp_path / "here" / "old").exists()


def test_a_full_disk_here_keeps_what_came(tmp_path: Path) -> None:
    """/dev/full stands for the disk: the error names the file and says what to do."""
    with FaultyServer() as server, server.client() as client:
        server.files["/x"] = b"content"
        (tmp_path / "x").mkdir()
        with pytest.raises(Refused, match="cannot write"):
            client.download("/x", str(tmp_path / "x"))


# Long transfers ------------------------------------------------------------------------------------------------------


def test_several_clients_share_a_rate_and_nothing_else(tmp_path: Path) -> None:
    """``another`` has the settings of the first."""
    with serving(tmp_path, tls="required") as server:
        first = FtpClient("127.0.0.1", server.port, user="ann", password="secret", pins=(_pin(tmp_path),))
        second = first.another()
        with first, second:
            assert second.encrypted
            first.close()
            second.noop()


def _pin(folder: Path) -> str:
    from logferry.ftp import TlsIdentity

    return TlsIdentity.ensure(str(folder / "identity")).pin


def test_implicit_tls_says_when_a_port_does_not_speak_it(tmp_path: Path) -> None:
    """Instead of waiting for a greeting for ever."""
    with serving(tmp_path) as server:
        assert isinstance(server, Serving)
        client = FtpClient("127.0.0.1", server.port, user="ann", password="secret", tls="implicit", timeout_s=5.0)
        with pytest.raises(Unreachable, match="port of implicit TLS"):
            client.connect()
