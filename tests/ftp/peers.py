"""FTP servers of others, as processes of their own on a free port, each serving one folder."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from logferry.ftp import FtpClient, TlsIdentity
from tests.ports import free_port

START_S_MAX = 15.0


class PortTaken(Exception):
    """Somebody else listens where the server was to."""


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
        os.kill(self.pid, signal.SIGSTOP)  # it starts no more of them
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


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when something listens there; fail when the process ends or the time is over."""
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PortTaken(f"the server ended at once; perhaps another program has taken port {port}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the server does not listen")


def _listens(pid: int, port: int) -> bool:
    """Whether the socket that listens on ``port`` is one of that process or of those it started."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    sockets = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
    mine: set[str] = set()
    for each in (pid, *_children(pid)):
        with contextlib.suppress(FileNotFoundError):  # it has ended
            for link in list(Path(f"/proc/{each}/fd").iterdir()):
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    mine.add(os.readlink(link))
    return bool(sockets & mine)


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        if not _listens(process.pid, port):
            raise PortTaken(f"another program took port {port}")
        yield process
    finally:
        for child in _children(process.pid) if process.poll() is None else []:
            _kill(child)
        process.kill()
        process.wait()


@contextmanager
def pyftpdlib(folder: Path, *, encrypted: bool = False, port: int = 0) -> Iterator[Peer]:
    """pyftpdlib, plain, user ``ann``."""
    assert not encrypted, "its program knows no TLS"
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


PROGRAMS = Path(__file__).parent.parent.parent / ".programs"
"""Servers that cannot be installed together (tools/servers.sh)."""


def _program(name: str, path: str) -> str:
    """The program ``path`` of a package; the test is skipped, and says so, where it is missing."""
    for place in (PROGRAMS / name / path, Path("/") / path):
        if place.exists() and os.geteuid() == 0:
            return str(place)
    pytest.skip(f"needs root and {name}: tools/programs.sh {name}")


def _hashed(password: str) -> str:
    command = ["openssl", "passwd", "-5", "-salt", "salt", password]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def pure_ftpd(folder: Path, *, encrypted: bool = False, port: int = 0) -> Iterator[Peer]:
    """pure-ftpd with one virtual user, ``ann``."""
    program, pure_pw = _program("pure-ftpd", "usr/sbin/pure-ftpd"), _program("pure-ftpd", "usr/bin/pure-pw")
    root = folder / "root"
    root.mkdir(exist_ok=True)
    _open_way_to(root)
    shutil.chown(root, "daemon")
    users, database = folder / "users", folder / "users.pdb"
    daemon = pwd.getpwnam("daemon")
    # Not by "pure-pw useradd": that hashes for seconds, and so does every login then.
    users.write_text(f"ann:{_hashed('secret')}:{daemon.pw_uid}:{daemon.pw_gid}::{root}/./{':' * 12}\n")
    subprocess.run([pure_pw, "mkdb", str(database), "-f", str(users)], check=True, capture_output=True)
    port = port or free_port()
    command = [program, "-S", f"127.0.0.1,{port}", "-l", f"puredb:{database}", "-E", "-H", "-u", "1", "-c", "50"]
    command += ["-C", "50", "-D", "-U", "133:022", "-g", str(folder / "pid"), "-Y", "2" if encrypted else "0"]
    pin = ""
    if encrypted:
        identity = TlsIdentity.ensure(str(folder / "tls"), ["127.0.0.1"])
        pin = identity.pin
        both = folder / "both.pem"
        both.write_bytes(Path(identity.key_path).read_bytes() + Path(identity.certificate_path).read_bytes())
        command += ["-2", str(both)]
    with _running(command, port, folder / "server.log") as process:
        yield Peer(port, root, "", "ann", "secret", process.pid, encrypted, pin)


@contextmanager
def proftpd(folder: Path, *, encrypted: bool = False, port: int = 0) -> Iterator[Peer]:
    """ProFTPD with one virtual user, ``ann``, mod_digest and (when ``encrypted``) mod_tls."""
    program = _program("proftpd", "usr/sbin/proftpd")
    modules = Path(program).parent.parent / "lib" / "proftpd"
    root = folder / "root"
    root.mkdir(exist_ok=True)
    _open_way_to(root)
    shutil.chown(root, "daemon")
    port = port or free_port()
    daemon = pwd.getpwnam("daemon")
    (folder / "passwd").write_text(f"ann:{_hashed('secret')}:{daemon.pw_uid}:{daemon.pw_gid}::{root}:/bin/sh\n")
    (folder / "passwd").chmod(0o600)
    lines = f"""
        ModulePath {modules}
        LoadModule mod_digest.c
        {"LoadModule mod_tls.c" if encrypted else ""}
        ServerType standalone
        ServerName test
        DefaultAddress 127.0.0.1
        SocketBindTight on
        Port {port}
        UseIPv6 off
        UseReverseDNS off
        User daemon
        Group daemon
        AuthOrder mod_auth_file.c
        AuthUserFile {folder}/passwd
        RequireValidShell off
        DefaultRoot ~
        AllowOverwrite on
        AllowStoreRestart on
        AllowRetrieveRestart on
        Umask 022
        MaxInstances 50
        PidFile {folder}/pid
        ScoreboardFile {folder}/scoreboard
        DelayEngine off
        WtmpLog off
        TransferLog none
        SystemLog {folder}/system.log
        DigestEngine on
    """
    pin = ""
    if encrypted:
        identity = TlsIdentity.ensure(str(folder / "tls"), ["127.0.0.1"])
        pin = identity.pin
        lines += f"""
        TLSEngine on
        TLSRequired on
        TLSLog {folder}/tls.log
        TLSProtocol TLSv1.2 TLSv1.3
        TLSRSACertificateFile {identity.certificate_path}
        TLSRSACertificateKeyFile {identity.key_path}
        """.replace("TLSRSA", "TLSEC")
    config = folder / "proftpd.conf"
    config.write_text("".join(f"{line.strip()}\n" for line in lines.splitlines() if line.strip()))
    config.chmod(0o644)
    with _running([program, "-n", "-q", "-c", str(config)], port, folder / "server.log") as process:
        yield Peer(port, root, "", "ann", "secret", process.pid, encrypted, pin)


@contextmanager
def vsftpd(folder: Path, *, encrypted: bool = False, port: int = 0, stalled_s: int = 300) -> Iterator[Peer]:
    """vsftpd for the anonymous user, who may do everything here; TLS with session reuse required when ``encrypted``.

    It keeps a file locked while an upload to it stalls, up to ``stalled_s`` (its own default).
    """
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
        data_connection_timeout={stalled_s}
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


SERVERS = {
    "logferry": logferry,
    "vsftpd": vsftpd,
    "pyftpdlib": pyftpdlib,
    "pure-ftpd": pure_ftpd,
    "proftpd": proftpd,
}


def _public(folder: Path) -> Path:
    """A folder in place of ``folder`` that servers reach after they gave up root.

    Each run of pytest makes the folder above all its folders private again, also for the runs beside it.
    """
    link = folder / "public"
    if not link.is_symlink():
        made = tempfile.mkdtemp(prefix="ftp-peer-")
        os.chmod(made, 0o755)
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        link.symlink_to(made)
    return link.resolve()


@contextmanager
def running(kind: str, folder: Path, *, port: int = 0) -> Iterator[Peer]:
    """A server by its name, with TLS when ``-tls`` follows."""
    name = kind.removesuffix("-tls")
    if name not in ("logferry", "pyftpdlib"):
        folder = _public(folder)
    with ExitStack() as stack:
        for left in range(4, -1, -1):
            try:
                peer = stack.enter_context(SERVERS[name](folder, encrypted=kind != name, port=port))
                break
            except PortTaken:
                if port or not left:
                    raise
        yield peer
