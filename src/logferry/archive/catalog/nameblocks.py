"""Blocks of names: what finding a file by a part of its name reads instead of all rows. Pure.

A block holds ``agent/path`` of some thousand files with ids in a row, compressed, and 256 Ki bits: those of all runs
of three and of five bytes in its names, folded. Where a run of what is looked for is missing, the block need not be
read. (Three alone would not do: a few thousand names with random hexadecimal parts have all of them.) Files keep id
and path for ever, and ids are given out in the order of commits, so a block once made never changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import zstandard

from logferry.errors import Damaged
from logferry.limits import AGENT_ID_CHARS_MAX, NAME_BLOCK_FILES, PATH_BYTES_MAX

if TYPE_CHECKING:
    import numpy as np

GRAM_BYTES = 32_768
_BITS = GRAM_BYTES * 8
_SHIFT = 32 - 18  # of a product of 32 bits, the upper ones are the best mixed
_LEVEL = 3
_ID_BYTES = 4
_RAW_BYTES_MAX = NAME_BLOCK_FILES * (_ID_BYTES + AGENT_ID_CHARS_MAX + 1 + PATH_BYTES_MAX + 1)


class Named(NamedTuple):
    """A file by its name. Sorts as lists of files do."""

    agent: str
    path: str
    id: int


class Block(NamedTuple):
    """Names of so many ``files`` from ``first_id`` to ``last_id``."""

    first_id: int
    last_id: int
    files: int
    grams: bytes
    names: bytes


def folded(text: str) -> str:
    """A form in which texts that are equal in any sense of "in any case" are equal."""
    if text.isascii():
        return text.lower()
    # The dotted and the dotless i count as an i for regular expressions, but not for case folding.
    return text.casefold().replace("\u0131", "i").replace("\u0307", "")


def pack(files: Sequence[Named]) -> Block:
    """The block of files whose ids ascend, at least one. Inside it stands by agent and path."""
    import numpy as np

    first = files[0].id
    ordered = sorted(files)
    deltas = np.array([file.id - first for file in ordered], "<u4")
    text = "\n".join(f"{file.agent}/{file.path}" for file in ordered)
    bits = np.zeros(_BITS, np.bool_)
    bits[_grams(folded(text))] = True
    raw = deltas.tobytes() + text.encode()
    names = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(raw)
    grams = zstandard.ZstdCompressor(level=1).compress(np.packbits(bits, bitorder="little").tobytes())
    return Block(first, files[-1].id, len(files), grams, names)


def gram_matrix(rows: Sequence[bytes]) -> np.ndarray[Any, Any]:
    """The bits of several blocks, one row each. Raises Damaged."""
    import numpy as np

    unpacked = b"".join(_decompressed(row, GRAM_BYTES) for row in rows)
    if len(unpacked) != len(rows) * GRAM_BYTES:
        raise Damaged("the bits of a block of names in the catalog are too few", where="name_blocks", hint=_HINT)
    return np.frombuffer(unpacked, np.uint8).reshape(len(rows), GRAM_BYTES)


def may_hold(matrix: np.ndarray[Any, Any], literals: Sequence[str]) -> list[int]:
    """The rows of ``matrix`` whose blocks may have names with all of ``literals`` (folded) in them."""
    import numpy as np

    left = np.ones(len(matrix), np.bool_)
    for literal in literals:
        for gram in np.unique(_grams(literal)):
            left &= (matrix[:, gram >> 3] >> (gram & 7) & 1).astype(np.bool_)
    return [int(row) for row in np.flatnonzero(left)]


def matches(
    first_id: int, count: int, names: bytes, literals: Sequence[str], after: tuple[str, str] | None = None
) -> Iterator[Named]:
    """The files of a block whose ``agent/path``, folded, has all of ``literals`` (folded, at least one) in it.

    They come by agent and path, from behind ``after`` on.

    Raises:
        Damaged: the block is not what was written.
    """
    import numpy as np

    raw = _unpacked(count, names)
    ids, text = np.frombuffer(raw, "<u4", count), raw[count * _ID_BYTES :]
    plain = text.isascii()
    low = text.lower() if plain else folded(text.decode()).encode()
    lines = None if plain else text.split(b"\n")
    longest, *others = sorted((literal.encode("utf-8", "surrogatepass") for literal in literals), key=len, reverse=True)
    # Where the folded text has other lengths, its lines cannot be compared: all are looked at.
    at = seen = _behind(text, after) if plain and after is not None else 0
    number = low.count(b"\n", 0, at)
    while (at := low.find(longest, at)) >= 0:
        number += low.count(b"\n", seen, at)
        start, end = low.rfind(b"\n", 0, at) + 1, low.find(b"\n", at)
        end = len(low) if end < 0 else end
        if not others or all(low.find(other, start, end) >= 0 for other in others):
            agent, _, path = (text[start:end] if lines is None else lines[number]).decode().partition("/")
            if after is None or (agent, path) > after:
                yield Named(agent, path, first_id + int(ids[number]))
        seen, at = end, end + 1


def _behind(text: bytes, after: tuple[str, str]) -> int:
    """Where the first line behind ``after`` begins."""
    key = f"{after[0]}\0{after[1]}".encode()
    low, high = 0, len(text) + 1  # lines that begin before low are not behind it, those at high or later are
    while low < high:
        start = text.rfind(b"\n", 0, (low + high) // 2) + 1
        start = max(start, low)
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        # NUL sorts before whatever an agent's id may have, so that ids that begin alike stand as they do in lists.
        if text[start:end].replace(b"/", b"\0", 1) > key:
            high = start
        else:
            low = end + 1
    return min(low, len(text))


def has_all(agent: str, path: str, literals: Sequence[str]) -> bool:
    """The same for one name."""
    text = folded(f"{agent}/{path}")
    return all(literal in text for literal in literals)


def having_all(names: Sequence[Named], literals: Sequence[str]) -> list[Named]:
    """Those of ``names`` with all of ``literals`` (folded) in ``agent/path``, in the same order.

    All at once, as nearly every text is plain: folding name by name takes five times as long.
    """
    whole = folded("\n".join([f"{agent}/{path}" for agent, path, _ in names]))
    texts = whole.split("\n")
    if len(texts) != len(names):  # no name that is stored has a line end
        return [name for name in names if has_all(name.agent, name.path, literals)]
    longest, *others = sorted(literals, key=len, reverse=True)
    if longest not in whole:
        return []
    found = [number for number, text in enumerate(texts) if longest in text]
    return [names[number] for number in found if all(other in texts[number] for other in others)]


def _unpacked(count: int, names: bytes) -> bytes:
    raw = _decompressed(names, _RAW_BYTES_MAX)
    if raw.count(b"\n", count * _ID_BYTES) != count - 1:
        raise Damaged("a block of names in the catalog has not its files", where="name_blocks", hint=_HINT)
    return raw


def _decompressed(data: bytes, most: int) -> bytes:
    try:
        size = zstandard.frame_content_size(data)
        if not 0 < size <= most:
            raise Damaged("a block of names in the catalog has no proper size", where="name_blocks", hint=_HINT)
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    except zstandard.ZstdError as error:
        raise Damaged(f"a block of names in the catalog is broken: {error}", where="name_blocks", hint=_HINT) from error


_HINT = "empty the table name_blocks: it is filled again in the background"


def _grams(text: str) -> np.ndarray[Any, Any]:
    """The numbers of all runs of three and five bytes, also those across the ends of lines."""
    import numpy as np

    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.uint32)
    three = data[:-2] << 16 | data[1:-1] << 8 | data[2:]
    found = [three * np.uint32(2_654_435_761)]
    if len(data) >= 5:
        five = three[:-2] * np.uint32(2_246_822_519) ^ (data[3:-1] << 8 | data[4:]) * np.uint32(3_266_489_917)
        found.append(five * np.uint32(668_265_263))
    return np.concatenate(found) >> np.uint32(_SHIFT)
