"""The examples that serve, run as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logferry.ftp import FtpClient
from tests.ftp.kit import WAIT_S, RawClient, reset, until

EXAMPLES = Path(__file__).parents[2] / "examples"
ENVIRONMENT = os.environ | {"FTP_PASSWORD": "secret enough"}


class Running:
    """A started example: its port, the lines it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("listening on 127.0.0.1:"), first
        self.port = int(first.rpartition(":")[2])

    def line(self) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


@contextmanager
def running(name: str, *arguments: str) -> Iterator[Running]:
    """The example ``name``; Ctrl-C ends it, without a trace and with exit code 0."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        yield Running(process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_S)
        assert "Traceback" not in errors
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_events_are_followed(tmp_path: Path) -> None:
    """By a callable before the reply, and by a stream after it."""
    with running("serve_events.py", str(tmp_path)) as example, RawClient(example.port) as client:
        client.login("ann", "secret enough")
        assert client.upload("STOR a.log", b"12345").startswith("226")
        lines = {example.line() for _ in range(4)}
        assert {"Connected of session 1", "LoggedIn of session 1", "file /a.log is on disk"} < lines
        assert any(line.startswith("ann sent /a.log: 5 bytes in ") for line in lines)
        reset(client.data("STOR b.log"))
        assert client.reply().startswith("426")
        assert example.line() == "/b.log broke off after 0 bytes: The data connection was reset."
        client.command("QUIT")
        assert example.line() == "SessionEnded of session 1"
    assert (tmp_path / "a.log").read_bytes() == b"12345"


def test_users_of_the_older_system_are_served(tmp_path: Path) -> None:
    """Over TLS; a user added by another process may come in at once; a fault is one line."""
    path = tmp_path / "userRecord.json"
    home = tmp_path / "home"
    path.write_text(json.dumps({"agent": {"passwd": "in the clear", "dirpath": str(home), "perm": "elradfmwM"}}))
    with running("serve_users.py", str(path), "--upgrade") as example:
        pin = example.line().removeprefix("certificate ")
        assert "in the clear" not in path.read_text()
        (tmp_path / "x").write_bytes(b"x")
        with FtpClient("127.0.0.1", example.port, user="agent", password="in the clear", pins=(pin,)) as client:
            client.upload(str(tmp_path / "x"), "/x.log")
        assert (home / "x.log").read_bytes() == b"x"
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "serve_users.py"), str(path), "--add", "bob", "--home", str(home)],
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
        )
        assert done.stdout == "added bob\n", done.stderr
        with RawClient(example.port) as raw:
            raw.secure()
            until(lambda: _comes_in(raw), "bob does not come in")
            assert raw.command("MKD public").startswith("550")
            raw.port()
            assert raw.command("RETR x.log").startswith("550")
    path.write_text(json.dumps({"agent": {"passwd": "***", "perm": "e"}}))
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "serve_users.py"), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "user 'agent': passwd is missing or a placeholder" in done.stderr
    assert "Traceback" not in done.stderr


def _is_turned_away(client: RawClient) -> bool:
    client.command("USER drop")
    return client.command("PASS secret enough").startswith("530 closed just now, drop")


def _comes_in(client: RawClient) -> bool:
    client.command("USER bob")
    return client.command("PASS secret enough").startswith("230")


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("STOR a.exe", "553 /a.exe is not taken here"),
        ("STOR there.log", "550 /there.log is here already"),
        ("STOR new.log", "226"),
    ],
)
def test_a_drop_box_refuses(tmp_path: Path, line: str, reply: str) -> None:
    """With the code that fits; closed, it lets nobody in."""
    (tmp_path / "there.log").write_text("x")
    with running("serve_refuse.py", str(tmp_path)) as example, RawClient(example.port) as client:
        client.login("drop", "secret enough")
        if reply == "226":
            assert client.upload(line, b"x").startswith(reply)
            assert client.command("ALLO 2000000000").startswith("202")
            client.port()
            assert client.command("STOR b.log").startswith("552 2000000000 bytes are too many")
            example.process.send_signal(signal.SIGUSR1)
            until(lambda: _is_turned_away(client), "still open")
        else:
            client.port()
            assert client.command(line).startswith(reply)


def test_a_folder_is_served_over_tls(tmp_path: Path) -> None:
    """To whoever has the password and the pin that is printed."""
    with running("serve.py", str(tmp_path / "home"), "--identity", str(tmp_path / "identity")) as example:
        pin = example.line().removeprefix("certificate ")
        (tmp_path / "x").write_bytes(b"x")
        with FtpClient("127.0.0.1", example.port, user="ann", password="secret enough", pins=(pin,)) as client:
            client.upload(str(tmp_path / "x"), "/x.log")
        assert (tmp_path / "home" / "x.log").read_bytes() == b"x"


def test_several_processes_tell_of_all_sessions(tmp_path: Path) -> None:
    """On SIGUSR1, whichever process serves them; and of what was received."""
    with running("serve_processes.py", str(tmp_path / "home"), "--processes", "2") as example:
        assert example.line() == "2 processes"
        (tmp_path / "x").write_bytes(b"x")
        with (
            FtpClient("127.0.0.1", example.port, user="ann", password="secret enough", tls="off") as one,
            FtpClient("127.0.0.1", example.port, user="ann", password="secret enough", tls="off") as two,
        ):
            one.upload(str(tmp_path / "x"), "/x.log")
            assert example.line() == "received /x.log"
            two.noop()
            example.process.send_signal(signal.SIGUSR1)
            lines = {example.line().partition(" ")[2] for _ in range(2)}
        assert lines == {"ann 127.0.0.1 idle"}
