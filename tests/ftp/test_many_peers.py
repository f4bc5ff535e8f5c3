"""Many files and whole trees with real servers: vsftpd, ProFTPD, pure-ftpd, pyftpdlib and Logferry's own."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.errors import Conflict, NotFound
from logferry.ftp import FileResult, FtpClient, ManyProgress, download_many, mirror_down, mirror_up, upload_many
from tests.ftp.peers import Peer, running

pytestmark = pytest.mark.peers
KINDS = ("logferry-tls", "vsftpd", "pyftpdlib", "pure-ftpd-tls", "proftpd", "proftpd-tls")
ODD = ["two words  and.log", "quote\"s and 'quotes'", "grüße-日本-🛳.log", "100%41.log", "-dash", "[x]?"]
DICE = random.Random(7)
OLD_S = 1_500_000_000


@pytest.fixture(scope="module", params=KINDS)
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """One server of each kind for all tests of this file."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as started:
        yield started


@pytest.fixture
def client(peer: Peer) -> Iterator[FtpClient]:
    """A signed-in client."""
    with peer.client() as connected:
        yield connected


@pytest.fixture
def base(peer: Peer, request: pytest.FixtureRequest) -> str:
    """The path of a folder that nobody uses."""
    return f"{peer.base}/{abs(hash(request.node.name)):x}"


