"""Clients that deliver to a server which dies all the time, and their ledger of what was acknowledged."""

from __future__ import annotations

import ftplib
import io
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from logferry.archive import Archive, Catalog
from logferry.archive.retention import Rule
from logferry.clock import SYSTEM, ManualClock
from logferry.limits import PARTIAL_S_MAX, RETENTION_GRACE_S
from logferry.names import temporary_name
from logferry.server.catalogs import catalog_url
from logferry.server.config import ServerConfig
from logferry.server.enrolment import Joined
from tests.archive.hurried import GONE

AGENT = "web-01"
_BROKEN = (OSError, EOFError, ftplib.error_proto, ftplib.error_reply)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that a client is about to do; it may be done again when nobody knows whether it was.

    ``what``: ``store`` a new file, ``publish`` one that travels in slices under a temporary name, ``grow`` one by
    ``data``, or ``move`` it to ``target``.
    """

    what: str
    path: str
    data: bytes = b""
    target: str = ""


@dataclass
class Deliverer:
    """One client with files of its own."""

    number: int
    dice: random.Random
    sure: dict[str, bytes] = field(default_factory=dict)
    """What is acknowledged; what lies in ``gone`` may have expired since."""
    deed: Deed | None = None
    """What is under way and may be done, in part or not at all."""
    confirmed: int = 0
    """Bytes of what is under way that were acknowledged under a temporary name."""
    done: int = 0
    serial: int = 0
    thread: threading.Thread | None = None
    failure: BaseException | None = None

    # Working ---------------------------------------------------------------------------------------------------------

    def start(self, address: tuple[str, int], joined: Joined, *, finish: bool = False) -> None:
        """Work in a thread until the server is gone, or (``finish``) what is under way is done."""
        self.thread = threading.Thread(target=self._run, args=(address, joined, finish))
        self.thread.start()

    def join(self) -> None:
        """Wait for the end of the thread; raises what it failed with."""
        assert self.thread is not None
        self.thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self, address: tuple[str, int], joined: Joined, finish: bool) -> None:
        try:
            with suppress(*_BROKEN), ftplib.FTP(timeout=60, encoding="utf-8") as client:
                client.connect(*address)
                client.login(joined.user, joined.password)
                client.voidcmd("TYPE I")
                while not finish or self.deed is not None:
                    if self.deed is None:
                        self.deed = self._next()
                    self._do(client, self.deed)
                    self._acknowledge(self.deed)
        except BaseException as failure:  # noqa: BLE001 - the test's own thread raises it
            self.failure = failure

    def _next(self) -> Deed:
        self.serial += 1
        size = self.dice.choice((0, 1, 300, 5_000, 40_000))
        data = self.dice.randbytes(size // 2).hex().encode() + b"\n"
        mine = [path for path in self.sure if f"/{GONE}/" not in path]
        choice = self.dice.random()
        if choice < 0.25 or not mine:
            what = self.dice.choice(("store", "publish"))
            return Deed(what, f"w{self.number}/d{self.dice.randrange(3)}/{self.serial}.log", data)
        if choice < 0.45:
            return Deed("store", f"w{self.number}/{GONE}/{self.serial}.log", data)
        path = self.dice.choice(mine[-20:])
        if choice < 0.8:
            return Deed("grow", path, data)
        return Deed("move", path, self.sure[path], f"w{self.number}/d{self.dice.randrange(3)}/{self.serial}.old")

    def _do(self, client: ftplib.FTP, deed: Deed) -> None:
        while True:
            try:
                if deed.what == "move":
                    self._move(client, deed)
                elif deed.what == "publish":
                    self._publish(client, deed)
                else:
                    self._send(client, deed)
                return
            except ftplib.error_temp:  # somebody is at it just now
                time.sleep(0.005)

    def _send(self, client: ftplib.FTP, deed: Deed) -> None:
        before = self.sure.get(deed.path, b"")
        whole = before + deed.data
        try:
            offset = client.size(deed.path) or 0
        except ftplib.error_perm:
            offset = 0
        assert offset >= len(before), f"{deed.path} has {offset} bytes, {len(before)} were acknowledged"
        assert offset <= len(whole), f"{deed.path} has {offset} bytes, {len(whole)} were sent"
        client.storbinary(f"STOR {deed.path}", io.BytesIO(whole[offset:]), rest=offset or None)

    def _publish(self, client: ftplib.FTP, deed: Deed) -> None:
        folder, _, name = deed.path.rpartition("/")
        temporary = f"{folder}/{temporary_name(name)}"
        offset = _size(client, temporary)
        if offset is None and _size(client, deed.path) is not None:
            return  # renamed before the server died
        offset = offset or 0
        assert offset >= self.confirmed, f"{temporary} has {offset} bytes, {self.confirmed} were acknowledged"
        assert offset <= len(deed.data), f"{temporary} has {offset} bytes, {len(deed.data)} were sent"
        while offset < len(deed.data):
            part = deed.data[offset : offset + len(deed.data) // 3 + 1]
            client.storbinary(f"STOR {temporary}", io.BytesIO(part), rest=offset or None)
            self.confirmed = offset = offset + len(part)
        client.rename(temporary, deed.path)

    def _move(self, client: ftplib.FTP, deed: Deed) -> None:
        try:
            client.rename(deed.path, deed.target)
        except ftplib.error_perm:  # not there: then it was done before the server died
            assert client.size(deed.target) == len(deed.data), deed

    def _acknowledge(self, deed: Deed) -> None:
        if deed.what == "move":
            self.sure[deed.target] = self.sure.pop(deed.path)
        else:
            self.sure[deed.path] = self.sure.get(deed.path, b"") + deed.data
        self.deed = None
        self.confirmed = 0
        self.done += 1

    # Comparing -------------------------------------------------------------------------------------------------------

    def compare(self, found: dict[str, list[bytes]], *, expired: bool) -> None:
        """Everything acknowledged is there exactly once; what is under way is done, half done or not done.

        ``expired``: nothing in ``gone`` is left.
        """
        mine = {path: held for path, held in found.items() if path.startswith(f"w{self.number}/")}
        expected = {path: [data] for path, data in self.sure.items()}
        if self.deed is not None:
            self._settle(self.deed, mine, expected)
        for path in [path for path in expected if f"/{GONE}/" in path]:
            if expired or path not in mine:
                del expected[path]
        assert set(mine) == set(expected), (sorted(set(mine) ^ set(expected)), self.deed)
        for path, held in expected.items():
            assert mine[path] == held, f"{path}: {[_told(data, held[0]) for data in mine[path]]}, not {len(held[0])}"

    def _settle(self, deed: Deed, mine: dict[str, list[bytes]], expected: dict[str, list[bytes]]) -> None:
        if deed.what == "move":
            if deed.target in mine:
                expected[deed.target] = expected.pop(deed.path)
        elif deed.path in mine:
            before = self.sure.get(deed.path, b"")
            (there,) = mine[deed.path]
            if deed.what in ("store", "publish"):
                assert there == before + deed.data, f"half of {deed.path} is visible"
            assert there.startswith(before)
            assert (before + deed.data).startswith(there)
            expected[deed.path] = [there]

    def forget_expired(self) -> None:
        """What lies in ``gone`` is of no interest any more."""
        self.sure = {path: data for path, data in self.sure.items() if f"/{GONE}/" not in path}


def _size(client: ftplib.FTP, path: str) -> int | None:
    try:
        return client.size(path)
    except ftplib.error_perm:
        return None


def _told(there: bytes, wanted: bytes) -> str:
    """What is wrong with bytes, in a word."""
    first = next((at for at, (one, other) in enumerate(zip(there, wanted, strict=False)) if one != other), None)
    odd = "" if first is None else f", other ones from {first} on: {there[first : first + 40]!r}"
    return f"{len(there)} bytes, {there.count(0)} of them NUL{odd}"


@contextmanager
def opened(config: ServerConfig, *, later_s: float = 0.0) -> Iterator[Archive]:
    """The archive of a server that does not run, ``later_s`` from now."""
    clock = ManualClock(SYSTEM.now_ns() + int(later_s * 1e9))
    with (
        Catalog.open(catalog_url(config.data_dir), clock) as catalog,
        Archive(config.data_dir, catalog, clock=clock) as archive,
    ):
        yield archive


def everything(archive: Archive) -> dict[str, list[bytes]]:
    """All generations by path."""
    found: dict[str, list[bytes]] = {}
    for file in archive.catalog.files.each():
        for generation in archive.catalog.files.generations(file.id):
            with archive.open(generation.id) as reader:
                found.setdefault(file.path, []).append(reader.read_at(0, reader.size))
    return found


def sound(archive: Archive) -> None:
    """No confirmed byte is missing or altered."""
    assert [finding for finding in archive.check(digests=True) if finding.is_damage] == []


def looked_at(config: ServerConfig) -> tuple[dict[str, list[bytes]], int]:
    """All generations by path, of which none is damaged, and how many segments there are."""
    with opened(config) as archive:
        sound(archive)
        return everything(archive), archive.catalog.sealing.sums()[0]


def cared_for(config: ServerConfig) -> int:
    """A last turn of all duties, long after; then nothing is left that nobody refers to. Returns the segments left."""
    with opened(config, later_s=2 * PARTIAL_S_MAX) as archive:
        for _ in archive.retention([Rule(f"*/*/{GONE}/**", 1.0)]).run():
            pass
        for _ in archive.check(repair=True):
            pass
    # What a crash left may have got its row just now.
    with opened(config, later_s=4 * PARTIAL_S_MAX) as archive:
        for _ in archive.retention([Rule(f"*/*/{GONE}/**", 1.0)]).run():
            pass
        for done in archive.sealer(level=1).seal(SYSTEM.now_ns() * 2):
            assert done.problems == ()
    with opened(config, later_s=4 * PARTIAL_S_MAX + 2 * RETENTION_GRACE_S) as archive:
        sealer = archive.sealer(level=1)
        sealer.clean_up()
        sealer.sweep(1.0)
        sealing = archive.catalog.sealing
        records = sealing.segments(limit=1_000_000)
        root = Path(config.data_dir, "store")
        objects = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        indexes = {index.name for record in records if (index := archive.catalog.indexing.of(record.id)) is not None}
        assert objects == {record.name for record in records} | (indexes - {""}), "objects that nothing refers to"
        assert all(sealing.held_in(record.id) for record in records)
        assert list(archive.check(digests=True)) == []
        return len(records)
