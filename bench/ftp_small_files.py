"""Small files over FTP: 5,000 x 20 KB by one tight client, our server beside vsftpd and pyftpdlib, interleaved.

``python -m bench.ftp_small_files`` prints files/s and server CPU seconds; ``--tls`` does 1,000 files over explicit TLS,
``--clients n`` lets n clients share the work, ``--pipelined`` sends commands ahead as our own client does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path

from bench.figures import Figure

FILE_BYTES = 20_000
START_S_MAX = 30.0
RUN_S_MAX = 300.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Client:
    """A client that does no more than the protocol needs, so that the server is what is measured."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._tls: ssl.SSLSocket | None = None
        self._buffer = b""
        self.reply()
        if tls:
            self.command("AUTH TLS")
            self._tls = self._context.wrap_socket(self._socket)
            self._socket = self._tls
        self.command("USER anonymous")
        self.command("PASS bench")
        if tls:
            self.command("PBSZ 0")
            self.command("PROT P")
        self.command("TYPE I")

    def reply(self) -> str:
        """The next reply's last line."""
        while True:
            while b"\n" not in self._buffer:
                data = self._socket.recv(8192)
                if not data:
                    raise ConnectionError("the server hung up")
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\n")
            if line[3:4] == b" " and line[:3].isdigit():
                if line[:1] in b"45":
                    raise ConnectionError(line.decode())
                return line.decode()

    def command(self, text: str) -> str:
        """Send and wait for the reply."""
        self._socket.sendall(text.encode() + b"\r\n")
        return self.reply()

    def _data(self, reply: str) -> socket.socket:
        port = int(reply.split("|")[3])
        data = socket.create_connection(("127.0.0.1", port))
        data.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return data

    def store(self, name: str, content: bytes) -> None:
        """EPSV, STOR, data, 226."""
        data = self._data(self.command("EPSV"))
        self.command(f"STOR {name}")
        if self._tls is not None:
            data = self._context.wrap_socket(data, session=self._tls.session)
        data.sendall(content)
        if isinstance(data, ssl.SSLSocket):
            data.unwrap()
        data.close()
        self.reply()

    def store_ahead(self, names: list[str], content: bytes) -> None:
        """The same with commands sent ahead: STOR, data and the next EPSV before any reply is read."""
        reply = self.command("EPSV")
        for name in names:
            data = self._data(reply)
            self._socket.sendall(f"STOR {name}\r\nEPSV\r\n".encode())
            if self._tls is not None:
                data = self._context.wrap_socket(data, session=self._tls.session)
            data.sendall(content)
            if isinstance(data, ssl.SSLSocket):
                data.unwrap()
            data.close()
            self.reply()
            self.reply()
            reply = self.reply()


def _client(
    port: int, number: int, files: int, tls: bool, ahead: bool, ready: Semaphore, go: Event, leave: Event
) -> None:
    client = Client(port, tls=tls)
    content = os.urandom(FILE_BYTES)
    names = [f"up/file{number}-{index}" for index in range(files)]
    ready.release()
    go.wait()
    if ahead:
        client.store_ahead(names, content)
    else:
        for name in names:
            client.store(name, content)
    ready.release()
    # Servers that fork do not count the CPU of sessions that have ended: stay until it was read.
    leave.wait()


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, its living children and those it has waited for."""
    total = 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    total += sum(int(field) for field in fields[11:15]) / _TICKS
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            total += cpu_s(int(child))
    return total


def run(port: int, pid: int, *, files: int, clients: int, tls: bool, ahead: bool) -> tuple[float, float]:
    """(files/s, server CPU seconds) of one round."""
    context = multiprocessing.get_context("spawn")
    ready, go, leave = context.Semaphore(0), context.Event(), context.Event()
    each = files // clients
    processes = [
        context.Process(target=_client, args=(port, number, each, tls, ahead, ready, go, leave))
        for number in range(clients)
    ]
    for process in processes:
        process.start()
    _all_ready(ready, processes, START_S_MAX)
    before, start = cpu_s(pid), time.perf_counter()
    go.set()
    _all_ready(ready, processes, RUN_S_MAX)
    took, cost = time.perf_counter() - start, cpu_s(pid) - before
    leave.set()
    for process in processes:
        process.join()
    return each * clients / took, cost


def _all_ready(ready: Semaphore, processes: Sequence[BaseProcess], wait_s: float) -> None:
    until = time.monotonic() + wait_s
    for _ in processes:
        while not ready.acquire(timeout=0.5):
            if time.monotonic() > until or any(process.exitcode for process in processes):
                for process in processes:
                    process.terminate()
                raise ChildProcessError("a client failed")


# Servers ------------------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _serve_ours(home: str, port: int, certificate: str, key: str) -> None:
    from logferry.ftp import FtpServer, MemoryUsers, TlsIdentity, User, hash_password

    users = MemoryUsers(User("anonymous", home, password_hash=hash_password("bench", light=True)))
    identity = TlsIdentity(certificate, key)
    with FtpServer(("127.0.0.1", port), users=users, tls="explicit", identity=identity):
        sys.stdin.read()


def _serve_pyftpdlib(home: str, port: int, _certificate: str, _key: str) -> None:
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer

    authorizer = DummyAuthorizer()
    authorizer.add_user("anonymous", "bench", home, perm="elradfmwMT")
    handler = FTPHandler
    handler.authorizer = authorizer
    FTPServer(("127.0.0.1", port), handler).serve_forever()


def _vsftpd(home: str, port: int, certificate: str, key: str, tls: bool) -> list[str]:
    shutil.chown(Path(home, "up"), "backup", "backup")
    config = Path(home).parent / "vsftpd.conf"
    config.write_text(
        f"""listen=YES
