"""Print docs/reference/figures.md anew from the newest results in bench/runs. `make docs` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RUNS = Path(__file__).parents[1] / "bench" / "runs"

HEAD = """# Figures

Made by `make docs` from the newest results that `make bench` has left in `bench/runs/`, where every single run is kept.
Ours and its peers are measured in turn on one machine, so compare within a row. A factor above 1 means that ours is
better by that much. *Target* is what the figure is to reach.
"""

TITLES = {
    "agent": "The agent",
    "archive": "The archive",
    "ftp": "The FTP server",
    "voyage": "From a node into the archive",
    "web": "The web under load",
}

WHAT = {
    "agent-unchanged-cpu": "one look at 100,000 unchanged files, by an agent that runs: CPU",
    "agent-unchanged-cold-start": "the same by `agent once`, from the start of the program to its end",
    "agent-idle-cpu": "10,000 files in 100 folders, nothing happens: share of a core",
    "agent-idle-memory": "the same: resident memory",
    "agent-idle-handles": "the same: open descriptors",
    "agent-append-vsftpd": "1 GB appended to 100 files, to vsftpd: `agent once`, start included",
    "agent-append-vsftpd-running": "the same by an agent that runs",
    "agent-append-vsftpd-cpu": "the same: CPU of the client",
    "agent-append-vsftpd-travelled": "the same: bytes on the wire",
    "agent-append-pyftpdlib": "1 GB appended to 100 files, to pyftpdlib: `agent once`, start included",
    "agent-append-pyftpdlib-running": "the same by an agent that runs",
    "agent-append-pyftpdlib-cpu": "the same: CPU of the client",
    "agent-append-pyftpdlib-travelled": "the same: bytes on the wire",
    "agent-append-archive": "1 GB appended to 100 files, into our archive, synced: `agent once`, start included",
    "agent-append-archive-running": "the same by an agent that runs",
    "agent-append-archive-cpu": "the same: CPU of the client",
    "agent-append-archive-travelled": "the same: bytes on the wire",
    "agent-append-archive-tls": "1 GB appended over TLS, into our archive, synced",
    "agent-latency-p50": "a line from its writing until it is confirmed (peers: until it is in a local file): median",
    "agent-latency-p95": "the same: 95 of 100 lines",
    "agent-latency-max": "the same: the slowest of 200",
    "agent-many-small-files": "100,000 new files of 1 KB in 1,000 folders, into our archive, synced",
    "agent-far-small-files": "10,000 new files of 1 KB, into our archive 20 ms of round trip away",
    "agent-million-memory": "1,000,000 files known: resident memory",
    "agent-million-cpu": "one look at 1,000,000 unchanged files: CPU",
    "agent-million-cold-start": "`agent once` over 1,000,000 unchanged files",
}
WEB = {
    "first-paint": "the home page, first paint on loopback: median",
    "first-paint-slowest": "the same of the page that is painted last",
    "script": "script of the page that has most, compressed",
    "page-p95": "50 browsers and 200 programs ask while 20 agents deliver: HTML of a page, 95 of 100",
    "search-p95": "the same: hits, counts, histograms to their end, 95 of 100",
    "api-p95": "the same: lines, lists, 95 of 100",
    "delivery-p95": "the same: a delivery until it is confirmed, 95 of 100",
    "errors": "the same: what failed",
    "cpu": "the same: CPU of the web part, on average",
    "memory": "the same: most memory of the web part",
}
WHAT |= {f"web-{name}": what for name, what in WEB.items()}
ARCHIVE = {
    "disk-sealed": "disk, data and index, as sealed",
    "disk": "disk, data and index, compacted",
    "disk-sealed-share": "as sealed, of what plain files of zstd -3 take (design: 290 of 233 MB)",
    "disk-share": "compacted, of what plain files of zstd -3 take (design: 265 of 233 MB)",
    "disk-data": "of that data alone",
    "disk-index": "of that the index alone",
    "seal": "sealing: compressing, reading back, indexing",
    "seal-memory": "the same: most memory",
    "compact": "compacting, index included",
    "verify": "`logferry verify`: segments and digests of files",
    "read-p50": "64 KiB anywhere, store in the page cache: median",
    "read-p99": "the same: 99 of 100",
    "read-cpu": "the same: CPU, on average",
    "read-cpu-p99": "the same: CPU, 99 of 100",
    "cold-p50": "64 KiB anywhere, nothing in memory: median",
    "cold-p99": "the same: 99 of 100",
    "seek-p50": "64 KiB anywhere of the largest file, its segment not open yet: median",
    "open-p50": "opening a file for reading: median",
    "repair-1000": "a lost catalog built anew from 1,000 segments",
}
OF_PARTS = {
    "": "",
    "-grown": "; what grew from samples",
    "-real": "; real logs",
    "-generated": "; logs drawn by seed",
    "-compacted": "; compacted",
}
WHAT |= {f"archive-{name}{part}": what + of for name, what in ARCHIVE.items() for part, of in OF_PARTS.items()}


def number(value: float) -> str:
    """Three digits that count, with separators; whole numbers whole."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def row(figure: dict[str, Any]) -> str:
    """One line of a table."""
    unit = f" {figure['unit']}".rstrip()
    peers = ", ".join(_peer(figure, name, value) for name, value in figure["peers"].items()) or "-"
    sign = "≤" if figure["less_is_better"] else "≥"
    target = f"{sign} {number(figure['target'])}{'' if figure['met'] else ' **short**'}"
    what = WHAT.get(figure["id"], f"`{figure['id']}`")
    return f"| {what} | {number(figure['ours'])}{unit} | {peers} | {target} |"


def _peer(figure: dict[str, Any], name: str, value: float) -> str:
    if not value or not figure["ours"]:
        return f"{name} {number(value)}"
    ratio = value / figure["ours"] if figure["less_is_better"] else figure["ours"] / value
    return f"{name} {number(value)} ({number(ratio)}x)"


def section(name: str, run: dict[str, Any]) -> str:
    """A benchmark's newest run."""
    machine = run["machine"]
    where = f"{machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel'].partition('-')[0]}"
    lines = [f"## {TITLES.get(name, name)}", "", f"{run['when'][:10]}, {where}, Python {machine['python']}.", ""]
    lines += ["| what | ours | peers | target |", "|---|---|---|---|", *map(row, run["figures"])]
    return "\n".join(lines) + "\n"


def page(runs: Path = RUNS) -> str:
    """The whole page."""
    newest = {path.stem[11:]: path for path in sorted(runs.glob("2*.json"))}
    return "\n".join([HEAD, *(section(name, json.loads(newest[name].read_text())) for name in sorted(newest))])


if __name__ == "__main__":
    print(page(), end="")
