"""Which lines a pattern takes, told by log types alone: their text, and how the variables in it look.

An automaton is run over the text of a type. At a variable it goes on to all states in which it may be behind any word
that looks like that. If all lead to a match, each line of the type matches; if none does, no line; else they are read.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index import MAYBE, NO, YES, Candidates, SegmentIndex
from logferry.archive.index.compiled import inlined, kernel
from logferry.archive.index.kernel import LEAST_SHIFT, LENGTH_MAX, NOT_DIGITS, OPAQUE, RARE, U16
from logferry.archive.index.runs import UTF16_BE, UTF16_LE
from logferry.archive.index.words import POSTED_BYTES_MIN
from logferry.limits import AUTOMATON_TYPE_STEPS_MAX
from logferry.search.scan.automaton import DEAD, Automaton

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

_TOGETHER = 64
"""In more states at once nobody knows any more."""
_LENGTH_TRIED = 2 * LENGTH_MAX
"""Variables may be longer: if it makes a difference then, nobody knows."""
_DIGITS = np.array([48 <= byte <= 57 for byte in range(256)])
_LETTERS = np.array([byte >= 0x80 or chr(byte).isalpha() for byte in range(256)])


def decided(index: SegmentIndex, found: Candidates, automaton: Automaton) -> Candidates:
    """``found`` are the lines that may match; those of many types then surely do, or cannot. Raises Damaged."""
    looks = index.looks
    if looks is None or automaton.is_full or found.is_empty:
        return found
    pairs = index.shape.pairs
    states = found.states
    # Of each type whether any of its lines may match.
    counts = np.zeros(len(states) + 1, np.int64)
    np.cumsum(states == MAYBE, out=counts[1:])
    unsure = counts[pairs.starts[1:]] > counts[pairs.starts[:-1]]
    unsure[[RARE, OPAQUE][: len(unsure)]] = False
    types = np.flatnonzero(unsure)
    if not len(types):
        return found
    verdicts = np.full(len(unsure), MAYBE, np.uint8)
    verdicts[types] = _verdicts(index, types, looks, automaton)
    told = np.repeat(verdicts, np.diff(pairs.starts))
    # UTF-16 is decoded by who looks at the text: what is not whole there may look otherwise.
    runs = index.runs
    is_wide = np.zeros(len(index.runs.granules), np.bool_)
    is_wide[np.repeat(np.arange(len(runs.granules) - 1), np.diff(runs.granules))[runs.flags & _WIDE > 0]] = True
    told[is_wide[pairs.granules]] = MAYBE
    return Candidates(index.shape, None, np.where(states == MAYBE, told, states))


_WIDE = UTF16_LE | UTF16_BE


def _verdicts(index: SegmentIndex, types: I64, looks: U16, automaton: Automaton) -> U8:
    """NO, MAYBE or YES of each of the types."""
    text, starts = index.dictionary.texts
    variables = index.dictionary.variables_before
    verdicts = np.full(len(types), MAYBE, np.uint8)
    run = automaton.run
    # What begins with letters that no variable has begins in static text.
    starts_outside = (
        run is not None and run.is_first and _is_long_word(run.text) and not index.is_in_variables(run.text)
    )
    digits, letters = (np.unique(automaton.class_of[some]) for some in (_DIGITS, _LETTERS))
    place = np.array([0, AUTOMATON_TYPE_STEPS_MAX], np.int64)
    while True:
        steps, ends = automaton.steps, automaton.matches_at_end
        state = _decide(
            text, starts, types, variables, looks, automaton.class_of, digits, letters, steps, ends, automaton.first,
            automaton.idle if starts_outside else -1, place, verdicts,
        )  # fmt: skip
        if state < 0 or not automaton.learn(state):
            return verdicts


def _is_long_word(text: bytes) -> bool:
    return len(text) >= POSTED_BYTES_MIN and text.isalpha()


@inlined
def _add(state: int, some: I64, count: int) -> int:
    """Put a state with others, unless it is there. How many there are then: more than there is room for, if so."""
    for i in range(min(count, _TOGETHER)):
        if some[i] == state:
            return count
    if count < _TOGETHER:
        some[count] = state
    return count + 1


@kernel
def _same(one: I64, count: int, other: I64, others: int) -> bool:
    """Whether two sets are the same."""
    if count != others:
        return False
    for i in range(count):
        is_there = False
        for k in range(count):
            is_there = is_there or bool(one[i] == other[k])
        if not is_there:
            return False
    return True


@kernel
def _step(some: I64, count: int, alphabet: U8, table: I32, to: I64, there: int) -> int:
    """Add to ``to`` where the states go on from ``some`` with any of the alphabet; how many are ``there`` then.

    -1 less a state of which the steps are not known.
    """
    for i in range(count):
        for byte in alphabet:
            following: int = table[some[i] + byte]
            if following < 0:
                return int(-1 - some[i])
            there = _add(following, to, there)
    return there


@kernel
def _decide(
    text: U8,
    starts: I64,
    types: I64,
    variables: I64,
    looks: U16,
    class_of: U8,
    digits: U8,
    letters: U8,
    steps: I32,
    matches_at_end: Bools,
    first: int,
    idle: int,
    place: I64,
    verdicts: U8,
) -> int:
    """Fill in the verdicts. ``idle``: the state that variables do not change, -1: there is none. ``place``: which type
    is next, and how many steps may still be taken.

    Returns a state of which the steps are not known, -1 at the end.
    """
    width = steps.shape[1]
    table = steps.reshape(-1)
    now, then, found = np.empty(_TOGETHER, np.int64), np.empty(_TOGETHER, np.int64), np.empty(_TOGETHER, np.int64)
    bare, barer = np.empty(_TOGETHER, np.int64), np.empty(_TOGETHER, np.int64)
    some_letters = letters
    left: int = place[1]
    for k in range(place[0], len(types)):
        number = types[k]
        variable = variables[number]
        now[0] = first * width
        count = 1
        for at in range(starts[number], starts[number + 1]):
            if count > _TOGETHER or (count == 1 and now[0] <= DEAD * width):
                break
            if left <= 0:
                return -1
            byte = text[at]
            if byte != 10:
                left -= count
                other = 0
                for i in range(count):
                    following: int = table[now[i] + class_of[byte]]
                    if following < 0:
                        place[0], place[1] = k, left
                        return int(now[i] // width)
                    if count == 1:
                        then[0] = following
                        other = 1
                    else:
                        other = _add(following, then, other)
                now, then, count = then, now, other
                continue
            # A word of some length with a digit in it. ``bare``: behind its beginning that has none yet.
            look = np.int64(looks[variable])
            variable += 1
            if count == 1 and idle >= 0 and now[0] == idle * width:
                continue
            most = look & LENGTH_MAX
            least = LENGTH_MAX - (look >> LEAST_SHIFT & LENGTH_MAX)
            if look & NOT_DIGITS:
                letters = some_letters
            else:
                letters = some_letters[:0]
            now, bare = bare, now
            bares, count = count, 0
            total = length = 0
            while True:
                left -= (count + bares) * (len(digits) + len(letters))
                other = _step(now, count, digits, table, then, 0)
                if other >= 0 and other <= _TOGETHER:
                    other = _step(now, count, letters, table, then, other)
                if other >= 0 and other <= _TOGETHER:
                    other = _step(bare, bares, digits, table, then, other)
                others = other
                if other >= 0 and other <= _TOGETHER:
                    others = _step(bare, bares, letters, table, barer, 0)
                if others < 0:
                    place[0], place[1] = k, left
                    return int((-1 - others) // width)
                if other > _TOGETHER or others > _TOGETHER:
                    total = _TOGETHER + 1
                    break
                length += 1
                is_same = _same(now, count, then, other) and _same(bare, bares, barer, others)
                now, then, count = then, now, other
                bare, barer, bares = barer, bare, others
                if length >= least:
                    for i in range(count):
                        if total <= _TOGETHER:
                            total = _add(now[i], found, total)
                    # More bytes lead nowhere else; or there are no more.
                    if is_same or (length >= most and most < LENGTH_MAX) or total > _TOGETHER:
                        break
                if left <= 0:
                    return -1
                if length > _LENGTH_TRIED:
                    total = _TOGETHER + 1
                    break
            count = total
            now, found = found, now
        if count > _TOGETHER:
            continue
        yes = no = True
        for i in range(count):
            if matches_at_end[now[i] // width]:
                no = False
            else:
                yes = False
        if yes or no:
            verdicts[k] = YES if yes else NO
    place[0] = len(types)
    return -1