listen_port={port}
listen_address=127.0.0.1
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_upload_enable=YES
write_enable=YES
anon_root={home}
anon_umask=022
ftp_username=backup
secure_chroot_dir=/var/run/vsftpd/empty
allow_writeable_chroot=YES
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
max_per_ip=0
ssl_enable={"YES" if tls else "NO"}
allow_anon_ssl={"YES" if tls else "NO"}
rsa_cert_file={certificate}
rsa_private_key_file={key}
ssl_ciphers=HIGH
require_ssl_reuse=YES
"""
    )
    return ["/usr/sbin/vsftpd", str(config)]


@contextmanager
def server(kind: str, folder: Path, *, tls: bool) -> Iterator[tuple[int, int]]:
    """(port, pid) of a running server of that kind, its home below ``folder``."""
    from logferry.ftp import TlsIdentity

    home = folder / kind
    home.mkdir(mode=0o755)
    (home / "up").mkdir(mode=0o755)  # vsftpd wants a root that its anonymous user cannot write to
    identity = TlsIdentity.ensure(str(folder / "identity"))
    port = _free_port()
    if kind == "vsftpd":
        command = _vsftpd(str(home), port, identity.certificate_path, identity.key_path, tls)
    else:
        command = [sys.executable, "-m", "bench.ftp_small_files", "--serve", kind, str(home), str(port)]
        command += [identity.certificate_path, identity.key_path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def measure(
    folder: Path,
    *,
    files: int = 5_000,
    rounds: int = 3,
    clients: int = 1,
    tls: bool = False,
    ahead: bool = False,
    kinds: tuple[str, ...] = ("ours", "pyftpdlib"),
) -> tuple[list[Figure], object]:
    """Median files/s and CPU seconds of each server, the rounds interleaved so that noise hits all alike."""
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for round_number in range(rounds):
        for kind in kinds:
            below = folder / f"{kind}-{round_number}"
            below.mkdir()
            with server(kind, below, tls=tls) as (port, pid):
                found[kind].append(
                    run(port, pid, files=files, clients=clients, tls=tls, ahead=ahead and kind == "ours")
                )
            shutil.rmtree(below)
            os.sync()
    rates = {kind: statistics.median(rate for rate, _ in results) for kind, results in found.items()}
    costs = {kind: statistics.median(cost for _, cost in results) for kind, results in found.items()}
    suffix = f"{'-tls' if tls else ''}{f'-{clients}-clients' if clients > 1 else ''}"
    ours, cost = rates.pop("ours"), costs.pop("ours")
    target = 800 if tls else 2_000 if clients == 1 else 4_000
    return [
        Figure(f"ftp-small-files{suffix}", ours, "files/s", target, rates),
        Figure(f"ftp-small-files-cpu{suffix}", cost, "s", 1.2 * files / 5_000, costs, less_is_better=True),
    ], found


def main() -> None:
    """Measure and print, or serve for a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", nargs=5, metavar=("KIND", "HOME", "PORT", "CERTIFICATE", "KEY"))
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--pipelined", action="store_true")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--files", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default="/var/tmp", help="where the files go: a disk, or /dev/shm to leave it out")
    parser.add_argument("--only", action="append", help="which servers")
    given = parser.parse_args()
    if given.serve:
        kind, home, port, certificate, key = given.serve
        serve = _serve_ours if kind == "ours" else _serve_pyftpdlib
        serve(home, int(port), certificate, key)
        return
    # pyftpdlib needs PyOpenSSL for TLS, which nothing else here needs.
    kinds = given.only or [
        "ours",
        *([] if given.tls else ["pyftpdlib"]),
        *(["vsftpd"] if Path("/usr/sbin/vsftpd").exists() else []),
    ]
    folder = Path(tempfile.mkdtemp(prefix="ftp-small-", dir=given.folder))
    folder.chmod(0o755)
    try:
        figures, raw = measure(
            folder,
            files=given.files or (1_000 if given.tls else 5_000),
            rounds=given.rounds,
            clients=given.clients,
            tls=given.tls,
            ahead=given.pipelined,
            kinds=tuple(kinds),
        )
    finally:
        shutil.rmtree(folder)
    for figure in figures:
        print("\n".join(figure.lines()))
    print(raw)


if __name__ == "__main__":
    main()
