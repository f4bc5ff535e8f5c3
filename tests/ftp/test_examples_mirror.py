"""The example that mirrors, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ftp.peers import logferry
from tests.ports import free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "mirror.py"


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


def test_a_folder_goes_there_and_back_and_a_second_time_nothing_does(tmp_path: Path) -> None:
    """What is excluded stays; --delete removes what only the target has; over TLS with a pin."""
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a.log").write_bytes(b"a" * 1000)
    (source / "sub" / "b.log").write_bytes(b"b")
    (source / "c.tmp").write_bytes(b"c")
    with logferry(tmp_path, encrypted=True) as peer:
        server = ["127.0.0.1", str(peer.port), "ann"]
        up = run(*server, str(source), "/logs", "--exclude", "*.tmp", "--pin", peer.pin)
        assert (up.returncode, up.stdout) == (0, "2 copied (1001 bytes), 0 the same already, 0 failed\n"), up.stderr
        assert sorted(path.name for path in (peer.root / "logs").rglob("*")) == ["a.log", "b.log", "sub"]
        (peer.root / "logs" / "old.log").write_bytes(b"old")
        again = run(*server, str(source), "/logs", "--exclude", "*.tmp", "--delete", "--pin", peer.pin)
        assert again.stdout == "deleted old.log\n0 copied (0 bytes), 2 the same already, 0 failed\n", again.stderr
        down = run(*server, str(tmp_path / "back"), "/logs", "--down", "--pin", peer.pin)
        assert down.returncode == 0, down.stderr
        assert (tmp_path / "back" / "sub" / "b.log").read_bytes() == b"b"


def test_a_failure_is_one_line_with_the_next_step(tmp_path: Path) -> None:
    """And an exit code that is not 0."""
    done = run("127.0.0.1", str(free_port()), "ann", str(tmp_path), "/", "--plain")
    assert done.returncode == 4
    assert "mirror failed: cannot connect" in done.stderr
    assert "Traceback" not in done.stderr
