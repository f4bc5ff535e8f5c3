"""HASH, RANG, XCRC and the others on a running server: right, remembered, abortable, only for those who may read."""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.clock import SYSTEM
from logferry.ftp import Download, FolderRules, Incomplete, LocalFilesystem, User
from logferry.ftp.hashing import HashCache
from logferry.ftp.protocol.hash_words import X_COMMANDS
from tests.ftp.kit import RawClient, Serving, serving, until

CONTENT = os.urandom(700_001)
DIGESTS: dict[str, Callable[[bytes], str]] = {
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "SHA-1": lambda data: hashlib.sha1(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data).hexdigest(),
    "CRC32": lambda data: f"{zlib.crc32(data):08x}",
}


def test_every_algorithm_whole_and_in_ranges(tmp_path: Path) -> None:
    """213 with algorithm, range, digest and the name as sent."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "a b").write_bytes(CONTENT)
        (at.home / "empty").touch()
        for name, digest in DIGESTS.items():
            assert client.command(f"OPTS HASH {name}") == f"200 {name}"
            assert client.command("HASH a b") == f"213 {name} 0-700000 {digest(CONTENT)} a b"
            assert client.command("HASH /empty") == f"213 {name} 0-0 {digest(b'')} /empty"
            for first, last in ((0, 0), (0, 49), (262_143, 262_144), (700_000, 700_000), (1, 2**62)):
                client.command(f"RANG {first} {last}")
                end = min(last, len(CONTENT) - 1)
                expected = f"213 {name} {first}-{end} {digest(CONTENT[first : end + 1])} a b"
                assert client.command("HASH a b") == expected
        client.command("RANG 700001 700001")
        assert client.command("HASH a b").startswith("554")
        assert client.command("HASH missing").startswith("550")
        assert client.command("HASH /").startswith("550")


def test_the_older_commands(tmp_path: Path) -> None:
    """250 and the digest in capitals; names quoted, bare, with spaces or numbers; the end is not included."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "a b").write_bytes(CONTENT)
        (at.home / "log 5").write_bytes(b"five")
        (at.home / "log").write_bytes(b"0123456789")
        (at.home / 'say "x"').write_bytes(b"quoted")
        for verb, name in {**X_COMMANDS, "XSHA": "SHA-1"}.items():
            digest = DIGESTS[name]
            assert client.command(f"{verb} a b") == f"250 {digest(CONTENT).upper()}"
            assert client.command(f'{verb} "a b" 0 700001') == f"250 {digest(CONTENT).upper()}"
            assert client.command(f'{verb} "a b" 5 9') == f"250 {digest(CONTENT[5:9]).upper()}"
            assert client.command(f'{verb} "a b" 5') == f"250 {digest(CONTENT[5:]).upper()}"
            assert client.command(f"{verb} log 5") == f"250 {digest(b'five').upper()}"
            assert client.command(f"{verb} log 2 4") == f"250 {digest(b'23').upper()}"
            assert client.command(f'{verb} "say ""x"""') == f"250 {digest(b'quoted').upper()}"
        assert client.command("XCRC missing 1 2").startswith("550")
        assert client.command("XCRC log 4 2").startswith("554")


def test_a_range_is_downloaded_with_rang(tmp_path: Path) -> None:
    """Both ends included, cut at the end of the file; the next RETR is whole."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "f").write_bytes(CONTENT)
        for first, last in ((0, 0), (10, 299_999), (700_000, 700_005)):
            client.command(f"RANG {first} {last}")
            assert client.download("RETR f") == CONTENT[first : last + 1]
        assert client.download("RETR f") == CONTENT


def _hits(at: Serving) -> int:
    return at.server._shared.hashes.hits


def test_a_digest_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    """By any session, for that range and algorithm; a change in size, content or time alone ends it."""
    ahead = type("Ahead", (), {"now_ns": lambda self: SYSTEM.now_ns() + 10**10, "monotonic_s": SYSTEM.monotonic_s})()
    with serving(tmp_path, clock=ahead) as at:
        path = at.home / "f"
        path.write_bytes(CONTENT)
        with at.client() as one, at.client() as two:
            first = one.command("HASH f")
            assert _hits(at) == 0
            assert two.command("HASH f") == first
            assert two.command("XSHA256 f")[4:].lower() in first
            assert _hits(at) == 2
            two.command("RANG 0 1")
            two.command("HASH f")
            two.command("XMD5 f")
            assert _hits(at) == 2
            times = path.stat()
            path.write_bytes(CONTENT[::-1])
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            assert one.command("HASH f").split()[3] == DIGESTS["SHA-256"](CONTENT[::-1])
            assert _hits(at) == 2


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    """It may change again within one tick of the file system's clock, and nothing would tell."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "f").write_bytes(CONTENT)
        client.command("HASH f")
        client.command("HASH f")
        assert _hits(at) == 0


def test_the_cache_is_bounded() -> None:
    """The longest unused goes first."""
    cache = HashCache(entries_max=2)
    cache.put("a", "1")
    cache.put("b", "2")
    assert cache.get("a") == "1"
    cache.put("c", "3")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == ("1", None, "3")


