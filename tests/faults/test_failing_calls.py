"""The disk fails at the Nth call, for each N in turn, under a real server: nothing is confirmed that is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.traced import traced
from tests.ftp.kit import RawClient, serving
from tests.security.amounts import amount

UPLOADS = amount("failing_uploads", 24, 400)
SPOILED = ("fsync:error=EIO", "pwrite64:error=ENOSPC", "pwrite64:error=EIO", "rename,renameat,renameat2:error=EIO")


def _content(number: int) -> bytes:
    return f"upload {number}\n".encode() * (1 + number * 37 % 400)


@pytest.mark.slow
@pytest.mark.parametrize("spoiled", SPOILED)
def test_nothing_is_confirmed_that_a_failing_disk_did_not_take(tmp_path: Path, spoiled: str) -> None:
    """Every third such call fails; each 226 stands for a whole file, no other file is half there, the session lives."""
    with traced(tmp_path, "-e", f"inject={spoiled}:when=2+3", "-e", f"trace={spoiled.partition(':')[0]}") as at:
        confirmed: set[int] = set()
        refused = 0
        with at.client() as client:
            for number in range(UPLOADS):
                reply = client.upload(f"STOR f{number}", _content(number))
                assert reply[:3] in ("226", "451", "452"), reply
                if reply.startswith("226"):
                    confirmed.add(number)
                else:
                    refused += 1
                    assert spoiled.endswith("ENOSPC") == reply.startswith("452"), reply
            assert client.command("NOOP").startswith("200")
        assert refused > 0, "the fault did not take place"
        assert confirmed, "nothing went through between the faults"
        for number in range(UPLOADS):
            path = at.root / f"f{number}"
            # After a rename whose folder could not be synced the name may be there; then it is whole.
            assert path.exists() or number not in confirmed
            assert not path.exists() or path.read_bytes() == _content(number)
    print(f"{spoiled}: {UPLOADS} uploads, {refused} refused, {len(confirmed)} confirmed and whole")


@pytest.mark.slow
def test_an_append_is_confirmed_only_when_its_bytes_were_synced(tmp_path: Path) -> None:
    """Every third fsync fails: the file is the confirmed pieces in order, and a piece sent again is not there twice."""
    with traced(tmp_path, "-e", "inject=fsync:error=EIO:when=4+3", "-e", "trace=fsync") as at, at.client() as client:
        assert client.upload("STOR log", b"begin\n").startswith("226")
        expected = b"begin\n"
        refused = 0
        for number in range(UPLOADS):
            piece = _content(number)
            while True:
                size = int(client.command("SIZE log").split()[1])
                assert size == len(expected), "SIZE counts what was never synced"
                client.command(f"REST {size}")
                if client.upload("STOR log", piece).startswith("226"):
                    break
                refused += 1
            expected += piece
        assert refused > 0
        assert (at.root / "log").read_bytes() == expected
    print(f"{UPLOADS} pieces appended, {refused} failed syncs, content exact")


# A full disk ---------------------------------------------------------------------------------------------------------

DISK_BYTES = 10 * 2**20
PIECE = os.urandom(700_000)
CYCLES = amount("full_cycles", 5, 100)


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs of 10 MB; where that may not be mounted the test is skipped and says so."""
    folder.mkdir(parents=True)
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("a full disk needs root, to mount a tmpfs")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)


def _fill(client: RawClient, cycle: int) -> int:
    """Upload until the disk is full; how many went through."""
    for number in range(1000):
        reply = client.upload(f"STOR c{cycle}-{number}", PIECE)
        if not reply.startswith("226"):
            assert reply.startswith("452"), reply
            return number
    raise AssertionError("the disk never got full")


def test_a_full_disk_is_452_again_and_again_and_nothing_is_half_visible(tmp_path: Path) -> None:
    """Fill, free, fill: reading goes on, what was confirmed is whole, and the interrupted upload resumes."""
    with _small_disk(tmp_path / "home") as disk, serving(tmp_path) as at, at.client() as client:
        stored = refused = 0
        for cycle in range(CYCLES):
            count = _fill(client, cycle)
            assert count > 5, "the room that was freed is not used"
            names = client.download("NLST").split()
            assert len(names) == count
            assert {(disk / os.fsdecode(name)).read_bytes() == PIECE for name in names} == {True}
            assert client.download(f"RETR c{cycle}-0") == PIECE
            refused += 1
            stored += count
            # The cut upload goes on where it stopped once there is room.
            assert client.command(f"DELE c{cycle}-0").startswith("250")
            assert len(at.partials()) == 1
            size = int(client.command(f"SIZE c{cycle}-{count}").split()[1])
            assert 0 < size < len(PIECE)
            client.command(f"REST {size}")
            assert client.upload(f"STOR c{cycle}-{count}", PIECE[size:]).startswith("226")
            assert (disk / f"c{cycle}-{count}").read_bytes() == PIECE
            for number in range(1, count + 1):
                assert client.command(f"DELE c{cycle}-{number}").startswith("250")
            assert list(disk.iterdir()) == []
    print(f"{CYCLES} cycles: {stored} stored, {refused} refused with 452, 0 half visible")