def tree(folder: Path) -> dict[str, bytes | None]:
    """Path -> content; None for a folder."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


def grow(folder: Path) -> Path:
    """A tree with odd names, an empty folder, an empty file and one that goes by itself; all times in the past."""
    for n, name in enumerate(["a.log", "deep/er/b.log", "empty", *(f"odd/{name}" for name in ODD)]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(DICE.randbytes(3000 * n) if name != "empty" else b"")
        os.utime(path, (OLD_S + n, OLD_S + n))
    (folder / "large").write_bytes(DICE.randbytes(1_500_000))
    os.utime(folder / "large", (OLD_S, OLD_S))
    (folder / "nothing here").mkdir()
    return folder


def test_many_files_go_up_and_come_back(peer: Peer, client: FtpClient, base: str, tmp_path: Path) -> None:
    """Over three connections; one that is missing concerns nobody else; progress ends at the sum."""
    sources = tmp_path / "sources"
    sources.mkdir()
    names = [f"{n}.log" for n in range(30)]
    for n, name in enumerate(names):
        (sources / name).write_bytes(DICE.randbytes(100 * n))
    (sources / "large").write_bytes(DICE.randbytes(2_000_000))
    names.append("large")
    pairs = [(str(sources / name), f"{base}/x/{name}") for name in names]
    pairs.insert(3, (str(sources / "missing"), f"{base}/missing"))
    seen: list[ManyProgress] = []
    told: list[FileResult] = []
    results = upload_many(client, pairs, connections=3, progress=seen.append, on_result=told.append)
    assert [(r.local, r.remote) for r in results] == pairs
    assert [type(r.error) for r in results if r.error] == [NotFound]
    assert isinstance(results[3].error, NotFound)
    assert len(told) == 32
    whole = sum((sources / name).stat().st_size for name in names)
    assert (seen[-1].files_done, seen[-1].files, seen[-1].failed) == (32, 32, 1)
    assert (seen[-1].bytes_done, seen[-1].bytes) == (whole, whole)
    assert client.connected, "a client that was passed in stays connected"
    back = tmp_path / "back"
    back.mkdir()
    fetched = download_many(client, [(f"{base}/x/{name}", str(back / name)) for name in names], connections=3)
    assert [r.error for r in fetched] == [None] * 31
    assert tree(back) == tree(sources)


def test_a_tree_is_mirrored_both_ways(peer: Peer, client: FtpClient, base: str, tmp_path: Path) -> None:
    """Every byte, name and time; a second run copies nothing; a change copies what changed."""
    here = grow(tmp_path / "here")
    first = mirror_up(client, str(here), base, connections=2)
    assert first.failed == ()
    assert (len(first.files), first.same) == (10, 0)
    again = mirror_up(client, str(here), base, connections=2)
    assert (again.files, again.folders, again.same, again.failed) == ((), (), 10, ())
    back = tmp_path / "back"
    down = mirror_down(client, base, str(back), connections=2)
    assert down.failed == ()
    assert tree(back) == tree(here)
    assert int((back / "deep/er/b.log").stat().st_mtime) == OLD_S + 1
    assert mirror_down(client, base, str(back)).files == ()
    # The same size and another time: the bytes may differ.
    (here / "a.log").write_bytes(b"x")
    (here / "large").write_bytes(DICE.randbytes(1_500_000))
    changed = mirror_up(client, str(here), base)
    assert sorted(os.path.basename(r.local) for r in changed.files) == ["a.log", "large"]
    assert mirror_down(client, base, str(back)).complete
    assert tree(back) == tree(here)


def test_only_what_was_asked_for_is_deleted(peer: Peer, client: FtpClient, base: str, tmp_path: Path) -> None:
    """Nothing by default and in a dry run; with delete what the source does not have, but never what is excluded."""
    here = grow(tmp_path / "here")
    assert mirror_up(client, str(here), base).complete
    before = tree(here)
    (here / "a.log").unlink()
    for path in sorted((here / "odd").iterdir()):
        path.unlink()
    (here / "odd").rmdir()
    (here / "deep/er/b.log").unlink()
    assert mirror_up(client, str(here), base).deleted == ()
    wish = mirror_up(client, str(here), base, delete=True, dry_run=True, exclude=["b.log"])
    assert set(wish.deleted) == {"a.log", "odd", *(f"odd/{name}" for name in ODD)}
    back = tmp_path / "back"
    assert mirror_down(client, base, str(back)).complete
    assert tree(back) == before
    done = mirror_up(client, str(here), base, delete=True, exclude=["b.log"])
    assert (done.complete, set(done.deleted)) == (True, set(wish.deleted))
    assert mirror_down(client, base, str(back), delete=True).complete
    assert tree(back) == tree(here) | {"deep/er/b.log": before["deep/er/b.log"]}


def test_a_folder_where_a_file_should_be_is_told(peer: Peer, client: FtpClient, base: str, tmp_path: Path) -> None:
    """And the rest arrives."""
    here = tmp_path / "here"
    (here / "x").mkdir(parents=True)
    (here / "x" / "y").write_bytes(b"1")
    (here / "z").write_bytes(b"2")
    assert mirror_up(client, str(here), base).complete
    (here / "x" / "y").unlink()
    (here / "x").rmdir()
    (here / "x").write_bytes(b"now a file")
    (here / "z").write_bytes(b"22")
    mirrored = mirror_up(client, str(here), base)
    assert [(path, type(error)) for path, error in mirrored.failed] == [("x", Conflict)]
    assert client.size(f"{base}/z") == 2


def test_a_missing_folder_is_not_an_empty_one(peer: Peer, client: FtpClient, base: str, tmp_path: Path) -> None:
    """Or a mirror with delete would empty its target."""
    with pytest.raises(NotFound, match=f"{base}/no"):
        mirror_down(client, f"{base}/no", str(tmp_path / "x"), delete=True)
    with pytest.raises(NotFound, match="nowhere"):
        mirror_up(client, str(tmp_path / "nowhere"), base, delete=True)


def test_long_transfers_keep_the_control_connection_alive(peer: Peer, base: str, tmp_path: Path) -> None:
    """With NOOPs, whose answers never pass for the transfer's: some servers answer at once, others behind it."""
    content = DICE.randbytes(10_000_000)
    (tmp_path / "x").write_bytes(content)
    with peer.client(keep_alive_s=0.001) as client:
        client.upload(str(tmp_path / "x"), f"{base}/x")
        client.download(f"{base}/x", str(tmp_path / "y"))
        client.noop()
        client.upload(str(tmp_path / "x"), f"{base}/z")
        assert client.size(f"{base}/z") == len(content)
    assert (tmp_path / "y").read_bytes() == content
