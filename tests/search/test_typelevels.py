"""Levels told by log types: what is told of a type is true of each of its lines."""

from __future__ import annotations

import random

import numpy as np

from logferry.archive.index.kernel import LENGTH_MAX, NOT_DIGITS
from logferry.limits import LEVEL_REACH_BYTES
from logferry.search.indexed.typelevels import UNTOLD, levels_of_types, levels_told
from logferry.search.query.values import LEVELS
from logferry.search.scan.levels import NO_LEVEL, levels_of
from tests.archive.index.making import Made, made
from tests.search.test_levels import LINES, PIECES
from tests.security.amounts import amount, seed

SEED = seed("type levels")
INDEXES = amount("type_levels", 60, 5_000)
VARIABLES = [
    "{d}", "{dd}", "{d}{a}", "{a}{d}", "{a}{a}{d}", "18T{d}", "{d}Z", "E{dddd}", "I{dddd}", "{d}é",
    "é{d}", "{d}éINFO", "{d}éI",
    "{d}ERROR", "{dddd}ABCDE", "x{dddd}", "{d}T", "{a}{d}{a}", "\ufeff{d}", "\ufeffE{dddd}", "{d}mINFO", "{long}",
]  # fmt: skip
WORDS = [
    *PIECES, "info", "WARN", "I", "[I]", "D/", "(", "): ", " - ", "INFO ", "ERROR: ", "level=", "lvl: ", '"severity":"',
    "x/", ". ",
]  # fmt: skip
GLUE = [" ", " ", ":", "-", ".", " [", "] ", "_", "\t", "/", "=", ": "]


def _filled(shape: str, rng: random.Random) -> str:
    """A variable of a shape."""
    while "{" in shape:
        before, _, rest = shape.partition("{")
        kind, _, behind = rest.partition("}")
        some = {
            "d": str(rng.randrange(10)), "dd": str(rng.randrange(100)), "dddd": f"{rng.randrange(10_000):04}",
            "a": rng.choice("abTZIEWx"), "long": "7" * rng.randrange(1, 300),
        }  # fmt: skip
        shape = before + some[kind] + behind
    return shape


def _some_made(rng: random.Random) -> Made:
    """The index of lines of some shapes, which differ in their variables alone."""
    variables = VARIABLES if rng.random() < 0.4 else [shape for shape in VARIABLES if shape.isascii()]
    if rng.random() < 0.3:
        variables = ["{d}", "{dd}", "{dddd}"]
    shapes = []
    for _ in range(rng.randrange(1, 12)):
        shape: list[str] = []
        for _ in range(rng.randrange(1, 14)):
            if rng.random() < 0.35:
                shape += [
                    rng.choice(variables),
                    rng.choice(GLUE),
                ]
            else:
                shape += [rng.choice(WORDS), rng.choice(["", " ", " ", ": "])]
        if rng.random() < 0.1:
            shape.insert(
                rng.randrange(len(shape) + 1), rng.choice(["x y ", "abc", "INFOx", "x."]) * rng.randrange(20, 80)
            )
        if rng.random() < 0.1:
            shape = ["x" * rng.randrange(200), *shape, *["word "] * 30, "ERROR{d}", " ", "{a}{d}"]
            shape[-4 - rng.randrange(29)] = " ERROR{dd} "
        shapes.append([piece.replace("\n", "") for piece in shape])
    lines = []
    for _ in range(rng.randrange(5, 80)):
        pieces = [_filled(piece, rng) if "{d" in piece else piece for piece in rng.choice(shapes)]
        lines.append("".join(pieces).encode("utf-8", "surrogatepass"))
    return made([b"\n".join(lines) + b"\n"])


def test_what_is_told_of_a_type_is_true_of_each_of_its_lines() -> None:
    """Of lines made of everything that means something, with variables that look like levels."""
    rng = random.Random(SEED)
    told = rows = 0
    for _ in range(INDEXES):
        of = _some_made(rng)
        index = of.index
        found = levels_told(index)
        types = np.concatenate([index.row_types(granule) for granule in range(len(index.runs.granules) - 1)])
        assert len(types) == len(of.rows)
        for row, number in zip(of.rows, types.tolist(), strict=True):
            rows += 1
            if found[number] != UNTOLD:
                told += 1
                line = row.line
                assert levels_of(line, [0], [len(line)]).tolist() == [found[number]], line
    print(f"told {told} of {rows} lines")
    assert told > rows / 5


