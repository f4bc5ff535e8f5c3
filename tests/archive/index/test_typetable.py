"""The kernel that splits lines writes only where it was given room: nothing checks it while it runs."""

from __future__ import annotations

import itertools
import random
import string

import numpy as np

from logferry.archive.index.kernel import NO_TIME, PADDING, RARE, U32
from logferry.archive.index.lines import find_lines
from logferry.archive.index.radix import Numbers
from logferry.archive.index.typetable import TypeTable
from logferry.archive.index.words import U64, key_of

SEED = 3


class _Guarded(Numbers):
    """Remembers how much room was given, and how much of it was used at most."""

    def __init__(self) -> None:
        super().__init__()
        self._given = 0
        self.beyond = 0

    def room(self, count: int) -> U64:
        self._given = count
        return super().room(count)

    def take(self, count: int) -> None:
        self.beyond = max(self.beyond, count - self._given)
        super().take(count)


def test_lines_that_are_looked_at_twice_post_no_words_beyond_their_room() -> None:
    """Words of three bytes, all others, with dots between them: as many postings as a text can have.

    The tables grow in the middle of a granule, and the line that did not fit posts its words again.
    """
    letters = string.ascii_letters + string.digits
    words = ["".join(word) for word in itertools.product(letters, repeat=3) if not "".join(word).isalpha()]
    random.Random(SEED).shuffle(words)
    told = itertools.cycle(words)
    table, posts = TypeTable(key_of(bytes(16))), _Guarded()
    grown = 0
    for granule in range(11):
        lines = [".".join(itertools.islice(told, 7_000 + 4 * granule + number)) for number in range(4)]
        text = "\n".join(lines).encode()
        data = np.frombuffer(text + bytes(PADDING), np.uint8)
        starts, ends, _ = find_lines(data, [len(text)])
        no_stamps = np.zeros(4, np.int32), np.zeros(4, np.int32), np.full(4, NO_TIME, np.int64)
        types: U32 = np.full(4, RARE, np.uint32)
        before = len(table._arena)
        table.split(granule, data, (starts, ends), no_stamps, types, posts)
        grown += len(table._arena) > before
        assert len(set(types.tolist())) == 4
    assert grown
    assert posts.beyond <= 0
