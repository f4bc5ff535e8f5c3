"""FTP servers of others, as processes of their own on a free port, each serving one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from logferry.ftp import FtpClient, TlsIdentity

START_S_MAX = 15.0


@dataclass
class Peer:
    """A running server: where it is, who may log in. ``root`` on disk is ``base`` on the wire and may be written to."""

    port: int
    root: Path
    base: str
    user: str
    password: str
    pid: int
    encrypted: bool = False
    pin: str = ""

    def client(self, **more: Any) -> FtpClient:
        """A client for it; ``more`` overrides what it is given."""
        settings: dict[str, Any] = {
            "user": self.user,
            "password": self.password,
            "tls": "required" if self.encrypted else "off",
            "pins": (self.pin,) if self.pin else (),
            "timeout_s": 10.0,
        }
        return FtpClient("127.0.0.1", self.port, **(settings | more))

    def kill(self) -> None:
        """``kill -9`` for the server and the processes it started for its sessions."""
        for pid in (*_children(self.pid), self.pid):
            _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # ended with the one before it
        os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            for child in (task / "children").read_text().split():
                found += [*_children(int(child)), int(child)]
    return found


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when something listens there; fail when the process ends or the time is over."""
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended at once"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the server does not listen")


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield process
    finally:
        for child in _children(process.pid) if process.poll() is None else []:
            _kill(child)
        process.kill()
        process.wait()


@contextmanager
def pyftpdlib(folder: Path, *, port: int = 0) -> Iterator[Peer]:
    """pyftpdlib, plain, user ``ann``."""
    root = folder / "root"
    root.mkdir(exist_ok=True)
    port = port or free_port()
    command = [sys.executable, "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", str(port), "-w", "-d", str(root)]
    command += ["-u", "ann", "-P", "secret"]
    with _running(command, port, folder / "server.log") as process:
        yield Peer(port, root, "", "ann", "secret", process.pid)


@contextmanager
def logferry(folder: Path, *, encrypted: bool = False, port: int = 0) -> Iterator[Peer]:
    """Logferry's own server, user ``ann``."""
    root = folder / "root"
    root.mkdir(exist_ok=True)
    port = port or free_port()
    command = [sys.executable, "-m", "tests.ftp.serve", str(port), str(root)]
    pin = ""
    if encrypted:
        command.append(str(folder / "tls"))
        pin = TlsIdentity.ensure(str(folder / "tls")).pin
    with _running(command, port, folder / "server.log") as process:
        yield Peer(port, root, "", "ann", "secret", process.pid, encrypted, pin)


def _open_way_to(folder: Path) -> None:
    """Let other users pass through the folders a test made (pytest makes them private)."""
    for path in (folder, *folder.parents):
        mode = path.stat().st_mode
        if mode & 0o005 != 0o005:
            path.chmod(mode | 0o055)


@contextmanager
def vsftpd(folder: Path, *, encrypted: bool = False, port: int = 0) -> Iterator[Peer]:
    """vsftpd for the anonymous user, who may do everything here; TLS with session reuse required when ``encrypted``."""
    program = shutil.which("vsftpd") or "/usr/sbin/vsftpd"
    if not os.path.exists(program) or os.geteuid() != 0:
        pytest.skip("needs the Debian package vsftpd and root")
    root = folder / "root" / "in"  # vsftpd refuses a jail whose own root may be written to
    root.mkdir(parents=True, exist_ok=True)
    _open_way_to(root)
    shutil.chown(root, "daemon")  # whose own home exists, which vsftpd wants
    port = port or free_port()
    lines = f"""
        listen=YES
        listen_address=127.0.0.1
        listen_port={port}
        background=NO
        anonymous_enable=YES
        no_anon_password=NO
        anon_root={root.parent}
        ftp_username=daemon
        write_enable=YES
        anon_upload_enable=YES
        anon_mkdir_write_enable=YES
        anon_other_write_enable=YES
        anon_world_readable_only=NO
        anon_umask=022
        mdtm_write=YES
        seccomp_sandbox=NO
        secure_chroot_dir=/var/run

    """
    pin = ""
    if encrypted:
        identity = TlsIdentity.ensure(str(folder / "tls"), ["127.0.0.1"])
        pin = identity.pin
        lines += f"""
        ssl_enable=YES
        allow_anon_ssl=YES
        force_anon_logins_ssl=YES
        force_anon_data_ssl=YES
        require_ssl_reuse=YES
        strict_ssl_read_eof=YES
        ssl_ciphers=HIGH
        rsa_cert_file={identity.certificate_path}
        rsa_private_key_file={identity.key_path}
        """
    config = folder / "vsftpd.conf"
    config.write_text("".join(f"{line.strip()}\n" for line in lines.splitlines() if line.strip()))
    with _running([program, str(config)], port, folder / "server.log") as process:
        yield Peer(port, root, "/in", "anonymous", "me@example.org", process.pid, encrypted, pin)
