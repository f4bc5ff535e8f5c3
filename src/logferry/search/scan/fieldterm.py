"""The cursor of ``@a.b:value``: bytes that lines without the field cannot have, then the line itself."""

from __future__ import annotations

from logferry.limits import FIELD_LINE_BYTES_MAX
from logferry.search.query.nodes import Filter
from logferry.search.scan.block import END
from logferry.search.scan.cursors import Remembering
from logferry.search.scan.fields import FieldReader
from logferry.search.scan.fieldtest import value_test
from logferry.search.scan.patterns import key_program

_LINES_PER_CHECK = 256


class FieldTerm(Remembering):
    """Lines in which some value of a field is as wanted. Lines over ``FIELD_LINE_BYTES_MAX`` have no fields."""

    __slots__ = ("_key", "_reader", "_test")

    def __init__(self, wanted: Filter, *, exact_case: bool) -> None:
        super().__init__()
        name = wanted.name.removeprefix("@")
        # What stands right before a value is the end of its key, whatever part of the name that is.
        self._key = key_program(name.rpartition(".")[2], exact_case=exact_case)
        self._reader = FieldReader(name, exact_case=exact_case)
        self._test = value_test(wanted, exact_case=exact_case)

    def _next(self, at: int) -> int:
        data, steps = self._block.data, 0
        while at < len(data):
            found = self._key.search(data, at, len(data))[0]
            if found < 0:
                return END
            start = max(data.rfind(b"\n", at, found) + 1, at)
            end = data.find(b"\n", found)
            end = len(data) if end < 0 else end
            if self.holds(data[start:end]):
                return start
            at = end + 1
            steps += 1
            if steps % _LINES_PER_CHECK == 0:
                self._block.check()
        return END

    def holds(self, line: bytes) -> bool:
        """Whether this line, without its end, matches."""
        if len(line) > FIELD_LINE_BYTES_MAX:
            return False
        return any(self._test(value) for value in self._reader.values(line.decode("utf-8", "surrogateescape")))
