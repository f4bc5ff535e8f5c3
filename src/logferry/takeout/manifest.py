"""``MANIFEST.json``: what is in a zip or tar, with size and SHA-256; and ``ERRORS.txt``: what is not, and why.

Both are the last members, because only then all is known; they wait in files that take to the disk when they get large.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import IO, Any

from logferry.errors import LogferryError
from logferry.limits import COPY_BYTES, SPOOL_BYTES
from logferry.names import shown
from logferry.takeout.member import Member

MANIFEST = "MANIFEST.json"
ERRORS = "ERRORS.txt"
VERSION = 1


class Manifest:
    """The account of one zip or tar in the making."""

    def __init__(self, made_ns: int) -> None:
        self._made_ns = made_ns
        self.files = self.bytes = self.errors = 0
        self._rows = spool()
        self._faults = spool()
        self._row({"logferry_manifest": VERSION, "made_at": rfc3339(made_ns)}, before=b"", after=b', "files": [')

    def whole(self, member: Member, name: str, size: int, sha256: str) -> None:
        """A member that has all its bytes."""
        self._file(name, member, {"size": size, "sha256": sha256})
        self.files += 1
        self.bytes += size

    def broken(self, member: Member, name: str, error: LogferryError, *, size: int, of: int, sha256: str) -> None:
        """A member of which only the first ``size`` of its ``of`` bytes are right; ``sha256`` is theirs."""
        told = {"size": size, "sha256": sha256, "complete": False, "size_expected": of, "error": str(error)}
        self._file(name, member, told)
        self._fault(f"{name}: only the first {size:,} of {of:,} bytes are right: {error}")

    def missing(self, member: Member, name: str, error: LogferryError) -> None:
        """A file that is not in here at all."""
        self._file(name, member, {"missing": True, "size_expected": member.size, "error": str(error)})
        self._fault(f"{name}: missing: {error}")

    def _file(self, name: str, member: Member, told: dict[str, Any]) -> None:
        facts = {
            "name": name,
            "agent": member.agent,
            "path": member.path,
            "generation": member.generation,
            "modified_at": rfc3339(member.modified_ns),
        }
        self._row(facts | told, before=b",\n" if self.files + self.errors else b"\n")

    def _row(self, values: dict[str, Any], *, before: bytes, after: bytes = b"") -> None:
        text = json.dumps(values)
        self._rows.write(before + (text[:-1].encode() + after if after else text.encode()))

    def _fault(self, line: str) -> None:
        self._faults.write(f"{shown(line)}\n".encode())
        self.errors += 1

    def members(self, taken: Collection[str]) -> Iterator[tuple[str, int, IO[bytes]]]:
        """``(name, size, bytes)`` of the members that tell it. ``taken``: names beside which they lie."""
        sums = f'\n], "count": {self.files}, "bytes": {self.bytes}, "errors": {self.errors}}}\n'
        self._rows.write(sums.encode())
        yield apart(MANIFEST, taken), self._rows.tell(), self._rows
        if self.errors:
            yield apart(ERRORS, taken), self._faults.tell(), self._faults

    def close(self) -> None:
        """Let go of the files."""
        self._rows.close()
        self._faults.close()


def spool() -> IO[bytes]:
    """A file that takes to the disk when it gets large. Close it."""
    return tempfile.SpooledTemporaryFile(SPOOL_BYTES)


def blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    """A file from its beginning."""
    file.seek(0)
    while block := file.read(COPY_BYTES):
        yield block


def apart(name: str, taken: Collection[str]) -> str:
    """``name`` with underscores before it until no agent is called so, in any case."""
    folded = {each.casefold() for each in taken}
    while name.casefold() in folded:
        name = f"_{name}"
    return name


def rfc3339(ns: int) -> str:
    """A time in UTC, to the microsecond."""
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
