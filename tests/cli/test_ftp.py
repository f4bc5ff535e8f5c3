"""``logferry ftp``: put, get, ls and mirror against a real server, and serve as a program of its own."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.cli.ftp_address import FtpAddress
from logferry.cli.ftp_bar import drawn, shortened
from logferry.cli.main import run
from logferry.errors import BadConfig
from logferry.ftp import ManyProgress, TlsIdentity
from tests.ftp.kit import Serving, serving

EVIL = "ev\x1b[31mil\x07.log"


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ann's password in the environment; nobody's ~/.netrc."""
    monkeypatch.setenv("LOGFERRY_FTP_PASSWORD", "secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    """A server without TLS."""
    with serving(tmp_path / "server") as started:
        yield started


def url(server: Serving, path: str = "/") -> str:
    """Its address."""
    return f"ftp://ann@127.0.0.1:{server.port}{path}"


def test_files_go_up_are_listed_and_come_back(
    server: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To a folder when the path ends with a slash, to a name when not; what is here already is not replaced."""
    (tmp_path / "a.log").write_bytes(b"a" * 1500)
    (tmp_path / EVIL).write_bytes(b"b")
    assert run(["ftp", "put", "a.log", EVIL, url(server, "/in/")]) == 0
    assert run(["ftp", "put", "a.log", url(server, "/in/new name.log")]) == 0
    assert sorted(path.name for path in (server.home / "in").iterdir()) == ["a.log", EVIL, "new name.log"]
    assert "put 2 files, 1.5 KB" in capsys.readouterr().err
    assert run(["ftp", "ls", url(server, "/in")]) == 0
    printed = capsys.readouterr().out
    assert "new name.log\n" in printed
    assert "\x1b" not in printed and "\x07" not in printed
    assert run(["ftp", "ls", "--json", url(server, "/in/")]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["type"]) for row in rows] == [(n, "file") for n in ("a.log", EVIL, "new name.log")]
    assert run(["ftp", "get", url(server, "/in/new%20name.log"), "-o", "back/"]) == 0
    assert (tmp_path / "back" / "new name.log").read_bytes() == b"a" * 1500
    assert run(["ftp", "get", url(server, "/in/a.log")]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["ftp", "get", url(server, "/in/a*"), "-o", "some"]) == 0
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["a.log"]


