"""The client's side of bundles: what it sends, and what it believes of the answers."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from logferry.errors import BadName, Conflict, LogferryError, Refused
from logferry.ftp import FtpClient, StoreItem, TlsIdentity, User
from logferry.ftp.sending import Shrank
from logferry.limits import BUNDLE_MEMBER_BYTES_MAX, READ_WHOLE_BYTES
from tests.ftp.kit import SECRET, Serving, serving
from tests.ftp.test_bundles import tree

pytest.importorskip("zstandard")


def client_of(running: Serving, user: str = "ann") -> FtpClient:
    """Our client, signed in when first used."""
    settings: dict[str, Any] = {"tls": "off"}
    if running.server_tls:
        settings = {"pins": (TlsIdentity.ensure(str(running.home.parent / "identity")).pin,)}
    return FtpClient("127.0.0.1", running.port, user=user, password="secret", timeout_s=20, **settings)


def item(path: str, content: bytes, modified_ns: int | None = None) -> StoreItem:
    """A file in memory."""
    return StoreItem(path, content, 0, len(content), modified_ns=modified_ns)


@pytest.mark.parametrize("form", ["", "tar", "tar.gz", "tar.zst"])
def test_files_arrive_whole_with_their_times(tmp_path: Path, form: str) -> None:
    """From memory, from a descriptor and from a stream; small, empty and large."""
    large = os.urandom(BUNDLE_MEMBER_BYTES_MAX + 77)
    (tmp_path / "large").write_bytes(b"skipped" + large)
    with serving(tmp_path) as running, client_of(running) as client:
        fd = os.open(tmp_path / "large", os.O_RDONLY)
        items = [
            item("/a/b c/ü.log", b"one", 1_700_000_000_123_456_789),
            item("relative", b""),
            StoreItem("/large", fd, 7, len(large)),
            StoreItem("/stream", io.BytesIO(b"x" * 5000), 0, 5000),
            item("/" + "n" * 255, b"long", -1_500_000_000),
        ]
        moved: list[int] = []
        result = client.store_bundle(iter(items), form=form, progress=moved.append)
        os.close(fd)
        assert result.error is None
        assert [one.error for one in result.results] == [None] * 5
        assert [one.size for one in result.results] == [one.length for one in items]
        assert (result.files, result.count) == (5, sum(one.length for one in items))
        assert tree(running.home) == {
            "a/b c/ü.log": b"one", "relative": b"", "large": large, "stream": b"x" * 5000, "n" * 255: b"long",
        }  # fmt: skip
        assert (running.home / "a/b c/ü.log").stat().st_mtime_ns == 1_700_000_000_123_456_789
        assert (running.home / ("n" * 255)).stat().st_mtime_ns == -1_500_000_000
        assert moved == sorted(moved)


def test_each_refusal_finds_its_item(tmp_path: Path) -> None:
    """Here or there: a bad name, a name twice, a folder in the way, no permission; the others are stored."""
    with serving(tmp_path) as running:
        (running.home / "folder").mkdir()
        running.users.add(User("ben", str(running.home), "elw", SECRET))
        with client_of(running) as client:
            items = [item(path, b"x") for path in ("/ok", "/a/../b", "/ok", "/folder", "/100%25: really", "")]
            result = client.store_bundle(items)
            assert [type(one.error) for one in result.results] == [
                type(None), BadName, Conflict, Refused, type(None), BadName,
            ]  # fmt: skip
            assert result.error is None
        with client_of(running, "ben") as client:
            one, two = client.store_bundle([item("/new/x", b"1"), item("/folder/y", b"2")]).results
            assert isinstance(one.error, LogferryError)
            assert two.error is None
        assert tree(running.home) == {"ok": b"x", "100%25: really": b"x", "folder/y": b"2"}


def test_a_source_that_shrank(tmp_path: Path) -> None:
    """A small one is left out alone; a large one ends the bundle, and what was before it is safe."""
    with serving(tmp_path) as running, client_of(running) as client:
        small = StoreItem("/small", io.BytesIO(b"short"), 0, 100)
        result = client.store_bundle([item("/a", b"1"), small, item("/b", b"2")])
        assert [type(one.error) for one in result.results] == [type(None), Shrank, type(None)]
        large = StoreItem("/large", io.BytesIO(bytes(READ_WHOLE_BYTES)), 0, READ_WHOLE_BYTES * 4)
        result = client.store_bundle([item("/c", b"1"), large, item("/d", b"2")])
        assert isinstance(result.error, Conflict)
        assert isinstance(result.results[1].error, Conflict)
        assert result.results[2].error is not None
        there = tree(running.home)
        assert all(one.error is not None or one.item.path[1:] in there for one in result.results)
        assert "large" not in there
        assert client.store_bundle([item("/e", b"1")]).error is None, "the client goes on"


def test_a_server_that_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first members count, the rest carries the reason."""
    monkeypatch.setattr("logferry.ftp.bundle.BUNDLE_MEMBERS_MAX", 5)
    with serving(tmp_path) as running, client_of(running) as client:
        result = client.store_bundle([item(f"/f{n}", b"x" * 3000) for n in range(3000)])
        assert isinstance(result.error, Refused)
        assert [one.error is None for one in result.results] == [n < 5 for n in range(3000)]
        assert len(tree(running.home)) == 5


def test_a_server_without_bundles(tmp_path: Path) -> None:
    """Refused before a byte goes out, and nothing else is done."""
    with serving(tmp_path, bundles=False) as running, client_of(running) as client:
        assert client.features.bundle_formats == ()
        with pytest.raises(Refused, match="takes no bundles"):
            client.store_bundle([item("/a", b"1")])
    with (
        serving(tmp_path / "other") as running,
        client_of(running) as client,
        pytest.raises(Refused, match=r"tar\.xz"),
    ):
        client.store_bundle([item("/a", b"1")], form="tar.xz")


def test_an_empty_bundle(tmp_path: Path) -> None:
    """Nothing to send is no error."""
    with serving(tmp_path) as running, client_of(running) as client:
        result = client.store_bundle([])
        assert (result.results, result.error, result.files) == ((), None, 0)


def test_over_tls(tmp_path: Path) -> None:
    """The data connection resumes the session; several bundles in a row."""
    with serving(tmp_path, tls="required") as running, client_of(running) as client:
        for turn in range(3):
            result = client.store_bundle([item(f"/t{turn}/f{n}", b"%d" % n * 100) for n in range(200)])
            assert result.error is None
        assert client.encrypted
        assert len(tree(running.home)) == 600


def test_what_is_sent_is_a_tar_archive_to_everybody(tmp_path: Path) -> None:
    """Stored as a file by a server that does not unpack, ``tar`` reads it."""
    with serving(tmp_path, bundles=False) as running:
        (running.home / "in").mkdir()
        with client_of(running) as client:
            client.connect()
            client._features = client.session().features = type(client.features)({"BUNDLE": "/in tar.gz"})
            result = client.store_bundle([item("/a/b", b"1", 1_600_000_000_500_000_000), item("/c", b"2" * 700)])
            assert all(one.error is not None for one in result.results), "its answer has no report"
        (stored,) = (running.home / "in").iterdir()
        with tarfile.open(stored) as tar:
            assert [(one.name, one.size, one.mtime) for one in tar] == [("a/b", 1, 1_600_000_000.5), ("c", 700, 0)]
