"""What is archived: a corpus of logs where one is given, else logs drawn by seed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from logferry.testing import KINDS, LineSource

CORPUS = "BENCH_CORPUS"
"""Variable that names a folder AGENT/…/FILE; agents whose names begin with ``node-`` are its real part."""
_REAL = "node-"
_AGENTS = 4
_FILE_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """Some agents' files below ``root``: AGENT/…/FILE. ``kind``: grown, real (of a corpus) or generated."""

    kind: str
    root: Path
    bytes: int

    def files(self) -> Iterator[tuple[str, str, Path]]:
        """Agent, path under the agent and file of each, by name."""
        for agent in sorted(self.root.iterdir()):
            for path in sorted(agent.rglob("*")):
                if path.is_file():
                    yield agent.name, str(path.relative_to(agent)), path


def parts(folder: Path, generated_bytes: int) -> list[Part]:
    """The parts that are measured, made below ``folder``: those of the corpus, or ``generated_bytes`` drawn by seed."""
    corpus = os.environ.get(CORPUS)
    if corpus:
        return parts_of(Path(corpus), folder)
    return [_counted("generated", generate(folder / "generated", generated_bytes))]


def parts_of(corpus: Path, folder: Path) -> list[Part]:
    """The parts of a corpus, made below ``folder`` of links to its files."""
    kinds: dict[str, Path] = {}
    for agent in sorted(path for path in corpus.iterdir() if path.is_dir()):
        kind = "real" if agent.name.startswith(_REAL) else "grown"
        kinds[kind] = folder / kind
        shutil.copytree(agent, folder / kind / agent.name, copy_function=_link)
    if not kinds:
        raise SystemExit(f"{corpus} holds no folder of an agent")
    return [_counted(kind, root) for kind, root in kinds.items()]


def generate(root: Path, count: int) -> Path:
    """About ``count`` bytes of every kind of log that the project draws, for some agents. Returns ``root``."""
    share = max(1, count // (_AGENTS * len(KINDS)))
    for agent in range(_AGENTS):
        for number, kind in enumerate(KINDS):
            source = LineSource(kind, seed=100 * agent + number)
            left = share
            for file in range(-(-share // _FILE_BYTES)):
                path = root / f"gen-{agent:02d}" / kind / f"{kind}.log.{file}"
                path.parent.mkdir(parents=True, exist_ok=True)
                left -= _write(path, source, min(left, _FILE_BYTES))
    return root


def _write(path: Path, source: LineSource, count: int) -> int:
    written = 0
    with path.open("wb") as file:
        while written < count:
            written += file.write(source.record())
    return written


def _counted(kind: str, root: Path) -> Part:
    part = Part(kind, root, 0)
    return Part(kind, root, sum(path.stat().st_size for _, _, path in part.files()))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
