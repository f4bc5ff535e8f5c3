"""Bundles into the archive, over FTP: each member is a file of the agent's, with its generations."""

from __future__ import annotations

import ftplib
import io
import signal
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logferry.archive import Archive
from logferry.ftp import FtpClient, StoreItem
from tests.ftp.protocol.test_tar_reader import archive_of
from tests.server.helpers import eventually
from tests.server.site import Process, Running, Site, store

zstandard: Any = pytest.importorskip("zstandard")

BUNDLE = "/.bundles/x.tar.zst"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A running FTP part with an empty archive."""
    made = Site.make(tmp_path / "data")
    with Running(made) as running:
        yield running
    made.catalog.close()


def bundle(*files: tuple[str, bytes]) -> bytes:
    """A compressed bundle."""
    packed: bytes = zstandard.compress(archive_of(*files, mtime=1_600_000_000.5))
    return packed


def contents(site: Site, agent: str) -> dict[str, list[bytes]]:
    """All generations of all files, read through the archive."""
    archive = Archive(site.config.data_dir, site.catalog)
    found: dict[str, list[bytes]] = {}
    for file in site.catalog.files.each():
        if file.agent == agent:
            for generation in site.catalog.files.generations(file.id):
                with archive.open(generation.id) as reader:
                    found.setdefault(file.path, []).append(reader.read_at(0, reader.size))
    archive.close()
    return found


def test_members_become_files_with_their_times(site: Site) -> None:
    """Live tree, catalog, times of the node, and the agent is seen to deliver; folders alone as well."""
    files = {f"var/log/d{n % 3}/f{n}.log": b"line %d\n" % n * n for n in range(300)} | {"ü/caf\udce9": b"x"}
    with site.agent(site.join("web-01")) as client:
        assert "BUNDLE /.bundles tar;tar.gz;tar.zst" in client.sendcmd("FEAT")
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", errors="surrogateescape", format=tarfile.GNU_FORMAT) as tar:
            for name, content in {**files, "hollow/inner": None}.items():
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
                info.size, info.mtime = len(content or b""), 1_600_000_000
                tar.addfile(info, io.BytesIO(content or b""))
        reply = store(client, "/.bundles/x.tar", out.getvalue())
        assert reply.startswith("226 Bundle: members=302 files=301 folders=1 ")
        assert client.nlst("/hollow") == ["/hollow/inner"]
    assert contents(site, "web-01") == {name.replace("\udce9", "%E9"): [content] for name, content in files.items()}
    found = site.catalog.files.at("web-01", "var/log/d1/f1.log")
    assert found is not None
    assert found.modified_ns == 1_600_000_000 * 10**9
    assert site.live("web-01", "var/log/d1/f1.log").read_bytes() == b"line 1\n"
    eventually(lambda: next((a for a in site.catalog.agents.list() if a.uploaded_ns), None))


def test_a_bundle_sent_again_changes_nothing_and_grown_files_grow(site: Site) -> None:
    """Idempotent; a longer file grows, another content is the next generation, as with single uploads."""
    with site.agent(site.join("web-01")) as client:
        for _ in range(2):
            assert store(client, BUNDLE, bundle(("a", b"1\n"), ("b", b"1\n"))).startswith("226 ")
        assert store(client, BUNDLE, bundle(("a", b"1\n2\n"), ("b", b"2\n"), ("c", b""))).startswith("226 ")
    assert contents(site, "web-01") == {"a": [b"1\n2\n"], "b": [b"1\n", b"2\n"], "c": [b""]}


def test_what_is_refused_is_named_and_the_rest_is_stored(site: Site) -> None:
    """A folder in the way, names that lead out."""
    with site.agent(site.join("web-01")) as client:
        client.mkd("folder")
        store(client, "folder/x", b"x")
        with pytest.raises(ftplib.error_perm) as caught:
            store(client, BUNDLE, bundle(("folder", b"1"), ("../web-02/x", b"2"), ("/abs", b"3"), ("good", b"4")))
        for name in ("folder", "../web-02/x", "/abs"):
            assert f" {name}: " in str(caught.value)
        assert "files=1 " in str(caught.value)
    assert contents(site, "web-01") == {"folder/x": [b"x"], "good": [b"4"]}


def test_large_members_and_people(site: Site) -> None:
    """A large member goes the way of a single upload; who may only read is offered no bundles."""
    large = b"0123456789abcdef" * 200_000
    with site.agent(site.join("web-01")) as client:
        assert store(client, BUNDLE, bundle(("before", b"1"), ("d/large", large), ("after", b"2"))).startswith("226 ")
    assert contents(site, "web-01") == {"before": [b"1"], "d/large": [large], "after": [b"2"]}
    site.people.create("root", "correct horse", role="admin")
    with site.ftp("root", "correct horse") as reader, pytest.raises(ftplib.error_perm):
        store(reader, BUNDLE, bundle(("a", b"1")))


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """What a reply confirmed is in catalog and tree after kill -9; sent again, everything is there once."""
    site = Site.make(tmp_path / "data")
    joined = site.join("web-01")
    everything: dict[str, bytes] = {}
    for turn, delay_s in enumerate((0.05, 0.2)):
        files = {f"t{turn}/d{n % 4}/f{n}": b"%d" % n * 500 for n in range(600)}
        everything |= files
        items = [StoreItem(name, content, 0, len(content)) for name, content in files.items()]
        with Process(site) as process:
            with FtpClient(*site.address, user=joined.user, password=joined.password, tls="off") as client:
                threading.Timer(delay_s, process.process.send_signal, (signal.SIGKILL,)).start()
                confirmed = {one.item.path for one in client.store_bundle(items, form="tar").results if not one.error}
            process.process.wait(20)
        there = contents(site, "web-01")
        assert confirmed <= there.keys()
        assert all(there[path] == [everything[path]] for path in there)
        with Process(site):
            until = time.monotonic() + 20
            while time.monotonic() < until:
                with FtpClient(*site.address, user=joined.user, password=joined.password, tls="off") as client:
                    result = client.store_bundle(items, form="tar")
                if all(one.error is None for one in result.results):
                    break
        assert contents(site, "web-01") == {path: [content] for path, content in everything.items()}
    site.catalog.close()
