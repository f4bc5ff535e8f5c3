"""Queries made to hurt: each ends by itself within the deadline, and whoever searches meanwhile hardly notices.

The server is a process of its own, and so are those who attack. ``HEAVY=1``: a hundred of each on 200 MB, with the
waiting of the others compared. What was measured is printed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from logferry.limits import QUERY_DEPTH_MAX, QUERY_LEAVES_MAX, SEARCH_PER_USER_MAX
from logferry.server.config import ArchiveConfig, SearchConfig, ServerConfig, WebConfig
from logferry.server.runfiles import part_file, read_json
from logferry.testing import LineSource
from logferry.web.part import open_context
from tests.security.amounts import HEAVY, amount, dice
from tests.web.served import PASSWORD, wait_for

DEADLINE_S = 2.0
LATE_S = 0.2 if HEAVY else 20.0
"""How much later one may end: the promise, or what a busy machine may need."""
NEEDLE = "needle7f3a9c41e2"
EVIL_REGEXES = (
    r"(a+)+$",
    r"(a|a)*b$",
    r"(.*)*x$",
    r"(x+x+)+y",
    r"([a-z]+)*[0-9]+z$",
    r".*.*.*.*.*=.*.*$",
    r"(.*,){40}Z",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(\w+\s?)*!$",
    r"[^ ]*[^ ]*[^ ]*[^ ]*~",
    r"\p{L}+\d{1,200}Q",
    r"(?:(?:a?){30}){30}b",
    r".{0,500}Q{20}",
    r"(?i)(e|E|[eE])*rror+q",
    r"(0|1|2|3|4|5|6|7|8|9)*x{3}",
    r"\b\w+\b.*\b\w+\b.*\b\w+\b.*q{9}",
)
"""Regexes on which others need ages, or that match nearly everywhere and nowhere."""


def evil_queries() -> Iterator[dict[str, Any]]:
    """Queries as heavy as the language allows."""
    deep = "(" * (QUERY_DEPTH_MAX - 2) + "a" + ")" * (QUERY_DEPTH_MAX - 2)
    yield {"q": " OR ".join(f"w{n}x" for n in range(QUERY_LEAVES_MAX))}
    yield {"q": " ".join(f"-w{n}x" for n in range(QUERY_LEAVES_MAX - 1)) + " zzzz"}
    yield {"q": " OR ".join(f"/{n}.*q{n}$/" for n in range(QUERY_LEAVES_MAX // 4))}
    yield {"q": f"{deep} zzzz"}
    yield {"q": "NOT (NOT (a OR -b) OR -(c -d)) zzzz"}
    yield {"q": "*a*e*i*o*u*q*x*z*"}
    yield {"q": "?*?*?*?*?*?*?*~"}
    yield {"q": '"e"', "context": 50, "limit": 20_000}
    yield {"q": "", "limit": 5_000, "context": 50, "entries": "true"}
    yield {"q": "level:>=debug @a.b.c.d.e:>1 zzzz"}
    yield {"q": "time:>=2000-01-01 -time:<2001-01-01 zzzz", "entries": "true"}
    yield {"q": "a OR e OR i OR o OR u", "case": "true", "limit": 20_000}


@dataclass
class Target:
    """A running server, and who may search there."""

    url: str
    good: str
    evil: str

    def client(self, token: str) -> httpx.Client:
        """The client of whoever has the token."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=DEADLINE_S + LATE_S + 60)


@contextmanager
def serving(folder: Path) -> Iterator[Target]:
    """The web part as a process of its own, on logs of several kinds, in one line of which the rare word stands."""
    config = ServerConfig(
        archive=ArchiveConfig(root=str(folder), min_free="0"),
        web=WebConfig(listen="127.0.0.1:0"),
        search=SearchConfig(time_limit=DEADLINE_S),
    )
    folder.mkdir()
    with open_context(config) as context:
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
        tokens = []
        for name in ("good", "evil"):
            context.people.create(name, PASSWORD)
            tokens.append(context.people.new_token(name)[0])
    settings = folder / "config.json"
    settings.write_text(config.to_json())
    process = subprocess.Popen([sys.executable, "-m", "logferry.web", str(settings)], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: read_json(part_file(str(folder), "web")) or process.poll() is not None)
        told = read_json(part_file(str(folder), "web")) or {}
        yield Target(f"http://{told['host']}:{told['port']}", *tokens)
    finally:
        process.kill()
        process.wait()


