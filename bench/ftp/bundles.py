"""Our own client with our own server: STOR with commands sent ahead, and many files in one bundle.

The files hold log lines, as they do in life: a bundle is compressed on its way. No peer takes bundles; beside them
stands what the same peer reached with one STOR each in this run.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
from collections.abc import Iterable, Iterator
from multiprocessing.synchronize import Event, Semaphore
from typing import TYPE_CHECKING, Any

from bench.figures import Figure
from bench.ftp import distance
from bench.ftp.load import Work, together
from bench.ftp.servers import Running
from logferry.ftp import FtpClient, StoreItem, StoreResult, TlsIdentity
from logferry.testing import LineSource

if TYPE_CHECKING:
    from bench.ftp import Bench

BUNDLE_FILES = 5_000
ROUND_TRIP_S = 0.02


def forms() -> list[str]:
    """The kinds of bundle that can be sent here; none where this version has no bundles."""
    if not hasattr(FtpClient, "store_bundle"):
        return []
    return ["tar", *(["tar.zst"] if importlib.util.find_spec("zstandard") else [])]


def _items(work: Work) -> Iterator[StoreItem]:
    source = LineSource("nginx", seed=3)
    lines: list[bytes] = []
    while sum(map(len, lines[-1:])) * len(lines) < 40 * work.file_bytes:
        lines.append(source.record())
    pool = b"".join(lines)
    for number in range(work.files):
        start = number * 7_919 % (len(pool) - work.file_bytes)
        yield StoreItem(
            f"up/file{number}", pool[start : start + work.file_bytes], length=work.file_bytes, want_size=False
        )


def _send(work: Work, port: int, user: str, how: str, ready: Semaphore, go: Event, leave: Event) -> None:
    tls, _, form = how.partition(" ")
    items = list(_items(work))
    client = FtpClient(
        work.host, port, user=user, password="bench", tls="off" if tls == "-" else "required", pins=_pins(tls)
    )
    with client:
        client.connect()
        ready.release()
        go.wait()
        for result in _sent(client, items, form):
            if result.error is not None:
                raise result.error
        ready.release()
        leave.wait()


def _pins(identity_folder: str) -> tuple[str, ...]:
    return () if identity_folder == "-" else (TlsIdentity.ensure(identity_folder).pin,)


def _sent(client: Any, items: list[StoreItem], form: str) -> Iterable[StoreResult]:
    if not form:
        results: Iterable[StoreResult] = client.store_many(items)
        return results
    done = client.store_bundle(items, form=form)
    if done.error is not None:
        raise done.error
    return list(done.results)


def _rate(server: Running, work: Work, form: str, *, far: bool = False) -> tuple[float, float]:
    identity = server.folder.parents[1] / "identity"
    how = f"{identity if work.tls else '-'} {form}"
    if far:
        with distance.far(server.port, ROUND_TRIP_S) as port:
            took, cost = together(server, _send, work, port, clients=1, argument=how)
    else:
        took, cost = together(server, _send, work, server.port, clients=1, argument=how)
    sizes = [entry.stat().st_size for entry in os.scandir(server.folder)]
    assert len(sizes) == work.files, f"{len(sizes)} of {work.files} files arrived"
    assert set(sizes) == {work.file_bytes}, f"not whole: {sorted(set(sizes))[:5]}"
    return work.files / took, cost


def measure(bench: Bench) -> None:
    """Our client: STOR with commands ahead near and far, and bundles where this version has them."""
    few = 300 if bench.quick else 2_000
    _one(bench, "far-own-client", Work(few, host=distance.ADDRESS), "", target=9, far=True, beside="far-8-clients")
    many = 1_000 if bench.quick else BUNDLE_FILES
    for form in forms():
        short = form.rpartition(".")[2]
        _one(bench, f"bundle-{short}", Work(many), form, target=8_000, beside="small-files")
        far = Work(many, host=distance.ADDRESS)
        _one(bench, f"far-bundle-{short}", far, form, target=5_000, far=True, beside="far-8-clients")
        tls = Work(many, tls=True)
        _one(bench, f"bundle-{short}-tls", tls, form, target=8_000, beside="small-files-tls")


def _one(bench: Bench, name: str, work: Work, form: str, *, target: float, beside: str, far: bool = False) -> None:
    found = bench.compare(name, lambda server: _rate(server, work, form, far=far), among=["ours"], tls=work.tls)
    peers = {
        kind: statistics.median(rate for rate, _ in results) for kind, results in bench.raw.get(beside, {}).items()
    }
    peers = {kind: value for kind, value in peers.items() if not kind.startswith("ours")}
    ours = statistics.median(rate for rate, _ in found["ours"])
    bench.add(Figure(f"ftp-{name}", ours, "files/s", target, peers))
