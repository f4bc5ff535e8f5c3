"""FtpClient with real servers: Logferry's own, vsftpd and pyftpdlib, plain and with TLS."""

from __future__ import annotations

import os
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from logferry.errors import BadName, Later, LogferryError, NotFound, NotSignedIn, Refused
from logferry.ftp import FtpClient, SendSource, StoreItem
from tests.ftp.peers import Peer, running

pytestmark = pytest.mark.peers
KINDS = (
    "logferry",
    "logferry-tls",
    "vsftpd",
    "vsftpd-tls",
    "pyftpdlib",
    "pure-ftpd",
    "pure-ftpd-tls",
    "proftpd",
    "proftpd-tls",
)
BIG = random.Random(42).randbytes(20_000_000)
NAMES = [
    "plain.log",
    "two words  and more.log",
    "quote\"s and 'quotes'",
    "grüße-日本-🛳.log",
    "100%41%0A.log",
    "-dash",
    "[x]*?\\back",
    "x" * 200,
]


@pytest.fixture(scope="module", params=KINDS)
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """One server of each kind for all tests of this file."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as started:
        yield started


@pytest.fixture
def client(peer: Peer) -> Iterator[FtpClient]:
    """A signed-in client, in a folder nobody else uses."""
    with peer.client() as connected:
        yield connected


@pytest.fixture
def base(peer: Peer, client: FtpClient, request: pytest.FixtureRequest) -> str:
    """A fresh folder on the server."""
    name = f"{peer.base}/{abs(hash(request.node.name)):x}"
    client.ensure_folder(name)
    return name


def on_disk(peer: Peer, path: str) -> Path:
    """Where the server keeps ``path``."""
    return peer.root / path.removeprefix(peer.base).lstrip("/")


def abort_behind(client: FtpClient, count: int) -> Callable[[int, int], None]:
    """A progress callback that aborts ``client`` behind ``count`` bytes."""

    def progress(done: int, _: int) -> None:
        if done > count:
            client.abort()

    return progress


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_stored_listed_and_read_back(peer: Peer, client: FtpClient, base: str, name: str) -> None:
    """Spaces, quotes, percent signs, wildcards, UTF-8, length."""
    path = f"{base}/{name}"
    if "\\" in name and client.features.has("ESTA"):  # pure-ftpd
        with pytest.raises(BadName, match="Prohibited"):
            client.store(path, SendSource.of(b"content"))
        return
    client.store(path, SendSource.of(b"content"))
    assert client.size(path) == 7
    assert [(entry.name, entry.size) for entry in client.entries(base)] == [(name, 7)]
    blocks: list[bytes] = []
    assert client.retrieve(path, lambda block: blocks.append(bytes(block))) == 7
    assert b"".join(blocks) == b"content"
    assert on_disk(peer, path).read_bytes() == b"content"


def test_an_empty_file_is_a_file(client: FtpClient, base: str) -> None:
    """Zero bytes, both ways."""
    client.store(f"{base}/empty", SendSource.of(b""))
    assert client.size(f"{base}/empty") == 0
    assert client.retrieve(f"{base}/empty", lambda block: None) == 0


def test_what_is_missing_is_none_or_not_found(client: FtpClient, base: str) -> None:
    """size, stat and modified give None; retrieve and rename raise."""
    assert client.size(f"{base}/no") is None
    assert client.stat(f"{base}/no") is None
    assert client.modified(f"{base}/no") is None
    with pytest.raises(Refused):
        client.retrieve(f"{base}/no", lambda block: None)
    with pytest.raises(Refused):
        client.rename(f"{base}/no", f"{base}/yes")
    assert client.entries(base) == []


def test_folders_are_made_with_those_above_them(peer: Peer, client: FtpClient, base: str) -> None:
    """And a folder that exists already is fine, for another client too."""
    client.ensure_folder(f"{base}/a/b c/d")
    with peer.client() as other:
        other.ensure_folder(f"{base}/a/b c/d/e")
    assert on_disk(peer, f"{base}/a/b c/d/e").is_dir()
    client.store(f"{base}/file", SendSource.of(b"x"))
    with pytest.raises(LogferryError):
        client.ensure_folder(f"{base}/file/below")


def test_files_are_renamed_over_others_and_removed(client: FtpClient, base: str) -> None:
    """As the agent does for new files."""
    client.store(f"{base}/a", SendSource.of(b"new"))
    client.rename(f"{base}/a", f"{base}/b")
    assert client.size(f"{base}/a") is None
    assert client.size(f"{base}/b") == 3
    client.remove(f"{base}/b")
    assert client.size(f"{base}/b") is None


def test_the_time_of_a_file_can_be_set_and_read(client: FtpClient, base: str) -> None:
    """MFMT or MDTM, whichever the server has."""
    client.store(f"{base}/a", SendSource.of(b"x"))
    assert client.set_modified(f"{base}/a", 1_600_000_000_000_000_000)
    assert client.modified(f"{base}/a") == 1_600_000_000_000_000_000


def test_rest_continues_where_it_says(peer: Peer, client: FtpClient, base: str) -> None:
    """Growth as the agent ships it; sent again from the same place it stays the same file."""
    path = f"{base}/log"
    client.store(path, SendSource.of(b"0123456789"))
    for _ in range(2):
        client.store(path, SendSource.of(b"abcde"), rest=10)
        assert client.size(path) == 15
    assert on_disk(peer, path).read_bytes() == b"0123456789abcde"
    blocks: list[bytes] = []
    client.retrieve(path, lambda block: blocks.append(bytes(block)), offset=8)
    assert b"".join(blocks) == b"89abcde"


def test_big_files_go_both_ways_unchanged(client: FtpClient, base: str, tmp_path: Path) -> None:
    """20 MB, with progress from first to last byte, and the time of the file."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(BIG)
    os.utime(source, (1_500_000_000, 1_500_000_000))
    seen: list[tuple[int, int]] = []
    client.upload(str(source), f"{base}/new/big", progress=lambda done, whole: seen.append((done, whole)))
    assert seen[-1] == (len(BIG), len(BIG))
    assert seen == sorted(seen)
    client.download(f"{base}/new/big", str(target))
    assert target.read_bytes() == BIG
    assert target.stat().st_mtime == 1_500_000_000
    assert [entry.name for entry in client.entries(f"{base}/new")] == ["big"]


