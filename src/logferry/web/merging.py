"""Which files a merged view is of, as somebody may see them: paths, numbers, or whole rotated logs.

What is missing, and what may not be seen, is the same; it is told beside the files that can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from logferry.archive.records import FileRecord, GenerationRecord
from logferry.archive.timestamps import Reading, rules_of
from logferry.errors import LogferryError, NotFound, Refused
from logferry.limits import MERGE_PARTS_MAX, MERGE_SIBLINGS_MAX, MERGE_SOURCES_MAX
from logferry.names import shown, split
from logferry.search.merge import START, Item, Line, Part, Place, Source, series_of, stem_of
from logferry.web.context import WebContext
from logferry.web.sight import Sight

_NUMBER = re.compile(r"(?P<fid>[0-9]{1,18})(?:\.(?P<gen>[0-9]{1,9}))?")
_PLACE = re.compile(r"([0-9]{1,18})\.([0-9]{1,9})\.([0-9]{1,18})")
_NOWHERE = "-"
"""In a cursor: of a file that could not be read."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One file of an address: ``agent/path``, a number, ``number.generation``; ``series``: the log it is a piece of."""

    text: str
    series: bool = False


@dataclass
class Picked:
    """A wish and what it came to: the file and its parts, or why there is none."""

    wish: Wish
    file: FileRecord | None = None
    parts: list[Part] = field(default_factory=list)
    problem: LogferryError | None = None
    zone: str = "UTC"


def wishes(pairs: Sequence[tuple[str, str]]) -> list[Wish]:
    """The files of an address, in its order; ``fid`` is another name of ``f``. Raises Refused for too many."""
    found = [
        Wish(text.strip().removeprefix("/"), key == "s") for key, text in pairs if key in ("f", "fid", "s") and text
    ]
    found = list(dict.fromkeys(found))
    if len(found) > MERGE_SOURCES_MAX:
        raise Refused(
            f"{len(found):,} files are too many to read as one",
            hint=f"pick {MERGE_SOURCES_MAX} at most, or fewer series",
        )
    return found


def picked(context: WebContext, sight: Sight, wanted: Sequence[Wish]) -> list[Picked]:
    """What each wish comes to."""
    return [_picked(context, sight, wish) for wish in wanted]


def _picked(context: WebContext, sight: Sight, wish: Wish) -> Picked:
    try:
        file, number = _file(sight, wish.text)
        zone = context.archive.zone_of(file.agent)
        if wish.series:
            parts = [_part(each, zone) for each in series(sight, file)]
        else:
            holder, generation = sight.generation(file.id, number)
            parts = [part_of(file, holder, generation, number or generation.number, zone)]
    except (NotFound, Refused) as error:
        return Picked(wish, problem=error)
    return Picked(wish, file, parts, zone=zone)


def _file(sight: Sight, text: str) -> tuple[FileRecord, int | None]:
    """The file, and the generation that is asked for. Raises NotFound, Refused."""
    if found := _NUMBER.fullmatch(text):
        number = int(found["gen"]) if found["gen"] else None
        return sight.generation(int(found["fid"]), number)[0], number
    agent, slash, path = text.partition("/")
    if not slash or not path.strip("/"):
        raise Refused(f"{shown(text[:80])!r} names no file", hint="write agent/path, as the list of files has it")
    return sight.file_at(agent, path.strip("/")), None


def series(sight: Sight, file: FileRecord) -> list[FileRecord]:
    """The pieces of a rotated log that may be seen, the oldest first; the newest so many. Raises NotFound."""
    folder, name = split(file.path)
    held = {each.name: each for each in sight.named(file.agent, folder, stem_of(name), MERGE_SIBLINGS_MAX)}
    found = [held.get(each, file) for each in series_of(name, held)]
    originals = sight.originals(found)
    here = {(each.id, each.number) for each in found}
    # A compressed piece whose original is still there as another piece would be read twice.
    twice = {made for made, original in originals.items() if (original.file_id, original.number) in here}
    return [each for each in found if each.generation_id not in twice][-MERGE_PARTS_MAX:]