def test_who_may_not_read_may_not_hash(tmp_path: Path) -> None:
    """A hash of any range gives the bytes away, one at a time."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "f").write_bytes(CONTENT)
        at.users.change("ann", permissions="elafmwT")
        for line in ("HASH f", "XCRC f", "XMD5 f", "XSHA1 f", "XSHA256 f 0 1", "HASH missing"):
            assert client.command(line).startswith("550"), line


def test_folder_rules_hold_for_hashing_and_for_times(tmp_path: Path) -> None:
    """A letter that is taken in a folder is taken from HASH and MDTM there, whichever of its names is meant."""
    with serving(tmp_path) as at:
        at.users.change("ann", permissions="elrT", folders=FolderRules({"/closed": "el", "/open 1": "el"}))
        for name in ("closed", "open", "open 1"):
            (at.home / name).mkdir()
            (at.home / name / "f").write_bytes(CONTENT)
        (at.home / "open 1 5").write_bytes(b"five")
        with at.client() as client:
            assert client.command("HASH open/f").startswith("213")
            assert client.command("HASH closed/f").startswith("550")
            assert client.command('XMD5 "open 1/f" 0 5').startswith("550")
            assert client.command("XMD5 closed/f 0 5").startswith("550")
            assert client.command("XMD5 open/f 0 5").startswith("250")
            assert client.command("MDTM 20200101000000 open/f").startswith("213 Modify=")
            assert client.command("MDTM 20200101000000 closed/f").startswith("550")
            assert client.command("MDTM closed/f").startswith("213 ")


def test_an_interrupted_upload_is_hashed_as_far_as_size_tells(tmp_path: Path) -> None:
    """So that a client can check what it continues; afterwards the file itself counts."""
    with serving(tmp_path) as at, at.client() as client:
        with at.client() as broken:
            data = broken.data("STOR f")
            data.sendall(CONTENT[:100_000])
            until(lambda: bool(at.partials()) and at.partials()[0].stat().st_size == 100_000, "the bytes have not come")
            broken.close()
            data.close()
            at.event(Incomplete)
        assert client.command("SIZE f") == "213 100000"
        assert client.command("HASH f") == f"213 SHA-256 0-99999 {DIGESTS['SHA-256'](CONTENT[:100_000])} f"
        client.command("REST 100000")
        assert client.upload("STOR f", CONTENT[100_000:]).startswith("226")
        assert client.command("HASH f") == f"213 SHA-256 0-700000 {DIGESTS['SHA-256'](CONTENT)} f"


class _Endless:
    """A file of zeros that has no end."""

    size = 2**60

    def __init__(self) -> None:
        self.begun = threading.Event()

    def fileno(self) -> int | None:
        return None

    def read_at(self, offset: int, count: int) -> bytes:
        self.begun.set()
        return bytes(count)

    def close(self) -> None:
        return None


class _EndlessFilesystem(LocalFilesystem):
    """Every file is ``endless``; like any file system that knows nothing of HASH it has no ``open_hash``."""

    endless = _Endless()
    open_hash = None  # type: ignore[assignment]

    def open_download(self, path: str) -> Download:  # type: ignore[override]
        return self.endless


def _make(user: User) -> _EndlessFilesystem:
    return _EndlessFilesystem(user.home)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once hashing has begun."""
    monkeypatch.setattr(_EndlessFilesystem, "endless", _Endless())
    monkeypatch.delattr(LocalFilesystem, "open_hash")
    monkeypatch.delattr(_EndlessFilesystem, "open_hash")
    return _EndlessFilesystem.endless.begun


def _hash_endlessly(client: RawClient, begun: threading.Event) -> None:
    client.send("HASH f")
    assert begun.wait(20)


def test_abor_ends_hashing(tmp_path: Path, endless: threading.Event) -> None:
    """STAT tells how far it is, others are served meanwhile, 451 then 226; a second one works."""
    with serving(tmp_path, filesystem=_make) as at, at.client() as client, at.client() as other:
        _hash_endlessly(client, endless)
        client.send("STAT")
        assert client.reply().startswith("213 HASH /f: ")
        assert other.command("NOOP").startswith("200")
        assert [(one.doing, one.path) for one in at.server.sessions()] == [("HASH", "/f"), ("idle", "")]
        client.send("ABOR")
        assert [client.code(), client.code()] == ["451", "226"]
        client.send("HASH f", "ABOR", "NOOP")
        assert [client.code(), client.code(), client.code()] == ["451", "226", "200"]


def test_the_servers_stop_ends_hashing(tmp_path: Path, endless: threading.Event) -> None:
    """After the time that transfers get, too."""
    with serving(tmp_path, filesystem=_make) as at, at.client() as client:
        _hash_endlessly(client, endless)
        at.server.stop(timeout_s=0.05)
        assert client.reply()[:3] in ("451", "421", "")


def test_a_client_that_goes_away_ends_hashing(tmp_path: Path, endless: threading.Event) -> None:
    """Nobody would hear the digest."""
    with serving(tmp_path, filesystem=_make) as at:
        client = at.client()
        _hash_endlessly(client, endless)
        client.close()
        until(lambda: at.server.sessions() == [], "the session goes on")


class _Shrinking(_Endless):
    def read_at(self, offset: int, count: int) -> bytes:
        return b"" if offset else bytes(count)


def test_a_file_that_shrinks_has_no_digest(
    tmp_path: Path, endless: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better none than that of something else."""
    monkeypatch.setattr(_EndlessFilesystem, "endless", _Shrinking())
    with serving(tmp_path, filesystem=_make) as at, at.client() as client:
        assert client.command("HASH f").startswith("550 the file became shorter")