def test_an_interrupted_upload_is_resumed_by_another_client(peer: Peer, base: str, tmp_path: Path) -> None:
    """The first is aborted in the middle; the second sends the rest only."""
    source = tmp_path / "source"
    source.write_bytes(BIG)
    first = peer.client()
    with pytest.raises(Later):
        first.upload(str(source), f"{base}/big", progress=abort_behind(first, 5_000_000))
    first.close()
    deadline = time.monotonic() + 10
    with peer.client() as second:
        while True:  # the first one's half file is still held until its end is noticed
            try:
                copied = second.upload(str(source), f"{base}/big", attempts=1)
            except Later:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                break
        assert copied.size == len(BIG)
        assert second.size(f"{base}/big") == len(BIG)
    assert on_disk(peer, f"{base}/big").read_bytes() == BIG


def test_an_interrupted_download_is_resumed(peer: Peer, client: FtpClient, base: str, tmp_path: Path) -> None:
    """From where it was, after comparing the bytes before."""
    client.store(f"{base}/big", SendSource.of(BIG))
    first = peer.client()
    with pytest.raises(Later):
        first.download(f"{base}/big", str(tmp_path / "x"), progress=abort_behind(first, 5_000_000))
    first.close()
    copied = client.download(f"{base}/big", str(tmp_path / "x"))
    assert copied.resumed_at > 5_000_000
    assert (tmp_path / "x").read_bytes() == BIG


def test_many_files_are_stored_in_order(peer: Peer, client: FtpClient, base: str, tmp_path: Path) -> None:
    """From memory and from descriptors, new and continued, each with its size."""
    source = tmp_path / "source"
    source.write_bytes(BIG[:100_000])
    with source.open("rb") as file:
        items = [StoreItem(f"{base}/{n}", file.fileno(), n, 1000 * n) for n in range(20)]
        items += [StoreItem(f"{base}/{n}", BIG, 1001 * n, n, rest=1000 * n) for n in range(20)]
        items += [StoreItem(f"{base}/m{n}", b"x" * n, 0, n, modified_ns=1_600_000_000_000_000_000) for n in range(20)]
        results = list(client.store_many(items))
    assert [result.error for result in results] == [None] * 60
    assert [result.item for result in results] == items
    assert [result.size for result in results[20:40]] == [1001 * n for n in range(20)]
    for n in range(20):
        assert on_disk(peer, f"{base}/{n}").read_bytes() == BIG[n : n + 1001 * n]
    assert all(result.modified_set for result in results[40:])
    assert client.size(f"{base}/5") == 5005


