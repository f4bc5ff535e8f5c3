"""wget, rclone, ncftp and tnftp against our server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ftp.kit import Serving, serving
from tests.ftp.programs.running import CONTENT, EXPLICIT, PLAIN, Way, contents, done, each_way, needs, run, tree

pytestmark = pytest.mark.peers


@each_way
def test_wget(tmp_path: Path, way: Way) -> None:
    """Download, resume, and a whole tree."""
    wget = [needs("wget"), "--no-verbose", "--tries=1", "--timeout=20", "--no-proxy", "--user=ann", "--password=secret"]
    if way != PLAIN:
        version = way.version.replace(".", "_")
        wget += ["--no-check-certificate", f"--secure-protocol=TLSv{version}", *["--ftps-implicit"] * way.implicit]
    with serving(tmp_path, tls=way.tls) as at:
        url = f"{'ftp' if way == PLAIN else 'ftps'}://127.0.0.1:{at.port}"
        made = tree(at.home / "tree")
        (at.home / "a.bin").write_bytes(CONTENT)
        target = tmp_path / "a.bin"
        target.write_bytes(CONTENT[:1000])
        done(*wget, "-c", "-O", str(target), f"{url}/a.bin")
        assert target.read_bytes() == CONTENT
        done(*wget, "-r", "-nH", "-P", str(tmp_path / "copy"), f"{url}/tree/")
        assert contents(tmp_path / "copy" / "tree") == contents(made)


def test_wget_in_active_mode(tmp_path: Path) -> None:
    """With PORT."""
    with serving(tmp_path, active=True) as at:
        (at.home / "a.bin").write_bytes(CONTENT)
        wget = [needs("wget"), "--no-verbose", "--tries=1", "--timeout=20", "--no-proxy", "--no-passive-ftp"]
        done(*wget, "-O", str(tmp_path / "a"), f"ftp://ann:secret@127.0.0.1:{at.port}/a.bin")
        assert (tmp_path / "a").read_bytes() == CONTENT


def _rclone(at: Serving, folder: Path, way: Way) -> list[str]:
    password = done(needs("rclone"), "obscure", "secret").strip()
    lines = ["[at]", "type = ftp", "host = 127.0.0.1", f"port = {at.port}", "user = ann", f"pass = {password}"]
    if way != PLAIN:
        lines += ["tls = true" if way.implicit else "explicit_tls = true", "no_check_certificate = true"]
        lines += ["disable_tls13 = true"] * (way.version == "1.2")
    (folder / "rclone.conf").write_text("\n".join(lines) + "\n")
    return [needs("rclone"), "--config", str(folder / "rclone.conf"), "--retries", "1", "--low-level-retries", "1"]


@each_way
def test_rclone(tmp_path: Path, way: Way) -> None:
    """copy and check with four transfers at once, ls, moveto, mkdir, deletefile, a missing folder."""
    with serving(tmp_path, tls=way.tls) as at:
        rclone = _rclone(at, tmp_path, way)
        made = tree(tmp_path / "tree")
        done(*rclone, "copy", str(made), "at:copy/of/tree", "--transfers", "4")
        assert contents(at.home / "copy/of/tree") == contents(made)
        done(*rclone, "check", str(made), "at:copy/of/tree", "--size-only")
        done(*rclone, "copy", "at:copy/of/tree", str(tmp_path / "back"), "--transfers", "4")
        assert contents(tmp_path / "back") == contents(made)
        done(*rclone, "moveto", "at:copy/of/tree/sub 1/fi'le ä 1.log", "at:moved.log")
        assert (at.home / "moved.log").read_bytes() == CONTENT[:1000]
        done(*rclone, "deletefile", "at:moved.log")
        assert "directory not found" in run(*rclone, "ls", "at:missing").stderr
        done(*rclone, "purge", "at:copy")
        assert list(at.home.iterdir()) == []


def test_five_megabytes_by_rclone_over_tls_arrive_whole(tmp_path: Path) -> None:
    """Another client whose close cost the tail elsewhere."""
    big = tmp_path / "big"
    big.write_bytes(CONTENT * 17)
    with serving(tmp_path, tls="required") as at:
        rclone = _rclone(at, tmp_path, EXPLICIT)
        for number in range(3):
            done(*rclone, "copyto", str(big), f"at:f{number}")
            assert (at.home / f"f{number}").stat().st_size == len(CONTENT) * 17


@pytest.mark.parametrize("active", [False, True], ids=["passive", "active"])
def test_ncftp(tmp_path: Path, source: Path, active: bool) -> None:
    """Put with folders made, get, a whole tree both ways, ls; plain only, it knows no TLS."""
    with serving(tmp_path, active=True) as at:
        login = ["-u", "ann", "-p", "secret", "-P", str(at.port), "-E" if active else "-F"]
        done(needs("ncftpput"), *login, "-m", "127.0.0.1", "/new/folder", str(source))
        assert (at.home / "new/folder/source.bin").read_bytes() == CONTENT
        back = tmp_path / "back"
        back.mkdir()
        done(needs("ncftpget"), *login, "127.0.0.1", str(back), "/new/folder/source.bin")
        assert (back / "source.bin").read_bytes() == CONTENT
        made = tree(tmp_path / "tree")
        done(needs("ncftpput"), *login, "-R", "127.0.0.1", "/", str(made))
        assert contents(at.home / "tree") == contents(made)
        done(needs("ncftpget"), *login, "-R", "127.0.0.1", str(back), "/tree")
        assert contents(back / "tree") == contents(made)
        assert "source.bin" in done(needs("ncftpls"), *login, "-l", "ftp://127.0.0.1/new/folder/")


@pytest.mark.parametrize("mode", ["-p", "-A"], ids=["passive", "active"])
def test_tnftp(tmp_path: Path, source: Path, mode: str) -> None:
    """By script: mkdir, put, append, ls with a pattern, rename, size, chmod, reget; plain only, it knows no TLS."""
    with serving(tmp_path, active=True) as at:
        target = tmp_path / "target.bin"
        target.write_bytes(CONTENT[:1000])
        script = "\n".join(
            [
                f"open 127.0.0.1 {at.port}",
                "user ann secret",
                "mkdir d",
                "cd d",
                f"put {source} a.bin",
                f"put {source} b.bin",
                f"append {source} b.bin",
                "ls *.bin",
                "nlist",
                "rename a.bin c.bin",
                "size c.bin",
                "modtime c.bin",
                "chmod 600 c.bin",
                f"reget c.bin {target}",
                "quit",
            ]
        )
        (tmp_path / "script").write_text(script + "\n")
        shown = done("sh", "-c", f'"$0" {mode} -n -i -V <"$1"', needs("tnftp"), str(tmp_path / "script"))
        assert (at.home / "d/c.bin").read_bytes() == CONTENT
        assert (at.home / "d/b.bin").read_bytes() == CONTENT * 2
        assert (at.home / "d/c.bin").stat().st_mode & 0o777 == 0o600
        assert target.read_bytes() == CONTENT
        assert shown.count("a.bin") >= 2
