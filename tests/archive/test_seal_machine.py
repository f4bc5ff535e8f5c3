"""A random walk over everything that happens to an archive, beside an oracle of a few lines that only appends bytes."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from logferry.archive.retention import Rule
from logferry.clock import SYSTEM
from logferry.limits import MIB, RETENTION_GRACE_S
from logferry.names import aside_name
from tests.archive.conftest import AGENT, Shelf

PATHS = ("a.log", "a.log.1", "b/c.log", "b/d.log")
STEPS = int(os.environ.get("LOGFERRY_TEST_SOAK_STEPS", "1500"))
"""All steps together; the full count is 100,000."""
_WALK = 50


@dataclass
class Life:
    """The bytes of one generation, and when the last of them came."""

    data: bytes
    changed_ns: int


class Oracle:
    """What the archive has to hold: per path the generations, oldest first, and whether the last is current."""

    def __init__(self) -> None:
        self.held: dict[str, list[Life]] = {path: [] for path in PATHS}
        self.current: set[str] = set()

    def now(self, path: str) -> bytes:
        return self.held[path][-1].data if path in self.current else b""

    def grow(self, path: str, data: bytes, now_ns: int) -> None:
        if path in self.current:
            self.held[path][-1] = Life(self.now(path) + data, now_ns)
        else:
            self.held[path].append(Life(data, now_ns))
            self.current.add(path)

    def rewrite(self, path: str, data: bytes, now_ns: int) -> None:
        if data == self.now(path):
            return
        if not data.startswith(self.now(path)):
            self.current.discard(path)
        self.grow(path, data[len(self.now(path)) :], now_ns)

    def move(self, source: str, target: str) -> None:
        self.held[target].append(self.held[source].pop())
        self.current = self.current - {source} | {target}

    def end(self, path: str) -> None:
        self.current.discard(path)

    def expire(self, path: str, before_ns: int) -> None:
        if self.held[path] and self.held[path][-1].changed_ns < before_ns:
            self.current.discard(path)
        self.held[path] = [life for life in self.held[path] if life.changed_ns >= before_ns]


_paths = st.sampled_from(PATHS)
_data = st.binary(min_size=1, max_size=40) | st.integers(1, 2_000).map(lambda n: b"0123456789abcde\n" * (n // 16 + 1))


def _memory() -> str | None:
    memory = "/dev/shm"
    return memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 512 * MIB else None


@cache
def _empty() -> dict[str, bytes]:
    """The files of a new archive's catalog, by name: each walk begins with a copy."""
    with tempfile.TemporaryDirectory(prefix="logferry-soak-", dir=_memory()) as folder:
        Shelf(Path(folder)).close()
        return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


class Machine(RuleBasedStateMachine):
    """Every rule does to the archive and to the oracle what its name says."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="logferry-soak-", dir=_memory()))
        for name, data in _empty().items():
            (self.folder / name).write_bytes(data)
        self.shelf = Shelf(self.folder)
        # Objects of the store are as old as the disk's clock says, so ours begins there.
        self.now_ns = SYSTEM.now_ns()
        self._set_clock()
        self.oracle = Oracle()
        self.stamps = 0

    def _set_clock(self) -> None:
        self.shelf.clock.advance((self.now_ns - self.shelf.clock.now_ns()) / 1e9)
        self.now_ns = self.shelf.clock.now_ns()

    def _wait(self, seconds: float) -> None:
        self.shelf.clock.advance(seconds)
        self.now_ns = self.shelf.clock.now_ns()

    @rule(path=_paths, data=_data)
    def append(self, path: str, data: bytes) -> None:
        self.shelf.put(path, data, offset=len(self.oracle.now(path)))
        self.oracle.grow(path, data, self.now_ns)

    @rule(path=_paths, data=_data)
    def overlap(self, path: str, data: bytes) -> None:
        if path in self.oracle.current:
            whole = self.oracle.now(path)
            start = len(whole) // 2
            self.shelf.put(path, whole[start:] + data, offset=start)
            self.oracle.grow(path, data, self.now_ns)

    @rule(path=_paths, data=_data)
    def replace(self, path: str, data: bytes) -> None:
        self.shelf.put(path, data)
        self.oracle.rewrite(path, data, self.now_ns)

    @rule(source=_paths, to=_paths)
    def move(self, source: str, to: str) -> None:
        if source in self.oracle.current and source != to:
            self.shelf.rename(source, to)
            self.oracle.move(source, to)

    @rule(path=_paths)
    def aside(self, path: str) -> None:
        if path in self.oracle.current:
            self.stamps += 1
            folder, slash, name = path.rpartition("/")
            stamp = f"20261126T0000{self.stamps % 60:02}Z-{self.stamps:08x}"
            self.shelf.rename(path, f"{folder}{slash}{aside_name(name, stamp)}")
            self.oracle.end(path)

    @rule(path=_paths)
    def remove(self, path: str) -> None:
        if path in self.oracle.current:
            self.shelf.archive.remove_file(AGENT, path)
            self.oracle.end(path)

    @rule(segment_bytes=st.sampled_from([100, 1_000, 100_000]), quiet=st.booleans())
    def seal(self, segment_bytes: int, quiet: bool) -> None:
        before_ns = self.shelf.clock.now_ns() + (1 if quiet else -(10**12))
        for done in self.shelf.archive.sealer(level=1, segment_bytes=segment_bytes).seal(before_ns):
            assert done.problems == ()

    @rule(segment_bytes=st.sampled_from([500, 5_000, 100_000]), level=st.sampled_from([1, 2]))
    def compact(self, segment_bytes: int, level: int) -> None:
        self._wait(1)
        compactor = self.shelf.archive.compactor(level=level, segment_bytes=segment_bytes)
        for done in compactor.compact(self.shelf.clock.now_ns()):
            assert done.problems == ()

    @rule(path=_paths, keep_s=st.sampled_from([0, 1, 3]))
    def expire(self, path: str, keep_s: int) -> None:
        self._wait(1)
        retention = self.shelf.archive.retention([Rule(f"{AGENT}/{path}", keep_s)])
        for _ in retention.run():
            pass
        self.oracle.expire(path, self.now_ns - keep_s * 10**9)

    @rule()
    def sweep(self) -> None:
        """After the grace times no object and no file is left that nothing refers to."""
        self._wait(RETENTION_GRACE_S + 1)
        sealer = self.shelf.archive.sealer(level=1)
        sealer.clean_up()
        sealer.sweep(1)
        sealing = self.shelf.catalog.sealing
        records = sealing.segments(limit=100_000)
        root = self.folder / "store"
        objects = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        assert objects == {record.name for record in records}
        assert all(sealing.held_in(record.id) for record in records)
        assert list(self.shelf.archive.check()) == []

    @rule()
    def restart(self) -> None:
        self.shelf.close()
        self.shelf = Shelf(self.folder)
        self._set_clock()

    @rule()
    def check(self) -> None:
        assert list(self.shelf.archive.check(digests=True)) == []

    @invariant()
    def everything_is_there_once(self) -> None:
        expected = {path: [life.data for life in held] for path, held in self.oracle.held.items() if held}
        found = self.shelf.everything()
        assert {path: held for path, held in found.items() if held} == expected
        assert {path for path in PATHS if self.shelf.current(path) is not None} == self.oracle.current

    def teardown(self) -> None:
        self.shelf.close()
        shutil.rmtree(self.folder)


Machine.TestCase.settings = settings(
    max_examples=max(1, STEPS // _WALK),
    stateful_step_count=_WALK,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestArchiveSoak = Machine.TestCase