def test_a_refused_file_among_many_stops_nothing(client: FtpClient, base: str) -> None:
    """A folder that is not there, a name that cannot be sent, a source that shrank; the others arrive."""
    read_end, write_end = os.pipe()
    os.close(write_end)
    with open(__file__, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        items = [
            StoreItem(f"{base}/a", b"a", 0, 1),
            StoreItem(f"{base}/no/such/folder", b"b", 0, 1),
            StoreItem(f"{base}/c", b"c", 0, 1),
            StoreItem(f"{base}/li\nne", b"d", 0, 1),
            StoreItem(f"{base}/e", b"e", 0, 1),
            StoreItem(f"{base}/shrank", file.fileno(), 0, size + 1),
            StoreItem(f"{base}/g", b"g", 0, 1),
            StoreItem(f"{base}/pipe", read_end, 0, 5),
            StoreItem(f"{base}/i", b"i", 0, 1),
            StoreItem(f"{base}/no/such/folder", BIG, 0, len(BIG), rest=5),
            StoreItem(f"{base}/k", b"k", 0, 1),
        ]
        results = list(client.store_many(items))
    os.close(read_end)
    assert [result.item.path for result in results if result.error is None] == [f"{base}/{n}" for n in "acegik"]
    assert [client.size(f"{base}/{n}") for n in "acegik"] == [1] * 6


def test_stopping_early_leaves_the_client_usable(client: FtpClient, base: str) -> None:
    """Commands sent ahead die with their connection; nothing is stored that was not asked for."""
    results = client.store_many(StoreItem(f"{base}/{n}", b"x", 0, 1) for n in range(100))
    assert next(results).error is None
    results.close()  # type: ignore[attr-defined]
    client.store(f"{base}/last", SendSource.of(b"x"))
    assert sorted(entry.name for entry in client.entries(base)) == ["0", "last"]


def test_a_wrong_password_is_not_signed_in(peer: Peer) -> None:
    """And not tried again by anybody."""
    if peer.user == "anonymous":
        pytest.skip("the anonymous user has no password")
    with pytest.raises(NotSignedIn):
        peer.client(password="wrong").connect()


def test_a_wrong_pin_is_refused_and_the_pin_found_is_named(peer: Peer) -> None:
    """So that a new certificate can be told from somebody in between."""
    if not peer.encrypted:
        pytest.skip("no TLS here")
    with pytest.raises(Refused, match=peer.pin):
        peer.client(pins=("sha256/" + "0" * 64,)).connect()


def test_a_certificate_nobody_vouches_for_is_refused_without_a_pin(peer: Peer) -> None:
    """And accepted with its own file as the authority."""
    if not peer.encrypted:
        pytest.skip("no TLS here")
    with pytest.raises(Refused, match="not trusted"):
        peer.client(pins=()).connect()
    certificate = peer.root.parents[1 if peer.base else 0] / "tls" / "certificate.pem"
    with peer.client(pins=(), ca_file=str(certificate)) as client:
        assert client.encrypted


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_carry_whole_files(peer: Peer, base: str, version: ssl.TLSVersion, tmp_path: Path) -> None:
    """Twenty uploads of 300 KB and back: none cut, every data connection takes the session over."""
    if not peer.encrypted:
        pytest.skip("no TLS here")
    client = peer.client()
    assert client._tls is not None
    client._tls.context.minimum_version = client._tls.context.maximum_version = version
    with client:
        for n in range(20):
            client.store(f"{base}/{n}", SendSource(BIG, n, 300_000))
            assert client.size(f"{base}/{n}") == 300_000
            assert on_disk(peer, f"{base}/{n}").read_bytes() == BIG[n : 300_000 + n]
        client.download(f"{base}/3", str(tmp_path / "x"))
        assert (tmp_path / "x").read_bytes() == BIG[3:300_003]


class _Steady:
    """Dice that make the client come back soon and regularly: its pauses themselves are tested elsewhere."""

    def uniform(self, a: float, b: float) -> float:
        return min(b, a + 0.5)


@pytest.mark.parametrize("kind", ["logferry", "logferry-tls", "vsftpd", "pyftpdlib"])
def test_a_server_killed_in_the_middle_is_waited_for(kind: str, tmp_path: Path) -> None:
    """``kill -9`` while an upload runs, started again on the same port: the upload ends whole by itself."""
    source = tmp_path / "source"
    source.write_bytes(BIG)
    killed = threading.Event()
    with ThreadPoolExecutor(1) as background:
        with running(kind, tmp_path) as first:
            port, place = first.port, f"{first.base}/big"
            client = first.client(dice=_Steady())

            def kill_once(done: int, _: int) -> None:
                if done > 3_000_000 and not killed.is_set():
                    first.kill()
                    killed.set()

            upload = background.submit(client.upload, str(source), place, attempts=200, progress=kill_once)
            assert killed.wait(20)
        with running(kind, tmp_path, port=port) as second:
            assert upload.result(100).attempts > 1
            client.close()
            assert on_disk(second, place).read_bytes() == BIG


def test_a_listing_of_a_missing_folder_is_not_found(peer: Peer, client: FtpClient, base: str) -> None:
    """Where the server says so; vsftpd lists nothing instead."""
    if client.features.has("MLST"):
        with pytest.raises(Refused):
            client.entries(f"{base}/no")
    else:
        assert client.entries(f"{base}/no") == []


def test_not_found_is_told_apart_by_its_words(client: FtpClient, base: str) -> None:
    """Where the server's words allow it."""
    with pytest.raises(Refused) as caught:
        client.remove(f"{base}/no")
    if "such" in str(caught.value) or "exist" in str(caught.value):
        assert isinstance(caught.value, NotFound)
