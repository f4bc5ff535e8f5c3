"""Where log types explode (prose without digits), lines of rare types post their words instead."""

from __future__ import annotations

import numpy as np

from logferry.archive.index.kernel import U32
from logferry.archive.index.radix import Numbers
from logferry.archive.index.trigrams import Grams, grams_of
from logferry.archive.index.typetable import TypeTable
from logferry.archive.index.words import I64, U64
from logferry.archive.index.wordset import WordSet
from logferry.limits import INDEX_RARE_WORDS_BYTES_MAX

_RARE_LINES_MAX = 8


def rare_up_to(lines: I64, lengths: I64, budget_bytes: int, *, types_max: int | None = None, least: int = 0) -> int:
    """Types seen in up to so many lines give up their text so that the others' fits the budget.

    Types of more than a few lines never do: they save more than they cost.

    Args:
        lines: of each type.
        lengths: of each type's text.
        budget_bytes: of all texts.
        types_max: how many types may stay.
        least: the answer before, when there were fewer types.
    """
    for most in range(least, _RARE_LINES_MAX):
        kept = lines > most
        if int(lengths[kept].sum()) <= budget_bytes and (types_max is None or np.count_nonzero(kept) <= types_max):
            return most
    return _RARE_LINES_MAX


class RareLines:
    """The words of rare lines: told by name, or noted by their trigrams where they are too many for that."""

    def __init__(self) -> None:
        self._words: WordSet | None = WordSet()
        self._lengths: dict[int, int] = {}
        """Of the granules that have such lines: the lengths of their words (bits, see the kernel)."""

    def post(self, table: TypeTable, types: U32, granules: U32, posts: Numbers, grams: Grams) -> None:
        """Post the words of these types in these granules, which are ascending."""
        starts = np.flatnonzero(np.diff(granules.astype(np.int64), prepend=-1))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(types)], strict=False):
            granule = int(granules[start])
            found = table.post(granule, types[start:end], posts, self._words)
            grams.add(found.grams, granule)
            self._lengths[granule] = self._lengths.get(granule, 0) | found.other_lengths
            if self._words is not None and self._words.text_bytes > INDEX_RARE_WORDS_BYTES_MAX:
                self.give_up_names(grams)

    def give_up_names(self, grams: Grams) -> None:
        """There are too many, or lines whose words are not told here: from now on their trigrams are noted.

        Those of words posted until now are noted in every granule with rare lines: which has which is not known.
        """
        if self._words is None:
            return
        known = _grams_of(self._words.words())
        for granule in sorted(self._lengths):
            grams.add(known, granule)
        self._words = None

    @property
    def words(self) -> list[bytes] | None:
        """The words in order; None where there are no rare lines, or they are not told by name."""
        return self._words.words() if self._words is not None and self._lengths else None

    def note_lengths(self, lengths: U64) -> None:
        """Add the lengths of words that are not told by name to those of each granule."""
        if self._words is None:
            for granule, bits in self._lengths.items():
                lengths[granule] |= np.uint64(bits)


def _grams_of(words: list[bytes]) -> U32:
    """The trigrams of words of three bytes and more. Their pieces are told apart first: there are far fewer."""
    text = b"\n".join(words)
    inner = {text[at : at + 3] for at in range(len(text) - 2)}
    found = {gram for piece in inner if b"\n" not in piece for gram in grams_of(piece)}
    found.update(gram for piece in {word[:2] for word in words} for gram in grams_of(piece, starts=True))
    found.update(gram for piece in {word[-2:] for word in words} for gram in grams_of(piece, ends=True))
    return np.array(sorted(found), np.uint32)
