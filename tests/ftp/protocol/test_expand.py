"""Compressed streams as they arrive: whole, in pieces, one after the other, cut, damaged and hostile."""

from __future__ import annotations

import gzip
import random
import resource
from collections.abc import Callable
from typing import Any

import pytest

from logferry.ftp.protocol import expand
from logferry.ftp.protocol.expand import EXPANDERS, formats
from logferry.ftp.protocol.tar_headers import BadBundle
from logferry.limits import BUNDLE_PIECE_BYTES

zstandard: Any = pytest.importorskip("zstandard")

CONTENT = random.Random(1).randbytes(70_000) + bytes(2_000_000) + b"the end"


def _zstd(content: bytes) -> bytes:
    packed: bytes = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(content)
    return packed


PACK: dict[str, Callable[[bytes], bytes]] = {"tar": bytes, "tar.gz": gzip.compress, "tar.zst": _zstd}


def expanded(form: str, data: bytes, step: int = 0) -> bytes:
    """What comes out; each piece is bounded."""
    out: list[bytes] = []
    expander = EXPANDERS[form](lambda piece: out.append(bytes(piece)))
    for start in range(0, len(data), step or max(len(data), 1)):
        expander.feed(memoryview(data)[start : start + (step or len(data))])
    expander.finish()
    assert form == "tar" or max(map(len, out), default=0) <= BUNDLE_PIECE_BYTES
    return b"".join(out)


@pytest.fixture(params=["tar.gz", "tar.zst", "backport"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each format, zstd by both libraries that can do it."""
    if request.param == "backport":
        library = pytest.importorskip("compression.zstd", reason="the standard library has it from Python 3.14 on")
        monkeypatch.setattr(expand, "zstd_library", lambda: library)
        return "tar.zst"
    name: str = request.param
    return name


def test_whole_and_byte_by_byte(form: str) -> None:
    """However the bytes are cut the same comes out."""
    packed = PACK[form](CONTENT)
    assert expanded(form, packed) == CONTENT
    assert expanded(form, packed, 1000) == CONTENT
    small = PACK[form](CONTENT[:500])
    assert expanded(form, small, 1) == CONTENT[:500]


def test_streams_that_follow_each_other_are_one(form: str) -> None:
    """``cat a.gz b.gz`` is a gzip file, and so with zstd."""
    packed = PACK[form](b"first ") + PACK[form](b"") + PACK[form](CONTENT)
    for step in (0, 13):
        assert expanded(form, packed, step) == b"first " + CONTENT


def test_every_cut_is_noticed(form: str) -> None:
    """A stream that ends early is not taken for whole, be it by the last byte of its checksum."""
    packed = PACK[form](CONTENT[:3000])
    for cut in range(1, len(packed), 11):
        with pytest.raises(BadBundle):
            expanded(form, packed[:cut])
    for missing in range(1, 12):
        with pytest.raises(BadBundle):
            expanded(form, packed[:-missing])


def test_nothing_is_a_whole_stream(form: str) -> None:
    """No byte at all is no damage here; the tar reader misses its end mark."""
    assert expanded(form, b"") == b""


def test_damage_is_noticed(form: str) -> None:
    """Checksums are on and looked at."""
    packed = PACK[form](CONTENT[:3000])
    dice = random.Random(2)
    for _ in range(200):
        changed = bytearray(packed)
        changed[dice.randrange(len(packed))] ^= 1 << dice.randrange(8)
        try:
            assert expanded(form, bytes(changed)) == CONTENT[:3000]
        except BadBundle:
            continue


def test_garbage_is_refused(form: str) -> None:
    """What is no such stream, at the beginning or behind one."""
    for garbage in (b"this is no compressed stream", PACK[form](b"x") + b"this is none either"):
        with pytest.raises(BadBundle):
            expanded(form, garbage)


def test_zeros_behind_gzip_are_padding() -> None:
    """As the gzip program has it."""
    assert expanded("tar.gz", gzip.compress(b"x") + bytes(3000), 700) == b"x"


def test_errors_of_the_taker_pass(form: str) -> None:
    """What whoever gets the pieces raises ends the stream as it is."""

    class Enough(Exception):
        pass

    def take(_piece: bytes | memoryview) -> None:
        raise Enough

    expander = EXPANDERS[form](take)
    with pytest.raises(Enough):
        expander.feed(PACK[form](CONTENT))


def test_a_bomb_costs_no_memory() -> None:
    """256 MiB from 8 KiB: it comes in bounded pieces, and whoever counts them can stop."""
    bomb = _zstd(bytes(256 * 2**20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = 0

    def take(piece: bytes | memoryview) -> None:
        nonlocal total
        assert len(piece) <= BUNDLE_PIECE_BYTES
        total += len(piece)

    expander = EXPANDERS["tar.zst"](take)
    expander.feed(bomb)
    expander.finish()
    assert total == 256 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024


def test_a_large_window_is_refused() -> None:
    """Nobody makes us keep more than 8 MiB; what the levels up to 19 need is less."""
    for log, works in ((23, True), (24, False)):
        parameters = zstandard.ZstdCompressionParameters(window_log=log)
        stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        packed = stream.compress(CONTENT) + stream.flush()
        if works:
            assert expanded("tar.zst", packed) == CONTENT
        else:
            with pytest.raises(BadBundle, match="window"):
                expanded("tar.zst", packed)


def test_without_zstd_it_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base install reads tar and tar.gz, and says so."""
    assert formats() == ("tar", "tar.gz", "tar.zst")
    monkeypatch.setattr(expand, "zstd_library", lambda: None)
    assert formats() == ("tar", "tar.gz")
    with pytest.raises(BadBundle, match="not installed"):
        expanded("tar.zst", b"x")
