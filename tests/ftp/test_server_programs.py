"""FTP programs that people use, the real ones, against our server: plain and explicit TLS."""

from __future__ import annotations

import ftplib
import io
import os
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.ftp import Incomplete
from tests.ftp.kit import Serving, serving, trusting_context, until

pytestmark = pytest.mark.peers

CONTENT = os.urandom(300_000)
RUN_S_MAX = 60


@pytest.fixture(params=["off", "required"], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> str:
    """Each program over plain FTP and over explicit TLS."""
    return str(request.param)


def needs(program: str) -> str:
    """The program's path; without it the test is skipped and says what to install."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is missing: apt install {program}")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)


def done(*command: str) -> str:
    """Run, expect success, return what it printed."""
    result = run(*command)
    assert result.returncode == 0, (command, result.stdout, result.stderr)
    return result.stdout


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to send."""
    path = tmp_path / "source.bin"
    path.write_bytes(CONTENT)
    return path


def half_uploaded(at: Serving, name: str, count: int) -> None:
    """Leave an interrupted upload of ``name`` behind: its first ``count`` bytes."""
    with at.client(tls=at.server_tls) as client:
        connection = client.data(f"STOR {name}")
        connection.sendall(CONTENT[:count])
        until(lambda: bool(at.partials()) and at.partials()[0].stat().st_size >= count, "the bytes have not come")
        client.socket.close()
        connection.close()
        at.event(Incomplete)


# curl -----------------------------------------------------------------------------------------------------------------


def _curl(at: Serving, tls: str) -> list[str]:
    protection = ["--ssl-reqd", "--insecure"] if tls == "required" else []
    return [needs("curl"), "--silent", "--show-error", "--user", "ann:secret", *protection]


def test_curl(tmp_path: Path, source: Path, tls: str) -> None:
    """Upload with folders made, list, download, resume both ways, rename, delete."""
    with serving(tmp_path, tls=tls) as at:
        curl, url = _curl(at, tls), f"ftp://127.0.0.1:{at.port}"
        done(*curl, "--ftp-create-dirs", "-T", str(source), f"{url}/new/folder/a.bin")
        assert (at.home / "new/folder/a.bin").read_bytes() == CONTENT
        assert "a.bin" in done(*curl, f"{url}/new/folder/")
        assert done(*curl, "--list-only", f"{url}/new/folder/").split() == ["a.bin"]
        target = tmp_path / "target.bin"
        target.write_bytes(CONTENT[:1000])
        done(*curl, "-C", "-", "-o", str(target), f"{url}/new/folder/a.bin")
        assert target.read_bytes() == CONTENT
        half_uploaded(at, "b.bin", 100_000)
        done(*curl, "-C", "-", "-T", str(source), f"{url}/b.bin")
        assert (at.home / "b.bin").read_bytes() == CONTENT
        (at.home / "log").write_bytes(CONTENT[:5])
        done(*curl, "--append", "-T", str(source), f"{url}/log")
        assert (at.home / "log").read_bytes() == CONTENT[:5] + CONTENT
        done(*curl, "-Q", "RNFR b.bin", "-Q", "RNTO c.bin", "--list-only", f"{url}/")
        done(*curl, "-Q", "DELE c.bin", "--list-only", f"{url}/")
        assert sorted(path.name for path in at.home.iterdir()) == ["log", "new"]


def test_curl_hears_of_a_missing_file(tmp_path: Path, tls: str) -> None:
    """Exit code 78, as for any FTP server."""
    with serving(tmp_path, tls=tls) as at:
        assert run(*_curl(at, tls), f"ftp://127.0.0.1:{at.port}/missing").returncode == 78


# lftp -----------------------------------------------------------------------------------------------------------------


def _lftp(at: Serving, tls: str, *commands: str, settings: str = "") -> str:
    wanted = "yes" if tls == "required" else "no"
    start = (
        f"set net:max-retries 1; set net:timeout 20; set ssl:verify-certificate no; set ftp:ssl-allow {wanted};"
        f" set ftp:ssl-force {wanted}; set ftp:ssl-protect-data yes; {settings}"
        f" open -u ann,secret -p {at.port} 127.0.0.1;"
    )
    return done(needs("lftp"), "-e", f"{start} {'; '.join(commands)}; bye")


def test_lftp(tmp_path: Path, source: Path, tls: str) -> None:
    """put, reput, get, reget, ls, mkdir, mv, rm, and mirror in both directions with four connections."""
    with serving(tmp_path, tls=tls) as at:
        _lftp(at, tls, "mkdir -p new/folder", f"put {source} -o new/folder/a.bin")
        assert (at.home / "new/folder/a.bin").read_bytes() == CONTENT
        assert "a.bin" in _lftp(at, tls, "ls new/folder")
        assert "a.bin" in _lftp(at, tls, "cls -l new/folder")
        half_uploaded(at, "b.bin", 100_000)
        _lftp(at, tls, f"reput {source} -o b.bin")
        assert (at.home / "b.bin").read_bytes() == CONTENT
        target = tmp_path / "target.bin"
        target.write_bytes(CONTENT[:1000])
        _lftp(at, tls, f"get -c b.bin -o {target}")
        assert target.read_bytes() == CONTENT
        _lftp(at, tls, "mv b.bin c.bin", "rm c.bin", "rm new/folder/a.bin", "rmdir new/folder")
        assert [path.name for path in at.home.rglob("*")] == ["new"]
        tree = _tree(tmp_path / "tree")
        _lftp(at, tls, f"mirror -R -P4 {tree} copy")
        assert _contents(at.home / "copy") == _contents(tree)
        _lftp(at, tls, f"mirror -P4 copy {tmp_path / 'back'}")
        assert _contents(tmp_path / "back") == _contents(tree)


def _tree(folder: Path) -> Path:
    for number in range(24):
        path = folder / f"sub {number % 4}" / f"fi'le ä {number}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT[: number * 1000])
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_ten_uploads_by_lftp_over_tls_1_3_arrive_whole(tmp_path: Path, source: Path) -> None:
    """The close of a client that never read a session ticket must not cost the tail: 10 of 10."""
    with serving(tmp_path, tls="required") as at:
        for number in range(10):
            _lftp(at, "required", f"put {source} -o f{number}")
        assert [(at.home / f"f{number}").read_bytes() == CONTENT for number in range(10)] == [True] * 10


# wget, rclone ------------------------------------------------------------------------------------------------------


def test_wget(tmp_path: Path, tls: str) -> None:
    """Download and resume, a whole tree; over explicit TLS too."""
    wget = [needs("wget"), "--no-verbose", "--tries=1", "--timeout=20", "--no-proxy", "--user=ann", "--password=secret"]
    wget += ["--no-check-certificate", "--ftps-resume-ssl"] if tls == "required" else []
    scheme = "ftps" if tls == "required" else "ftp"
    with serving(tmp_path, tls=tls) as at:
        tree = _tree(at.home / "tree")
        (at.home / "a.bin").write_bytes(CONTENT)
        target = tmp_path / "a.bin"
        target.write_bytes(CONTENT[:1000])
        done(*wget, "-c", "-O", str(target), f"{scheme}://127.0.0.1:{at.port}/a.bin")
        assert target.read_bytes() == CONTENT
        done(*wget, "-r", "-nH", "-P", str(tmp_path / "copy"), f"{scheme}://127.0.0.1:{at.port}/tree/")
        assert _contents(tmp_path / "copy" / "tree") == _contents(tree)


def test_rclone(tmp_path: Path, tls: str) -> None:
    """copy and check with four transfers at once, ls, moveto, mkdir, deletefile, a missing folder."""
    rclone = [needs("rclone"), "--config", str(tmp_path / "rclone.conf"), "--retries", "1", "--low-level-retries", "1"]
    with serving(tmp_path, tls=tls) as at:
        password = done(needs("rclone"), "obscure", "secret").strip()
        options = ["explicit_tls = true", "no_check_certificate = true"] if tls == "required" else []
        lines = ["[at]", "type = ftp", "host = 127.0.0.1", f"port = {at.port}", "user = ann", f"pass = {password}"]
        (tmp_path / "rclone.conf").write_text("\n".join([*lines, *options]) + "\n")
        tree = _tree(tmp_path / "tree")
        done(*rclone, "copy", str(tree), "at:copy/of/tree", "--transfers", "4")
        assert _contents(at.home / "copy/of/tree") == _contents(tree)
        done(*rclone, "check", str(tree), "at:copy/of/tree", "--size-only")
        done(*rclone, "copy", "at:copy/of/tree", str(tmp_path / "back"), "--transfers", "4")
        assert _contents(tmp_path / "back") == _contents(tree)
        done(*rclone, "moveto", "at:copy/of/tree/sub 1/fi'le ä 1.log", "at:moved.log")
        assert (at.home / "moved.log").read_bytes() == CONTENT[:1000]
        done(*rclone, "deletefile", "at:moved.log")
        assert "directory not found" in run(*rclone, "ls", "at:missing").stderr
        done(*rclone, "purge", "at:copy")
        assert list(at.home.iterdir()) == []


def test_five_megabytes_by_rclone_over_tls_arrive_whole(tmp_path: Path) -> None:
    """Another client whose close cost the tail elsewhere."""
    rclone = needs("rclone")
    big = tmp_path / "big"
    big.write_bytes(CONTENT * 17)
    with serving(tmp_path, tls="required") as at:
        password = done(rclone, "obscure", "secret").strip()
        target = f":ftp,host=127.0.0.1,port={at.port},user=ann,pass={password},explicit_tls,no_check_certificate:"
        for number in range(3):
            done(rclone, "--config", "", "--retries", "1", "copyto", str(big), f"{target}f{number}")
            assert (at.home / f"f{number}").stat().st_size == len(CONTENT) * 17


# ftplib --------------------------------------------------------------------------------------------------------------


class ReusingFtpTls(ftplib.FTP_TLS):
    """``ftplib.FTP_TLS`` as its users patch it: data connections resume the control connection's session."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[ssl.SSLSocket, int | None]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.context.wrap_socket(connection, session=self.sock.session), size


Make = Callable[[Serving], ftplib.FTP]


def _plain(at: Serving) -> ftplib.FTP:
    client = ftplib.FTP(timeout=20)
    client.connect("127.0.0.1", at.port)
    client.login("ann", "secret")
    return client


def _protected(at: Serving, kind: type[ftplib.FTP_TLS] = ReusingFtpTls) -> ftplib.FTP_TLS:
    client = kind(timeout=20, context=trusting_context())
    client.connect("127.0.0.1", at.port)
    client.login("ann", "secret")
    client.prot_p()
    return client


def test_ftplib(tmp_path: Path, tls: str) -> None:
    """Everything it has methods for."""
    make: Make = _plain if tls == "off" else _protected
    with serving(tmp_path, tls=tls) as at, make(at) as client:
        assert client.mkd("d") == "/d"
        client.cwd("d")
        assert client.pwd() == "/d"
        assert client.storbinary("STOR a.bin", io.BytesIO(CONTENT)).startswith("226")
        assert client.size("a.bin") == len(CONTENT)
        assert client.storbinary("STOR a.bin", io.BytesIO(CONTENT[1000:]), rest=1000).startswith("226")
        assert client.storbinary("APPE a.bin", io.BytesIO(b"tail")).startswith("226")
        got = io.BytesIO()
        client.retrbinary("RETR a.bin", got.write, rest=10)
        assert got.getvalue() == CONTENT[10:] + b"tail"
        assert client.storlines("STOR lines.txt", io.BytesIO(b"one\ntwo\n")).startswith("226")
        lines: list[str] = []
        client.retrlines("RETR lines.txt", lines.append)
        assert lines == ["one", "two"]
        assert sorted(client.nlst()) == ["a.bin", "lines.txt"]
        assert {name for name, facts in client.mlsd() if facts["type"] == "file"} == {"a.bin", "lines.txt"}
        client.rename("lines.txt", "/moved.txt")
        client.delete("/moved.txt")
        client.delete("a.bin")
        client.cwd("..")
        client.rmd("d")
        assert list(at.home.iterdir()) == []
        with pytest.raises(ftplib.error_perm, match="550"):
            client.retrbinary("RETR missing", got.write)


def test_ftplib_without_session_reuse_is_told_what_to_do(tmp_path: Path) -> None:
    """As it comes it resumes no session: 522 names the option, and with the option it works."""
    with serving(tmp_path, tls="required") as at, _protected(at, ftplib.FTP_TLS) as client:
        with pytest.raises(ftplib.error_perm, match=r"522.*require_data_reuse=False"):
            client.storbinary("STOR a", io.BytesIO(b"x"))
        assert client.pwd() == "/"
    with serving(tmp_path, tls="required", require_data_reuse=False) as at, _protected(at, ftplib.FTP_TLS) as client:
        assert client.storbinary("STOR a", io.BytesIO(CONTENT)).startswith("226")
        got = io.BytesIO()
        client.retrbinary("RETR a", got.write)
        assert got.getvalue() == CONTENT