def ended(client: httpx.Client, asked: dict[str, Any]) -> str:
    """Why a search ended; ``refused`` for one that is no question. Raises AssertionError when it was late."""
    with client.stream("GET", "/api/v1/search", params=asked) as answer:
        if answer.status_code == 400:
            answer.read()
            assert answer.json()["hint"], asked
            return "refused"
        answer.raise_for_status()
        last = ""
        for line in answer.iter_lines():
            if line.startswith(('{"type":"done"', '{"type":"problem"')):
                last = line
    told = json.loads(last)
    assert told["type"] == "done", (asked, told)
    assert told["seconds"] < DEADLINE_S + LATE_S, (asked, told["seconds"])
    return str(told["reason"])


def attack(target: Target, asked: list[dict[str, Any]]) -> Counter[str]:
    """All of them, as many at once as one person may; how they ended."""

    def some(part: list[dict[str, Any]]) -> list[str]:
        with target.client(target.evil) as client:
            return [ended(client, each) for each in part]

    with ThreadPoolExecutor(SEARCH_PER_USER_MAX) as threads:
        parts = [asked[n::SEARCH_PER_USER_MAX] for n in range(SEARCH_PER_USER_MAX)]
        return Counter(reason for reasons in threads.map(some, parts) for reason in reasons)


def waits(client: httpx.Client, times: int) -> list[float]:
    """How long a search for the rare word takes, each time; it finds its line."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = client.get("/api/v1/search", params={"q": NEEDLE}).raise_for_status()
        found.append(time.perf_counter() - begun)
        assert json.loads(answer.text.splitlines()[-1])["hits"] == 1
    return found


def p95(found: list[float]) -> float:
    """The wait in milliseconds that nineteen of twenty do not pass."""
    return 1000 * (statistics.quantiles(found, n=20)[-1] if len(found) > 1 else found[0])


def test_queries_made_to_hurt_end_in_time_and_others_hardly_notice(tmp_path: Path) -> None:
    """All end, with a reason; a search for a rare word is answered throughout."""
    count = amount("evil_searches", 8, 100)
    queries = list(evil_queries())
    asked = [{"q": f"/{EVIL_REGEXES[n % len(EVIL_REGEXES)]}/"} for n in range(count)]
    asked += [queries[n % len(queries)] for n in range(count)]
    dice("evil searches").shuffle(asked)
    with serving(tmp_path / "data") as target, target.client(target.good) as client:
        waits(client, 5)
        alone = waits(client, amount("rare_words", 20, 200))
        attackers = subprocess.Popen(
            [sys.executable, "-m", "tests.search.test_evil_searches", target.url, target.evil],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert attackers.stdin is not None
        assert attackers.stdout is not None
        with attackers:
            attackers.stdin.write(json.dumps(asked))
            attackers.stdin.close()
            assert attackers.stdout.readline() == "begun\n"
            beside = []
            while attackers.poll() is None:
                beside += waits(client, 1)
            told = attackers.stdout.read()
        assert attackers.returncode == 0
    reasons = json.loads(told)
    assert sum(reasons.values()) == len(asked)
    assert set(reasons) <= {"complete", "limit", "time", "refused"}
    print(
        f"evil searches: {reasons}; a rare word waits p95 {p95(alone):.1f} ms alone, {p95(beside):.1f} ms beside them, "
        f"median {statistics.median(alone) * 1000:.1f} and {statistics.median(beside) * 1000:.1f} ms"
    )
    if HEAVY:
        assert p95(beside) <= 2 * p95(alone) + 20


def _main(url: str, token: str) -> None:
    asked = json.load(sys.stdin)
    print("begun", flush=True)
    print(json.dumps(attack(Target(url, "", token), asked)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
