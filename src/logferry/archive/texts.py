"""Texts of compressed generations, unpacked to be searched and viewed like any other bytes.

A text lies in a file without a name, on the archive's disk, for as long as somebody reads it and a while longer: so
memory stays small, any place of it is reached at once, and nothing is left behind by a crash. What cannot be unpacked
is read as it is stored, and says why.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from logferry.archive.durable import translating
from logferry.archive.reader import GenerationReader, held, open_held
from logferry.archive.rooms import Rooms
from logferry.compressed import form_by_name, form_of, unpacked
from logferry.errors import Damaged, Later, Refused
from logferry.limits import DISK_CHECK_BYTES, TEXT_BYTES_MAX, TEXTS_KEPT_BYTES_MAX, TEXTS_KEPT_MAX
from logferry.names import split

Check = Callable[[], None]
"""Called now and then; raises to break off."""


def no_check() -> None:
    """Never breaks off."""


@dataclass(frozen=True, slots=True)
class Text:
    """An open generation as it is read by people: its bytes, or for a compressed one what they unpack to.

    ``form`` is how it is compressed (empty: these are its bytes as stored). ``why`` says what is wrong with it: it was
    cut off, or could not be unpacked and is given as stored.
    """

    reader: GenerationReader
    form: str = ""
    why: str = ""


@dataclass(slots=True)
class _Kept:
    """A text that was unpacked. ``fd`` -1: it could not be. ``lock`` is held while it is being made."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    packed_size: int = -1
    fd: int = -1
    size: int = 0
    why: str = ""


class Texts:
    """All texts of one archive in this process. Thread-safe."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._closed = False

    def open(self, generation_id: int, check: Check = no_check) -> Text:
        """A generation as text, as long as it is now. Close its reader.

        ``check`` is called while a compressed one is being unpacked.

        Raises:
            NotFound: there is none.
            Damaged: its bytes are missing or too few.
            Full: no room on the disk to unpack it.
        """
        state = held(self._rooms, generation_id)
        path = state.path
        reader = open_held(self._rooms, generation_id, state)
        try:
            form = form_of(split(path)[1], reader.read_at) if form_by_name(path) else ""
            if not form:
                return Text(reader)
            text = self._text(generation_id, path, form, reader, check)
        except BaseException:
            reader.close()
            raise
        if text.reader is not reader:
            reader.close()
        return text

    def close(self) -> None:
        """Let go of all texts."""
        with self._lock:
            self._closed = True
            everything = list(self._kept.values())
            self._kept.clear()
        for kept in everything:
            with kept.lock:
                _release(kept)

    def _text(self, generation_id: int, path: str, form: str, reader: GenerationReader, check: Check) -> Text:
        while True:
            with self._lock:
                kept = self._kept.setdefault(generation_id, _Kept())
                self._kept.move_to_end(generation_id)
            with kept.lock:  # one unpacks, the others wait and find it done
                if not self._is_kept(generation_id, kept):
                    continue
                if kept.packed_size != reader.size:
                    _release(kept)
                    self._unpack(kept, path, reader, form, check)
                if kept.fd < 0:
                    return Text(reader, "", kept.why)
                text = Text(GenerationReader(os.dup(kept.fd), kept.size, f"the text of {path}"), form, kept.why)
            self._trim()
            return text

    def _is_kept(self, generation_id: int, kept: _Kept) -> bool:
        """Whether nobody has thrown it out since it was looked up."""
        with self._lock:
            if self._closed:
                raise Later("the archive is being closed")
            return self._kept.get(generation_id) is kept

    def _unpack(self, kept: _Kept, path: str, reader: GenerationReader, form: str, check: Check) -> None:
        """Fill in ``kept``. What can be had no other way later is remembered, too; a full disk is told (Full)."""
        kept.why, kept.size, is_text = "", 0, True
        with translating(path), tempfile.TemporaryFile(dir=self._rooms.data_dir, buffering=0) as file:
            pieces = unpacked(form, reader.read_at, where=path, bytes_max=TEXT_BYTES_MAX)
            try:
                self._write(kept, file.fileno(), pieces, check)
            except Damaged as error:  # what came before it is right
                kept.why = error.message
            except Refused as error:
                kept.why, is_text = f"{error.message}; these are its bytes as stored", False
            kept.fd = os.dup(file.fileno()) if is_text else -1
        kept.packed_size = reader.size

    def _write(self, kept: _Kept, fd: int, pieces: Iterator[bytes], check: Check) -> None:
        unchecked = DISK_CHECK_BYTES
        for piece in pieces:
            check()
            unchecked += len(piece)
            if unchecked >= DISK_CHECK_BYTES:
                unchecked = 0
                self._rooms.check_room()
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(fd, rest) :]
            kept.size += len(piece)

    def _trim(self) -> None:
        """Throw out the longest unused while there are too many, but for those in the making and the newest."""
        with self._lock:
            total = sum(kept.size for kept in self._kept.values())
            for generation_id, kept in list(self._kept.items())[:-1]:
                if total <= TEXTS_KEPT_BYTES_MAX and len(self._kept) <= TEXTS_KEPT_MAX:
                    return
                if kept.lock.acquire(blocking=False):
                    total -= kept.size
                    _release(kept)
                    del self._kept[generation_id]
                    kept.lock.release()


def _release(kept: _Kept) -> None:
    if kept.fd >= 0:
        os.close(kept.fd)
    kept.fd, kept.packed_size, kept.size = -1, -1, 0
