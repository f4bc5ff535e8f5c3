"""Our archive, filled and cared for as a server does it: `python -m bench.archive.ours load|seal|compact|verify DATA`.

Each is a process of its own, as the care part of the server is, and prints one JSON object. Loading the compiled
kernels is not counted: the care part does it once. They are imported where they are needed, as memory is measured.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.archive.spent import Result, Spent
from bench.archive.trees import Part
from logferry.archive import Archive, Catalog
from logferry.archive.segment import Segment
from logferry.archive.store import LocalStore
from logferry.limits import COPY_BYTES, SEGMENT_BYTES

_LATER_NS = 3_600_000_000_000
INDEX_FOLDER = "bench-index"
_SEGMENT_SUFFIX = ".zst"
_WARM_TYPES = 5_000
"""More log types than an index has room for in the beginning."""


@contextmanager
def opened(data: Path) -> Iterator[Archive]:
    """The archive in a folder, made when missing."""
    data.mkdir(parents=True, exist_ok=True)
    with Catalog.open(f"sqlite:///{data}/catalog.db") as catalog, Archive(str(data), catalog) as archive:
        yield archive


def fill(data: Path, part: Part) -> None:
    """Upload every file, and let the disk have them, so that this does not get in the way afterwards."""
    with opened(data) as archive:
        for agent, path, file in part.files():
            if archive.catalog.agents.get(agent) is None:
                archive.catalog.agents.add(agent)
            incoming = archive.begin(agent, path)
            with file.open("rb") as source:
                while block := source.read(COPY_BYTES):
                    incoming.write(block)
            incoming.commit()
    os.sync()


def seal(data: Path, segment_bytes: int = SEGMENT_BYTES) -> Result:
    """Seal all of it, index included. SystemExit when something could not be sealed."""
    with opened(data) as archive, _index_maker() as (maker, pid):
        spent = Spent(beside=pid)
        for step in archive.sealer(segment_bytes=segment_bytes, **maker).seal(time.time_ns() + _LATER_NS):
            if step.problems:
                raise SystemExit("\n".join(step.problems))
        return _sizes(data, archive, spent)


def compact(data: Path) -> Result:
    """Merge, and compress harder, all there is; then remove what counts no more."""
    with opened(data) as archive, _index_maker() as (maker, pid):
        spent = Spent(beside=pid)
        for step in archive.compactor(**maker).compact(time.time_ns() + _LATER_NS):
            if step.problems:
                raise SystemExit("\n".join(step.problems))
        archive.sealer().sweep(0.0)
        return _sizes(data, archive, spent)


def verify(data: Path) -> Result:
    """Read and compare every byte. SystemExit when something is damaged."""
    with opened(data) as archive:
        spent = Spent()
        for flaw in archive.verifier().verify():
            raise SystemExit(f"{flaw.place}: {flaw.what}")
        return spent.result()


@contextmanager
def _index_maker() -> Iterator[tuple[dict[str, Any], int | None]]:
    """What builds indexes while segments are written, and the process in which it does; its kernels are loaded.

    Where sealing writes no indexes, they are built afterwards, in this process.
    """
    from logferry.archive.index import Stretch

    content = b"".join(b"2026-11-26 10:00:00 \xc3\xa4%s 4711\n" % _letters(number) for number in range(_WARM_TYPES))
    stretch = Stretch("", 0, len(content), True, True)
    if importlib.util.find_spec("logferry.archive.index_making") is None:
        from logferry.archive.index import IndexBuilder

        builder = IndexBuilder(bytes(16), stamps=_stamps())
        builder.add(content, [stretch])
        builder.finish()
        yield {}, None
        return
    maker = importlib.import_module("logferry.archive.index_making").MakerApart()
    try:
        making = maker.begin(bytes(16), {"": time.time_ns()})
        making.add(content, [stretch])
        making.finish()
        yield {"maker": maker}, maker.pid
    finally:
        maker.close()


def _letters(number: int) -> bytes:
    """A word without a digit for each number."""
    return bytes(97 + (number >> shift & 15) for shift in (12, 8, 4, 0))


def _sizes(data: Path, archive: Archive, spent: Spent) -> Result:
    """What the store holds, and the cost until now; what has no index beside it gets one."""
    store = LocalStore(str(data / "store"))
    sizes = {found.name: found.size for found in store.objects()}
    segments = [name for name in sizes if name.endswith(_SEGMENT_SUFFIX)]
    index_bytes = sum(sizes[name] for name in sizes if not name.endswith(_SEGMENT_SUFFIX))
    if not index_bytes:
        index_bytes = sum(_index(data, store, name, sizes[name]) for name in segments)
    count, data_bytes, raw_bytes = archive.catalog.sealing.sums()
    if (count, data_bytes) != (len(segments), sum(sizes[name] for name in segments)):
        raise SystemExit(f"the store holds {len(segments)} segments, the catalog knows {count}")
    store.close()
    return spent.result(bytes=data_bytes, index_bytes=index_bytes, raw_bytes=raw_bytes, segments=count)


def _index(data: Path, store: LocalStore, name: str, size: int) -> int:
    """Build the index of a segment as sealing will, and put it on the disk."""
    from logferry.archive.index.rebuild import index_of

    segment = Segment.open(lambda offset, count: store.read(name, offset, count), size, where=name)
    index = index_of(segment, stamps=_stamps())
    path = data / INDEX_FOLDER / segment.manifest.segment_id
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(index)
    return len(index)


def _stamps() -> Any:
    from logferry.archive.stamping import FileStamps
    from logferry.archive.timestamps import Reading

    arrived = Reading(time.time_ns())
    return FileStamps(lambda _uid: arrived)


def load(_data: Path) -> Result:
    """Compile the kernels, where that was not done before: it takes much memory, once on a machine."""
    spent = Spent()
    with _index_maker():
        return spent.result()


WORK: dict[str, Callable[[Path], Result]] = {"load": load, "seal": seal, "compact": compact, "verify": verify}

if __name__ == "__main__":
    print(json.dumps(WORK[sys.argv[1]](Path(sys.argv[2]))))
