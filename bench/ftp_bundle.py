"""Many small files as one bundle: 5,000 x 20 KB, plain, gzip and zstd, with and without TLS, beside one STOR each.

``python -m bench.ftp_bundle`` prints files/s and server CPU seconds of each, all interleaved in one run; ``--archive``
sends to a Logferry server (FTP into the archive) instead of a plain folder; ``--bytes`` and ``--files`` set the size.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.figures import Figure, interleaved, medians
from logferry.ftp import FtpClient, StoreItem

FILES = 5_000
FILE_BYTES = 20_000
START_S_MAX = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


def log_lines(count: int, seed: int) -> bytes:
    """``count`` bytes that compress as logs do, about tenfold."""
    dice = random.Random(seed)
    words = ["GET /api/v1/items", "POST /login", "user signed in", "cache miss for key", "connection closed by peer"]
    lines: list[str] = []
    size = 0
    while size < count:
        line = (
            f"2026-11-23T08:{dice.randrange(60):02d}:{dice.randrange(60):02d}.{dice.randrange(1000):03d}Z "
            f"INFO web-{dice.randrange(4)} {dice.choice(words)} id={dice.randrange(10**6)} {dice.randrange(900)}ms\n"
        )
        lines.append(line)
        size += len(line)
    return "".join(lines).encode()[:count]


def _serve(home: str, archive: bool, port: Any) -> None:
    """A server in a process of its own, plain and TLS as the client likes; ends with its parent."""
    if archive:
        from logferry.archive import Catalog
        from logferry.server import first_run
        from logferry.server.catalogs import catalog_url
        from logferry.server.config import load_config
        from logferry.server.enrolment import Enrolment
        from logferry.server.parts import FtpPart
        from logferry.server.people import People

        values = {"archive": {"root": home, "min_free": "0"}, "ftp": {"listen": "127.0.0.1:0", "tls": "explicit"}}
        config = load_config(None, {}, values)
        first_run.prepare(config).close()
        catalog = Catalog.open(catalog_url(config.data_dir))
        enrolment = Enrolment(catalog, People(catalog))
        joined = enrolment.join(enrolment.new_join_token().secret, agent_id="bench")
        catalog.close()
        with FtpPart(config) as part:
            port.send((part.address[1], joined.user, joined.password, first_run.identity(config).pin))
            port.recv()
        return
    from logferry.ftp import FtpServer, MemoryUsers, TlsIdentity, User, hash_password

    identity = TlsIdentity.ensure(str(Path(home).parent / "identity"))
    users = MemoryUsers(User("ann", home, password_hash=hash_password("secret", light=True)))
    with FtpServer(("127.0.0.1", 0), users=users, tls="explicit", identity=identity) as server:
        port.send((server.address[1], "ann", "secret", identity.pin))
        port.recv()


@contextlib.contextmanager
def server(folder: Path, *, archive: bool) -> Iterator[tuple[int, str, str, str, int]]:
    """A running server on ``folder``: (port, user, password, pin, pid)."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    home = folder / "home"
    home.mkdir(parents=True)
    process = context.Process(target=_serve, args=(str(home), archive, theirs), daemon=True)
    process.start()
    if not ours.poll(START_S_MAX):
        raise ChildProcessError("the server did not start")
    port, user, password, pin = ours.recv()
    assert process.pid is not None
    try:
        yield port, user, password, pin, process.pid
    finally:
        ours.send("end")
        process.join(START_S_MAX)
        if process.is_alive():
            process.kill()


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:13]) / _TICKS


def measured(
    *, files: int = FILES, size: int = FILE_BYTES, rounds: int = 3, archive: bool = False, folder: str | None = None
) -> dict[str, float]:
    """Median files/s of every way, and its server CPU seconds (``... cpu``)."""
    contents = [log_lines(size, seed) for seed in range(50)]
    where = Path(tempfile.mkdtemp(prefix="logferry-bundle-", dir=folder))
    cpu: dict[str, list[float]] = {}
    turns = iter(range(10**6))
    try:
        with server(where, archive=archive) as (port, user, password, pin, pid):

            def run(name: str, form: str, tls: bool) -> Callable[[], float]:
                def one() -> float:
                    turn = next(turns)
                    items = [
                        StoreItem(f"/r{turn}/d{n % 10}/f{n}", contents[n % 50], 0, size, want_size=False)
                        for n in range(files)
                    ]
                    settings: dict[str, Any] = {"pins": (pin,)} if tls else {"tls": "off"}
                    with FtpClient("127.0.0.1", port, user=user, password=password, **settings) as client:
                        if not form:
                            for number in range(10):
                                client.ensure_folder(f"/r{turn}/d{number}")
                        before, start = cpu_s(pid), time.perf_counter()
                        results = client.store_bundle(items, form=form).results if form else client.store_many(items)
                        failed = [result.error for result in results if result.error is not None]
                        took = time.perf_counter() - start
                        cpu.setdefault(name, []).append(cpu_s(pid) - before)
                        if failed:
                            raise failed[0]
                    return files / took

                return one

            ways = {
                "tar": run("tar", "tar", False),
                "tar.gz": run("tar.gz", "tar.gz", False),
                "tar.zst": run("tar.zst", "tar.zst", False),
                "tar over TLS": run("tar over TLS", "tar", True),
                "tar.zst over TLS": run("tar.zst over TLS", "tar.zst", True),
                "one STOR each": run("one STOR each", "", False),
            }
            found = medians(interleaved(ways, rounds))
    finally:
        shutil.rmtree(where, ignore_errors=True)
    return found | {f"{name} cpu": value for name, value in medians(cpu).items()}


def figures(**settings: Any) -> list[Figure]:
    """The figures of DESIGN section 11: by bundle, beside one STOR each."""
    found = measured(**settings)
    peers = {"stor": found["one STOR each"]}
    return [
        Figure("ftp_bundle_tar", found["tar"], "files/s", 8_000, peers),
        Figure("ftp_bundle_zstd", found["tar.zst"], "files/s", 8_000, peers),
        Figure("ftp_bundle_tls", found["tar.zst over TLS"], "files/s", 8_000, peers),
    ]


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--bytes", type=int, default=FILE_BYTES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--archive", action="store_true")
    parser.add_argument("--folder", help="where to work (a tmpfs leaves the disk out)")
    wanted = parser.parse_args()
    found = measured(
        files=wanted.files, size=wanted.bytes, rounds=wanted.rounds, archive=wanted.archive, folder=wanted.folder
    )
    for name in [name for name in found if not name.endswith(" cpu")]:
        sys.stdout.write(f"{name:20} {found[name]:9.0f} files/s  server cpu {found[f'{name} cpu']:.2f} s\n")


if __name__ == "__main__":
    main()
