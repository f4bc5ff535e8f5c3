"""Compressed siblings: is a compressed file the copy of another generation of its agent? Its unpacked text tells.

The text is hashed while it is unpacked, nothing of it is kept. Lengths are compared first, then SHA-256; only equality
of the whole text makes a copy. An original may still be on its way when its compressed copy has arrived, so one that
has none is compared again later, ever more seldom.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from logferry.archive.catalog.copies import BROKEN, OTHER, TEXT
from logferry.archive.digests import Remember
from logferry.archive.reader import GenerationReader, open_generation
from logferry.archive.records import WaitingRecord
from logferry.archive.rooms import Rooms
from logferry.compressed import content_of, form_of, unpacked
from logferry.errors import Damaged, NotFound, Refused, TooLarge
from logferry.limits import COPIES_AGAIN_S_MAX, COPIES_AGAIN_S_MIN, COPY_BYTES
from logferry.names import split

Pace = Callable[[int], None]
"""Told of every so many bytes worked through; may wait, or raise to break off: then nothing is recorded."""


class Siblings:
    """Looks into compressed generations one by one and records which are copies."""

    def __init__(self, rooms: Rooms, pace: Pace) -> None:
        self._rooms = rooms
        self._pace = pace

    def look_into(self, seen: WaitingRecord) -> int | None:
        """Find out what one compressed generation is; the id of its original, None if there is none (yet).

        Raises:
            LogferryError, OSError: catalog or disk do not work just now; try again, or ``put_off``.
            whatever ``pace`` raises.
        """
        copies = self._rooms.catalog.copies
        try:
            found = seen.text or self._text(seen)
        except NotFound:
            return None
        except TooLarge as error:
            # Longer than anything here, so far; or a bomb, which the same few tries find out again.
            self._again(seen, None, str(error))
            return None
        except (Damaged, Refused) as error:
            copies.looked_into(seen, state=BROKEN, why=str(error))
            return None
        if found is None:
            copies.looked_into(seen, state=OTHER)
            return None
        original = self._original(seen, found) if found[0] else None
        if original is None and found[0]:
            self._again(seen, found, "")
        else:
            copies.looked_into(seen, state=TEXT, text=found, copy_of=original)
        return original

    def put_off(self, seen: WaitingRecord, why: str) -> None:
        """It could not be looked into; others go first. Raises Later, Full: the catalog does not work either."""
        self._again(seen, seen.text, why)

    def _text(self, seen: WaitingRecord) -> tuple[int, str] | None:
        """Length and SHA-256 of the text, None when it is not compressed."""
        with open_generation(self._rooms, seen.generation_id) as reader:
            form = form_of(split(seen.path)[1], reader.read_at)
            if not form:
                return None
            pieces = unpacked(
                form, reader.read_at, where=f"{seen.agent}/{seen.path}", bytes_max=self._rooms.catalog.copies.largest()
            )
            content = content_of(self._paced(pieces))
            return content.size, content.sha256

    def _paced(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._pace(len(piece))

    def _original(self, seen: WaitingRecord, text: tuple[int, str]) -> int | None:
        for generation_id, sha256 in self._rooms.catalog.copies.of_size(
            seen.agent, seen.path, text[0], but=seen.generation_id
        ):
            if (sha256 or self._digest(generation_id, text[0])) == text[1]:
                return generation_id
        return None

    def _digest(self, generation_id: int, size: int) -> str:
        """The SHA-256 of another generation, remembered for the next; empty when it has changed or cannot be read."""
        try:
            with open_generation(self._rooms, generation_id) as reader:
                if reader.size != size:
                    return ""
                sha256 = self._hashed(reader)
        except (NotFound, Damaged):
            return ""
        self._rooms.catalog.writer.run(Remember(self._rooms, generation_id, sha256, size))
        return sha256

    def _hashed(self, reader: GenerationReader) -> str:
        hashing = hashlib.sha256()
        for offset in range(0, reader.size, COPY_BYTES):
            data = reader.read_at(offset, COPY_BYTES)
            hashing.update(data)
            self._pace(len(data))
        return hashing.hexdigest()

    def _again(self, seen: WaitingRecord, text: tuple[int, str] | None, why: str) -> None:
        """No original so far: look again after twice the time, for a week in all."""
        wait_s = max(COPIES_AGAIN_S_MIN, seen.wait_ns / 1e9 * 2)
        due_ns = None
        if wait_s <= COPIES_AGAIN_S_MAX:
            due_ns = self._rooms.clock.now_ns() + int(wait_s * 1e9)
        state = BROKEN if why and due_ns is None else TEXT
        self._rooms.catalog.copies.looked_into(
            seen, state=state, text=text or (0, ""), due_ns=due_ns, wait_ns=int(wait_s * 1e9), why=why
        )
