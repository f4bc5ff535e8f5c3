"""The bytes of one generation while its hits are made: runs of segments in memory, everything else read when asked."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from logferry.archive import Archive, GenerationReader, LinePage, Lines, Text
from logferry.encodings import Encoding as Charset
from logferry.search.filters import Candidate
from logferry.search.linefacts import facts_of
from logferry.search.scan import Encoding, FileFacts, utf16_named, utf16_of


class Opened:
    """A generation that is opened when it is needed. Use it in a ``with`` statement."""

    def __init__(
        self, archive: Archive, generation_id: int, check: Callable[[], None], reads_as: Charset | None = None
    ) -> None:
        """``reads_as``: the encoding that its bytes are read in; None: what it looks like."""
        self._reads_as = reads_as
        self._archive = archive
        self._id = generation_id
        self._check = check
        self._text: Text | None = None
        self._lines: Lines | None = None
        self._facts: FileFacts | None = None

    @property
    def text(self) -> Text:
        """As people read it. Raises NotFound, Damaged."""
        if self._text is None:
            self._text = self._archive.text(self._id, self._check)
        return self._text

    @property
    def reader(self) -> GenerationReader:
        """Its bytes."""
        return self.text.reader

    @property
    def encoding(self) -> Encoding | None:
        """Whether it is UTF-16."""
        if self._reads_as is not None:
            return utf16_named(self._reads_as.name)
        return utf16_of(self.reader.read_at(0, 4))

    def facts(self, file: Candidate) -> FileFacts:
        """What its scan may ask."""
        if self._facts is None:
            self._facts = facts_of(self._archive, file, self.reader, self.encoding)
        return self._facts

    @property
    def lines(self) -> Lines:
        """Its lines."""
        if self._lines is None:
            self._lines = self._archive.lines(self._id, self._reads_as)
        return self._lines

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lines is not None:
            self._lines.close()
        if self._text is not None:
            self._text.reader.close()


class RunSource:
    """The bytes of a generation, of which one run is in memory."""

    def __init__(self, opened: Opened, size: int) -> None:
        self.size = size
        self._opened = opened
        self._start = 0
        self._data = b""

    def hold(self, start: int, data: bytes) -> None:
        """The run that is looked at now begins at ``start``."""
        self._start, self._data = start, data

    def read_at(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``, fewer only at the end."""
        at = offset - self._start
        if at >= 0 and at + count <= len(self._data):
            return self._data[at : at + count]
        return self._opened.reader.read_at(offset, min(count, self.size - offset))


class RunLines:
    """Line numbers and neighbours, of which those of runs are known."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._known = {0: 1}

    def learn(self, start: int, number: int | None) -> None:
        """The line that begins at ``start`` has this number, if anybody knows."""
        if number is not None:
            self._known[start] = number

    def number_at(self, byte: int, go_on: Callable[[], bool]) -> int | None:
        """The number of the line that holds ``byte``; None if it took too long."""
        known = self._known.get(byte)
        return self._opened.lines.number_at(byte, go_on) if known is None else known

    def page_at(self, byte: int, count: int) -> LinePage:
        """Lines from ``byte`` on."""
        return self._opened.lines.page_at(byte, count)

    def page_before(self, byte: int, count: int) -> LinePage:
        """Lines before ``byte``."""
        return self._opened.lines.page_before(byte, count)
