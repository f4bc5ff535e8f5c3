"""Queries made to hurt: each ends by itself within the deadline, and whoever searches meanwhile hardly notices.

The server is a process of its own, and so are those who attack. ``HEAVY=1``: a hundred of each on 200 MB, with the
waiting of the others compared. What was measured is printed.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from logferry.testing import LineSource
from logferry.web.context import WebContext
from tests.search.attackers import EVIL_REGEXES, NEEDLE, attackers, evil_queries, p95, serving, until_ready, waits
from tests.security.amounts import HEAVY, amount, dice


def logs(context: WebContext) -> None:
    """Logs of several kinds, in one line of which the rare word stands."""
    for number, kind in enumerate(("nginx", "json", "java", "syslog")):
        context.catalog.agents.add(f"agent-{number}")
        source = LineSource(kind, seed=number)
        block = b"".join(source.record() for _ in range(4_000))
        for part in range(max(1, amount("evil_megabytes", 4, 200) * 1_000_000 // 4 // len(block))):
            incoming = context.archive.begin(f"agent-{number}", f"log/{part}.log")
            incoming.write(b"%d %d\n" % (number, part) + block)
            incoming.commit()
    incoming = context.archive.begin("agent-0", "log/rare.log")
    incoming.write(b"a line with " + NEEDLE.encode() + b" in it\n")
    incoming.commit()


def test_queries_made_to_hurt_end_in_time_and_others_hardly_notice(tmp_path: Path) -> None:
    """All end, with a reason; a search for a rare word is answered throughout."""
    count = amount("evil_searches", 8, 100)
    queries = list(evil_queries())
    asked = [{"q": f"/{EVIL_REGEXES[n % len(EVIL_REGEXES)]}/"} for n in range(count)]
    asked += [queries[n % len(queries)] for n in range(count)]
    dice("evil searches").shuffle(asked)
    with (
        serving(tmp_path / "data", logs) as target,
        attackers(target) as others,
        target.client(target.good) as client,
    ):
        until_ready(client)
        waits(client, 5)
        alone = waits(client, amount("rare_words", 20, 200))
        others.begin(asked)
        beside = []
        while others.are_at_it():
            beside += waits(client, 1)
        reasons = others.reasons()
    assert sum(reasons.values()) == len(asked)
    assert set(reasons) <= {"complete", "limit", "time", "refused"}
    print(
        f"evil searches: {dict(reasons)}; a rare word waits p95 {p95(alone):.1f} ms alone, {p95(beside):.1f} ms beside "
        f"them, median {statistics.median(alone) * 1000:.1f} and {statistics.median(beside) * 1000:.1f} ms"
    )
    if HEAVY:
        assert p95(beside) <= 2 * p95(alone) + 20
