"""lftp against our server."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.ftp.kit import Serving, serving
from tests.ftp.programs.running import (
    CONTENT,
    EXPLICIT,
    PLAIN,
    Way,
    contents,
    done,
    each_way,
    half_uploaded,
    needs,
    tree,
)

pytestmark = pytest.mark.peers


def _lftp(at: Serving, way: Way, *commands: str, settings: str = "") -> str:
    wanted = "yes" if way.explicit else "no"
    older = 'set ssl:priority "NORMAL:-VERS-TLS1.3";' if way.version == "1.2" else ""
    start = (
        f"set net:max-retries 1; set net:timeout 20; set ssl:verify-certificate no; set ftp:ssl-allow {wanted};"
        f" set ftp:ssl-force {wanted}; set ftp:ssl-protect-data yes; {older} {settings}"
        f" open -u ann,secret {'ftps' if way.implicit else 'ftp'}://127.0.0.1:{at.port};"
    )
    return done(needs("lftp"), "-e", f"{start} {'; '.join(commands)}; bye")


@each_way
def test_lftp(tmp_path: Path, source: Path, way: Way) -> None:
    """put, reput, get, reget, ls, mkdir, mv, rm, and mirror in both directions with four connections."""
    with serving(tmp_path, tls=way.tls) as at:
        _lftp(at, way, "mkdir -p new/folder", f"put {source} -o new/folder/a.bin")
        assert (at.home / "new/folder/a.bin").read_bytes() == CONTENT
        shown = _lftp(at, way, "ls new/folder", "cls -l new/folder", "nlist new/folder/*.bin", "ls -R")
        assert shown.count("a.bin") == 4
        if not way.implicit:
            half_uploaded(at, "b.bin", 100_000)
        _lftp(at, way, f"reput {source} -o b.bin")
        assert (at.home / "b.bin").read_bytes() == CONTENT
        target = tmp_path / "target.bin"
        target.write_bytes(CONTENT[:1000])
        _lftp(at, way, f"get -c b.bin -o {target}")
        assert target.read_bytes() == CONTENT
        _lftp(at, way, "mv b.bin c.bin", "rm c.bin", "rm new/folder/a.bin", "rmdir new/folder")
        assert [path.name for path in at.home.rglob("*")] == ["new"]
        made = tree(tmp_path / "tree")
        _lftp(at, way, f"mirror -R -P4 {made} copy")
        assert contents(at.home / "copy") == contents(made)
        _lftp(at, way, f"mirror -P4 copy {tmp_path / 'back'}")
        assert contents(tmp_path / "back") == contents(made)


@pytest.mark.parametrize("way", [PLAIN, EXPLICIT], ids=["plain", "tls"])
def test_active_mode_and_times(tmp_path: Path, source: Path, way: Way) -> None:
    """Both directions with PORT; put keeps the file's time, by MFMT and by MDTM; HASH as a quote."""
    os.utime(source, (1_500_000_000, 1_500_000_000))
    with serving(tmp_path, tls=way.tls, active=True) as at:
        for name, mdtm in (("a.bin", ""), ("b.bin", "set ftp:use-feat no; set ftp:use-mdtm-overloaded yes;")):
            settings = f"set ftp:passive-mode no; {mdtm}"
            _lftp(at, way, f"put {source} -o {name}", f"get {name} -o {tmp_path / name}", settings=settings)
            assert (at.home / name).stat().st_mtime == 1_500_000_000
            assert (tmp_path / name).read_bytes() == CONTENT
        assert hashlib.sha256(CONTENT).hexdigest() in _lftp(at, way, "quote HASH a.bin")


def test_a_client_that_wants_mode_z_gets_on_without(tmp_path: Path, source: Path) -> None:
    """It is not announced, so lftp sends plain bytes although told to compress."""
    with serving(tmp_path) as at:
        _lftp(at, PLAIN, f"put {source} -o a.bin", settings="set ftp:use-mode-z yes;")
        assert (at.home / "a.bin").read_bytes() == CONTENT


def test_ten_uploads_by_lftp_over_tls_1_3_arrive_whole(tmp_path: Path, source: Path) -> None:
    """The close of a client that never read a session ticket must not cost the tail: 10 of 10."""
    with serving(tmp_path, tls="required") as at:
        for number in range(10):
            _lftp(at, EXPLICIT, f"put {source} -o f{number}")
        assert [(at.home / f"f{number}").read_bytes() == CONTENT for number in range(10)] == [True] * 10
