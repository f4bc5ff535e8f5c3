"""`make roundtrip`: a tree of logs goes into a real server over FTP, is sealed, and every file comes back, four ways.

    python -m tests.voyage.roundtrip [--size 2GB] [--corpus FOLDER] [--seed N]

By the archive's reader; by ``zstd -d`` of each segment and its manifest, with no Logferry at hand; over FTP, broken off
anywhere and resumed with REST; over HTTP in ranges. Then everything is compacted, and comes back once more. A corpus is
a folder AGENT/…/FILE, of which agents named ``node-…`` are the real part: that goes alone first. Without one as many
bytes as ``--size`` says are drawn by seed.
"""

from __future__ import annotations

import argparse
import contextlib
import ftplib
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.archive.trees import Part, generate, parts_of

from logferry.archive import Archive, Catalog
from logferry.cli.api import Api
from logferry.cli.place import Place
from logferry.limits import COMPACT_AFTER_S, COPY_BYTES, SEAL_WAIT_S
from logferry.server.care import Care
from logferry.server.catalogs import catalog_url
from logferry.server.config import load_config
from logferry.settings import size_bytes
from logferry.testing.demo.nodes import Node
from logferry.testing.demo.programs import Programs

NODES_MAX = 8
"""A join token is good for ten; where there are more agents' folders, some share a node."""
MANY_S = COMPACT_AFTER_S + 86_400.0


class Ahead:
    """The machine's clock, set forward."""

    def __init__(self, seconds: float) -> None:
        self._ahead_s = seconds

    def now_ns(self) -> int:
        return time.time_ns() + int(self._ahead_s * 1e9)

    def monotonic_s(self) -> float:
        return time.monotonic() + self._ahead_s

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Told:
    """One line of what was found: ``right`` of ``wanted`` files came back with their SHA-256."""

    what: str
    right: int
    wanted: int
    bytes: int
    wrong: str = ""

    def line(self) -> str:
        """For people."""
        word = "equal" if self.right == self.wanted else f"DIFFERENT, first {self.wrong}"
        return f"{self.what:34} {self.right:>6} of {self.wanted} files, {self.bytes / 1e6:10.1f} MB {word}"


