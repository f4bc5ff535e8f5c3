"""Compressed files: every form comes out as it went in, in small pieces, and whatever is wrong with one is named."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import sys
import types
from collections.abc import Callable, Iterator

import pytest
import zstandard

from logferry import compressed
from logferry.compressed import content_of, form_by_name, form_of, unpacked
from logferry.errors import Damaged, LogferryError, Refused, TooLarge
from logferry.limits import MIB, UNPACK_PIECE_BYTES

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": lambda data: zstandard.ZstdCompressor(level=3).compress(data),
}
LOG = b"".join(b"%07d %s line of a log\n" % (n, random.Random(n).randbytes(4).hex().encode()) for n in range(20_000))


@pytest.fixture(params=list(PACK))
def form(request: pytest.FixtureRequest) -> str:
    """Each form."""
    return str(request.param)


def read_of(data: bytes) -> compressed.ReadAt:
    """``data`` as a file."""
    return lambda offset, count: data[offset : offset + count]


def text_of(form: str, data: bytes) -> bytes:
    """All of the text; every piece is as small as promised."""
    pieces = list(unpacked(form, read_of(data), where="it"))
    assert all(0 < len(piece) <= UNPACK_PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


def test_a_text_comes_out_as_it_went_in(form: str) -> None:
    """One stream; many behind each other; zeros behind the last, as tapes leave them."""
    pack = PACK[form]
    assert text_of(form, pack(LOG)) == LOG
    assert text_of(form, pack(LOG[:1000]) + pack(LOG[1000:1001]) + pack(LOG[1001:])) == LOG
    assert text_of(form, pack(b"")) == b""
    if form != "zstd":
        assert text_of(form, pack(LOG) + b"\0" * 512) == LOG


def test_a_stream_that_is_cut_off_anywhere_gives_its_beginning_and_says_so(form: str) -> None:
    """Never another byte, never an end that looks right."""
    packed = PACK[form](LOG[:3000]) + PACK[form](LOG[3000:9000])
    first = len(PACK[form](LOG[:3000]))
    for end in range(4, len(packed)):
        came: list[bytes] = []
        if end == first:  # cut between two streams it is a whole file
            assert text_of(form, packed[:end]) == LOG[:3000]
            continue
        with pytest.raises(Damaged):
            came.extend(unpacked(form, read_of(packed[:end]), where="it"))
        assert LOG.startswith(b"".join(came))


def test_what_is_something_else_behind_the_stream_is_damage(form: str) -> None:
    """So a file with something added is nobody's exact copy."""
    with pytest.raises(Damaged):
        text_of(form, PACK[form](LOG) + b"something else entirely")


def test_flipped_bits_are_damage_or_change_nothing(form: str) -> None:
    """All four carry a checksum (zstd where it is asked for, as the program does)."""
    pack = PACK[form] if form != "zstd" else zstandard.ZstdCompressor(write_checksum=True).compress
    packed = pack(LOG[:5000])
    dice = random.Random(7)
    for _ in range(200):
        at = dice.randrange(len(packed))
        broken = packed[:at] + bytes([packed[at] ^ 1 << dice.randrange(8)]) + packed[at + 1 :]
        try:
            assert text_of(form, broken) == LOG[:5000]
        except LogferryError:
            continue


@pytest.mark.parametrize("form", ["xz", "bzip2", "zstd"])
def test_a_bomb_ends_at_the_ratio(form: str) -> None:
    """Zeros, far too many, are given up long before the end."""
    if form == "zstd":
        stream = zstandard.ZstdCompressor(level=3).compressobj()
        packed = b"".join(stream.compress(bytes(MIB)) for _ in range(128)) + stream.flush()
    else:
        packed = (lzma.compress(bytes(16 * MIB), preset=0) if form == "xz" else bz2.compress(bytes(16 * MIB))) * 8
    given = 0

    def counted(pieces: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal given
        for piece in pieces:
            given += len(piece)
            yield piece

    with pytest.raises(TooLarge, match="times its size"):
        content_of(counted(unpacked(form, read_of(packed), where="it")))
    assert given <= 66 * MIB + len(packed) * 1_100


def test_no_more_comes_out_than_is_of_use(form: str) -> None:
    """Exactly as much is fine, one byte more is not."""
    packed = PACK[form](LOG)
    assert content_of(unpacked(form, read_of(packed), where="it", bytes_max=len(LOG))).size == len(LOG)
    with pytest.raises(TooLarge, match="more than"):
        content_of(unpacked(form, read_of(packed), where="it", bytes_max=len(LOG) - 1))


def test_a_stream_that_needs_too_much_memory_is_refused() -> None:
    """xz with a dictionary of 192 MiB, zstd with a window of 64 MiB: what they unpack to is never begun."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 192 * MIB}]
    with pytest.raises(Refused, match="too much memory"):
        text_of("xz", lzma.compress(b"x", filters=filters))
    parameters = zstandard.ZstdCompressionParameters(window_log=26, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(Refused, match="too much memory"):
        text_of("zstd", stream.compress(LOG) + stream.flush())


def test_zstd_where_it_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's base install has none; the file is shipped, or shown, as it is."""
    monkeypatch.setattr(compressed, "zstd_library", lambda: None)
    with pytest.raises(Refused, match="cannot be unpacked here"):
        text_of("zstd", PACK["zstd"](LOG))


@pytest.mark.skipif(sys.version_info < (3, 14), reason="this Python has no zstd of its own")
def test_zstd_of_the_standard_library_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.14 needs no package."""
    import importlib

    library: types.ModuleType = importlib.import_module("compression.zstd")
    monkeypatch.setattr(compressed, "zstd_library", lambda: library)
    assert text_of("zstd", PACK["zstd"](LOG)) == LOG
    with pytest.raises(Damaged):
        text_of("zstd", PACK["zstd"](LOG)[:-3])


def test_name_and_first_bytes_both_have_to_say_it() -> None:
    """A text called .gz is none; a gzip file of another name is left alone; upper case is fine."""
    named = {
        "app.log.1.gz": "gzip", "A.GZ": "gzip", "x.xz": "xz", "x.bz2": "bzip2", "x.zst": "zstd", "x.gz.1": "",
        "gz": "", ".gz": "", "x.z": "", "x.tgz": "", "app.log": "", "x.txt": "",
    }  # fmt: skip
    for name, form in named.items():
        assert form_by_name(name) == form, name
    assert form_of("a.gz", read_of(gzip.compress(b"x"))) == "gzip"
    assert form_of("a.gz", read_of(b"plain text\n")) == ""
    assert form_of("a.gz", read_of(lzma.compress(b"x"))) == ""
    assert form_of("a.log", read_of(gzip.compress(b"x"))) == ""
    assert form_of("a.gz", read_of(b"")) == ""