def test_a_mirror_tells_before_and_after(server: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run prints the plan and changes nothing; with --json the account is one object."""
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    (tmp_path / "logs" / "deep" / "x.log").write_bytes(b"x")
    (tmp_path / "logs" / "y.tmp").write_bytes(b"y")
    arguments = ["ftp", "mirror", "logs", url(server, "/m"), "--exclude", "*.tmp"]
    assert run([*arguments, "-n"]) == 0
    told = capsys.readouterr()
    assert told.out == "make    deep/\ncopy    /m/deep/x.log  (1 B)\n"
    assert "would copy 1 file" in told.err
    assert not (server.home / "m").exists()
    assert run([*arguments, "--json"]) == 0
    account = json.loads(capsys.readouterr().out)
    assert (account["files"], account["folders"], account["failed"]) == (1, ["deep"], [])
    assert run(["ftp", "mirror", url(server, "/m"), "back"]) == 0
    assert run(["ftp", "get", "-r", url(server, "/m/"), "-o", "back2"]) == 0
    assert (tmp_path / "back" / "deep" / "x.log").read_bytes() == b"x"
    assert (tmp_path / "back2" / "deep" / "x.log").read_bytes() == b"x"
    assert run(["ftp", "put", "-r", "logs", url(server, "/p/")]) == 0
    assert (server.home / "p" / "logs" / "y.tmp").read_bytes() == b"y"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["get", "{}/no"], 1, "there is no file /no"),
        (["ls", "{}/no"], 1, "there is nothing at /no"),
        (["ls", "{}/empty"], 1, "is empty"),
        (["get", "{}/no*"], 1, "no file matches"),
        (["mirror", "{}/no", "x"], 1, "there is no folder /no"),
        (["put", "missing", "{}/"], 1, "there is no file missing"),
        (["get", "{}/empty"], 2, "-r fetches it"),
        (["put", ".", "{}/"], 2, "-r uploads it"),
        (["mirror", "a", "b"], 2, "one ftp[s]:// address"),
        (["ls", "http://x/"], 2, "is not an FTP address"),
        (["ls", "ftp://127.0.0.1/"], 2, "as whom"),
        (["ls", "{}/", "--limit", "fast"], 2, "is not a size"),
        (["ls", "{}/", "--pin", "sha256/x"], 2, "is not a certificate pin"),
        (["ls", "{tls}/"], 3, "does not offer TLS"),
        (["put", "here", "{}/a/../../b\x00"], 2, ""),
        (["ls", "ftp://ann@127.0.0.1:1/"], 4, "refused"),
    ],
)
def test_every_failure_has_its_code_and_its_words(
    server: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    """1 nothing found, 2 wrong use, 3 refused by the server, 4 try again; and a hint."""
    (server.home / "empty").mkdir()
    (tmp_path / "here").write_bytes(b"x")
    base = url(server, "")
    given = [a.replace("{tls}", base.replace("ftp:", "ftps:")).replace("{}", base) for a in arguments]
    if "\x00" in "".join(given):
        assert run(["ftp", *given]) in (2, 3)
        return
    assert run(["ftp", *given]) == code
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""


def test_part_of_it_is_exit_four(server: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file that failed is named, with why; the others arrived."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    (server.home / "in" / "b").mkdir(parents=True)
    assert run(["ftp", "put", "a", "b", url(server, "/in")]) == 4
    told = capsys.readouterr().err
    assert "logferry: b: " in told
    assert "1 failed" in told
    assert (server.home / "in" / "a").read_bytes() == b"a"


def test_passwords_come_from_file_address_netrc_and_are_never_shown(
    server: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without any, and without a terminal, it is said how to give one."""
    (server.home / "x").write_bytes(b"x")
    (tmp_path / "wrong").write_text("hunter2\n")
    assert run(["ftp", "ls", url(server), "--password-file", "wrong"]) == 3
    monkeypatch.delenv("LOGFERRY_FTP_PASSWORD")
    assert run(["ftp", "ls", url(server).replace("ann@", "ann:secret@")]) == 0
    assert run(["ftp", "ls", url(server).replace("ann@", "ann:hunter2@")]) == 3
    assert run(["ftp", "ls", "ftp//ann:hunter2@x/"]) == 2
    assert run(["ftp", "ls", "fish://ann:hunter2@x/"]) == 2
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert run(["ftp", "ls", url(server)]) == 0
    assert run(["ftp", "ls", url(server).replace("ann@", "")]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert run(["ftp", "ls", url(server).replace("ann@", "bob@")]) == 3
    told = capsys.readouterr()
    assert "~/.netrc" in told.err
    assert "hunter2" not in told.err + told.out
    assert "secret" not in told.err + told.out


def test_certificates_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By pin; a wrong one is refused and the one found is named."""
    with serving(tmp_path / "server", tls="required") as server:
        (server.home / "x").write_bytes(b"x")
        pin = TlsIdentity.ensure(str(tmp_path / "server" / "identity")).pin
        address = url(server).replace("ftp:", "ftps:")
        assert run(["ftp", "ls", address, "--pin", pin]) == 0
        assert run(["ftp", "ls", address]) == 3
        assert "not trusted" in capsys.readouterr().err
        assert run(["ftp", "ls", address, "--pin", "sha256/" + "0" * 64]) == 3
        assert pin in capsys.readouterr().err


@pytest.mark.parametrize("made", [True, False])
def test_serve_prints_what_a_client_needs_and_ends_with_ctrl_c(tmp_path: Path, made: bool) -> None:
    """Address, password when it was made, certificate; the line to try works as it is printed."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "file").write_bytes(b"x")
    environment = {name: value for name, value in os.environ.items() if name != "LOGFERRY_FTP_PASSWORD"}
    environment |= {"XDG_STATE_HOME": str(tmp_path / "state")} | ({} if made else {"LOGFERRY_FTP_PASSWORD": "given"})
    command = [sys.executable, "-m", "logferry.cli", "ftp", "serve", "home", "--user", "ann", "--read-only"]
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = [process.stdout.readline() for _ in range(3 if made else 2)]
        assert "read only" in lines[0]
        password = lines[1].split()[1] if made else "given"
        tried = process.stdout.readline().split()[2:]
        done = subprocess.run(
            [sys.executable, "-m", "logferry.cli", *tried],
            env=environment | {"LOGFERRY_FTP_PASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "file\n"), done.stderr
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
        assert process.wait(20) == 0
    assert "ann@127.0.0.1 signed in\n" in errors
    assert "Traceback" not in errors
    assert password not in errors


def test_a_terminal_sees_the_progress_and_a_clean_line_behind_it(server: Serving, tmp_path: Path) -> None:
    """On a real pseudo-terminal: bar, bytes and rate; then the line is taken away and the account is printed."""
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    command = [sys.executable, "-m", "logferry.cli", "ftp", "put", "big", url(server, "/big"), "--limit", "4MB/s"]
    with subprocess.Popen(command, stdout=far, stderr=far, stdin=subprocess.DEVNULL) as process:
        os.close(far)
        seen = b""
        try:
            while block := os.read(near, 65536):
                seen += block
        except OSError:  # the other side is closed: how a terminal ends
            pass
        assert process.wait(20) == 0
    os.close(near)
    shown = seen.decode()
    assert "[##" in shown
    assert "of 3.0 MB" in shown
    last = shown.rsplit("\r\x1b[K", 1)[1]
    assert last.startswith("put 1 file, 3.0 MB in ")


@pytest.mark.parametrize("columns", range(10, 120, 7))
def test_the_line_of_progress_fits_any_terminal(columns: int) -> None:
    """Narrow ones lose what matters least; a hostile name steers nothing."""
    progress = ManyProgress(3, 1000, 5_000_000, 80_000_000, 2, f"/x/日本語/{EVIL}")
    line = drawn(progress, 1_000_000.0, columns)
    assert len(line) <= columns
    assert line.lstrip("[#.] ").startswith("6 %")
    assert "\x1b" not in line


def test_the_end_of_a_name_tells_files_apart() -> None:
    """Wide characters count twice."""
    assert shortened("/var/log/nginx/access.log", 12) == "…/access.log"
    assert shortened("日本語日本語", 7) == "…日本語"
    assert shortened("short", 12) == "short"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("ftp://ann@h/a/b", FtpAddress("explicit", "ann", "h", 21, "/a/b")),
        ("ftps://ann@h:2121", FtpAddress("required", "ann", "h", 2121, "")),
        ("ftps+implicit://ann@h/", FtpAddress("implicit", "ann", "h", 990, "/")),
        ("ftp://a%40b:p%3Aw@h/~/x", FtpAddress("explicit", "a@b", "h", 21, "x", "p:w")),
        ("ftp://ann@[::1]:21/a%20b?c#d%FF", FtpAddress("explicit", "ann", "::1", 21, "/a b?c#d\udcff")),
    ],
)
def test_addresses_mean_what_they_say(given: str, meant: FtpAddress) -> None:
    """Every byte of a path can be written; signs with a meaning on the web have none here."""
    assert FtpAddress.parse(given) == meant
    assert "p:w" not in repr(FtpAddress.parse(given))


@pytest.mark.parametrize(
    "given", ["ftp:/x", "x", "ftp://", "ftp://a@/x", "ftp://a@h:0/", "ftp://a@h:99999/", "sftp://a@h/"]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    """With an example."""
    with pytest.raises(BadConfig) as caught:
        FtpAddress.parse(given)
    assert "ftps://" in caught.value.hint
