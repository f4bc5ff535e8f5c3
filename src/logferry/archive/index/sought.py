"""A text that is looked up, made ready once for the indexes of all segments: its words, and how lines can hold it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from logferry.archive.index.trigrams import grams_of
from logferry.archive.index.words import I64, VARIABLE, Word, dotted_pairs, words_of
from logferry.limits import INDEX_SOUGHT_KEPT

Reading = tuple[bytes, tuple[Word, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """``readings``: what stands in the text of the log type, and which words in variables. ``dotted``: middles of
    addresses. ``grams``: what granules note of its words, whatever stands before and behind it."""

    words: tuple[Word, ...]
    dotted: tuple[bytes, ...]
    readings: tuple[Reading, ...]
    grams: I64


@lru_cache(maxsize=INDEX_SOUGHT_KEPT)
def sought(text: bytes, starts_word: bool, ends_word: bool) -> Sought:
    """``starts_word``, ``ends_word``: no word may reach over the first or last byte of ``text``."""
    words = words_of(text, starts_word=starts_word, ends_word=ends_word)
    grams = {gram for word in words for gram in grams_of(word.text)}
    return Sought(
        tuple(words),
        tuple(dotted_pairs(text, words)),
        tuple(_readings(text, words)),
        np.array(sorted(grams), np.int64),
    )


@lru_cache(maxsize=INDEX_SOUGHT_KEPT)
def noted_of(word: Word) -> I64:
    """What granules note of words that this one is, or is a part of; ascending. Of one byte nothing is."""
    if len(word.text) == 1:
        return np.zeros(0, np.int64)
    return np.array(grams_of(word.text, starts=word.starts, ends=word.ends), np.int64)


def _readings(text: bytes, words: Sequence[Word]) -> Iterator[Reading]:
    """The ways in which lines can hold ``text``.

    A word with a digit lies in a variable. A whole one without a digit does not. One that may go on in the line may.
    """
    choices = [(True,) if word.has_digit else (False,) if word.is_whole else (False, True) for word in words]
    for chosen in product(*choices):
        pattern = bytearray()
        at = 0
        variables = tuple(word for word, is_variable in zip(words, chosen, strict=True) if is_variable)
        for word in variables:
            pattern += text[at : word.start] + VARIABLE
            at = word.end
        yield bytes(pattern + text[at:]), variables