def _told(types: list[bytes], looks: list[int] | None, *, is_ascii: bool = True, is_free: bool = True) -> list[int]:
    """Of types, the first two of which mean something else."""
    starts = np.cumsum([0, 0, *(len(text) for text in [b"", *types])], dtype=np.int64)
    text = np.frombuffer(b"".join(types), np.uint8)
    known = None if looks is None else np.array(looks, np.uint16)
    found = levels_of_types(text, starts, known, is_ascii=is_ascii, is_free=is_free)
    return [int(rank) for rank in found[2:]]


def _look(least: int, most: int, *, letters: bool = False) -> int:
    return most | (LENGTH_MAX - least) << 7 | (NOT_DIGITS if letters else 0)


def test_programs_whose_level_stands_in_the_type_need_no_text() -> None:
    """Forms of many programs, whatever their times, processes and numbers are."""
    stamp, short = _look(4, 4), _look(2, 2)
    letters = _look(5, 5, letters=True)
    for text, looks, level in [
        (b"\n-\n-\n \n:\n:\n,\n INFO [main] org.apache: took \n ms", [stamp, *[short] * 7], "info"),
        (b"\n-\n-\n:\n:\n WARN  [x] y", [stamp, short, letters, short, short], "warn"),
        (b'{"time":"\n","level":"error","n":\n}', [letters, short], "error"),
        (b"D/ActivityManager(  \n): Displayed", [_look(1, 5)], "debug"),
        (b"[E \n \n:\n:\n web:\n] Uncaught", [short] * 5, "error"),
        (b"kernel: \n: nothing of note here", [short], ""),
        (b"\n a.b referrer" + b" x" * LEVEL_REACH_BYTES, [_look(1, LENGTH_MAX)], ""),
    ]:
        assert _told([text], looks) == [LEVELS.index(level) if level else NO_LEVEL], text


def test_what_a_variable_may_decide_is_left_to_the_text() -> None:
    """Numbers behind keys, first letters, words behind what may be a word."""
    digits, letters = _look(1, 2), _look(5, 5, letters=True)
    for text, looks in [
        (b"level=\n x", [digits]),
        (b'{"lvl" : "\n"}', [digits]),
        (b"\n \n:\n:\n klog.go", [letters, digits, digits, digits]),
        (b"[E \n] x", [letters]),
        (b"<\n>app: x", [digits]),
        (b"\n error and more", [letters]),
        (b"x \n error: more", [letters]),
        (b"\x1b[\n done", [letters]),
        (b"I/Tag( \n): x", [letters]),
        (b"\n ERROR" + b" x" * LEVEL_REACH_BYTES, None),
    ]:
        assert _told([text], looks if looks is not None else [_look(1, LENGTH_MAX)]) == [UNTOLD], text
    for word in ("INFORMED", "INFO_X", "level=", "x warned", "Error:x", "@l"):
        text = b"\n a.b " + word.encode() + b" x" * LEVEL_REACH_BYTES
        assert _told([text], [_look(1, LENGTH_MAX)]) == [UNTOLD], word
    long = b"a b" + b" x" * LEVEL_REACH_BYTES + b"\n"
    assert _told([long], [letters]) == _told([long], [digits], is_free=False) == [NO_LEVEL]
    assert _told([long], [letters], is_free=False) == [UNTOLD]
    assert _told([b"\n INFO x"], [letters], is_ascii=False) == [UNTOLD]
    assert _told([b"\n INFO x"], None) == [UNTOLD]
    assert _told([b"INFO, \n x"], None) == [LEVELS.index("info")]


def test_the_forms_of_the_rules_are_told_right_or_not_at_all() -> None:
    """Each form of docs/reference/query.md as the only line of its index."""
    for line, name in LINES:
        of = made([line.encode() + b"\n"])
        if not of.rows:
            continue
        index = of.index
        found = levels_told(index)
        wanted = NO_LEVEL if name is None else LEVELS.index(name)
        assert found[index.row_types(0)[0]] in (UNTOLD, wanted), line


def test_blanks_without_end_before_a_variable_are_read_once() -> None:
    """Hostile lines: what stands before them is found all the same."""
    blanks = b" " * 200
    assert _told([b"level=" + blanks + b"\n"], [_look(1, 2)]) == [UNTOLD]
    assert _told([b"label=" + blanks + b"\n"], [_look(1, 2)]) == [NO_LEVEL]
    assert _told([b"level" + blanks + b'=\t"\n"'], [_look(1, 2)]) == [UNTOLD]
    assert _told([blanks + b"\n"], [_look(1, 2)]) == [NO_LEVEL]
