"""Search over sealed logs beside ripgrep on the plain files, chdb with a text index and DuckDB on Parquet.

Each engine is a process of its own that is asked in turn, so a noisy minute hits all alike. What is asked comes from
the corpus: words as frequent as the targets mean them. ``BENCH_CORPUS`` names a folder AGENT/…/FILE; without one logs
are drawn by seed. ``BENCH_SEARCH_MB`` says how many megabytes of it (2,000; with ``--quick`` 200).

*engine* is the search service called in a process that has it open, *http* the API of a running server. Before each
question the engine forgets what it found for any; ``-again`` and the API remember it, as they do for users.
``-cold`` is the first question after the process has started, opening everything included; ``-http-cold`` that of a
server as soon as it listens. ``prose-``: an archive of its own, of sentences, which log types say nothing about.
``beside-evil``: through the API, while another person asks for what takes longest; its peer is the same search alone.
``BENCH_SEARCH_MB`` of 500, 2000 and 8000, run one after the other, show what a larger corpus costs.
"""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.archive import ours as archives
from bench.archive.spent import told
from bench.archive.trees import CORPUS, Part, generate
from bench.figures import Figure, Options
from bench.search import beside
from bench.search.asking import Child, Http, Ripgrep, chdb_here, duckdb_here, ripgrep_here
from bench.search.prose import write_prose
from bench.search.questions import NEEDLE, Question, prose_questions, questions

MEGABYTES, QUICK_MEGABYTES = 2_000, 200
PROSE_SHARE = 20
"""Prose is one in so many bytes of what is measured."""
ROUNDS = 7
HTTP_MORE_MS = 13.0
"""How much the API may add to a search."""


