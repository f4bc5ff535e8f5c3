"""The static words of rare lines, told by name: a part of one is looked up in the postings of the words it lies in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import kernel
from logferry.archive.index.dictionary import Dictionary
from logferry.archive.index.kernel import FIRST_TYPE
from logferry.archive.index.planes import pack, unpack
from logferry.archive.index.words import I64, U8, U64, Word
from logferry.errors import Damaged
from logferry.limits import INDEX_RARE_WORDS_BYTES_MAX

_WORDS_MAX = 256
"""More words that hold a text stand nearly everywhere."""


def pack_rare_words(words: list[bytes]) -> bytes:
    """The block of these words, which are in order: of each what it has in common with the one before is left out."""
    starts = np.zeros(len(words) + 1, np.int64)
    np.cumsum([len(word) for word in words], out=starts[1:])
    common = np.zeros(len(words), np.int64)
    _compare(np.frombuffer(b"".join(words), np.uint8), starts, common)
    rests = [word[count:] for word, count in zip(words, common.tolist(), strict=True)]
    lengths = np.array([len(rest) for rest in rests], np.int64)
    return pack([common, lengths, np.frombuffer(b"".join(rests), np.uint8)])


@kernel
def _compare(text: U8, starts: I64, common: I64) -> None:
    """How many bytes each word begins with that the one before begins with, too."""
    for word in range(1, len(common)):
        before, at = starts[word - 1], starts[word]
        most = min(at - before, starts[word + 1] - at)
        same = 0
        while same < most and text[before + same] == text[at + same]:
            same += 1
        common[word] = same


def unpack_rare_words(data: bytes, *, where: str) -> list[bytes]:
    """Back from ``pack_rare_words``. Raises Damaged."""
    common, lengths, text = unpack(data, 3, where=where)
    sizes = common.astype(np.float64) + lengths  # which no number makes wrap
    if (
        len(common) != len(lengths)
        or sizes.sum() > INDEX_RARE_WORDS_BYTES_MAX
        or int(lengths.sum()) != len(text)
        or text.dtype != np.uint8
    ):
        raise Damaged(f"{where}: words that make no sense", where=where)
    rests = text.tobytes()
    words: list[bytes] = []
    at, word = 0, b""
    for count, length in zip(common.tolist(), lengths.tolist(), strict=True):
        word = word[:count] + rests[at : at + length]
        at += length
        words.append(word)
    return words


class RareWords:
    """The words of one index."""

    def __init__(self, data: bytes, key: U64, *, where: str) -> None:
        """Raises Damaged."""
        words = unpack_rare_words(data, where=where)
        starts = np.zeros(FIRST_TYPE + len(words) + 1, np.int64)
        np.cumsum([len(word) for word in words], out=starts[FIRST_TYPE + 1 :])
        self._dictionary = Dictionary(np.frombuffer(b"".join(words) + bytes(16), np.uint8), starts, key)

    @property
    def nbytes(self) -> int:
        """The memory that they take."""
        return self._dictionary.nbytes

    @property
    def grams(self) -> npt.NDArray[np.bool_]:
        """Which trigrams occur inside of them."""
        return self._dictionary.grams

    def holding(self, word: Word) -> list[bytes] | None:
        """The words that a part of a word may lie in; None if they are too many to be asked for."""
        found = self._dictionary.matching(word.text, exact_case=False, starts_word=word.starts, ends_word=word.ends)
        return [self._dictionary.text_of(number) for number in found.tolist()] if len(found) <= _WORDS_MAX else None
