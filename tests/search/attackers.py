"""Queries made to hurt, a server to ask them of, and those who do: for the test of them and for the bench.

``python -m tests.search.attackers URL TOKEN`` reads lists of searches, one a line, and asks each list, as many at once
as one person may; it prints ``begun``, then how they ended.
"""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from logferry.limits import QUERY_DEPTH_MAX, QUERY_LEAVES_MAX, SEARCH_PER_USER_MAX
from logferry.server.config import ArchiveConfig, SearchConfig, ServerConfig, WebConfig
from logferry.server.runfiles import part_file, read_json
from logferry.web.context import WebContext
from logferry.web.part import open_context
from tests.security.amounts import HEAVY
from tests.web.served import PASSWORD, wait_for

DEADLINE_S = 2.0
LATE_S = 0.2 if HEAVY else 20.0
"""How much later one may end: the promise, or what a busy machine may need."""
START_S = 180.0
"""A busy machine may take that long to start a server."""
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
def serving(folder: Path, fill: Callable[[WebContext], object] | None = None) -> Iterator[Target]:
    """The web part as a process of its own, on what ``fill`` puts into the archive below ``folder``."""
    config = ServerConfig(
        archive=ArchiveConfig(root=str(folder), min_free="0"),
        web=WebConfig(listen="127.0.0.1:0"),
        search=SearchConfig(time_limit=DEADLINE_S),
    )
    folder.mkdir(exist_ok=True)
    with open_context(config) as context:
        if fill is not None:
            fill(context)
        tokens = []
        for name in ("good", "evil"):
            context.people.create(name, PASSWORD)
            tokens.append(context.people.new_token(name)[0])
    settings = folder / "config.json"
    settings.write_text(config.to_json())
    process = subprocess.Popen([sys.executable, "-m", "logferry.web", str(settings)], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: read_json(part_file(str(folder), "web")) or process.poll() is not None, START_S)
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


@contextmanager
def attackers(target: Target) -> Iterator[Attackers]:
    """A process of those who attack."""
    command = [sys.executable, "-m", "tests.search.attackers", target.url, target.evil]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            yield Attackers(process)
        finally:
            process.kill()


class Attackers:
    """Those who attack. They work on one list at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._told: list[str] = []

    def begin(self, asked: Sequence[dict[str, Any]]) -> None:
        """Returns when they have begun."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        assert self._process.stdout.readline() == "begun\n"

    def are_at_it(self) -> bool:
        """Whether some are not answered yet. Raises AssertionError when one of them went wrong."""
        if self._told:
            return False
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], 0)[0]:
            return True
        self._told.append(self._process.stdout.readline())
        assert self._told[0], "one of them went wrong"
        return False

    def reasons(self) -> Counter[str]:
        """How they ended."""
        return Counter(json.loads(self._told.pop()))


def until_ready(client: httpx.Client, word: str = NEEDLE) -> None:
    """The first searches of a server load what is compiled, and may end before they have found anything."""
    wait_for(lambda: '"reason":"complete"' in client.get("/api/v1/search", params={"q": word}).text, START_S)


def waits(client: httpx.Client, times: int, word: str = NEEDLE) -> list[float]:
    """How long a search for the rare word takes, each time; it finds its line."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = client.get("/api/v1/search", params={"q": word}).raise_for_status()
        found.append(time.perf_counter() - begun)
        assert json.loads(answer.text.splitlines()[-1])["hits"] == 1
    return found


def p95(found: list[float]) -> float:
    """The wait in milliseconds that nineteen of twenty do not pass."""
    return 1000 * (statistics.quantiles(found, n=20)[-1] if len(found) > 1 else found[0])


def _main(url: str, token: str) -> None:
    os.nice(19)  # they sit at other machines: here they take what the server leaves
    for line in sys.stdin:
        asked = json.loads(line)
        print("begun", flush=True)
        print(json.dumps(attack(Target(url, "", token), asked)), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
