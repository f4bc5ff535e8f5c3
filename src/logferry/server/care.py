"""The care part of the server: what an archive needs done in the background, in a process of its own.

Sealing compresses; that would hold up uploads and pages if it ran beside them. The process is nice to all others.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

import structlog

from logferry.archive import Archive
from logferry.archive.catalog.facts import SCRUB_ASKED
from logferry.archive.compact import Compacted
from logferry.archive.index_making import IndexMaker, MakerApart
from logferry.archive.retention import Rule
from logferry.archive.seal import Sealed, Sealer
from logferry.archive.verify import Flaw, Verifier
from logferry.clock import SYSTEM, Clock
from logferry.errors import Busy, Later, LogferryError
from logferry.limits import (
    CARE_NICE,
    CARE_PAGE_ROWS,
    CARE_S,
    COMPACT_AFTER_S,
    COMPACT_EVERY_S,
    FLAW_AGAIN_S,
    INDEX_TURN_S_MAX,
    MEASURE_TURN_S_MAX,
    RETENTION_EVERY_S,
    SCRUB_BATCH,
    SCRUB_TURN_S_MAX,
    SEAL_LEAST_BYTES,
    SEAL_WAIT_S,
    SEGMENT_GRACE_S,
    SWEEP_EVERY_S,
)
from logferry.server.alerts.watching import AlertWatch
from logferry.server.catalogs import open_catalog
from logferry.server.config import ServerConfig
from logferry.server.disk import disk_room
from logferry.server.lifeline import announce
from logferry.server.parts import run_part
from logferry.server.store import store_of
from logferry.server.warming import Warming

log = structlog.get_logger("logferry.care")


class Care:
    """Does what is due, one thing after the other. ``stop`` ends it after the segment under way."""

    def __init__(
        self, config: ServerConfig, archive: Archive, *, clock: Clock = SYSTEM, maker: IndexMaker | None = None
    ) -> None:
        """``maker``: of indexes; by default one that works in a process of its own. ``close`` it with us."""
        self._config = config
        self._clock = clock
        self._maker = maker or MakerApart(clock=clock)
        self._sealer: Sealer = archive.sealer(level=config.archive.seal_level, maker=self._maker)
        self._compactor = archive.compactor(maker=self._maker)
        self._reindexer = archive.reindexer(self._maker, pace=self._pace_index)
        self._measurer = archive.measurer()
        self._verifier: Verifier = archive.verifier(pace=self._pace)
        self._care = archive.catalog.care
        self._naming = archive.catalog.naming
        self._facts = archive.catalog.facts
        self._unindexed: dict[str, str] = {}
        """Segments without an index of whom that was said, and why."""
        self._sweep_s = clock.monotonic_s()
        self._compact_s = clock.monotonic_s()
        self._retention = archive.retention([Rule(rule.match, rule.keep) for rule in config.retention])
        self._retention_s = clock.monotonic_s()
        self._told: set[tuple[str, int | None]] = set()
        self._warned: set[tuple[str, str]] = set()
        self._stop = threading.Event()

    def stop(self) -> None:
        """From any thread or signal handler."""
        self._stop.set()

    def run(self, warming: Warming | None = None) -> None:
        """Until ``stop``. ``warming`` is waited for between turns."""
        while not self._stop.is_set():
            if warming is not None and warming.is_over:
                warming = None
            self.turn()
            self._stop.wait(CARE_S)

    def turn(self) -> None:
        """What is due now. What fails is said and tried again with the next turn; the other duties go on."""
        archive = self._config.archive
        duties = (
            (bool(archive.seal_after), self._seal),
            (bool(archive.seal_after), self._compact),
            (True, self._index),
            (True, self._measure),
            (bool(self._config.retention), self._retain),
            (True, self._tidy),
            (True, self._name),
            (True, self._scrub),
        )
        for is_wanted, duty in duties:
            if is_wanted:
                problems = []
                try:
                    duty()
                except (LogferryError, OSError) as error:
                    problems = [str(error)]
                self._warn(f"the duty {duty.__name__.strip('_')} failed and is tried again", problems)

    def _index(self) -> None:
        """Build indexes that are missing, damaged or of an older version; where it stops, the next turn goes on."""
        until_s = self._clock.monotonic_s() + INDEX_TURN_S_MAX
        built = size = 0
        try:
            for record in self._reindexer.due():
                try:
                    done = self._reindexer.build(record)
                except Later as error:  # others may be where the store answers
                    self._say_unindexed(record.name, str(error))
                else:
                    self._say_unindexed(record.name, done.problem)
                    if not done.problem and not done.is_gone:
                        built, size = built + 1, size + done.bytes
                if self._stop.is_set() or self._clock.monotonic_s() >= until_s:
                    break
        except _Stopped:
            pass
        finally:
            self._maker.rest()
        if built:
            log.info("indexes built", segments=built, bytes=size)

    def _measure(self) -> None:
        """Note what lines there are, for lists of files; where it stops, the next turn goes on."""
        until_s = self._clock.monotonic_s() + MEASURE_TURN_S_MAX

        def go_on() -> bool:
            return not self._stop.is_set() and self._clock.monotonic_s() < until_s

        self._measurer.growing(go_on)
        for _ in self._measurer.sealed():
            if not go_on():
                return

    def _say_unindexed(self, segment: str, why: str) -> None:
        """That a segment has no index, once for each reason. ``why`` is empty where all is well."""
        if not why:
            self._unindexed.pop(segment, None)
        elif self._unindexed.get(segment) != why:
            log.warning("an index could not be built", segment=segment, why=why)
            if len(self._unindexed) >= CARE_PAGE_ROWS:
                self._unindexed.clear()
            self._unindexed[segment] = why

    def _tidy(self) -> None:
        """Remove what counts no more: files at once, objects of the store now and then."""
        self._sealer.clean_up()
        if self._clock.monotonic_s() >= self._sweep_s:
            removed = self._sealer.sweep(SEGMENT_GRACE_S)
            self._sweep_s = self._clock.monotonic_s() + SWEEP_EVERY_S
            if removed:
                log.info("objects that nothing refers to removed from the store", count=removed)
        self._warn("tidying up met a problem", self._sealer.left)

    def _name(self) -> None:
        """Let new files be found by parts of their names without looking at all."""
        while not self._stop.is_set() and self._naming.make_block():
            pass

    def _seal(self) -> None:
        """Agents with enough at rest first; those with little when it has waited long."""
        now_ns = self._clock.now_ns()
        quiet_ns = int(self._config.archive.seal_after * 1e9)
        done = Sealed()
        for before_ns, least_bytes in (
            (now_ns - quiet_ns, SEAL_LEAST_BYTES),
            (now_ns - max(quiet_ns, int(SEAL_WAIT_S * 1e9)), 0),
        ):
            for step in self._sealer.seal(before_ns, least_bytes=least_bytes):
                done += step
                if self._stop.is_set():
                    break
        if done.segments:
            log.info(
                "sealed",
                segments=done.segments,
                generations=done.generations,
                raw_bytes=done.raw_bytes,
                bytes=done.bytes,
            )
        self._warn("sealing met a problem", done.problems)

    def _compact(self) -> None:
        """Now and then: it costs more than sealing, and saves the more the longer it has waited."""
        if self._clock.monotonic_s() < self._compact_s:
            return
        if (room := disk_room(self._config)).full:
            self._warn("could not be compacted", [f"that takes room for a while. {room.message}"])
            return
        self._compact_s = self._clock.monotonic_s() + COMPACT_EVERY_S
        done = Compacted()
        for step in self._compactor.compact(self._clock.now_ns() - int(COMPACT_AFTER_S * 1e9)):
            done += step
            if self._stop.is_set():
                break
        if done.segments:
            log.info(
                "compacted", segments=done.segments, into=done.into, bytes_before=done.bytes_before, bytes=done.bytes
            )
        self._warn("compacting met a problem", done.problems)

    def _warn(self, what: str, problems: Sequence[str]) -> None:
        """Each problem once as long as it lasts."""
        for problem in problems:
            if (what, problem) not in self._warned:
                log.warning(what, why=problem)
        self._warned = {one for one in self._warned if one[0] != what} | {(what, problem) for problem in problems}

    def _retain(self) -> None:
        """Delete what no rule keeps, now and then. Each deletion is noted in the catalog with its rule and reason."""
        if self._clock.monotonic_s() < self._retention_s:
            return
        self._retention_s = self._clock.monotonic_s() + RETENTION_EVERY_S
        try:
            self._run_retention()
        except Busy:  # a backup is being taken: again with the next turn
            self._retention_s = self._clock.monotonic_s()
            raise

    def _run_retention(self) -> None:
        for step in self._retention.run():
            for rule in dict.fromkeys(due.rule for due in step):
                gone = [due.generation for due in step if due.rule == rule]
                log.info(
                    "retention deleted", rule=rule, generations=len(gone), bytes=sum(one.size for one in gone),
                    first=f"{gone[0].agent}/{gone[0].path}",
                )  # fmt: skip
            if self._stop.is_set():
                break

    def _scrub(self) -> None:
        """Verify segments, those first that were verified longest ago; where it stops, the next turn goes on.

        Due is what was not verified for ``scrub_every``, or since somebody asked for all of it.
        """
        asked_ns = int(self._facts.get(SCRUB_ASKED) or 0)
        every_s = self._config.archive.scrub_every
        if not every_s and not asked_ns:
            return
        until_s = self._clock.monotonic_s() + SCRUB_TURN_S_MAX
        now_ns = self._clock.now_ns()
        due_ns = max(now_ns - int(every_s * 1e9) if every_s else 0, asked_ns)
        again_ns = max(now_ns - int(FLAW_AGAIN_S * 1e9), asked_ns)
        while due := self._care.least_verified(due_ns, flawed_before_ns=again_ns, limit=SCRUB_BATCH):
            for record in due:
                try:
                    self._say(list(self._verifier.segment(record)))
                except _Stopped:
                    return
                if self._clock.monotonic_s() >= until_s:
                    return

    def _say(self, flaws: list[Flaw]) -> None:
        """Once as long as this process lives; the catalog remembers them."""
        for flaw in flaws:
            if (flaw.place, flaw.frame) not in self._told:
                self._told.add((flaw.place, flaw.frame))
                log.error(
                    "damage found", kind=flaw.kind, place=flaw.place, frame=flaw.frame, agent=flaw.agent,
                    paths=list(flaw.paths), more_paths=flaw.more_paths, what=flaw.what,
                )  # fmt: skip

    def _pace_index(self, _count: int) -> None:
        if self._stop.is_set():
            raise _Stopped

    def close(self) -> None:
        """Let go of the process that builds indexes."""
        self._maker.close()

    def _pace(self, count: int) -> None:
        if self._stop.wait(count / self._config.archive.scrub_rate):
            raise _Stopped


class _Stopped(Exception):
    """The server is stopping: the segment being read is begun again next time."""


def run_care(config: ServerConfig) -> None:
    """Care for the archive until SIGTERM or SIGINT. Raises LogferryError when it cannot be opened."""
    os.nice(CARE_NICE)
    with (
        open_catalog(config) as catalog,
        Archive(config.data_dir, catalog, store=store_of(config, "care")) as archive,
    ):
        care = Care(config, archive)

        def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
            care.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask_to_stop)
        announce(config.data_dir, "care", {})
        log.info("care part runs", seal_after_s=config.archive.seal_after)
        warming = Warming(config.data_dir)
        warming.start()
        alerts = AlertWatch(config, catalog)
        alerts.start()
        try:
            care.run(warming)
        finally:
            alerts.stop()
            warming.stop()
            care.close()
        log.info("care part stops")


if __name__ == "__main__":
    sys.exit(run_part(run_care, sys.argv[1]))