def _part(file: FileRecord, zone: str) -> Part:
    reading = Reading(file.changed_ns, rules_of(zone))
    return Part(file.id, file.number, file.generation_id, f"{file.agent}/{file.path}", file.size, reading)


def part_of(file: FileRecord, holder: FileRecord, generation: GenerationRecord, number: int, zone: str) -> Part:
    """A generation as part of a source: that of ``file`` under ``number``, which ``holder`` has now."""
    path = f"{holder.agent}/{holder.path}"
    return Part(file.id, number, generation.id, path, generation.size, Reading(generation.changed_ns, rules_of(zone)))


# Reading -------------------------------------------------------------------------------------------------------------


class Reader(Source):
    """A source that ends where it cannot be read any further, and says why."""

    problem: LogferryError | None = None

    def forward(self, place: Place) -> Iterator[Item[Place, Line]]:
        """See ``Source``."""
        return self._guarded(super().forward(place))

    def backward(self, place: Place) -> Iterator[Item[Place, Line]]:
        """See ``Source``."""
        return self._guarded(super().backward(place))

    def _guarded(self, items: Iterator[Item[Place, Line]]) -> Iterator[Item[Place, Line]]:
        try:
            yield from items
        except LogferryError as error:  # told with the answer, beside the lines of the others
            self.problem = error


@contextmanager
def readers(context: WebContext, chosen: Sequence[Picked]) -> Iterator[list[Reader | None]]:
    """The sources to read, None for what cannot be; why is noted in ``chosen``. Raises when none can be read."""
    made: list[Reader | None] = []
    try:
        for each in chosen:
            reader = None
            if each.problem is None:
                reader = Reader(each.parts, lambda part: context.archive.lines(part.generation_id))
                made.append(reader)
                try:
                    _ = reader.timed, reader.end()
                except LogferryError as error:
                    each.problem = error
                    reader.close()
                    made[-1] = None
            else:
                made.append(None)
        if not any(made) and chosen:
            assert chosen[0].problem is not None
            raise chosen[0].problem
        yield made
    finally:
        for one in made:
            if one is not None:
                one.close()


# Cursors -------------------------------------------------------------------------------------------------------------


def cursor_of(made: Sequence[Reader | None], places: Sequence[Place]) -> str:
    """``fid.gen.byte`` of each file, in order; ``places`` are those of the files that can be read."""
    rest = iter(places)
    return ",".join(_NOWHERE if reader is None else _told(reader, next(rest)) for reader in made)


def _told(reader: Reader, place: Place) -> str:
    number, byte = place if place[0] < len(reader.parts) else reader.end()
    part = reader.parts[number]
    return f"{part.fid}.{part.gen}.{byte}"


def places_of(sight: Sight, made: Sequence[Reader | None], cursor: str) -> list[Place]:
    """The places of the files that can be read. Raises Refused for a cursor of other files."""
    told = cursor.split(",")
    if len(told) != len(made):
        raise Refused("this cursor belongs to other files", hint="leave it out to begin at the start")
    return [place_in(sight, reader, text) for reader, text in zip(made, told, strict=True) if reader is not None]


def place_in(sight: Sight, reader: Reader, text: str) -> Place:
    """One place of a cursor; of a part that is not there any more the beginning. Raises Refused."""
    found = _PLACE.fullmatch(text)
    if found is None:
        if text == _NOWHERE:
            return START
        raise Refused(f"{text[:40]!r} is no place", hint="take start, end or at from an answer")
    fid, gen, byte = (int(each) for each in found.groups())
    number = part_number(sight, reader, fid, gen)
    return (number, byte) if number is not None else START


def part_number(sight: Sight, reader: Reader, fid: int, gen: int) -> int | None:
    """Which part of a source a generation is, also when rotation gave it another name; None when it is none."""
    for number, part in enumerate(reader.parts):
        if (part.fid, part.gen) == (fid, gen):
            return number
    try:
        generation_id = sight.generation(fid, gen)[1].id
    except NotFound:
        return None
    ids = [part.generation_id for part in reader.parts]
    return ids.index(generation_id) if generation_id in ids else None
