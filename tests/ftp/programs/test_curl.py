"""curl against our server."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.ftp.kit import Serving, serving
from tests.ftp.programs.running import CONTENT, EXPLICIT, PLAIN, Way, done, each_way, half_uploaded, needs, run

pytestmark = pytest.mark.peers


def _curl(way: Way) -> list[str]:
    protection = ["--ssl-reqd"] if way.explicit else []
    if way != PLAIN:
        protection += ["--insecure", "--tlsv1.2", "--tls-max", way.version]
    return [needs("curl"), "--silent", "--show-error", "--user", "ann:secret", *protection]


def _url(at: Serving, way: Way) -> str:
    return f"{'ftps' if way.implicit else 'ftp'}://127.0.0.1:{at.port}"


@each_way
def test_curl(tmp_path: Path, source: Path, way: Way) -> None:
    """Upload with folders made, list, download, resume both ways, rename, delete."""
    with serving(tmp_path, tls=way.tls) as at:
        curl, url = _curl(way), _url(at, way)
        done(*curl, "--ftp-create-dirs", "-T", str(source), f"{url}/new/folder/a.bin")
        assert (at.home / "new/folder/a.bin").read_bytes() == CONTENT
        assert "a.bin" in done(*curl, f"{url}/new/folder/")
        assert done(*curl, "--list-only", f"{url}/new/folder/").split() == ["a.bin"]
        target = tmp_path / "target.bin"
        target.write_bytes(CONTENT[:1000])
        done(*curl, "-C", "-", "-o", str(target), f"{url}/new/folder/a.bin")
        assert target.read_bytes() == CONTENT
        if not way.implicit:
            half_uploaded(at, "b.bin", 100_000)
        done(*curl, "-C", "-", "-T", str(source), f"{url}/b.bin")
        assert (at.home / "b.bin").read_bytes() == CONTENT
        (at.home / "log").write_bytes(CONTENT[:5])
        done(*curl, "--append", "-T", str(source), f"{url}/log")
        assert (at.home / "log").read_bytes() == CONTENT[:5] + CONTENT
        done(*curl, "-Q", "RNFR b.bin", "-Q", "RNTO c.bin", "--list-only", f"{url}/")
        done(*curl, "-Q", "DELE c.bin", "--list-only", f"{url}/")
        assert sorted(path.name for path in at.home.iterdir()) == ["log", "new"]


@pytest.mark.parametrize("eprt", ["--eprt", "--disable-eprt"])
def test_active_mode(tmp_path: Path, source: Path, eprt: str) -> None:
    """Up, down and a listing with EPRT and with PORT. Over TLS curl 7.88 fails in itself; test_lftp.py has that."""
    with serving(tmp_path, active=True) as at:
        curl, url = [*_curl(PLAIN), "--ftp-port", "-", eprt], _url(at, PLAIN)
        done(*curl, "-T", str(source), f"{url}/a.bin")
        assert (at.home / "a.bin").read_bytes() == CONTENT
        assert "a.bin" in done(*curl, f"{url}/")
        done(*curl, "-o", str(tmp_path / "back"), f"{url}/a.bin")
        assert (tmp_path / "back").read_bytes() == CONTENT


def test_hash_and_time(tmp_path: Path, source: Path) -> None:
    """As quotes around an upload; -R takes the time over, -z sends only what is newer."""
    with serving(tmp_path) as at:
        curl, url = _curl(PLAIN), _url(at, PLAIN)
        quotes = ["-Q", "-MDTM 20200102030405 a b.bin", "-Q", "-HASH a b.bin", "-Q", '-XCRC "a b.bin" 0 10']
        result = run(*curl, "--verbose", *quotes, "-T", str(source), f"{url}/a%20b.bin")
        assert result.returncode == 0, result.stderr
        assert f"213 SHA-256 0-299999 {hashlib.sha256(CONTENT).hexdigest()} a b.bin" in result.stderr
        assert (at.home / "a b.bin").stat().st_mtime == 1_577_934_245
        done(*curl, "-R", "-o", str(tmp_path / "back"), f"{url}/a%20b.bin")
        assert (tmp_path / "back").stat().st_mtime == 1_577_934_245


@pytest.mark.parametrize("way", [PLAIN, EXPLICIT], ids=["plain", "tls"])
def test_curl_hears_of_a_missing_file(tmp_path: Path, way: Way) -> None:
    """Exit code 78, as for any FTP server."""
    with serving(tmp_path, tls=way.tls) as at:
        assert run(*_curl(way), f"{_url(at, way)}/missing").returncode == 78
