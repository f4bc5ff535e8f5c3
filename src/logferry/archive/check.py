"""Comparing catalog and files in both directions: what a crash, a disk or a hand has left, and what to do about it.

Nothing here is needed for safety: every part of it happens by itself when a path is next met. A check finds it all
at once, names what is damaged, and (with ``repair``) tidies up what is harmless. It never deletes bytes that have no
other name in the archive.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from logferry.archive import partials
from logferry.archive.catalog.filing import LIVE, SEALED
from logferry.archive.changes import Adopt
from logferry.archive.digests import hashed
from logferry.archive.locks import locked
from logferry.archive.reader import held, open_generation
from logferry.archive.records import GenerationRecord
from logferry.archive.rooms import Rooms, base_of
from logferry.archive.tails import Tail, lock_current
from logferry.errors import Busy, Conflict, Damaged, LogferryError, NotFound
from logferry.limits import PARTIAL_S_MAX
from logferry.names import checked_path

Kind = Literal["missing", "short", "altered", "tail", "unknown", "second-name", "foreign", "partial"]
"""``missing``, ``short``, ``altered``: damage. ``tail``: bytes never confirmed. ``unknown``: a whole file without a
catalog entry. ``second-name``: left by a crash. ``foreign``: no file of ours. ``partial``: an upload given up."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be at ``place`` (below the data directory); ``repaired``: no longer."""

    kind: Kind
    place: str
    text: str
    repaired: bool = False

    @property
    def is_damage(self) -> bool:
        """Whether confirmed bytes are lost or altered."""
        return self.kind in ("missing", "short", "altered")


def check(rooms: Rooms, *, repair: bool = False, digests: bool = False) -> Iterator[Finding]:
    """Everything that is not as it should be. Safe while uploads go on.

    Args:
        repair: give unknown live files their entry, cut unconfirmed tails, remove left-over second names and
            partials nobody continued.
        digests: read all bytes and compare with the SHA-256 in the catalog, where there is one.
    """
    for generation in rooms.catalog.files.every_generation():
        yield from check_generation(rooms, generation, repair=repair, digests=digests)
    yield from check_trees(rooms, repair=repair)


def check_trees(rooms: Rooms, *, repair: bool = False) -> Iterator[Finding]:
    """What lies in the trees of files and is not in the catalog. See ``check``."""
    for path, found in rooms.live.walk():
        yield from _check_live(rooms, path, found, repair=repair)
    for path, found in rooms.kept.walk():
        yield from _check_kept(rooms, path, found, repair=repair)
    for path, _ in rooms.tails.walk():
        yield from _check_tail_file(rooms, path, repair=repair)
    for path, found in rooms.incoming.walk():
        yield from _check_partial(rooms, path, found, repair=repair)


def check_generation(
    rooms: Rooms, generation: GenerationRecord, *, repair: bool = False, digests: bool = False
) -> Iterator[Finding]:
    """What is wrong with one generation. See ``check``."""
    excess = 0
    try:
        with open_generation(rooms, generation.id) as reader:
            excess = reader.excess()
            reader.check_extents()
            if digests and generation.sha256 is not None and reader.size == generation.size:
                found = hashed(reader)
                if found != generation.sha256:
                    text = f"sha256 is {found}, was {generation.sha256}"
                    yield Finding("altered", generation.place, text)
    except Damaged as error:
        yield Finding("missing" if not error.expected else "short", generation.place or error.where, str(error))
    except NotFound:
        return
    if excess:
        yield from _check_tail(rooms, generation, repair=repair)


def _check_tail(rooms: Rooms, generation: GenerationRecord, *, repair: bool) -> Iterator[Finding]:
    state = held(rooms, generation.id)
    if state.state not in (LIVE, SEALED) or state.ended_ns is not None:
        return
    try:
        file = lock_current(rooms, state)
    except (Busy, Conflict):  # being written to just now: the bytes are on their way; or moved
        return
    try:
        state = file.state
        size = state.size - base_of(state)
        more = os.fstat(file.fd).st_size - size
        if more > 0:
            if repair:
                rooms.disk.truncate(file.fd, size)
            yield Finding("tail", generation.place, f"{more} bytes that were never confirmed", repaired=repair)
    finally:
        if isinstance(file, Tail):
            file.close()
        else:
            os.close(file.fd)


