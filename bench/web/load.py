"""Browsers and programs that ask a server at once: `python -m bench.web.load` with a plan on standard input.

A *browser* opens pages as a person does, one after the other with pauses, and asks of the API what the scripts of each
page ask. A *program* asks the API alone. The pauses are drawn by seed. Prints one JSON object: milliseconds of every
request by kind, and what went wrong.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from bench.web.wire import Wire


@dataclass
class Plan:
    """Where, who, what and for how long."""

    host: str
    port: int
    cookies: list[str]
    tokens: list[str]
    files: list[dict[str, Any]]
    words: list[str]
    seconds: float
    warm_s: float
    browser_pause_s: float
    program_pause_s: float


@dataclass
class Seen:
    """What happened after the first ``warm_s`` seconds."""

    ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    requests: int = 0


class Visitor:
    """One connection of one person."""

    def __init__(self, plan: Plan, headers: dict[str, str], number: int, seen: Seen) -> None:
        self._plan = plan
        self._wire = Wire(plan.host, plan.port, headers)
        self._dice = random.Random(number)
        self._seen = seen
        self._from_s = time.perf_counter() + plan.warm_s
        self._until_s = time.perf_counter() + plan.seconds + plan.warm_s

    async def run(self, pause_s: float, *, browses: bool) -> None:
        """Until the time is over."""
        await asyncio.sleep(self._dice.uniform(0, pause_s))
        while time.perf_counter() < self._until_s:
            if browses:
                await self._page()
            else:
                await self._question()
            await asyncio.sleep(self._dice.expovariate(1 / pause_s))
        self._wire.close()

    async def _page(self) -> None:
        kind = self._dice.choice(("home", "agents", "files", "folder", "view", "view", "search", "search", "search"))
        file, word = self._dice.choice(self._plan.files), self._dice.choice(self._plan.words)
        if kind == "view":
            await self._ask("page", f"/view/{file['agent']}/{file['path']}")
            await self._lines(file)
            await self._ask("api", f"/api/v1/files/{file['fid']}/index")
        elif kind == "search":
            await self._ask("page", "/search", q=word)
            await self._ask("search", "/api/v1/search", q=word, limit=200, context=0)
            await self._ask("search", "/api/v1/search/histogram", q=word, facets="agent,path,level")
        else:
            folder = f"/browse/{file['agent']}/{file['path'].rpartition('/')[0]}"
            target = {"home": "/", "agents": "/agents", "files": "/files", "folder": folder}[kind]
            await self._ask("page", target, **({"q": file["path"].rpartition("/")[2]} if kind == "files" else {}))

    async def _question(self) -> None:
        kind = self._dice.choice(("hits", "hits", "count", "lines", "files", "agents"))
        file, word = self._dice.choice(self._plan.files), self._dice.choice(self._plan.words)
        if kind == "hits":
            await self._ask("search", "/api/v1/search", q=word, limit=100)
        elif kind == "count":
            await self._ask("search", "/api/v1/search/count", q=word)
        elif kind == "lines":
            await self._lines(file)
        elif kind == "files":
            await self._ask("api", "/api/v1/files", q=f"agent:{file['agent']}", limit=50)
        else:
            await self._ask("api", "/api/v1/agents")

    async def _lines(self, file: dict[str, Any]) -> None:
        place = {"at_byte": self._dice.randrange(max(1, file["size"]))} if self._dice.random() < 0.5 else {"tail": 200}
        await self._ask("api", f"/api/v1/files/{file['fid']}/lines", count=200, **place)

    async def _ask(self, kind: str, target: str, **query: object) -> None:
        started = time.perf_counter()
        problem = ""
        try:
            answer = await self._wire.get(f"{target}?{urlencode(query)}" if query else target)
            if answer.status != 200:
                problem = f"{answer.status} {answer.body[:160].decode('utf-8', 'replace')}"
            elif kind == "search" and b'"type":"problem"' in answer.body:
                problem = answer.body[-160:].decode("utf-8", "replace")
        except (OSError, EOFError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
            self._wire.close()
        ended = time.perf_counter()
        if started >= self._from_s:
            self._seen.requests += 1
            self._seen.ms[kind].append(1e3 * (ended - started))
            if problem:
                self._seen.errors.append(f"{target}: {problem}")


async def run(plan: Plan) -> Seen:
    """All of them at once."""
    seen = Seen()
    browsers = [Visitor(plan, {"Cookie": cookie}, n, seen) for n, cookie in enumerate(plan.cookies)]
    programs = [Visitor(plan, {"Authorization": f"Bearer {t}"}, 1_000 + n, seen) for n, t in enumerate(plan.tokens)]
    await asyncio.gather(
        *(one.run(plan.browser_pause_s, browses=True) for one in browsers),
        *(one.run(plan.program_pause_s, browses=False) for one in programs),
    )
    return seen


if __name__ == "__main__":
    found = asyncio.run(run(Plan(**json.load(sys.stdin))))
    print(json.dumps({"ms": found.ms, "errors": found.errors, "requests": found.requests}))
