"""Queries made to hurt: each ends by itself within the deadline, and whoever searches meanwhile hardly notices.

``HEAVY=1``: a hundred of each on 200 MB, with the waiting of the others compared. What was measured is printed.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from logferry.limits import QUERY_DEPTH_MAX, QUERY_LEAVES_MAX, SEARCH_PER_USER_MAX
from logferry.testing import LineSource
from tests.security.amounts import HEAVY, amount, dice
from tests.web.served import Served, served

DEADLINE_S = 2.0
LATE_S = 0.2 if HEAVY else 20.0
"""How much later one may end: the promise, or what a busy machine may need."""
NEEDLE = "needle7f3a9c41e2"
EVIL_REGEXES = (
    r"(a+)+$", r"(a|a)*b$", r"(.*)*x$", r"(x+x+)+y", r"([a-z]+)*[0-9]+z$", r".*.*.*.*.*=.*.*$", r"(.*,){40}Z",
    r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(\w+\s?)*!$", r"[^ ]*[^ ]*[^ ]*[^ ]*~", r"\p{L}+\d{1,200}Q",
    r"(?:(?:a?){30}){30}b",
    r".{0,500}Q{20}", r"(?i)(e|E|[eE])*rror+q", r"(0|1|2|3|4|5|6|7|8|9)*x{3}", r"\b\w+\b.*\b\w+\b.*\b\w+\b.*q{9}",
)  # fmt: skip
"""Regexes on which others need ages, or that match nearly everywhere and nowhere."""


def evil_queries() -> Iterator[dict[str, Any]]:
    """Queries as heavy as the language allows, for the routes that answer them."""
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


class Person:
    """Somebody who does one thing after the other."""

    def __init__(self, site: Served, name: str) -> None:
        self.client = site.new_client(dict(site.as_(name).headers))
        self.client.timeout = httpx.Timeout(DEADLINE_S + LATE_S + 30)

    def ended(self, asked: dict[str, Any]) -> str:
        """Why a search ended; 400 for one that is refused. Fails when it was late."""
        while True:
            with self.client.stream("GET", "/api/v1/search", params=asked) as answer:
                if answer.status_code == 429:  # the others of the same person
                    time.sleep(0.05)
                    continue
                if answer.status_code == 400:
                    answer.read()
                    assert answer.json()["hint"], asked
                    return "refused"
                answer.raise_for_status()
                last: dict[str, Any] = {}
                for line in answer.iter_lines():
                    if line.startswith(('{"type":"done"', '{"type":"problem"')):
                        last = json.loads(line)
            assert last["type"] == "done", (asked, last)
            assert last["seconds"] < DEADLINE_S + LATE_S, asked
            return str(last["reason"])

    def all_ended(self, asked: list[dict[str, Any]]) -> list[str]:
        """``ended`` for each."""
        return [self.ended(each) for each in asked]

    def waits(self, times: int) -> list[float]:
        """How long a search for a rare word takes, each time; it finds its line."""
        found = []
        for _ in range(times):
            begun = time.perf_counter()
            answer = self.client.get("/api/v1/search", params={"q": NEEDLE}).raise_for_status()
            found.append(time.perf_counter() - begun)
            assert json.loads(answer.text.splitlines()[-1])["hits"] == 1
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An archive of logs of several kinds, in one line of which the rare word stands."""
    megabytes = amount("evil_megabytes", 8, 200)
    with served(tmp_path_factory.mktemp("evil") / "data", search_s=DEADLINE_S) as running:
        for number, kind in enumerate(("nginx", "json", "java", "syslog")):
            source = LineSource(kind, seed=number)
            block = b"".join(source.record() for _ in range(4_000))
            for part in range(max(1, megabytes * 1_000_000 // 4 // len(block))):
                running.put(f"agent-{number}", f"log/{part}.log", b"%d %d\n" % (number, part) + block)
        running.put("agent-0", "log/rare.log", b"a line with " + NEEDLE.encode() + b" in it\n")
        yield running


def p95(waits: list[float]) -> float:
    """The wait that nineteen of twenty do not pass."""
    return statistics.quantiles(waits, n=20)[-1]


def test_queries_made_to_hurt_end_in_time_and_others_hardly_notice(site: Served) -> None:
    """All end, with a reason; a search for a rare word is answered throughout."""
    random = dice("evil searches")
    count = amount("evil_searches", 12, 100)
    asked = [{"q": f"/{EVIL_REGEXES[n % len(EVIL_REGEXES)]}/"} for n in range(count)]
    queries = list(evil_queries())
    asked += [queries[n % len(queries)] for n in range(count)]
    random.shuffle(asked)
    good = Person(site, "good")
    evil = [Person(site, "evil") for _ in range(SEARCH_PER_USER_MAX)]
    good.waits(5)
    alone = good.waits(amount("rare_words", 20, 200))
    share = [asked[n :: len(evil)] for n in range(len(evil))]
    beside: list[float] = []
    with ThreadPoolExecutor(len(evil)) as threads:
        attacks = [threads.submit(person.all_ended, part) for person, part in zip(evil, share, strict=True)]
        while not all(attack.done() for attack in attacks):
            beside += good.waits(1)
        reasons = Counter(reason for attack in attacks for reason in attack.result())
    for person in (good, *evil):
        person.client.close()
    assert sum(reasons.values()) == len(asked)
    assert reasons["complete"] + reasons["time"] + reasons["limit"] + reasons["refused"] == len(asked)
    before, during = p95(alone), p95(beside) if len(beside) > 1 else beside[0]
    print(f"evil searches: {dict(reasons)}; rare word p95 {before * 1e3:.1f} ms alone, {during * 1e3:.1f} ms beside")
    if HEAVY:
        assert during <= 2 * before + 0.02
