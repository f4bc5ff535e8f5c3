"""Members for tests, good and damaged, and the ways to read what was packed."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from logferry.errors import Damaged, NotFound
from logferry.takeout import Form, Member, Opened, packed

MADE_NS = 1_795_680_000_000_000_000


@dataclass
class Held:
    """Bytes that can be opened like a generation; from ``bad_from`` on they are damaged."""

    data: bytes
    bad_from: int | None = None

    @property
    def size(self) -> int:
        """All of it."""
        return len(self.data)

    def read_at(self, offset: int, count: int) -> bytes:
        """As a GenerationReader."""
        if self.bad_from is not None and offset + count > self.bad_from and offset < self.size:
            raise Damaged(f"frame at byte {self.bad_from} is damaged", where="store/x.zst")
        return self.data[offset : offset + count]


@dataclass(frozen=True)
class Zeros:
    """A sparse file of any size."""

    size: int

    def read_at(self, offset: int, count: int) -> bytes:
        """As a GenerationReader."""
        return _ZEROS[: max(0, min(count, self.size - offset))]


_ZEROS = bytes(1 << 20)


def member(
    path: str,
    data: bytes = b"",
    *,
    agent: str = "web-01",
    modified_ns: int = MADE_NS,
    bad_from: int | None = None,
    sha256: str | None = None,
    held: Opened | None = None,
) -> Member:
    """A member with these bytes."""
    held = held or Held(data, bad_from)
    return Member(agent, path, 1, held.size, modified_ns, sha256, lambda: opened(held))


def opened(held: Opened) -> contextlib.AbstractContextManager[Opened]:
    """As ``Archive.open``."""
    return contextlib.nullcontext(held)


def gone(path: str) -> Member:
    """A member that was deleted between the listing and the reading."""

    def fail() -> contextlib.AbstractContextManager[Opened]:
        raise NotFound("the generation is gone")

    return Member("web-01", path, 1, 5, MADE_NS, None, fail)


def pack(form: Form, members: Sequence[Member]) -> bytes:
    """A whole archive in memory."""
    return b"".join(packed(form, members, agents={m.agent for m in members}, made_ns=MADE_NS))


def contents(form: Form, data: bytes) -> dict[str, bytes]:
    """Name -> bytes, read by Python's own modules."""
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            return {info.filename: archive.read(info) for info in archive.infolist()}
    plain: Any = io.BytesIO(data)
    if form == "tar.zst":
        plain = zstandard.ZstdDecompressor().stream_reader(plain)
    with tarfile.open(fileobj=plain, mode="r|gz" if form == "tar.gz" else "r|") as tar:
        return dict(_tar_members(tar))


def _tar_members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for info in tar:
        file = tar.extractfile(info)
        assert file is not None
        yield info.name, file.read()


def manifest(found: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """The rows of a manifest by member name."""
    return {row["name"]: row for row in json.loads(found["MANIFEST.json"])["files"]}


def tree(folder: Path) -> dict[str, bytes]:
    """What a program unpacked."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
