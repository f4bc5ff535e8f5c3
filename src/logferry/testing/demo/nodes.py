"""The nodes of the demo: what each agent watches, and what its files must look like in the archive."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from logferry.errors import Refused
from logferry.names import escape_path
from logferry.testing.ledger import Ledger
from logferry.testing.logtree import DATABASE, ODD_NAMES, PLANT, WEB, LogTree

AGENTS_MAX = 3
_WORD = re.compile(rb"[a-z0-9]{8,24}")


@dataclass(slots=True)
class Node:
    """A machine of the demo: an agent's id and the folders it watches; ``tree`` grows them, where they are ours."""

    agent: str
    group: str
    watched: list[Path]
    tree: LogTree | None = None

    def files(self) -> Iterator[tuple[str, bytes]]:
        """(archive path, path on disk) of every file the node has now."""
        for folder in self.watched:
            home = str(folder).strip("/")
            for at, _, names in os.walk(os.fsencode(folder)):
                for name in names:
                    path = os.path.join(at, name)
                    if os.path.isfile(path) and not os.path.islink(path):
                        yield f"{home}/{escape_path(os.path.relpath(path, os.fsencode(folder)))}", path


@dataclass(slots=True)
class Fleet:
    """All nodes, and the word a search must find: in which places, how often."""

    nodes: list[Node]
    word: str = ""
    hits: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def trees(self) -> list[LogTree]:
        """The trees we write to; empty when the logs are somebody's own."""
        return [node.tree for node in self.nodes if node.tree]

    def sizes(self) -> dict[tuple[str, str], int]:
        """Bytes of every file, by agent and archive path."""
        return {(n.agent, path): os.path.getsize(disk) for n in self.nodes for path, disk in n.files()}

    def plant(self) -> None:
        """Write a word that stands nowhere else into one of the logs."""
        tree = self.trees[0]
        self.word, self.hits = "needle7f3a9c41e2", 1
        tree.plant(tree.files[0].path, self.word.encode())


def made_up(folder: Path, *, ledger: bool) -> Fleet:
    """Three nodes with logs of their own kind below ``folder``; the first also has files with odd names."""
    now = datetime.now(UTC)
    kinds = (("web-01", "web", WEB + ODD_NAMES), ("db-01", "db", DATABASE), ("plc-07", "plant", PLANT))
    nodes = []
    for seed, (agent, group, files) in enumerate(kinds, 1):
        root = folder / "nodes" / agent / "log"
        book = Ledger(folder / "ledger" / agent) if ledger else None
        tree = LogTree(root, files, seed=seed * 100, ledger=book, start=now)
        nodes.append(Node(agent, group, [root], tree))
    nodes[0].tree and nodes[0].tree.append(b"empty.log", b"")
    return Fleet(nodes)


def of_folder(logs: Path) -> Fleet:
    """Nodes on the subfolders of ``logs``, which is only read: one agent each, or three agents that share them.

    Raises:
        Refused: there is no such folder, or it has no subfolder.
    """
    if not logs.is_dir():
        raise Refused(f"{logs} is no folder", hint="LOGS=<folder with one subfolder per machine>")
    folders = sorted(p for p in logs.resolve().iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise Refused(f"{logs} has no subfolder", hint="LOGS=<folder with one subfolder per machine>")
    loose = sum(1 for p in logs.iterdir() if p.is_file())
    notes = [f"{loose} file(s) directly in {logs} belong to no agent and are left out"] if loose else []
    if len(folders) <= AGENTS_MAX:
        return Fleet([Node(_agent_id(p.name), "logs", [p]) for p in folders], notes=notes)
    shared = [Node(f"logs-{i + 1}", "logs", folders[i::AGENTS_MAX]) for i in range(AGENTS_MAX)]
    return Fleet(shared, notes=notes)


def _agent_id(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", name).strip(".")[:63] or "node"


def choose_word(fleet: Fleet, *, most: int = 500) -> None:
    """Set ``fleet.word`` to a rare word of its logs and count, with plain Python, the lines that have it.

    Raises:
        Refused: there is none.
    """
    contents = [Path(os.fsdecode(disk)).read_bytes().lower() for node in fleet.nodes for _, disk in node.files()]
    for content in sorted(contents, key=len, reverse=True):
        middle = content[len(content) // 2 :][:4096]
        for word in dict.fromkeys(_WORD.findall(middle)):
            if sum(other.count(word) for other in contents) <= most:
                fleet.word, fleet.hits = word.decode(), sum(_lines_with(other, word) for other in contents)
                return
    raise Refused("no word in these logs is rare enough to search for", hint="use logs with some text in them")


def _lines_with(content: bytes, word: bytes) -> int:
    """How many lines of ``content`` hold ``word``; both in lower case."""
    lines, at = 0, content.find(word)
    while at >= 0:
        lines += 1
        end = content.find(b"\n", at)
        at = content.find(word, end) if end >= 0 else -1
    return lines


def sha256(path: str | bytes | Path) -> str:
    """Digest of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
