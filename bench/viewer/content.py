"""The large file that is read: lines drawn by seed, each with a running number and a time, so that every byte has its
right place. Made with little memory, at the speed of the disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.browser.fleet import Fleet

from logferry.testing import LineSource

KINDS = ("java", "json", "nginx", "syslog")
AGENT = "web-01"
LIVE, SEALED = "var/log/live.log", "var/log/sealed.log"
_RECORDS = 20_000
_LINES_AT_ONCE = 20_000
_LINES_PER_SECOND = 500
_START = datetime(2026, 11, 20, tzinfo=UTC)
_LATER_NS = 10**15


def blocks(size: int) -> Iterator[bytes]:
    """At least ``size`` bytes in whole lines."""
    sources = [LineSource(kind, seed=number) for number, kind in enumerate(KINDS)]
    drawn = [line for _ in range(_RECORDS) for source in sources for line in source.record().splitlines()]
    made, first, stamp = 0, 1, b""
    while made < size:
        lines = []
        for number in range(first, first + _LINES_AT_ONCE):
            if number % _LINES_PER_SECOND == 1:
                stamp = f"{_START + timedelta(seconds=number // _LINES_PER_SECOND):%Y-%m-%d %H:%M:%S}".encode()
            lines.append(b"%s.%03d #%d %s\n" % (stamp, number % _LINES_PER_SECOND, number, drawn[number % len(drawn)]))
        first += _LINES_AT_ONCE
        block = b"".join(lines)
        made += len(block)
        yield block


def prepare(folder: Path, size: int) -> None:
    """An archive with the file twice: once sealed, once as it arrived. What is there already is left as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    with_both = folder / "complete"
    if with_both.exists() and with_both.read_text() == str(size):
        return
    fleet = Fleet(folder / "data")
    try:
        fleet.add_admin()
        fleet.catalog.agents.add(AGENT)
        begun = time.monotonic()
        fleet.put(AGENT, SEALED, blocks(size))
        print(f"  {size / 1e9:g} GB written in {time.monotonic() - begun:.0f} s; sealing", flush=True)
        begun = time.monotonic()
        # Without the search's index: the viewer reads none.
        for step in fleet.archive.sealer().seal(fleet.clock.now_ns() + _LATER_NS):
            if step.problems:
                raise SystemExit("\n".join(step.problems))
        fleet.archive.sealer().sweep(0.0)
        print(f"  sealed in {time.monotonic() - begun:.0f} s", flush=True)
        fleet.put(AGENT, LIVE, blocks(size))
    finally:
        fleet.close()
    with_both.write_text(str(size))