def _check_live(rooms: Rooms, path: str, found: os.stat_result, *, repair: bool) -> Iterator[Finding]:
    place = f"live/{path}"
    agent, _, inner = path.partition("/")
    if not _is_ours(inner, found):
        yield Finding("foreign", place, "no plain file with an archive name")
        return
    if _is_current(rooms, agent, inner) or rooms.catalog.sealing.is_to_go(place):
        return
    repaired = False
    if repair:
        try:
            with partials.held(rooms, agent, [inner]):
                rooms.catalog.writer.run(Adopt(rooms, agent, inner))
            repaired = True
        except LogferryError as error:
            yield Finding("unknown", place, str(error))
            return
    if repaired and not _is_current(rooms, agent, inner):
        yield Finding("second-name", place, "a left-over name of a generation kept elsewhere", repaired=True)
    elif found.st_nlink > 1:
        yield Finding("second-name", place, "a second name of a file, without a catalog entry", repaired=repaired)
    else:
        yield Finding("unknown", place, f"{found.st_size} bytes without a catalog entry", repaired=repaired)


def _check_kept(rooms: Rooms, path: str, found: os.stat_result, *, repair: bool) -> Iterator[Finding]:
    place = f"generations/{path}"
    if rooms.catalog.files.holds(place) or rooms.catalog.sealing.is_to_go(place):
        return
    if not stat.S_ISREG(found.st_mode) or found.st_nlink == 1:
        yield Finding("foreign", place, "not in the catalog")
        return
    folder_path, _, name = path.rpartition("/")
    folder = rooms.kept.folder(folder_path)
    repaired = False
    if repair and folder is not None:
        fd = folder.open(name.encode())
        try:
            locked(fd, place)  # whoever is keeping the file just now holds its lock
            if not rooms.catalog.files.holds(place) and os.fstat(fd).st_nlink > 1:
                rooms.disk.unlink(folder.fd, name.encode())
                repaired = True
        except Busy:
            return
        finally:
            os.close(fd)
    yield Finding("second-name", place, "a left-over name of a live file", repaired=repaired)


def _check_tail_file(rooms: Rooms, path: str, *, repair: bool) -> Iterator[Finding]:
    """A tail that no generation names holds nothing that was confirmed: a crash left it, or a growth is on its way."""
    place = f"tails/{path}"
    if rooms.catalog.files.holds(place) or rooms.catalog.sealing.is_to_go(place):
        return
    folder_path, _, name = path.rpartition("/")
    folder = rooms.tails.folder(folder_path)
    if folder is None:
        return
    repaired = False
    try:
        fd = folder.open(name.encode())
    except FileNotFoundError:
        return
    try:
        locked(fd, place)  # whoever is writing to it holds its lock
        if rooms.catalog.files.holds(place):
            return
        if repair:
            rooms.disk.unlink(folder.fd, name.encode())
            repaired = True
    except Busy:
        return
    finally:
        os.close(fd)
    yield Finding("tail", place, "bytes that were never confirmed, or an empty file", repaired=repaired)


def _check_partial(rooms: Rooms, path: str, found: os.stat_result, *, repair: bool) -> Iterator[Finding]:
    before_ns = rooms.clock.now_ns() - int(PARTIAL_S_MAX * 1e9)
    if partials.idle_since_ns(found) > before_ns and found.st_nlink == 1:
        return
    agent, _, name = path.partition("/")
    folder = rooms.incoming.folder(agent)
    if repair and folder is not None and (found.st_nlink > 1 or not stat.S_ISREG(found.st_mode)):
        rooms.disk.unlink(folder.fd, name.encode())
    elif repair and not partials.remove_idle(rooms, agent, name.encode(), before_ns):
        return  # somebody has come back for it
    yield Finding("partial", f"incoming/{path}", f"{found.st_size} bytes nobody continued", repaired=repair)


def _is_ours(path: str, found: os.stat_result) -> bool:
    if not stat.S_ISREG(found.st_mode) or not path:
        return False
    try:
        checked_path(path)
    except LogferryError:
        return False
    return True


def _is_current(rooms: Rooms, agent: str, path: str) -> bool:
    with rooms.catalog.readers.cursor() as cursor:
        state = rooms.catalog.filing.at(cursor, agent, path)
    return state is not None and state.is_current
