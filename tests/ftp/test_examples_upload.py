"""The example that uploads, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ftp.peers import logferry
from tests.ports import free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "upload.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The example with ``arguments``."""
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"FTP_PASSWORD": "secret"},
    )


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_folder_is_uploaded_whole(tmp_path: Path, encrypted: bool) -> None:
    """With its sub-folders and odd names, plain and encrypted."""
    source = tmp_path / "source"
    (source / "sub folder").mkdir(parents=True)
    (source / "a.log").write_bytes(b"a" * 100_000)
    (source / "sub folder" / "ü %41.log").write_bytes(b"")
    with logferry(tmp_path, encrypted=encrypted) as peer:
        security = ["--pin", peer.pin] if encrypted else ["--plain"]
        done = run("127.0.0.1", str(peer.port), "ann", str(source), "/logs", *security)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["a.log: 100000 bytes", "sub folder/ü %41.log: 0 bytes"]
        assert (peer.root / "logs" / "a.log").read_bytes() == b"a" * 100_000
        assert (peer.root / "logs" / "sub folder" / "ü %41.log").read_bytes() == b""


def test_a_failure_is_one_line_with_the_next_step(tmp_path: Path) -> None:
    """And an exit code that is not 0."""
    (tmp_path / "a").write_bytes(b"x")
    done = run("127.0.0.1", str(free_port()), "ann", str(tmp_path / "a"), "/", "--plain")
    assert done.returncode == 4
    assert "cannot connect" in done.stderr
    assert "Traceback" not in done.stderr
