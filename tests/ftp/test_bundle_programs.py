"""Bundles from the programs people have: tar, gzip, zstd, curl, lftp."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ftp.kit import Serving, serving
from tests.ftp.test_bundles import tree

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        not all(shutil.which(name) for name in ("tar", "curl", "lftp", "zstd")), reason="programs are missing"
    ),
]

RUN_S_MAX = 60.0


@pytest.fixture(params=["plain", "tls"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """A server, plain or requiring TLS."""
    with serving(tmp_path, tls="required" if request.param == "tls" else "off") as made:
        yield made


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder as people have them: deep, with spaces, other scripts, long names, an empty file, a link."""
    made = tmp_path / "logs"
    for name in ("app log.txt", "deep/er/still.log", "журнал/日本.log", "n" * 255, "plus+and%41&;$x", "empty"):
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 500)
    (made / "empty").write_bytes(b"")
    (made / "large").write_bytes(os.urandom(3_000_000))
    (made / "hollow").mkdir()
    (made / "link").symlink_to("app log.txt")
    os.utime(made / "large", ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    return made


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a pipeline in bash; it fails when any part does."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        env=os.environ | variables,
        check=False,
    )


def _curl(running: Serving, form: str) -> str:
    secure = "--ssl-reqd -k" if running.server_tls else ""
    return f"curl -sS -v {secure} -u ann:secret -T - ftp://127.0.0.1:{running.port}/.bundles/logs.{form}"


@pytest.mark.parametrize(
    ("form", "pack"),
    [
        ("tar.zst", "tar c . | zstd"),
        ("tar.zst", "tar c --format=pax . | zstd -19 -T2"),
        ("tar.gz", "tar cz ."),
        ("tar", "tar c --format=pax ."),
        ("tar", "tar c --format=gnu ."),
    ],
)
def test_tar_and_curl(running: Serving, logs: Path, form: str, pack: str) -> None:
    """``tar c … | zstd | curl -T -``: the tree is there, and the link is named as left out."""
    done = shell(f"cd '{logs}' && {pack} | {_curl(running, form)}")
    assert done.returncode == 0, done.stderr
    assert "refused 550 ./link: symbolic link" in done.stderr
    assert tree(running.home) == {name: content for name, content in tree(logs).items() if name != "link"}
    assert (running.home / "hollow").is_dir()
    kept = (running.home / "large").stat().st_mtime_ns
    assert kept == (1_600_000_000_123_456_789 if "pax" in pack else 1_600_000_000_000_000_000)


def test_curl_hears_what_is_wrong(running: Serving, logs: Path) -> None:
    """A bundle that is cut, or whose members are refused, is no success to curl."""
    cut = shell(f"cd '{logs}' && tar c . | zstd | head -c 1000000 | {_curl(running, 'tar.zst')}")
    assert cut.returncode != 0
    assert "426 Bundle: members=" in cut.stderr
    absolute = shell(f"tar cP '{logs}/empty' | {_curl(running, 'tar')}")
    assert absolute.returncode != 0
    assert "an absolute name" in absolute.stderr


def test_lftp_put(running: Serving, logs: Path, tmp_path: Path) -> None:
    """A .tar like any file, by path and from inside the folder."""
    assert (
        shell(f"tar cf '{tmp_path}/a.tar' -C '{logs}' deep && tar cf '{tmp_path}/b.tar' -C '{logs}' large").returncode
        == 0
    )
    settings = "set ssl:verify-certificate no; set net:max-retries 1; set ftp:ssl-force " + (
        "yes" if running.server_tls else "no; set ftp:ssl-allow no"
    )
    puts = f"put '{tmp_path}/a.tar' -o /.bundles/a.tar && cd .bundles && put '{tmp_path}/b.tar' && exit 0; exit 1"
    done = shell(f'lftp -u ann,secret ftp://127.0.0.1:{running.port} -e "{settings}; {puts}"')
    assert done.returncode == 0, done.stdout + done.stderr
    assert tree(running.home) == {name: tree(logs)[name] for name in ("deep/er/still.log", "large")}
