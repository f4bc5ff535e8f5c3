"""A random walk over everything that happens to an archive, beside an oracle of forty lines that only appends bytes."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from logferry.limits import MIB
from logferry.names import aside_name
from tests.archive.conftest import AGENT, Shelf

PATHS = ("a.log", "a.log.1", "b/c.log", "b/d.log")
STEPS = int(os.environ.get("LOGFERRY_TEST_SOAK_STEPS", "1500"))
"""All steps together; the full count is 100,000."""
_WALK = 50


class Oracle:
    """What the archive has to hold: per path the generations, oldest first, and whether the last is current."""

    def __init__(self) -> None:
        self.held: dict[str, list[bytes]] = {path: [] for path in PATHS}
        self.current: set[str] = set()

    def size(self, path: str) -> int:
        return len(self.held[path][-1]) if path in self.current else 0

    def grow(self, path: str, data: bytes) -> None:
        if path in self.current:
            self.held[path][-1] += data
        else:
            self.held[path].append(data)
            self.current.add(path)

    def rewrite(self, path: str, data: bytes) -> None:
        if path in self.current and data.startswith(self.held[path][-1]):
            self.held[path][-1] = data
            return
        self.current.discard(path)
        self.grow(path, data)

    def move(self, source: str, target: str) -> None:
        self.current.discard(target)
        self.held[target].append(self.held[source].pop())
        self.current.discard(source)
        self.current.add(target)

    def end(self, path: str) -> None:
        self.current.discard(path)


_paths = st.sampled_from(PATHS)
_data = st.binary(min_size=1, max_size=40) | st.integers(1, 2_000).map(lambda n: b"0123456789abcde\n" * (n // 16 + 1))


class Machine(RuleBasedStateMachine):
    """Every rule does to the archive and to the oracle what its name says."""

    def __init__(self) -> None:
        super().__init__()
        memory = "/dev/shm"
        parent = memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 512 * MIB else None
        self.folder = Path(tempfile.mkdtemp(prefix="logferry-soak-", dir=parent))
        self.shelf = Shelf(self.folder)
        self.oracle = Oracle()
        self.stamps = 0

    @rule(path=_paths, data=_data)
    def append(self, path: str, data: bytes) -> None:
        self.shelf.put(path, data, offset=self.oracle.size(path))
        self.oracle.grow(path, data)

    @rule(path=_paths, data=_data)
    def overlap(self, path: str, data: bytes) -> None:
        if path in self.oracle.current:
            whole = self.oracle.held[path][-1]
            start = len(whole) // 2
            self.shelf.put(path, whole[start:] + data, offset=start)
            self.oracle.grow(path, data)

    @rule(path=_paths, data=_data)
    def replace(self, path: str, data: bytes) -> None:
        self.shelf.put(path, data)
        self.oracle.rewrite(path, data)

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
        self.shelf.clock.advance(1)
        compactor = self.shelf.archive.compactor(level=level, segment_bytes=segment_bytes)
        for done in compactor.compact(self.shelf.clock.now_ns()):
            assert done.problems == ()

    @rule()
    def restart(self) -> None:
        self.shelf.close()
        self.shelf = Shelf(self.folder)

    @rule()
    def check(self) -> None:
        assert list(self.shelf.archive.check(digests=True)) == []

    @invariant()
    def everything_is_there_once(self) -> None:
        expected = {path: held for path, held in self.oracle.held.items() if held}
        assert self.shelf.everything() == expected
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
