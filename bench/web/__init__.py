"""The web part under load: 50 browsers and 200 programs on a sealed archive while 20 agents deliver.

Everybody is somebody else, as in life, and pauses between two things: a browser 5 s, a program 5 s, an agent 2 s, on
average. Browsers open pages and ask of the API what the scripts of those pages ask; programs search, count, read lines,
list files and agents. ``BENCH_WEB_MB`` says how many megabytes of logs lie there (2,000; with ``--quick`` 100),
``BENCH_CORPUS`` where they come from. The load is a process of its own, so are the agents.

*page*: the HTML of a page, *search*: hits, counts and histograms to their end, *api*: lines, lists. First paints and
the bytes of scripts are those of a real Chromium, while nobody else asks.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.agent.processes import Resident
from bench.archive import ours as archives
from bench.archive.spent import told
from bench.figures import Figure, Options
from bench.search import corpus
from bench.search.asking import peak_mb
from bench.web import painting
from logferry.archive import Catalog
from logferry.cli.connection import Connection
from logferry.cli.http import Http
from logferry.server.enrolment import Enrolment
from logferry.server.people import People
from logferry.testing.demo.programs import Programs
from logferry.web.auth import COOKIE

MEGABYTES, QUICK_MEGABYTES = 2_000, 100
BROWSERS, PROGRAMS, AGENTS = 50, 200, 20
BROWSER_PAUSE_S = PROGRAM_PAUSE_S = 5.0
AGENT_PAUSE_S = 2.0
SECONDS, QUICK_SECONDS = 60.0, 20.0
WARM_S = 5.0
FILES, WORDS = 200, 60
PAINT_ROUNDS, QUICK_PAINT_ROUNDS = 15, 5
TARGET_MS = {"page": 250.0, "search": 500.0, "api": 250.0}
PAINT_TARGET_MS, SCRIPT_TARGET_KIB = 100.0, 60.0
DELIVERY_TARGET_MS = 500.0
_WORD = re.compile(rb"[A-Za-z]{4,14}")


class Bench:
    """A server on a sealed archive, and everybody who asks it."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.quick = options.quick
        megabytes = int(os.environ.get("BENCH_WEB_MB") or (QUICK_MEGABYTES if options.quick else MEGABYTES))
        self.part = corpus(folder / "corpus", megabytes * 1_000_000)
        data = folder / "server" / "data"
        archives.fill(data, self.part)
        told("bench.archive.ours", "seal", data)
        self.programs = Programs(data.parent, "--tls", "off")  # at last: it looks for ports that are free
        self.base = ""
        self.raw: dict[str, Any] = {"bytes": self.part.bytes}
        self.figures: list[Figure] = []

    def start(self) -> None:
        """The server, and everybody who is to ask it."""
        self.programs.start_server()
        self.base = self.programs.set_up()
        self._let_in()

    def _let_in(self) -> None:
        """People with sessions and tokens, agents with passwords: all known to the server's own catalog."""
        with Catalog.open(f"sqlite:///{self.programs.data}/catalog.db") as catalog:
            people, enrolment = People(catalog), Enrolment(catalog, People(catalog))
            self.secrets = []
            self.tokens = []
            for number in range(BROWSERS):
                self.secrets.append(people.begin_session(people.create(f"reader-{number}", None)).secret)
            for number in range(PROGRAMS):
                people.create(f"program-{number}", None)
                self.tokens.append(people.new_token(f"program-{number}")[0])
            join = enrolment.new_join_token(uses=AGENTS)
            joined = [enrolment.join(join.secret, agent_id=f"live-{number:02d}") for number in range(AGENTS)]
            self.agents = [{"user": one.user, "password": one.password} for one in joined]

    def files(self) -> list[dict[str, Any]]:
        """Some files of every kind."""
        with Http(Connection(self.base, token=self.tokens[0])) as http:
            found = http.request("GET", "/api/v1/files", query={"q": "", "limit": 1000}).json()["items"]
        step = max(1, len(found) // FILES)
        return [{name: file[name] for name in ("fid", "agent", "path", "size")} for file in found[::step]][:FILES]

    def words(self) -> list[str]:
        """Words of the logs themselves, from frequent to rare."""
        counts: dict[bytes, int] = {}
        for _, _, path in list(self.part.files())[::7][:40]:
            with path.open("rb") as file:
                for word in _WORD.findall(file.read(200_000)):
                    counts[word] = counts.get(word, 0) + 1
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return [word.decode() for word in ranked[:: max(1, len(ranked) // WORDS)]][:WORDS]

    def plan(self) -> dict[str, Any]:
        """For the load."""
        host, _, port = self.base.rpartition("//")[2].rpartition(":")
        return {
            "host": host, "port": int(port), "cookies": [f"{COOKIE}={secret}" for secret in self.secrets],
            "tokens": self.tokens, "files": self.files(), "words": self.words(),
            "seconds": QUICK_SECONDS if self.quick else SECONDS, "warm_s": WARM_S,
            "browser_pause_s": BROWSER_PAUSE_S, "program_pause_s": PROGRAM_PAUSE_S,
        }  # fmt: skip

    def web_pid(self) -> int:
        """The part of the server that answers."""
        return int(json.loads((self.programs.data / "run" / "web.json").read_text())["pid"])

    def figure(self, name: str, ours: float, target: float, unit: str = "ms") -> None:
        """Less is better."""
        self.figures.append(Figure(f"web-{name}", ours, unit, target, less_is_better=True))


def measure(
    folder: Path, options: Options, wanted: Sequence[str] = ("paint", "load")
) -> tuple[list[Figure], dict[str, Any]]:
    """Measure in ``folder`` (empty). Returns the figures and every single result."""
    bench = Bench(folder, options)
    try:
        bench.start()
        for part in wanted:
            PARTS[part](bench)
    finally:
        bench.programs.stop_all()
    return bench.figures, bench.raw


def _measure_paint(bench: Bench) -> None:
    if not painting.is_here():
        print("  no Chromium: no figures of first paints and scripts", flush=True)
        return
    file = bench.files()[0]
    view, word = f"/view/{file['agent']}/{file['path']}", bench.words()[WORDS // 3]
    pages = ["/", "/agents", "/files", f"/browse/{file['agent']}", view, f"/search?q={word}", "/tail", "/saved"]
    paints = painting.paint_ms(bench.base, bench.secrets[0], pages, QUICK_PAINT_ROUNDS if bench.quick else PAINT_ROUNDS)
    scripts = painting.script_bytes(bench.base, bench.secrets[0], pages)
    bench.raw |= {"paint_ms": paints, "script_bytes": scripts}
    middle = painting.medians(paints)
    for name, ms in middle.items():
        print(f"  {name}: painted after {ms:.0f} ms, {scripts[name] / 1024:.1f} KiB of script", flush=True)
    bench.figure("first-paint", middle["/"], PAINT_TARGET_MS)
    bench.figure("first-paint-slowest", max(middle.values()), PAINT_TARGET_MS)
    bench.figure("script", max(scripts.values()) / 1024, SCRIPT_TARGET_KIB, "KiB")


def _measure_load(bench: Bench) -> None:
    plan, web = bench.plan(), Resident(bench.web_pid())
    host, _, port = bench.programs.ftp.rpartition(":")
    agents = {"host": host, "port": int(port), "agents": bench.agents, "every_s": AGENT_PAUSE_S}
    delivering = subprocess.Popen(
        [sys.executable, "-m", "bench.web.delivering"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert delivering.stdin is not None
    delivering.stdin.write(json.dumps(agents).encode() + b"\n")
    delivering.stdin.flush()
    cpu_s, started = web.cpu_s(), time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.web.load"], input=json.dumps(plan).encode(), stdout=subprocess.PIPE,
            check=True,
        )  # fmt: skip
        cpu_s, wall_s = web.cpu_s() - cpu_s, time.perf_counter() - started
    finally:
        delivered = json.loads(delivering.communicate()[0] or b"{}")
    if not delivered:
        raise SystemExit(f"the agents ended: {delivering.returncode}")
    found = json.loads(done.stdout)
    _tell(bench, found, delivered, cpu_s, wall_s)


def _tell(bench: Bench, found: dict[str, Any], delivered: dict[str, Any], cpu_s: float, wall_s: float) -> None:
    errors = [*found["errors"], *delivered["errors"]]
    each_ms = 1e3 * cpu_s / max(1, found["requests"])
    bench.raw |= {"load": found, "delivered": delivered, "web_cpu_s": cpu_s, "wall_s": wall_s}
    for error in errors[:10]:
        print(f"  failed: {error}", flush=True)
    print(
        f"  {found['requests']:,} requests in {wall_s:.0f} s, {each_ms:.1f} ms of CPU each; "
        f"{delivered['deliveries']:,} deliveries",
        flush=True,
    )
    for kind, values in found["ms"].items():
        print(f"  {kind}: {len(values):,}, median {statistics.median(values):.0f} ms, p95 {_p95(values):.0f} ms")
        bench.figure(f"{kind}-p95", _p95(values), TARGET_MS[kind])
    bench.figure("delivery-p95", _p95(delivered["ms"]), DELIVERY_TARGET_MS)
    bench.figure("errors", len(errors), 0, "of all")
    bench.figure("cpu", each_ms, 15.0, "ms a request")
    bench.figure("memory", peak_mb(bench.web_pid()), 600.0, "MB")


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


PARTS = {"paint": _measure_paint, "load": _measure_load}
