"""Where backups lie: a store of their own, in a directory or a bucket.

```
logferry-backups.json            of which archive they are
lock.json                        who writes here just now, on which machine, since when
store/<agent>/<year>/<month>/…   segments, each once, whichever backups need it
backups/<name>/begun.json        written first: without backup.json beside it the backup is unfinished
backups/<name>/catalog.db.zst    the catalog; all bytes it knows of lie in segments
backups/<name>/journal.zst       what was renamed since it was sealed
backups/<name>/extra/…           certificate and key, settings
backups/<name>/objects.zst       the segments it needs: name, size, SHA-256
backups/<name>/damaged.zst       segments that were damaged in the archive when they were copied, any backup's
backups/<name>/backup.json       written last: the backup is whole
```

Nothing is ever written over, so an older backup stays good whatever happens to a newer one. The copy of a damaged
segment alone makes way for that of the same one when it is well again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, Any, cast

import zstandard

from logferry.archive.backup.records import (
    BACKUPS,
    FORMAT,
    WHOLE,
    Backup,
    Listed,
    Part,
    altered,
    backup_in,
    json_object,
    read_from,
    record,
    written,
)
from logferry.archive.locks import Slip
from logferry.archive.store import Store, StoredObject
from logferry.clock import rfc3339
from logferry.errors import Conflict, Damaged, NotFound
from logferry.limits import (
    BACKUP_LEVEL,
    BACKUP_LINE_BYTES_MAX,
    BACKUP_NOTE_BYTES_MAX,
    BACKUP_WINDOW_BYTES_MAX,
    COPY_BYTES,
)

HEADER = "logferry-backups.json"
LOCK = "lock.json"
SEGMENTS = "store/"
CATALOG, JOURNAL, OBJECTS, DAMAGED = "catalog.db.zst", "journal.zst", "objects.zst", "damaged.zst"
_EVER = 1 << 62
_BEGUN = "begun.json"

Pace = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class BackupFlaw:
    """Something that is not as it should be. ``backups``: those that it concerns."""

    place: str
    what: str
    is_damage: bool = True
    backups: tuple[str, ...] = ()


@dataclass(slots=True)
class Checked:
    """How much was looked at; grows while it goes on."""

    backups: int = 0
    objects: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Listing:
    """All backups: whole ones in the order in which they were taken, and the names of the others.

    ``unreadable``: those that were finished, but what they say about themselves cannot be read. Nothing may be removed
    that they could need.
    """

    whole: list[Backup] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class StoreBelow:
    """A ``Store``: that part of another one whose names begin with a folder. It is not closed with this one."""

    def __init__(self, store: Store, folder: str) -> None:
        """``folder`` ends with a slash."""
        self._store = store
        self._folder = folder

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        """See ``Store.put``."""
        return self._store.put(self._folder + name, parts)

    def read(self, name: str, offset: int, count: int) -> bytes:
        """See ``Store.read``."""
        return self._store.read(self._folder + name, offset, count)

    def size(self, name: str) -> int | None:
        """See ``Store.size``."""
        return self._store.size(self._folder + name)

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        """See ``Store.objects``."""
        for found in self._store.objects((self._folder + prefix).rstrip("/")):
            yield replace(found, name=found.name.removeprefix(self._folder))

    def remove(self, name: str) -> None:
        """See ``Store.remove``."""
        self._store.remove(self._folder + name)

    def sweep(self, before_ns: int) -> int:
        """See ``Store.sweep``."""
        return self._store.sweep(before_ns)

    def close(self) -> None:
        """See ``Store.close``."""


class Repository:
    """The backups of one archive. ``segments``: those that they share, by the names they have in the archive."""

    def __init__(self, store: Store) -> None:
        """``store`` is theirs alone; it stays its owner's to close."""
        self.store = store
        self.segments: Store = StoreBelow(store, SEGMENTS)

    # Which there are -------------------------------------------------------------------------------------------------

    def claim(self, archive: str) -> None:
        """From now on it is for backups of this archive.

        Raises:
            Conflict: it has those of another one, or other things lie there.
        """
        if self.store.size(HEADER) is None:
            first = next(iter(self.store.objects()), None)
            if first is not None:
                raise Conflict(f"there is {first.name}, but no backup", hint="give a folder that is empty, or new")
            self.store.put(HEADER, [_json({"format": FORMAT, "archive": archive})])
        found = str(self._header().get("archive", ""))
        if found != archive:
            raise Conflict("the backups there are of another archive", hint="give a folder of its own to each archive")

    def _header(self) -> dict[str, Any]:
        try:
            values = json_object(self.store.read(HEADER, 0, BACKUP_NOTE_BYTES_MAX))
        except NotFound as error:
            raise NotFound("there are no backups", hint="logferry backup make writes the first one") from error
        if values is None or values.get("format") != FORMAT:
            raise Conflict(f"{HEADER} is of no format that this program knows", hint="it was written by a newer one")
        return values

    # Who writes -------------------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self, slip: Slip, now_ns: int, *, force: bool = False) -> Iterator[None]:
        """Inside, nobody else writes here or removes anything, from whatever machine.

        Args:
            slip: of the archive's own lock, which we hold. What a dead run of the same archive has left is known by
                it, and taken over.
            force: take over what another one has left, too.

        Raises:
            Conflict: another one is at it, or was when it died.
        """
        held = self._holder()
        if held is not None and held.get("key") != (slip.read() or None) and not force:
            raise Conflict(
                f"{str(held.get('owner') or 'somebody')[:200]} has been writing to these backups since {_since(held)}",
                hint="wait for its end; if it died there, --force takes over",
            )
        if held is not None:
            self.store.remove(LOCK)
        key = secrets.token_hex(16)
        slip.write(key)
        owner = f"process {os.getpid()} on {socket.gethostname()}"
        try:
            self.store.put(LOCK, [_json({"key": key, "owner": owner, "since_ns": now_ns})])
        except Conflict as error:
            raise Conflict(
                "another backup is just beginning to write to the same place", hint="wait for its end"
            ) from error
        try:
            yield
        finally:
            if (held := self._holder()) is not None and held.get("key") == key:  # else somebody was sure we were dead
                self.store.remove(LOCK)

    def _holder(self) -> dict[str, Any] | None:
        """What the lock says; None: there is none."""
        try:
            return json_object(self.store.read(LOCK, 0, BACKUP_NOTE_BYTES_MAX)) or {}
        except NotFound:
            return None

    def listing(self) -> Listing:
        """All backups. Raises NotFound where no backups are kept."""
        self._header()
        found = Listing()
        names = sorted({o.name.split("/")[1] for o in self.store.objects(BACKUPS.rstrip("/")) if o.name.count("/") > 1})
        for name in names:
            try:
                backup = self._read(name)
            except Damaged:
                found.unreadable.append(name)
                continue
            if backup is None:
                found.unfinished.append(name)
            else:
                found.whole.append(backup)
        found.whole.sort(key=lambda backup: (backup.sequence, backup.name))
        return found

    def _readable(self) -> Listing:
        """The listing. Raises Damaged when there is a backup of which nobody can tell what it needs."""
        listing = self.listing()
        if listing.unreadable:
            where = f"{BACKUPS}{listing.unreadable[0]}"
            raise Damaged(
                f"the backup {listing.unreadable[0]} cannot be read, so nothing is removed",
                where=where,
                hint="logferry backup verify tells why; when you need it no more, remove its folder by hand",
            )
        return listing

    def get(self, name: str | None = None) -> Backup:
        """The backup ``name``, None: the newest whole one. Raises NotFound; Damaged: it cannot be read."""
        listing = self.listing()
        for backup in reversed(listing.whole):
            if name in (None, backup.name):
                return backup
        if name in listing.unreadable:
            self._read(name)
        if name in listing.unfinished:
            raise NotFound(f"the backup {name} was never finished", hint="logferry backup list shows the whole ones")
        raise NotFound(
            f"there is no backup {name}" if name else "there is no whole backup", hint="logferry backup list shows them"
        )

    def _read(self, name: str) -> Backup | None:
        """None: it was never finished. Raises Damaged when what it says about itself cannot be read."""
        try:
            data = read_from(self.store, f"{BACKUPS}{name}/{WHOLE}", 0, BACKUP_NOTE_BYTES_MAX)
        except NotFound:
            return None
        return backup_in(data, name)

    # Writing one -----------------------------------------------------------------------------------------------------

    def begin(self, name: str, taken_ns: int) -> None:
        """A backup is being written: unfinished until ``finish``. Raises Conflict when there is one of this name."""
        self.store.put(f"{BACKUPS}{name}/{_BEGUN}", [_json({"format": FORMAT, "taken_ns": taken_ns})])

    def put(self, backup: str, name: str, content: Iterable[bytes], *, compress: bool = True) -> Part:
        """Write a part of a backup."""
        raw, packed = hashlib.sha256(), hashlib.sha256()
        raw_bytes = 0

        def parts() -> Iterator[bytes]:
            nonlocal raw_bytes
            press = zstandard.ZstdCompressor(level=BACKUP_LEVEL, write_checksum=True).compressobj()
            for block in content:
                raw.update(block)
                raw_bytes += len(block)
                out = press.compress(block) if compress else block
                if out:
                    packed.update(out)
                    yield out
            if compress:
                out = press.flush()
                packed.update(out)
                yield out

        where = f"{BACKUPS}{backup}/{name}"
        size = self.store.put(where, parts())
        return Part(where, size, packed.hexdigest(), raw_bytes, raw.hexdigest())

    def finish(self, backup: Backup) -> None:
        """The backup is whole from now on."""
        self.store.put(f"{BACKUPS}{backup.name}/{WHOLE}", [written(backup)])

    # Reading one -----------------------------------------------------------------------------------------------------

    def content(self, part: Part) -> Iterator[bytes]:
        """The content of a part. Raises Damaged at the end when it is not what was written."""
        seen = hashlib.sha256()
        size = 0
        for block in self._expanded(part):
            size += len(block)
            if size > part.raw_bytes:
                break
            seen.update(block)
            yield block
        if (size, seen.hexdigest()) != (part.raw_bytes, part.raw_sha256):
            raise altered(part.name)

    def _expanded(self, part: Part) -> Iterator[bytes]:
        raw = _ObjectFile(self.store, part)
        if not part.name.endswith(".zst"):
            while block := raw.read(COPY_BYTES):
                yield block
            return
        expand = zstandard.ZstdDecompressor(max_window_size=BACKUP_WINDOW_BYTES_MAX)
        try:
            with expand.stream_reader(cast("IO[bytes]", raw), read_size=COPY_BYTES) as reader:
                while block := reader.read(COPY_BYTES):
                    yield block
        except zstandard.ZstdError as error:
            raise altered(part.name) from error

    def lines(self, part: Part) -> Iterator[list[Any]]:
        """The lines of JSON of a part. Raises Damaged."""
        rest = b""
        for block in self.content(part):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield _line_in(line, part.name)
            if len(rest) > BACKUP_LINE_BYTES_MAX:
                raise altered(part.name)

    def damaged(self, backup: Backup) -> list[Listed]:
        """Segments of which there was, after this backup, the copy of a damaged one. Raises Damaged."""
        part = backup.find(DAMAGED)
        return [record(Listed, line, part.name) for line in self.lines(part)] if part is not None else []

    def objects(self, backup: Backup) -> Iterator[Listed]:
        """The segments that a backup needs. Raises Damaged."""
        part = backup.part(OBJECTS)
        for line in self.lines(part):
            yield record(Listed, line, part.name)

    # Removing --------------------------------------------------------------------------------------------------------

    def prune(self, keep: int) -> Iterator[str]:
        """Remove all but the newest ``keep`` whole backups, and what only they needed; yields what is removed.

        Raises Damaged as ``tidy`` does.
        """
        assert keep > 0
        for backup in self._readable().whole[:-keep]:
            yield f"{BACKUPS}{backup.name}"
            self.store.remove(f"{BACKUPS}{backup.name}/{WHOLE}")  # from here on it is unfinished, whatever happens
        yield from self.tidy()

    def tidy(self) -> Iterator[str]:
        """Remove what unfinished backups left; yields the names of segments and backups removed.

        Only while nobody writes one. Raises Damaged when it cannot be told what the whole ones need: then nothing goes.
        """
        self.store.sweep(_EVER)  # who wrote is dead, or it would be locked
        listing = self._readable()
        if not listing.unfinished:
            return
        needed = {one.name for backup in listing.whole for one in self.objects(backup)}
        for found in list(self.segments.objects()):
            if found.name not in needed:
                self.segments.remove(found.name)
                yield SEGMENTS + found.name
        for name in listing.unfinished:
            for found in reversed(list(self.store.objects(f"{BACKUPS}{name}"))):
                self.store.remove(found.name)
            yield f"{BACKUPS}{name}"

    # Verifying -------------------------------------------------------------------------------------------------------

    def unreadable(self, names: Iterable[str]) -> Iterator[BackupFlaw]:
        """Why these backups, ``unreadable`` in a listing, cannot be read."""
        for name in names:
            try:
                self._read(name)
            except Damaged as error:
                yield BackupFlaw(error.where, error.message, True, (name,))

    def verify(self, backups: Iterable[Backup], checked: Checked, *, deep: bool, pace: Pace) -> Iterator[BackupFlaw]:
        """What is wrong with these backups; each object is looked at once.

        Args:
            deep: read every byte; else only look whether everything is there, as long as it should be.
        """
        known: dict[str, str] = {}
        for backup in backups:
            checked.backups += 1
            for part in backup.parts:
                what = self._look(part.name, part.bytes, part.sha256, checked, deep=deep, pace=pace)
                if what:
                    yield BackupFlaw(part.name, what, True, (backup.name,))
            for one in self._needed(backup):
                if isinstance(one, BackupFlaw):
                    yield one
                    break
                name = SEGMENTS + one.name
                if name not in known:
                    known[name] = self._look(name, one.bytes, one.sha256, checked, deep=deep, pace=pace)
                if known[name]:
                    yield BackupFlaw(name, known[name], True, (backup.name,))
            if backup.problems:
                what = f"{len(backup.problems) + backup.more_problems} things were damaged in the archive already"
                yield BackupFlaw(f"{BACKUPS}{backup.name}", f"{what}: {backup.problems[0]}", False, (backup.name,))

    def _needed(self, backup: Backup) -> Iterator[Listed | BackupFlaw]:
        try:
            yield from self.objects(backup)
        except (Damaged, NotFound) as error:
            yield BackupFlaw(f"{BACKUPS}{backup.name}/{OBJECTS}", error.message, True, (backup.name,))

    def _look(self, name: str, size: int, sha256: str, checked: Checked, *, deep: bool, pace: Pace) -> str:
        """What is wrong with an object, empty where nothing is."""
        checked.objects += 1
        found = self.store.size(name)
        if found is None:
            return "is missing"
        if found != size:
            return f"has {found} bytes, was {size}"
        if not deep:
            return ""
        seen = hashlib.sha256()
        for offset in range(0, size, COPY_BYTES):
            try:
                data = read_from(self.store, name, offset, COPY_BYTES)
            except (Damaged, NotFound) as error:
                return error.message
            seen.update(data)
            checked.bytes += len(data)
            pace(len(data))
        return "" if sha256 in ("", seen.hexdigest()) else f"sha256 is {seen.hexdigest()}, was {sha256}"


class _ObjectFile(io.RawIOBase):
    """An object as a file to be read once."""

    def __init__(self, store: Store, part: Part) -> None:
        self._store = store
        self._part = part
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, count: int = -1) -> bytes:
        """The next bytes."""
        left = self._part.bytes - self._at
        data = read_from(self._store, self._part.name, self._at, left if count < 0 else min(count, left))
        self._at += len(data)
        return data


def _line_in(line: bytes, where: str) -> list[Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise altered(where) from error
    if not isinstance(values, list):
        raise altered(where)
    return values


def _since(lock: dict[str, Any]) -> str:
    since_ns = lock.get("since_ns")
    return rfc3339(since_ns)[:16] if type(since_ns) is int and 0 <= since_ns < _EVER else "an unknown time"


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, indent=1).encode() + b"\n"
