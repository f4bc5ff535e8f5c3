"""Our server and its peers, each with the settings its own makers would call sane and fast.

All of them: one user, an empty home on the same file system, no logging, no reverse DNS, no rate limits, TLS (where
asked for) with the same certificate and session reuse on data connections.

* **ours**: ``FtpServer`` as it comes; only the number of sessions per address is raised. ``ours-2`` are two processes.
* **pyftpdlib**: ``FTPServer`` (one asynchronous process) with sendfile, log level warning; TLS by PyOpenSSL.
* **vsftpd**: standalone, anonymous user, its sandbox off (as most packagers have it: it costs system calls).
* **pure-ftpd**: standalone, a virtual user from PureDB.
* **proftpd**: standalone, anonymous user, no delay engine, sendfile on.

None of the peers syncs an upload before 226; ours does. On a memory file system that costs nothing, on a disk it does.
"""

from __future__ import annotations

import contextlib
import grp
import inspect
import os
import pwd
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

from logferry.ftp import FtpServer, TlsIdentity

START_S_MAX = 20.0
STOP_S_MAX = 1.0
OWNER = "backup"
"""A system user of every Debian: what the peers' sessions run as."""
APART = Path(__file__).parents[2] / ".programs"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Running:
    """A server under test. Uploads go to ``up/``, which is ``folder`` on disk."""

    kind: str
    port: int
    pid: int
    user: str
    folder: Path
    password: str = "bench"

    def cpu_s(self) -> float:
        """CPU seconds so far, of its children too (those that have ended count once it has waited for them)."""
        return sum(_cpu_s(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """The process and all below it."""
        return family(self.pid)

    def memory(self) -> tuple[float, float]:
        """(RSS, PSS) in MB, of all its processes."""
        rss = pss = 0
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a session has just ended
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                fields = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
                rss += int(fields["Rss"].split()[0])
                pss += int(fields["Pss"].split()[0])
        return rss * 1024 / 1e6, pss * 1024 / 1e6


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has just ended, and counts for its parent from now on
    return sum(int(field) for field in fields[11:15]) / _TICKS


def family(pid: int) -> list[int]:
    """``pid`` and all below it that still live."""
    found = [pid]
    # One that ends while it is looked at leaves nothing: neither threads nor children.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def program(name: str) -> str:
    """Where a peer's program is, or empty."""
    apart = APART / name / "usr/sbin" / name
    if apart.exists():
        return str(apart)
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def kinds() -> list[str]:
    """Ours first, then the peers that can run here."""
    peers = [name for name in ("vsftpd", "pure-ftpd", "proftpd") if program(name)] if os.geteuid() == 0 else []
    return ["ours", *peers, "pyftpdlib"]


def takes_processes() -> bool:
    """Whether our server can be several processes."""
    return "processes" in inspect.signature(FtpServer.__init__).parameters


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def running(kind: str, folder: Path, *, tls: bool = False) -> Iterator[Running]:
    """A server of ``kind``, its home in ``folder`` (which everybody may enter)."""
    home = folder / kind
    home.mkdir(mode=0o755)
    (home / "up").mkdir(mode=0o755)  # some want a root that their user cannot write to
    identity = TlsIdentity.ensure(str(folder / "identity"))
    port = free_port()
    command = _COMMANDS.get(kind, _python)(kind, home, port, identity, tls)
    user = "bench" if kind in ("pure-ftpd", "pyftpdlib") or kind.startswith("ours") else "anonymous"
    log = (folder / f"{kind}.log").open("wb")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(port, process, folder / f"{kind}.log")
        yield Running(kind, port, process.pid, user, home / "up")
    finally:
        _end(process)
        log.close()
        shutil.rmtree(home)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and the processes of its sessions, some of which would take their time."""
    below = family(process.pid)[1:]
    process.terminate()
    try:
        process.communicate(timeout=STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    for pid in below:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S_MAX
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0) as connection:
                connection.recv(1)
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{process.args!r} does not serve: {log.read_text()[-800:]}") from error
            time.sleep(0.02)


def _python(kind: str, home: Path, port: int, identity: TlsIdentity, tls: bool) -> list[str]:
    command = [sys.executable, "-m", "bench.ftp.serve", kind, str(home), str(port)]
    return [*command, identity.certificate_path, identity.key_path, "tls" if tls else "plain"]


def _vsftpd(_kind: str, home: Path, port: int, identity: TlsIdentity, tls: bool) -> list[str]:
    shutil.chown(home / "up", OWNER, OWNER)
    empty = home.parent / "empty"
    empty.mkdir(mode=0o755, exist_ok=True)
    settings = {
        "listen": "YES",
        "listen_port": port,
        "listen_address": "127.0.0.1",
        "background": "NO",
        "anonymous_enable": "YES",
        "no_anon_password": "YES",
        "anon_upload_enable": "YES",
        "anon_other_write_enable": "YES",
        "anon_mkdir_write_enable": "YES",
        "anon_world_readable_only": "NO",
        "write_enable": "YES",
        "anon_root": home,
        "anon_umask": "022",
        "ftp_username": OWNER,
        "secure_chroot_dir": empty,
        "seccomp_sandbox": "NO",
        "isolate": "NO",
        "isolate_network": "NO",
        "max_per_ip": 0,
        "max_clients": 0,
        "ssl_enable": "YES" if tls else "NO",
        "allow_anon_ssl": "YES" if tls else "NO",
        "rsa_cert_file": identity.certificate_path,
        "rsa_private_key_file": identity.key_path,
        "ssl_ciphers": "HIGH",
        "require_ssl_reuse": "YES",
    }
    config = home.parent / "vsftpd.conf"
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return [program("vsftpd"), str(config)]


def _pure_ftpd(_kind: str, home: Path, port: int, identity: TlsIdentity, tls: bool) -> list[str]:
    shutil.chown(home / "up", OWNER, OWNER)
    owner, group = pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(OWNER).gr_gid
    users, database = home.parent / "pure.passwd", home.parent / "pure.pdb"
    tool = Path(program("pure-ftpd")).parents[1] / "bin/pure-pw"
    add = [str(tool), "useradd", "bench", "-f", str(users), "-F", str(database)]
    add += ["-m", "-u", str(owner), "-g", str(group), "-d", str(home)]
    users.unlink(missing_ok=True)
    subprocess.run(add, input=b"bench\nbench\n", check=True, stdout=subprocess.DEVNULL)
    command = [program("pure-ftpd"), "-S", f"127.0.0.1,{port}", "-l", f"puredb:{database}", "-E", "-A", "-H"]
    command += ["-u", "1", "-c", "5000", "-C", "5000", "-f", "none", "-g", str(home.parent / "pure.pid")]
    if tls:
        both = home.parent / "pure.pem"
        both.write_text(Path(identity.key_path).read_text() + Path(identity.certificate_path).read_text())
        command += ["-Y", "1", "-2", str(both)]
    return command


def _proftpd(_kind: str, home: Path, port: int, identity: TlsIdentity, tls: bool) -> list[str]:
    shutil.chown(home / "up", OWNER, OWNER)
    below = home.parent
    modules = APART / "proftpd/usr/lib/proftpd"
    lines = [f"ModulePath {modules}"] if modules.exists() else []
    lines += ["LoadModule mod_tls.c"] if tls else []
    lines += [
        "ServerName bench",
        "ServerType standalone",
        "DefaultServer on",
        "DefaultAddress 127.0.0.1",
        "SocketBindTight on",
        f"Port {port}",
        f"User {OWNER}",
        f"Group {OWNER}",
        "UseIPv6 off",
        "UseReverseDNS off",
        "DelayEngine off",
        "UseSendfile on",
        "MaxInstances none",
        "TimeoutIdle 3600",
        "TimeoutNoTransfer 3600",
        f"PidFile {below}/proftpd.pid",
        f"ScoreboardFile {below}/proftpd.scoreboard",
        "SystemLog none",
        "TransferLog none",
        "WtmpLog off",
    ]
    if tls:
        lines += ["TLSEngine on", "TLSProtocol TLSv1.2 TLSv1.3", f"TLSECCertificateFile {identity.certificate_path}"]
        lines += [f"TLSECCertificateKeyFile {identity.key_path}", "TLSSessionTickets on"]
    lines += [
        f"<Anonymous {home}>",
        f"  User {OWNER}",
        f"  Group {OWNER}",
        f"  UserAlias anonymous {OWNER}",
        "  RequireValidShell off",
        "  AllowOverwrite on",
        "</Anonymous>",
    ]
    config = below / "proftpd.conf"
    config.write_text("\n".join(lines) + "\n")
    return [program("proftpd"), "-n", "-q", "-c", str(config)]


_COMMANDS = {"vsftpd": _vsftpd, "pure-ftpd": _pure_ftpd, "proftpd": _proftpd}
