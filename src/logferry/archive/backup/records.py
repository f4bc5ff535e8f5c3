"""What a backup says about itself, as values and as the JSON of ``backup.json``. It may have been altered since."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, TypeVar, get_type_hints

from logferry.archive.durable import of_the_disk
from logferry.archive.store import Store
from logferry.archive.store.store import is_object_name
from logferry.errors import Damaged, Later

FORMAT = 1
BACKUPS = "backups/"
EXTRA = "extra/"
SETTINGS = "server.toml.backup"
"""The settings of the server whose archive it was, as they lie in a backup and beside a restored archive."""
WHOLE = "backup.json"
_Record = TypeVar("_Record", bound="Part | Listed")


class Part(NamedTuple):
    """One object of a backup as it lies in the store, and its content (``raw_``) where that is compressed."""

    name: str
    bytes: int
    sha256: str
    raw_bytes: int
    raw_sha256: str


class Listed(NamedTuple):
    """A segment that a backup needs. ``name``: as in the archive's own store."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole backup. Times are nanoseconds since 1970; ``taken_ns``: the moment that it shows."""

    name: str
    archive: str
    restored: str
    """Of which restore that archive came; empty: of none."""
    program: str
    taken_ns: int
    finished_ns: int
    agents: int
    files: int
    generations: int
    bytes: int
    """Content of all generations."""
    objects: int
    object_bytes: int
    """Segments it needs."""
    new_objects: int
    new_bytes: int
    """What it added."""
    parts: tuple[Part, ...]
    sequence: int = 0
    """Goes up with every backup of a repository, whatever the clock says."""
    problems: tuple[str, ...] = ()
    """What of the archive was damaged already, one sentence each."""
    more_problems: int = 0

    def find(self, name: str) -> Part | None:
        """A part by its name within the backup."""
        return next((part for part in self.parts if part.name == f"{BACKUPS}{self.name}/{name}"), None)

    def part(self, name: str) -> Part:
        """The same. Raises Damaged when there is none."""
        found = self.find(name)
        if found is not None:
            return found
        where = f"{BACKUPS}{self.name}"
        raise Damaged(f"the backup {self.name} has no {name}", where=where, hint="use another one")

    def extras(self) -> list[Part]:
        """The parts that lie beside the archive's own."""
        return [part for part in self.parts if part.name.startswith(f"{BACKUPS}{self.name}/{EXTRA}")]

    def place_of(self, part: Part) -> str:
        """The name of an extra in a data folder: certificate or key, settings. Raises Damaged when it is another."""
        name = part.name.removeprefix(f"{BACKUPS}{self.name}/{EXTRA}")
        folder, _, last = name.partition("/")
        if name != SETTINGS and (folder != "tls" or not last or "/" in last):
            raise Damaged(f"{part.name} belongs to no archive", where=part.name, hint="use another backup")
        return name


_TYPES: dict[type, list[type]] = {kind: list(get_type_hints(kind).values()) for kind in (Part, Listed)}


def written(backup: Backup) -> bytes:
    """The JSON that ``backup_in`` reads."""
    values = asdict(backup) | {"format": FORMAT, "parts": [list(part) for part in backup.parts]}
    return json.dumps(values, indent=1).encode() + b"\n"


def backup_in(data: bytes, name: str) -> Backup:
    """The backup ``name`` from its ``backup.json``. Raises Damaged unless all of it is as ``written`` writes it."""
    where = f"{BACKUPS}{name}/{WHOLE}"
    values = json_object(data)
    if values is None:
        raise altered(where)
    if values.pop("format", None) != FORMAT:
        raise Damaged(f"{where} is of no format that this program knows", where=where, hint="a newer one may know it")
    values.setdefault("sequence", 0)  # backups of before sequences
    if values.keys() != {one.name for one in fields(Backup)}:
        raise altered(where)
    for one in fields(Backup):
        wanted = {"str": str, "int": int}.get(str(one.type), list)
        if type(values[one.name]) is not wanted:
            raise altered(where)
    values["parts"] = tuple(record(Part, line, where) for line in values["parts"])
    values["problems"] = tuple(values["problems"])
    backup = Backup(**values)
    below = all(part.name.startswith(f"{BACKUPS}{name}/") for part in backup.parts)
    if backup.name != name or not below or not all(type(problem) is str for problem in backup.problems):
        raise altered(where)
    return backup


def record(kind: type[_Record], line: object, where: str) -> _Record:
    """An object's record from its line of JSON. Raises Damaged, which names ``where`` the line was."""
    if not isinstance(line, list) or [type(value) for value in line] != _TYPES[kind]:
        raise altered(where)
    made = kind(*line)
    if not is_object_name(made.name) or any(value < 0 for value in made if isinstance(value, int)):
        raise altered(where)
    return made


def read_from(store: Store, name: str, offset: int, count: int) -> bytes:
    """As ``Store.read``. Raises Damaged where the disk cannot read it: else one bad sector would stop all the rest."""
    try:
        return store.read(name, offset, count)
    except Later as error:
        if not of_the_disk(error):
            raise
        raise Damaged(f"{name} cannot be read: {error.message}", where=name, hint="use another backup") from error


def json_object(data: bytes) -> dict[str, Any] | None:
    """An object of JSON, None where there is anything else."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def altered(where: str) -> Damaged:
    """The error for something that is not what a backup has written there."""
    return Damaged(f"{where} is not what was written", where=where, hint="use another backup")