class RoundTrip:
    """A server in ``folder``, and the files of ``part`` on their way through it."""

    def __init__(self, folder: Path, part: Part, seed: int) -> None:
        self._folder = folder
        self._programs = Programs(folder, "--tls", "explicit")
        self._data = self._programs.data
        self._dice = random.Random(seed)
        agents = sorted(path for path in part.root.iterdir() if path.is_dir())
        shared = [agents[number::NODES_MAX] for number in range(min(len(agents), NODES_MAX))]
        self._nodes = [Node(f"node-{number}", "", [a.resolve() for a in some]) for number, some in enumerate(shared)]
        self.files = {
            (node.agent, path): Path(os.fsdecode(disk)) for node in self._nodes for path, disk in node.files()
        }
        self.digests = {place: _sha256(_blocks(file)) for place, file in self.files.items()}
        self.bytes = sum(file.stat().st_size for file in self.files.values())

    # On the way ------------------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Every node's agent sends what it has, once."""
        self._programs.start_server()
        self._programs.set_up()
        for node in self._nodes:
            self._programs.join(node)
            self._programs.run("agent", "once", "--config", str(self._programs.agent_file(node)))

    def care(self, ahead_s: float) -> tuple[int, int, int]:
        """One turn of the care part, so much later, while the server rests. Returns segments, their bytes, content."""
        self._programs.stop("server")
        config = load_config(None, {}, {"archive": {"root": str(self._data)}})
        with Catalog.open(catalog_url(str(self._data))) as catalog, Archive(str(self._data), catalog) as archive:
            with contextlib.closing(Care(config, archive, clock=Ahead(ahead_s))) as care:
                care.turn()
            archive.sealer().sweep(0.0)  # so that nothing is read from segments that count no more
            sums = catalog.sealing.sums()
        self._programs.start_server()
        return sums

    def plain_bytes(self) -> int:
        """Bytes that still lie in plain files."""
        rooms = [self._data / name for name in ("live", "generations", "tails", "incoming")]
        return sum(path.stat().st_size for room in rooms for path in room.rglob("*") if path.is_file())

    def index_bytes(self) -> int:
        """Bytes of the store that are no segments."""
        found = (self._data / "store").rglob("*")
        return sum(path.stat().st_size for path in found if path.is_file() and path.suffix != ".zst")

    def stop(self) -> None:
        """End all programs."""
        self._programs.stop_all()

    # And back --------------------------------------------------------------------------------------------------------

    def come_back(self) -> Iterator[Told]:
        """All ways out, one after the other."""
        yield self._compared("our reader", self._by_reader())
        yield self._compared("zstd -d and the manifest", self._by_zstd())
        yield self._compared("FTP, broken off and resumed", self._by_ftp())
        yield self._compared("HTTP, in ranges", self._by_http())

    def _compared(self, what: str, found: Iterator[tuple[tuple[str, str], str, int]]) -> Told:
        right, count, wrong, seen = 0, 0, "", set()
        for place, digest, size in found:
            seen.add(place)
            count += size
            if self.digests.get(place) == digest:
                right += 1
            else:
                wrong = wrong or ":".join(place)
        missing = sorted(set(self.files) - seen)
        return Told(what, right, len(self.files), count, wrong or ":".join(missing[0] if missing else ()))

    def _by_reader(self) -> Iterator[tuple[tuple[str, str], str, int]]:
        with Catalog.open(catalog_url(str(self._data))) as catalog, Archive(str(self._data), catalog) as archive:
            for file in catalog.files.each():
                assert file.generation_id is not None
                with archive.open(file.generation_id) as reader:
                    blocks = (reader.read_at(at, COPY_BYTES) for at in range(0, reader.size, COPY_BYTES))
                    yield (file.agent, file.path), _sha256(blocks), reader.size

    def _by_zstd(self) -> Iterator[tuple[tuple[str, str], str, int]]:
        out = self._folder / "restored"
        places = restore(self._data / "store", out)
        # Files without a byte lie in no segment: there is nothing to restore of them.
        for place, file in self.files.items():
            if not file.stat().st_size:
                yield place, _sha256(iter(())), 0
        for place, path in places.items():
            yield place, _sha256(_blocks(path)), path.stat().st_size
        shutil.rmtree(out)

    def _by_ftp(self) -> Iterator[tuple[tuple[str, str], str, int]]:
        for place, file in self.files.items():
            size = file.stat().st_size
            cut = self._dice.randrange(size + 1)
            remote = f"/{place[0]}/{place[1]}"
            digest = hashlib.sha256()
            for offset, count in ((0, cut), (cut, size - cut + 1)):  # one byte more than there is: to the very end
                with self._ftp() as client:
                    _retrieve(client, remote, offset, count, digest.update)
            yield place, digest.hexdigest(), size

    def _ftp(self) -> ftplib.FTP:
        host, _, port = self._programs.ftp.rpartition(":")
        client = ftplib.FTP(timeout=60, encoding="utf-8")
        client.connect(host, int(port))
        client.login("admin", self._programs.password)
        client.voidcmd("TYPE I")
        return client

    def _by_http(self) -> Iterator[tuple[tuple[str, str], str, int]]:
        with self._programs.api() as api:
            for (agent, path), file in self.files.items():
                size = file.stat().st_size
                fid = int(api.file(Place(agent, path))["fid"])
                cuts = sorted(self._dice.randrange(size + 1) for _ in range(2))
                digest = hashlib.sha256()
                for first, end in zip([0, *cuts], [*cuts, size], strict=True):
                    for block in _ranged(api, fid, first, end):
                        digest.update(block)
                yield (agent, path), digest.hexdigest(), size


def restore(store: Path, out: Path) -> dict[tuple[str, str], Path]:
    """What the segments below ``store`` hold, by the ``zstd`` program and docs/design/segment.md alone.

    Returns the restored file of each agent and path; of several generations the last.
    """
    found: dict[tuple[str, str], tuple[int, Path]] = {}
    for segment in sorted(store.rglob("*.zst")):
        content = out / "content"
        out.mkdir(exist_ok=True)
        with content.open("wb") as file:
            subprocess.run(["zstd", "-dcq", segment], stdout=file, check=True)
        manifest = _manifest(segment)
        with content.open("rb") as whole:
            for generation in manifest["generations"]:
                path = out / generation["uid"]
                path.touch()
                with path.open("r+b") as file:
                    for offset, length, raw_offset in generation["extents"]:
                        _copy(whole.fileno(), raw_offset, file.fileno(), offset, length)
                place = (manifest["agent"], generation["path"])
                found[place] = max(found.get(place, (0, path)), (generation["number"], path))
        content.unlink()
    return {place: path for place, (_, path) in found.items()}