class Bench:
    """Engines, rounds, raw results, figures."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder
        self.rounds = options.rounds or (3 if options.quick else ROUNDS)
        megabytes = int(os.environ.get("BENCH_SEARCH_MB") or (QUICK_MEGABYTES if options.quick else MEGABYTES))
        self.part = corpus(folder / "corpus", megabytes * 1_000_000)
        self.figures: list[Figure] = []
        self.raw: dict[str, Any] = {"bytes": self.part.bytes}

    def figure(self, name: str, ours: float, peers: Mapping[str, float], target: float, unit: str = "ms") -> None:
        """Less is better."""
        self.figures.append(Figure(f"search-{name}", ours, unit, target, dict(peers), less_is_better=True))


def measure(
    folder: Path, options: Options, wanted: Sequence[str] = ("queries", "prose", "beside")
) -> tuple[list[Figure], dict[str, Any]]:
    """Measure in ``folder`` (empty). Returns the figures and every single result."""
    bench = Bench(folder, options)
    for part in wanted:
        PARTS[part](bench)
    return bench.figures, bench.raw


def corpus(root: Path, count: int) -> Part:
    """Links to files of the corpus that have ``count`` bytes or a little more; a needle is among them."""
    given = os.environ.get(CORPUS)
    source = Path(given) if given else generate(root.parent / "generated", count)
    sizes = 0
    for path in sorted(path for path in source.glob("*/**/*") if path.is_file()):
        if sizes >= count:
            break
        target = root / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target) if path.stat().st_dev == root.parent.stat().st_dev else shutil.copyfile(path, target)
        sizes += path.stat().st_size
    planted = root / "bench-agent/planted/planted.log"
    planted.parent.mkdir(parents=True)
    filler = "".join(f"2026-10-{1 + i % 28:02d} 10:00:00 planted line of no {i}\n" for i in range(2_000))
    planted.write_text(filler + f"2026-10-09 11:12:13 here is {NEEDLE} alone\n" + filler)
    return Part("search", root, sizes + planted.stat().st_size)


def _measure_queries(bench: Bench) -> None:
    data = bench.folder / "server" / "data"
    archives.fill(data, bench.part)
    sealed = told("bench.archive.ours", "seal", data)
    print(
        f"  sealed {bench.part.bytes / 1e6:.0f} MB: {sealed['bytes'] / 1e6:.1f} + {sealed['index_bytes'] / 1e6:.1f} MB"
    )
    asked = questions(bench.part.root)
    bench.raw["questions"] = {question.name: question.as_json() for question in asked}
    engine = Child("bench.search.ours", data)
    peers: dict[str, Child | Ripgrep] = {}
    if ripgrep_here():
        peers["ripgrep"] = Ripgrep(bench.part.root)
    for name, is_here in (("chdb", chdb_here()), ("duckdb", duckdb_here())):
        if is_here:
            out = bench.folder / name
            out.mkdir()
            told("bench.archive.peers", name, bench.part.root, out)
            peers[name] = Child("bench.search.peers", name, out)
    http = Http(bench.folder / "server")
    try:
        _ask_all(bench, asked, engine, http, peers)
        peaks = http.peaks_mb()
        bench.raw["peak_mb"] = {"engine": engine.peak_mb(), **peaks}
        bench.figure("memory-engine", engine.peak_mb(), {}, 600.0, "MB")
        bench.figure("memory-server", peaks["web"], {}, 600.0, "MB")
        bench.figure("memory-workers", peaks["workers"], {}, 600.0, "MB")
        _ask_cold(bench, asked, data, http)
    finally:
        for one in (engine, http, *peers.values()):
            one.close()


def _ask_all(
    bench: Bench, asked: Sequence[Question], engine: Child, http: Http | None, peers: Mapping[str, Child | Ripgrep]
) -> None:
    found: dict[str, dict[str, list[float]]] = {}
    counts: dict[str, dict[str, int]] = {}
    everybody: dict[str, Child | Http | Ripgrep] = {"engine": engine, **({"http": http} if http else {}), **peers}
    for number in range(bench.rounds + 1):
        for question in asked:
            for name, one in everybody.items():
                if not one.can(question):
                    continue
                ms, count = one.ask(question)
                results = found.setdefault(question.name, {})
                if number:  # before that all is loaded
                    results.setdefault(name, []).append(ms)
                if one is engine and number:
                    results.setdefault("again", []).append(engine.ask(question, again=True)[0])
                counts.setdefault(question.name, {})[name] = count
    bench.raw.setdefault("ms", {}).update(found)
    bench.raw.setdefault("counts", {}).update(counts)
    for question in asked:
        middle = {name: statistics.median(values) for name, values in found[question.name].items()}
        beside = {name: middle[name] for name in peers if name in middle}
        told_ = counts[question.name]
        print(f"  {question.name}: {question.text!r} {told_}", flush=True)
        bench.figure(question.name, middle["engine"], beside, question.target_ms)
        bench.figure(f"{question.name}-again", middle["again"], beside, question.target_ms)
        if "http" in middle:
            bench.figure(f"{question.name}-http", middle["http"], beside, question.target_ms + HTTP_MORE_MS)


def _ask_cold(bench: Bench, asked: Sequence[Question], data: Path, http: Http) -> None:
    """The first query of a process."""
    for question in [one for one in asked if one.name in ("rare-word", "newest-100")]:
        times: list[float] = []
        first: list[tuple[float, float]] = []
        for _ in range(min(3, bench.rounds)):
            first.append(http.ask_first(question))
            child = Child("bench.search.ours", data)
            try:
                times.append(child.ask(question)[0])
            finally:
                child.close()
        bench.raw.setdefault("cold", {})[question.name] = {"engine_ms": times, "server_s_and_ms": first}
        bench.figure(f"{question.name}-cold", statistics.median(times), {}, 1_500.0)
        bench.figure(f"{question.name}-http-cold", statistics.median(ms for _, ms in first), {}, 1_500.0)


def _measure_prose(bench: Bench) -> None:
    """Sentences of many different words, beside ripgrep alone."""
    root, data = bench.folder / "prose", bench.folder / "prose-data"
    part = Part("prose", root, write_prose(root, bench.part.bytes // PROSE_SHARE))
    archives.fill(data, part)
    sealed = told("bench.archive.ours", "seal", data)
    print(f"  sealed {part.bytes / 1e6:.0f} MB: {sealed['bytes'] / 1e6:.1f} + {sealed['index_bytes'] / 1e6:.1f} MB")
    asked = prose_questions(root)
    bench.raw["prose_questions"] = {question.name: question.as_json() for question in asked}
    engine = Child("bench.search.ours", data)
    try:
        _ask_all(bench, asked, engine, None, {"ripgrep": Ripgrep(root)} if ripgrep_here() else {})
    finally:
        engine.close()


def _measure_beside(bench: Bench) -> None:
    """A rare word, alone and beside searches that take longest, by another person."""
    data = bench.folder / "beside-data"
    archives.fill(data, bench.part)
    told("bench.archive.ours", "seal", data)
    found = beside.measure(data, max(bench.rounds, 4))
    alone, others = found.ms("alone"), found.ms("beside")
    bench.raw["beside_s"] = {"alone": found.alone, "beside": found.beside}
    for name, ms in others.items():
        bench.figure(f"beside-evil-{name}", ms, {"alone": alone[name]}, 2 * alone[name])
    bench.figure("beside-evil", found.times(), {}, 2.0, "times")


PARTS = {"queries": _measure_queries, "prose": _measure_prose, "beside": _measure_beside}
