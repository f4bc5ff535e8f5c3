"""A zip or tar read back: is every member what its manifest says?"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from logferry.errors import Damaged, Refused
from logferry.limits import (
    COPY_BYTES,
    TAKEN_MANIFEST_BYTES_FREE,
    TAKEN_MANIFEST_RATIO_MAX,
    TAKEN_MEMBER_BYTES_MIN,
    TAKEN_MEMBERS_FREE,
    TAR_EXTENSION_BYTES_MAX,
    UNPACK_WINDOW_BYTES_MAX,
)
from logferry.takeout.manifest import ERRORS, MANIFEST, VERSION
from logferry.takeout.packing import Form


@dataclass(frozen=True, slots=True)
class Account:
    """What an archive holds: whole files with their bytes, and what its maker could not read."""

    files: int
    bytes: int
    errors: tuple[str, ...] = field(default=())


def inspect(path: str, form: Form) -> Account:
    """Read a whole archive and compare size and SHA-256 of every member with its manifest.

    Raises:
        Damaged: a member is not what the manifest says, is missing or too many, or the archive cannot be read.
        Refused: a ``tar.zst``, and the package zstandard is not installed.
    """
    found: dict[str, tuple[int, str]] = {}
    manifest: tuple[str, bytes] | None = None
    packed = os.stat(path).st_size
    members_max = TAKEN_MEMBERS_FREE + packed // TAKEN_MEMBER_BYTES_MIN
    kept_max = max(TAKEN_MANIFEST_BYTES_FREE, packed * TAKEN_MANIFEST_RATIO_MAX)
    try:
        with _opened(path, form) as members:
            for name, read in members:
                if name in found:
                    raise Damaged(f"{path} has {name} twice", where=path, hint="fetch it again")
                if len(found) >= members_max:
                    raise _bomb(path, f"more than {members_max} members")
                keep = name.lstrip("_") == MANIFEST
                size, digest, data = _read(read, kept_max if keep else 0)
                if len(data) > kept_max:
                    raise _bomb(path, f"a manifest of more than {kept_max} bytes")
                found[name] = (size, digest)
                manifest = (name, data) if keep else manifest
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as error:
        raise Damaged(f"{path} cannot be read: {error}", where=path, hint="fetch it again") from error
    if manifest is None:
        raise Damaged(f"{path} has no {MANIFEST}", where=path, hint="fetch it again")
    del found[manifest[0]]
    try:
        return _compared(path, found, _parsed(path, manifest[1]))
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"the manifest in {path} cannot be read", where=path, hint="fetch it again") from error


def _parsed(path: str, data: bytes) -> list[dict[str, Any]]:
    try:
        values = json.loads(data)
        known, rows = values["logferry_manifest"], list(values["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"the manifest in {path} cannot be read", where=path, hint="fetch it again") from error
    if known != VERSION:
        raise Refused(f"{path} has a manifest of version {known}", hint="use a newer logferry")
    return rows


def _compared(path: str, found: dict[str, tuple[int, str]], rows: list[dict[str, Any]]) -> Account:
    files = total = 0
    errors: list[str] = []
    for row in rows:
        name = str(row["name"])
        if row.get("missing"):
            errors.append(f"{name}: missing: {row['error']}")
            continue
        size, digest = found.pop(name, (-1, ""))
        if "error" in row:
            errors.append(f"{name}: only the first {row['size']:,} of {row['size_expected']:,} bytes: {row['error']}")
        elif (size, digest) != (row["size"], row["sha256"]):
            raise Damaged(
                f"{name} in {path} is not what the manifest says",
                where=path,
                expected=str(row["sha256"]),
                found=digest,
                hint="fetch it again; if it happens twice, ask for a scrub of the archive",
            )
        else:
            files += 1
            total += size
    extra = [name for name in found if name.lstrip("_") != ERRORS]
    if extra:
        raise Damaged(f"{path} has {extra[0]}, which its manifest does not name", where=path, hint="fetch it again")
    return Account(files, total, tuple(errors))


def _read(read: Callable[[int], bytes], keep: int) -> tuple[int, str, bytes]:
    """Length, SHA-256 and, if it is to be kept at all, the first ``keep`` bytes and one more block."""
    digest, size, kept = hashlib.sha256(), 0, []
    while block := read(COPY_BYTES):
        digest.update(block)
        size += len(block)
        if keep:
            kept.append(block)
            if size > keep:
                break
    return size, digest.hexdigest(), b"".join(kept)


def _bomb(path: str, what: str) -> Damaged:
    return Damaged(f"{path} has {what}: it looks like a decompression bomb", where=path, hint="do not unpack it")


class _Bounded(tarfile.TarInfo):
    """A header; one that is to be kept in memory, such as a long name, has a bounded size."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENSIONS and self.size > TAR_EXTENSION_BYTES_MAX:
            raise tarfile.ReadError(f"an extension header of {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return found


_EXTENSIONS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"x", b"X", b"g")


Members = Iterator[tuple[str, Callable[[int], bytes]]]


@contextmanager
def _opened(path: str, form: Form) -> Iterator[Members]:
    if form == "zip":
        with zipfile.ZipFile(path) as archive:
            yield _zip_members(archive)
        return
    with open(path, "rb") as file:
        if form == "tar.zst":
            with tarfile.open(fileobj=_Unpacked(path, file), mode="r|", tarinfo=_Bounded) as tar:
                yield _tar_members(tar)
            return
        with tarfile.open(fileobj=file, mode="r|gz" if form == "tar.gz" else "r|", tarinfo=_Bounded) as tar:
            yield _tar_members(tar)


class _Unpacked(io.RawIOBase):
    """What is in a zstd file; its errors are ours."""

    def __init__(self, path: str, file: IO[bytes]) -> None:
        try:
            import zstandard
        except ImportError as error:
            raise Refused(
                "reading tar.zst needs the package zstandard", hint="pip install 'logferry[server]'"
            ) from error
        self._path = path
        self._wrong = zstandard.ZstdError
        self._reader = zstandard.ZstdDecompressor(max_window_size=UNPACK_WINDOW_BYTES_MAX).stream_reader(file)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer only at the end."""
        try:
            return self._reader.read(size)
        except self._wrong as error:
            raise Damaged(f"{self._path} cannot be read: {error}", where=self._path, hint="fetch it again") from error


def _zip_members(archive: zipfile.ZipFile) -> Members:
    for info in archive.infolist():
        with archive.open(info) as file:
            yield info.filename, file.read


def _tar_members(tar: tarfile.TarFile) -> Members:
    for info in tar:
        tar.members = []  # type: ignore[attr-defined]  # else it remembers them all
        file = tar.extractfile(info)
        if file is not None:
            with file:
                yield info.name, file.read
