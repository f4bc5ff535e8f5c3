"""Digests of what was sent: bytes that changed on the way are found, kept apart, and sent again."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, cast

import pytest

from logferry.agent.status import read_status
from logferry.ftp import Filesystem, User
from logferry.ftp.client_data import DataConnection, Progress
from logferry.ftp.local import LocalFilesystem
from logferry.ftp.local_upload import LocalUpload
from logferry.ftp.sending import SendSource
from tests.agent.conftest import Node, RunningAgent, eventually, lines
from tests.agent.cutting import CuttingProxy
from tests.agent.shelves import ArchiveShelf, LocalShelf
from tests.agent.test_hardship import events


class Flipping(LocalFilesystem):
    """A disk that changes one byte of an upload now and then, as bad memory does."""

    flips: ClassVar[list[int]] = []
    """For each upload to come: at which byte of it, -1 = not."""

    def open_upload(self, path: str, *, offset: int, append: bool) -> LocalUpload:
        upload = super().open_upload(path, offset=offset, append=append)
        at = Flipping.flips.pop(0) if Flipping.flips else -1
        return upload if at < 0 else cast("LocalUpload", _Flipped(upload, at))


class _Flipped:
    def __init__(self, upload: LocalUpload, at: int) -> None:
        self._upload = upload
        self._at = at
        self._seen = 0
        self.commit = upload.commit
        self.abandon = upload.abandon

    @property
    def position(self) -> int:
        return self._upload.position

    def write(self, data: memoryview) -> None:
        changed = bytearray(data)
        if self._seen <= self._at < self._seen + len(changed):
            changed[self._at - self._seen] ^= 1
        self._seen += len(changed)
        self._upload.write(memoryview(changed))


class FlippingShelf(LocalShelf):
    """A server on such a disk."""

    def _filesystem(self, user: User) -> Filesystem:
        return Flipping(str(self.home))


@pytest.fixture
def flipping_node(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Node]:
    """A node that delivers there."""
    caplog.set_level(logging.INFO, "logferry.agent")
    (tmp_path / "server").mkdir()
    shelf = FlippingShelf(tmp_path / "server")
    yield Node(tmp_path / "node", shelf)
    Flipping.flips = []
    shelf.stop()


def test_a_new_file_that_arrives_damaged_is_put_aside_and_sent_again(
    flipping_node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """The size is right, the digest is not: said, counted, and in the end the right bytes are there."""
    data = lines(0, 15_000)
    flipping_node.write("app.log", data)
    Flipping.flips = [7000]
    with RunningAgent(flipping_node):
        eventually(lambda: flipping_node.current() == {"app.log": data})
        eventually(lambda: read_status(flipping_node.base / "agent-state").mismatches == 1)
    (damaged,) = flipping_node.generations("app.log")
    assert len(damaged) == len(data)
    assert damaged != data
    assert [e["path"] for e in events(caplog) if e["event"] == "arrived damaged"] == ["logs/app.log"]


def test_a_damaged_tail_is_never_recorded_and_the_file_is_sent_to_a_fresh_place(flipping_node: Node) -> None:
    """Also of a slice that is too large to be kept in memory while it travels; and once more, if it happens again."""
    first, more = lines(0, 100), os.urandom(3_000_000)
    flipping_node.write("app.log", first)
    assert flipping_node.once().complete
    flipping_node.write("app.log", more)
    Flipping.flips = [2_000_000, 5]
    with RunningAgent(flipping_node):
        eventually(lambda: flipping_node.current().get("app.log") == first + more)
    damaged = flipping_node.generations("app.log")
    assert [len(data) for data in damaged] == [len(first + more)] * 2
    assert damaged[0].startswith(first)


def test_where_only_sizes_are_asked_for_damage_goes_unseen(flipping_node: Node) -> None:
    """``verify = "size"``: what the setting costs."""
    flipping_node.server_settings = 'verify = "size"\n'
    flipping_node.write("app.log", b"x" * 100)
    Flipping.flips = [50]
    assert flipping_node.once().complete
    assert flipping_node.current() == {"app.log": b"x" * 50 + b"y" + b"x" * 49}


def test_a_damaged_file_from_before_a_crash_is_not_taken_for_ours(flipping_node: Node) -> None:
    """The registry is lost; size and last bytes agree, the digest of the whole does not."""
    data = lines(0, 20_000)
    flipping_node.write("app.log", data)
    flipping_node.server_settings = 'verify = "size"\n'
    Flipping.flips = [7000]
    assert flipping_node.once().complete
    for name in os.listdir(flipping_node.base / "agent-state"):
        os.unlink(flipping_node.base / "agent-state" / name)
    flipping_node.server_settings = ""
    assert flipping_node.once().complete
    assert flipping_node.current() == {"app.log": data}
    assert len(flipping_node.generations("app.log")) == 1


def test_only_the_appended_bytes_are_hashed(tmp_path: Path) -> None:
    """A grown file of an archive: RANG and HASH of the new part, agreed to by the archive, in one round trip."""
    (tmp_path / "server").mkdir()
    shelf = ArchiveShelf(tmp_path / "server")
    sent: list[str] = []

    def note(command: bytes) -> bool:
        sent.append(command.decode())
        return False

    tap = CuttingProxy(shelf.address, lambda command, _: note(command))
    try:
        node = Node(tmp_path / "node", shelf)
        node.address = tap.address
        node.write("app.log", lines(0, 100))
        assert node.once().complete
        node.write("app.log", lines(100, 12_000))
        assert node.once().complete
        begin, end = len(lines(0, 100)), len(lines(0, 12_100))
        at = sent.index(f"RANG {begin} {end - 1}")
        assert sent[at + 1] == "HASH /logs/app.log"
        assert node.current() == {"app.log": lines(0, 12_100)}
        assert hashlib.sha256(shelf.current()["app.log"]).digest() == hashlib.sha256(lines(0, 12_100)).digest()
    finally:
        tap.close()
        shelf.close()


def test_a_bundle_that_changes_on_its_way_is_found_and_its_damaged_file_sent_again(
    plain_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without TLS: one byte of one of many small files; the others are taken as they are."""
    whole = DataConnection.send
    flips = [b"0017 the line"]

    def noisy(self: DataConnection, source: SendSource, progress: Progress | None = None) -> None:
        if flips and isinstance(source.content, bytes) and flips[0] in source.content:
            source = SendSource.of(source.content.replace(flips.pop(), b"0017 thE line", 1))
        whole(self, source, progress)

    monkeypatch.setattr(DataConnection, "send", noisy)
    plain_node.connections = 1
    expected = {f"{number}.log": b"%04d the line\n" % number * 100 for number in range(50)}
    for name, data in expected.items():
        plain_node.write(name, data)
    with RunningAgent(plain_node):
        eventually(lambda: plain_node.current() == expected)
        eventually(lambda: read_status(plain_node.base / "agent-state").mismatches == 1)
    (damaged,) = plain_node.generations("17.log")
    assert damaged == expected["17.log"].replace(b"the", b"thE", 1)
    assert flips == []