def _manifest(segment: Path) -> dict:  # type: ignore[type-arg]
    """Of a segment: the frame before the seek table, which ends the file."""
    data = segment.read_bytes()
    count, descriptor, magic = struct.unpack("<IBI", data[-9:])
    assert (descriptor, magic) == (0x80, 0x8F92EAB1), segment
    table_at = len(data) - 8 - 12 * count - 9
    (length, _, _) = struct.unpack_from("<III", data, len(data) - 9 - 12)
    frame = data[table_at - length : table_at]
    assert struct.unpack_from("<I", frame) == (0x184D2A5C,), segment
    assert frame[8:12] == b"LFs1", segment
    told = subprocess.run(["zstd", "-dcq"], input=frame[12:-4], stdout=subprocess.PIPE, check=True).stdout
    manifest: dict = json.loads(told)  # type: ignore[type-arg]
    return manifest


def _copy(source: int, at: int, target: int, to: int, count: int) -> None:
    while count:
        block = os.pread(source, min(count, COPY_BYTES), at)
        assert block, "the content of a segment is shorter than its manifest says"
        os.pwrite(target, block, to)
        at, to, count = at + len(block), to + len(block), count - len(block)


def _retrieve(client: ftplib.FTP, remote: str, offset: int, count: int, take: Callable[[bytes], None]) -> None:
    """``count`` bytes from ``offset``; then hang up, if there are more."""
    connection = client.transfercmd(f"RETR {remote}", rest=offset or None)
    with connection:
        while count and (block := connection.recv(min(count, 1 << 16))):
            take(block)
            count -= len(block)
    try:
        client.voidresp()
    except ftplib.error_temp:  # 426: broken off, as meant
        assert not count


def _ranged(api: Api, fid: int, first: int, end: int) -> Iterator[bytes]:
    if first == end:
        return
    with api.raw(fid, first=first, last=end - 1) as answer:
        assert answer.status in (200, 206)
        while block := answer.read(COPY_BYTES):
            yield block


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(COPY_BYTES):
            yield block


def _sha256(blocks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def run(folder: Path, part: Part, seed: int, say: Callable[[str], None]) -> list[Told]:
    """The whole round trip of one part, in ``folder`` (empty). Returns what was compared."""
    trip = RoundTrip(folder, part, seed)
    found: list[Told] = []
    say(f"{part.kind}: {len(trip.files)} files, {trip.bytes} bytes, seed {seed}")
    try:
        trip.deliver()
        say(f"delivered by agents over FTP: {trip.plain_bytes()} bytes in plain files")
        for what, ahead_s in (("sealed", SEAL_WAIT_S + 3600.0), ("compacted", MANY_S)):
            segments, stored, raw = trip.care(ahead_s)
            left = trip.plain_bytes()
            whole = Told(
                f"{what}: in segments wholly", len(trip.files) * (raw == trip.bytes and not left), len(trip.files), raw
            )
            say(
                f"{what}: {segments} segments, {stored} bytes, {raw / stored:.2f} times smaller; "
                f"with index {stored + trip.index_bytes()} bytes; {left} bytes in plain files"
            )
            for told in (whole, *trip.come_back()):
                say(told.line())
                found.append(told)
    finally:
        trip.stop()
    return found


def main() -> None:
    """Exit status 1 when one byte differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="2GB")
    parser.add_argument("--corpus", default="")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("LOGFERRY_SEED", time.time_ns() % 1_000_000)))
    parser.add_argument("--folder", default=None, help="where to work; some times as large as the logs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logferry-roundtrip-", dir=given.folder) as name:
        folder = Path(name)
        todo = _todo(folder, given.corpus, size_bytes(given.size))
        found: list[Told] = []
        for part in todo:
            (folder / "server").mkdir()
            found += run(folder / "server", part, given.seed, lambda text: print(text, flush=True))
            shutil.rmtree(folder / "server")
    if any(told.right != told.wanted for told in found):
        sys.exit("some bytes came back differently")


def _todo(folder: Path, corpus: str, count: int) -> list[Part]:
    """The real part alone, then all of it."""
    if not corpus:
        return [Part("generated", generate(folder / "generated", count), count)]
    real = [part for part in parts_of(Path(corpus), folder / "parts") if part.kind == "real"]
    return [*real, Part("all", Path(corpus), 0)]


if __name__ == "__main__":
    main()
