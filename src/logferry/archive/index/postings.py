"""Words and the granules that hold them: ascending keys (the high bits of hashes), each with its granules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from logferry.archive.index.kernel import GRANULE_BITS, KEY_BITS_MAX
from logferry.archive.index.planes import gaps, pack, ungaps, unpack
from logferry.archive.index.radix import sorted_by
from logferry.archive.index.words import I64, U64
from logferry.errors import Damaged

_BLOCK_POSTS = 32 * 1024
_SPARE_BITS = 8
_GRANULE = np.uint64((1 << GRANULE_BITS) - 1)


def key_bits(posts: int) -> int:
    """How many bits of a hash tell words apart: an absent word seems present in one segment of a thousand.

    A word is in some four granules, so there are fewer words than postings by two bits.
    """
    return min(KEY_BITS_MAX, max(16, posts.bit_length() + _SPARE_BITS))


def block_bits(posts: int) -> int:
    """Postings are divided by so many high bits of the key."""
    return (posts // _BLOCK_POSTS).bit_length()


def pack_postings(posts: U64, bits: int, granules: int) -> Iterator[tuple[int, bytes]]:
    """Numbered blocks of postings.

    Args:
        posts: in any order, as the kernel gives them: key times 2**GRANULE_BITS, and granule. Overwritten.
        bits: of each key that are kept, the high ones.
        granules: how many there are.
    """
    high = block_bits(len(posts))
    posts = sorted_by(posts, 0, granules.bit_length())
    posts = sorted_by(posts, KEY_BITS_MAX - bits + GRANULE_BITS, KEY_BITS_MAX + GRANULE_BITS)
    # Block by block from here on: what is made of the postings of a whole segment is several times as large.
    firsts = np.arange(1 << high, dtype=np.uint64) << np.uint64(KEY_BITS_MAX + GRANULE_BITS - high)
    bounds = np.append(posts.searchsorted(firsts), len(posts)) if high else np.array([0, len(posts)])
    for number in range(1 << high):
        part = posts[bounds[number] : bounds[number + 1]]
        yield number, _pack_block(_distinct(part, bits), number << (bits - high))


def _distinct(posts: U64, bits: int) -> U64:
    """Sorted postings with ``bits`` of each key, each once."""
    keys = posts >> np.uint64(KEY_BITS_MAX - bits + GRANULE_BITS)
    entries = (keys << np.uint64(GRANULE_BITS)) | (posts & _GRANULE)
    fresh = np.empty(len(entries), bool)
    fresh[:1] = True
    np.not_equal(entries[1:], entries[:-1], out=fresh[1:])
    return entries[fresh]


def _pack_block(entries: U64, base: int) -> bytes:
    keys = (entries >> np.uint64(GRANULE_BITS)).astype(np.int64) - base
    granules = (entries & _GRANULE).astype(np.int64)
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    steps = np.diff(keys[starts], prepend=0)
    lengths = np.diff(starts, append=len(keys)) - 1
    found = gaps(granules, starts)
    inner = np.ones(len(found), bool)
    inner[starts] = False
    return pack([steps, lengths, found[starts], found[inner]])


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
