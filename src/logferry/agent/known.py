"""What the last look knew of every file, small in memory: a name and a mark, packed per folder (some 30 bytes a file).

The folders used last are unpacked; all others are two buffers. A tree up to ``MARKS_UNPACKED_MAX`` files is never
packed and costs no time.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from logferry.limits import MARKS_UNPACKED_MAX


class _Packed:
    """Names, each ended by a slash (which no name holds), and their marks in the same order."""

    __slots__ = ("marks", "names")

    def __init__(self, marks: Iterable[int] = (), names: bytes = b"") -> None:
        self.marks = array("q", marks)
        self.names = bytearray(names)

    def unpacked(self) -> dict[bytes, int]:
        return dict(zip(bytes(self.names).split(b"/"), self.marks, strict=False))


class Known:
    """Marks by folder and name. One thread uses it."""

    def __init__(self, unpacked_max: int = MARKS_UNPACKED_MAX) -> None:
        self._unpacked_max = unpacked_max
        self._packed: dict[bytes, _Packed | None] = {}
        """All folders; None: unpacked and changed since."""
        self._open: OrderedDict[bytes, dict[bytes, int]] = OrderedDict()
        self._open_files = 0

    def __contains__(self, folder: bytes) -> bool:
        return folder in self._packed

    def __iter__(self) -> Iterator[bytes]:
        """All folders."""
        return iter(list(self._packed))

    def __len__(self) -> int:
        """How many files there are."""
        packed = sum(len(p.marks) for p in self._packed.values() if p is not None)
        return packed + sum(len(self._open[folder]) for folder, p in self._packed.items() if p is None)

    def load(self, folder: bytes, name: bytes, mark: int) -> None:
        """Put one file in; for the start, when every path comes once."""
        packed = self._packed.get(folder)
        if packed is None:
            packed = self._packed[folder] = _Packed()
        packed.marks.append(mark)
        packed.names += name
        packed.names += b"/"

    def folder(self, folder: bytes) -> dict[bytes, int]:
        """The names of ``folder`` (made if not there) with their marks, to read; the next call may close it."""
        names = self._open.get(folder)
        if names is not None:
            self._open.move_to_end(folder)
            return names
        packed = self._packed.setdefault(folder, _Packed())
        assert packed is not None
        names = packed.unpacked()
        self._open[folder] = names
        self._open_files += len(names)
        while self._open_files > self._unpacked_max and len(self._open) > 1:
            self._pack(*self._open.popitem(last=False))
        return names

    def _pack(self, folder: bytes, names: dict[bytes, int]) -> None:
        self._open_files -= len(names)
        if self._packed[folder] is None:
            ended = b"/".join(names) + b"/" if names else b""
            self._packed[folder] = _Packed(names.values(), ended)

    def get(self, folder: bytes, name: bytes) -> int | None:
        """The mark of a file, or None if it is not known."""
        if folder not in self._packed:
            return None
        return self.folder(folder).get(name)

    def set(self, folder: bytes, name: bytes, mark: int) -> None:
        """Remember a mark."""
        names = self.folder(folder)
        before = len(names)
        names[name] = mark
        self._open_files += len(names) - before
        self._packed[folder] = None

    def forget(self, folder: bytes, name: bytes) -> int | None:
        """Forget a file; returns its mark if it was known."""
        if folder not in self._packed:
            return None
        names = self.folder(folder)
        mark = names.pop(name, None)
        if mark is not None:
            self._open_files -= 1
            self._packed[folder] = None
        return mark

    def take(self, folder: bytes) -> list[bytes]:
        """Forget a folder; returns the names it had."""
        names = list(self.folder(folder))
        self._open_files -= len(names)
        del self._open[folder]
        del self._packed[folder]
        return names

    def below(self, folder: bytes) -> list[bytes]:
        """``folder`` and all folders below it, as far as they are known."""
        begin = folder.rstrip(b"/") + b"/"
        return [path for path in self._packed if path == folder or path.startswith(begin)]
