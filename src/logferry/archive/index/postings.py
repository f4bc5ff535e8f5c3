"""Words and the granules that hold them: ascending keys (the high bits of hashes), each with its granules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from logferry.archive.index.compiled import kernel
from logferry.archive.index.kernel import GRANULE_BITS, KEY_BITS_MAX
from logferry.archive.index.planes import pack, ungaps, unpack
from logferry.archive.index.radix import Numbers, sorted_by
from logferry.archive.index.words import I64, U64
from logferry.errors import Damaged

_BLOCK_POSTS = 32 * 1024
_SPARE_BITS = 8


def key_bits(posts: int) -> int:
    """How many bits of a hash tell words apart: an absent word seems present in one segment of a thousand.

    A word is in some four granules, so there are fewer words than postings by two bits.
    """
    return min(KEY_BITS_MAX, max(16, posts.bit_length() + _SPARE_BITS))


def block_bits(posts: int) -> int:
    """Postings are divided by so many high bits of the key."""
    return (posts // _BLOCK_POSTS).bit_length()


def pack_postings(posts: Numbers, bits: int, granules: int, *, in_order: bool = True) -> Iterator[tuple[int, bytes]]:
    """Numbered blocks of postings.

    Args:
        posts: as the kernel gives them: key times 2**GRANULE_BITS, and granule. Nothing is left of them.
        bits: of each key that are kept, the high ones.
        granules: how many there are.
        in_order: whether no posting comes behind one of a later granule.
    """
    high = block_bits(len(posts))
    top = KEY_BITS_MAX + GRANULE_BITS
    low = top - bits
    for number, group in enumerate(posts.groups(high)):
        # Block by block: it stays in the processor's cache, and what is made of it is several times as large.
        part = group
        if not in_order:
            part = sorted_by(part, 0, granules.bit_length())
        part = sorted_by(part, low, top - high)
        yield number, _pack_block(part, low, number << (bits - high))


def _pack_block(posts: U64, low: int, base: int) -> bytes:
    """The block of sorted postings; ``base``: the lowest key that it may hold. Keys are what stands from ``low`` on."""
    steps, lengths, firsts, rest = (np.empty(len(posts), np.int64) for _ in range(4))
    keys, others = _gaps(posts, low, base, steps, lengths, firsts, rest)
    return pack([steps[:keys], lengths[:keys], firsts[:keys], rest[:others]])


@kernel
def _gaps(posts: U64, low: int, base: int, steps: I64, lengths: I64, firsts: I64, rest: I64) -> tuple[int, int]:
    """Of each key the step from the one before, its granules but one, the first; then the gaps between the others.

    What occurs twice counts once. Returns how many keys and gaps there are.
    """
    shift, mask = np.uint64(low), np.uint64((1 << GRANULE_BITS) - 1)
    count = others = 0
    key, last = np.int64(base), np.int64(-1)
    for post in posts:
        granule, found = np.int64(post & mask), np.int64(post >> shift)
        if count == 0 or found != key:
            steps[count], lengths[count], firsts[count] = found - key, 0, granule
            count += 1
            key = found
        elif granule != last:
            rest[others] = granule - last - 1
            others += 1
            lengths[count - 1] += 1
        last = granule
    return count, others


@dataclass(frozen=True, slots=True)
class PostingBlock:
    """Ascending keys; the granules of ``keys[i]`` are ``granules[starts[i]:starts[i + 1]]``, ascending."""

    keys: I64
    starts: I64
    granules: I64

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.keys.nbytes + self.starts.nbytes + self.granules.nbytes

    def of(self, key: int) -> I64:
        """The granules of a key."""
        place = int(self.keys.searchsorted(key))
        if place == len(self.keys) or self.keys[place] != key:
            return self.granules[:0]
        return self.granules[self.starts[place] : self.starts[place + 1]]


def unpack_postings(data: bytes, base: int, granules: int, *, where: str) -> PostingBlock:
    """A block of postings. ``base``: the lowest key that it may hold. Raises Damaged."""
    steps, lengths, firsts, rest = unpack(data, 4, where=where)
    counts = lengths.astype(np.int64) + 1
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    if len(steps) != len(lengths) or len(firsts) != len(lengths) or starts[-1] != len(firsts) + len(rest):
        raise Damaged(f"{where}: postings that make no sense", where=where)
    found = np.empty(starts[-1], np.int64)
    inner = np.ones(len(found), bool)
    inner[starts[:-1]] = False
    found[starts[:-1]] = firsts
    found[inner] = rest
    values = ungaps(found, starts[:-1])
    if len(values) and not 0 <= int(values.min()) <= int(values.max()) < granules:
        raise Damaged(f"{where}: postings of granules that are not there", where=where)
    return PostingBlock(np.cumsum(steps.astype(np.int64)) + base, starts, values)
