"""Bombs against everything that decompresses or believes a length: each ends at its limit, within 128 MB of memory.

Each goes off in a child process. What it took is printed (``pytest -s``); only memory and outcome are asserted.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import zstandard

from logferry.archive.index import SegmentIndex
from logferry.archive.index.layout import _CRC, _ENTRY, _HEADER, _WORD
from logferry.archive.index.version import FORMAT, TOKENIZER
from logferry.archive.segment import Segment, salvage
from logferry.archive.segment.frames import crc32
from logferry.compressed import unpacked
from logferry.ftp.protocol.expand import EXPANDERS
from logferry.ftp.protocol.tar_reader import TarReader
from logferry.limits import GIB, MIB, TEXT_BYTES_MAX
from logferry.takeout.inspecting import inspect
from tests.archive.bombing import (
    EMPTY_BLOCK,
    EMPTY_FRAME,
    big,
    generation_values,
    gone_off,
    note_of,
    seek_table_of,
    segment_of,
    zeros_frame,
)
from tests.archive.conftest import Shelf
from tests.archive.segment.making import SEGMENT_ID, make

RSS_BYTES_MAX = 128 * MIB
RAW = MIB

Bomb = Callable[[], bytes]


def ends(work: Callable[[], object], *errors: str) -> None:
    """``work`` ends with one of these errors ("" = with none) and in bounded memory."""
    outcome = gone_off(work)
    print(
        f"{outcome.error or 'harmless'}: {outcome.rss_bytes / MIB:.1f} MiB, {outcome.seconds:.2f} s {outcome.text[:90]}"
    )
    assert outcome.error in errors, outcome
    assert outcome.rss_bytes < RSS_BYTES_MAX, outcome


def every_kind(kinds: dict[str, Bomb]) -> pytest.MarkDecorator:
    """The test gets each of the bombs."""
    return pytest.mark.parametrize("bomb", [pytest.param(bomb, id=kind) for kind, bomb in kinds.items()])


def sparse(head: bytes, size: int, tail: bytes) -> Callable[[int, int], bytes]:
    """What reads a file with zeros between its beginning and its end."""

    def read(offset: int, count: int) -> bytes:
        end = min(offset + count, size)
        out = bytearray(max(0, end - offset))
        for at, data in ((0, head), (size - len(tail), tail)):
            start, stop = max(at, offset), min(at + len(data), end)
            if start < stop:
                out[start - offset : stop - offset] = data[start - at : stop - at]
        return bytes(out)

    return read


# Segments ------------------------------------------------------------------------------------------------------------


def read_segment(data: bytes) -> None:
    """Everything that reads a segment."""

    def read_at(offset: int, count: int) -> bytes:
        return data[offset : offset + count]

    for _ in salvage(read_at, len(data), where="bomb"):
        pass
    segment = Segment.open(read_at, len(data), where="bomb.zst")
    for finding in segment.verify():
        assert finding.what
    segment.read(0, segment.manifest.raw_bytes)


FRAMES: dict[str, Bomb] = {
    "high ratio": lambda: zeros_frame(GIB),
    "lying content size": lambda: zeros_frame(GIB, declares=RAW),
    "content size of 2^60": lambda: zeros_frame(RAW, declares=1 << 60, window_log=20),
    "missing content size": lambda: zeros_frame(GIB, declares=None),
    "huge window": lambda: zeros_frame(RAW, window_log=31),
    "window of 128 MiB": lambda: zeros_frame(RAW, window_log=27),
    "no checksum": lambda: zeros_frame(RAW, checksum=False),
    "nested": lambda: big(zeros_frame(GIB)[:32_000], RAW),
    "endless empty blocks": lambda: zeros_frame(RAW, more=EMPTY_BLOCK * 5_000_000),
    "empty frames": lambda: EMPTY_FRAME * 1_000_000,
    "cut": lambda: zeros_frame(RAW)[:-9],
}


@every_kind(FRAMES)
def test_a_frame_of_a_segment(bomb: Bomb) -> None:
    """It has to be what the manifest says, whatever it says of itself."""
    data = segment_of(bomb(), RAW)
    ends(lambda: read_segment(data), "Damaged")


@every_kind({kind: bomb for kind, bomb in FRAMES.items() if kind != "no checksum"})
def test_the_manifest_of_a_segment(bomb: Bomb) -> None:
    """Its checksums are right: whoever made the bomb has made them."""
    data = segment_of(zeros_frame(RAW), RAW, manifest=bomb())
    ends(lambda: read_segment(data), "Damaged")


@every_kind({kind: bomb for kind, bomb in FRAMES.items() if kind != "no checksum"})
def test_the_marker_of_a_frame(bomb: Bomb) -> None:
    """It tells names, compressed where they are long."""
    data = segment_of(zeros_frame(RAW), RAW, note=bomb())
    ends(lambda: read_segment(data), "Damaged")


MANIFESTS: dict[str, Bomb] = {
    "lists in lists": lambda: big(b"[", 4 * MIB),
    "objects in objects": lambda: big(b'{"":', 4 * MIB),
    "a hundred million empty lists": lambda: big(b"[],", 300 * MIB),
    "twenty million empty lists": lambda: big(b"[],", 60 * MIB),
    "as many as may be": lambda: zstandard.compress(b"[" + b"[]," * 3_900_000 + b"[]]"),
    "one long string": lambda: zstandard.compress(b'["' + "\U0001f525".encode() + b"a" * (60 * MIB) + b'"]'),
    "many strings": lambda: zstandard.compress(b"[" + b'"\xf0\x9f\x94\xa5abcdefgh",' * 900_000 + b'""]'),
    "numbers of a million digits": lambda: big(b"9" * MIB + b",", 8 * MIB),
    "garbage": lambda: big(b"\xff\x00\xfe", 8 * MIB),
}


@every_kind(MANIFESTS)
def test_the_values_of_a_manifest(bomb: Bomb) -> None:
    """What costs little to write and much to read."""
    data = segment_of(zeros_frame(RAW), RAW, manifest=bomb())
    ends(lambda: read_segment(data), "Damaged")


@every_kind({kind: bomb for kind, bomb in MANIFESTS.items() if kind.startswith(("lists", "objects", "one", "garbage"))})
def test_the_values_of_a_marker(bomb: Bomb) -> None:
    data = segment_of(zeros_frame(RAW), RAW, note=bomb())
    ends(lambda: read_segment(data), "Damaged")


CLAIMS: dict[str, Bomb] = {
    "2^60 bytes": lambda: segment_of(zeros_frame(RAW), RAW, change=lambda v: v["frames"].update(raw=[1 << 60])),
    "2^70 bytes": lambda: segment_of(zeros_frame(RAW), RAW, change=lambda v: v["frames"].update(raw=[1 << 70])),
    "10^9 files": lambda: segment_of(
        zeros_frame(RAW), RAW, manifest=big(json.dumps(generation_values(1, 0)).encode() + b",", 10**9 // 4)
    ),
    "a file of 2^63 bytes": lambda: segment_of(
        zeros_frame(RAW), RAW, change=lambda v: v["generations"][0].update(size=1 << 63)
    ),
    "overlapping extents": lambda: segment_of(
        zeros_frame(RAW), RAW, change=lambda v: v["generations"].append(generation_values(1, RAW))
    ),
    "overlapping frames": lambda: segment_of(
        zeros_frame(RAW),
        RAW,
        change=lambda v: v.update(frames={name: values * 200_000 for name, values in v["frames"].items()}),
    ),
    "overlapping seek entries": lambda: segment_of(
        zeros_frame(RAW), RAW, entries=lambda table: table[:2] * 500 + table
    ),
    "a seek table of 2^31 entries": lambda: segment_of(zeros_frame(RAW), RAW)[:-17] + seek_table_of(1 << 31, b""),
    "a seek table of a million entries": lambda: segment_of(
        zeros_frame(RAW), RAW, entries=lambda table: [table[0]] * 999_000 + table
    ),
    "cut in the middle": lambda: segment_of(zeros_frame(RAW), RAW)[:-100],
}


@every_kind(CLAIMS)
def test_what_a_segment_claims(bomb: Bomb) -> None:
    data = bomb()
    ends(lambda: read_segment(data), "Damaged")


def test_names_of_ten_megabytes() -> None:
    """No path is that long: nothing is made of it."""
    name = "a" * (10 * MIB)
    told = segment_of(zeros_frame(RAW), RAW, change=lambda v: v["generations"][0].update(path=name))
    noted = segment_of(zeros_frame(RAW), RAW, note=note_of(RAW, name))
    compressed = segment_of(zeros_frame(RAW), RAW, note=zstandard.compress(note_of(RAW, name)))
    for data in (told, noted, compressed):
        ends(lambda data=data: read_segment(data), "Damaged")  # type: ignore[misc]


@pytest.mark.parametrize("where", ["marker", "frame"])
def test_a_sparse_object_with_a_huge_frame(where: str) -> None:
    """An object of 3 GiB costs nothing where it is nearly all holes: no part of it is read whole."""
    huge = 3 * GIB
    small = segment_of(zeros_frame(RAW), RAW)
    segment = Segment.open(lambda offset, count: small[offset : offset + count], len(small), where="x")
    marker, frame = segment._table[0].compressed, segment._table[1].compressed
    more = huge - (marker if where == "marker" else frame)

    def stretch(values: dict[str, dict[str, list[int]]]) -> None:
        if where == "marker":
            values["frames"]["offset"] = [huge]
        else:
            values["frames"]["compressed"] = [huge]

    number = 0 if where == "marker" else 1
    data = segment_of(
        zeros_frame(RAW),
        RAW,
        change=stretch,
        entries=lambda table: [
            entry._replace(compressed=huge) if place == number else entry for place, entry in enumerate(table)
        ],
    )
    size = len(data) + more
    read_at = sparse(data[: marker + frame], size, data[marker + frame :])

    def work() -> None:
        segment = Segment.open(read_at, size, where="bomb.zst")
        for finding in segment.verify():
            assert finding.what
        segment.frame(0)

    ends(work, "Damaged")


@pytest.mark.sqlite  # the lost catalog is a file
def test_a_hostile_segment_in_the_store_stops_no_rebuild(shelf: Shelf) -> None:
    """What it claims of itself becomes a problem with a name, and the others are rebuilt."""
    shelf.put("a.log", b"line\n" * 1000)
    for _ in shelf.archive.sealer(level=1).seal(shelf.clock.now_ns() + 1):
        pass
    folder = next((shelf.folder / "store").rglob("*.zst")).parent
    expected = shelf.everything()
    shelf.close()
    for path in shelf.folder.glob("catalog.db*"):
        path.unlink()
    for number, bomb in enumerate([*CLAIMS.values(), *MANIFESTS.values(), *FRAMES.values()]):
        data = bomb()
        if number >= len(CLAIMS):
            data = segment_of(zeros_frame(RAW), RAW, manifest=data)
        (folder / f"{number:032x}.zst").write_bytes(data)
    name = "../../etc/passwd"
    hostile = segment_of(zeros_frame(RAW), RAW, change=lambda v: v["generations"][0].update(path=name))
    (folder / f"{99:032x}.zst").write_bytes(hostile)

    def work() -> None:
        other = Shelf(shelf.folder)
        problems = [problem for found in other.archive.rebuild() for problem in found.problems]
        assert len(problems) > 20, problems
        assert any("found/" in problem for problem in problems)
        files = {file.path: file for file in other.catalog.files.each()}
        assert set(files) == {"a.log", f"found/{0:032x}"}
        assert other.history("a.log") == expected["a.log"]
        other.close()

    ends(work, "")


# The index -----------------------------------------------------------------------------------------------------------


def index_of(block: bytes, raw: int, *, count: int = 1, blocks: int = 1) -> bytes:
    """An index of ``blocks`` blocks that is right but for them; ``count``: how many it says it has."""
    import numpy as np

    table = np.zeros(blocks, _ENTRY)
    for number in range(blocks):
        at = _HEADER.size + _CRC.size + table.nbytes
        table[number] = (1 + number % 9, 0, number // 9, at, len(block), raw, crc32(block))
    head = _HEADER.pack(_WORD, FORMAT, TOKENIZER, SEGMENT_ID, RAW, 8, 8, 8, 16, count)
    entries = table.tobytes()
    return b"".join([head, _CRC.pack(crc32(head + entries)), entries, block])


def use_index(data: bytes) -> None:
    """Open it, verify it, ask it."""
    index = SegmentIndex.open(data, where="bomb.lfi")
    index.verify()
    index.word(b"anything")


@every_kind(
    {f"{kind}, {raw}": lambda bomb=bomb, raw=raw: index_of(bomb(), raw)
     for kind, bomb in FRAMES.items() for raw in (RAW, 1 << 31)}
    | {
        "a directory of 2^31 blocks": lambda: index_of(b"", 0, count=1 << 31, blocks=0),
        "overlapping blocks": lambda: index_of(zeros_frame(RAW), RAW, count=90_000, blocks=90_000),
        "cut": lambda: index_of(zeros_frame(RAW), RAW)[:70],
    }
)  # fmt: skip
def test_an_index(bomb: Bomb) -> None:
    data = bomb()
    ends(lambda: use_index(data), "Damaged")


# Transparent text ----------------------------------------------------------------------------------------------------


def chained(pack: Callable[[bytes], bytes], size: int, count: int) -> bytes:
    """``count`` streams of ``size`` zeros behind each other."""
    return pack(bytes(size)) * count


def xz_with_dictionary(size: int) -> bytes:
    """An xz file that asks for a dictionary of ``size`` bytes (its header is changed, with its checksum)."""
    data = bytearray(lzma.compress(b"x" * 100, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]))
    at = data.index(b"\x21\x01")  # the id of LZMA2 and the length of its properties
    data[at + 2] = next(bits for bits in range(41) if _dictionary_of(bits) >= size)
    length = (data[12] + 1) * 4
    data[12 + length - 4 : 12 + length] = zlib.crc32(bytes(data[12 : 12 + length - 4])).to_bytes(4, "little")
    return bytes(data)


def _dictionary_of(bits: int) -> int:
    return (1 << 32) - 1 if bits == 40 else (2 | bits & 1) << (bits // 2 + 11)


def zlib_bomb(size: int) -> bytes:
    """``size`` zeros by gzip in the tightest way."""
    stream = zlib.compressobj(9, wbits=31)
    return b"".join(stream.compress(bytes(MIB)) for _ in range(size // MIB)) + stream.flush()


TEXTS: dict[str, tuple[str, Bomb, tuple[str, ...]]] = {
    "zst of a high ratio": ("zst", lambda: zeros_frame(GIB, window_log=23, checksum=False), ("TooLarge",)),
    "zst with a lying content size": ("zst", lambda: zeros_frame(GIB, declares=RAW), ("Damaged", "TooLarge")),
    "zst with a content size of 2^60": ("zst", lambda: zeros_frame(RAW, declares=1 << 60, window_log=20), ("Damaged",)),
    "zst without a content size": ("zst", lambda: zeros_frame(GIB, declares=None, checksum=False), ("TooLarge",)),
    "zst with a huge window": ("zst", lambda: zeros_frame(RAW, window_log=31), ("Refused", "Damaged")),
    "zst with a window of 128 MiB": ("zst", lambda: zeros_frame(RAW, window_log=27), ("Refused",)),
    "zst without a checksum": ("zst", lambda: zeros_frame(RAW, checksum=False), ("",)),
    "zst cut": ("zst", lambda: zeros_frame(RAW, checksum=False)[:-3], ("Damaged",)),
    "zst in zst": ("zst", lambda: big(zeros_frame(GIB)[:32_000], RAW), ("",)),
    "zst of empty frames": ("zst", lambda: EMPTY_FRAME * 1_000_000, ("TooLarge",)),
    "zst of empty blocks": (
        "zst", lambda: zeros_frame(RAW, checksum=False, more=EMPTY_BLOCK * 5_000_000), ("", "Damaged")
    ),
    "zst of skippable frames": ("zst", lambda: EMPTY_FRAME + b"\x50\x2a\x4d\x18\0\0\0\0" * 1_000_000, ("TooLarge",)),
    "xz of a high ratio": ("xz", lambda: lzma.compress(bytes(80 * MIB), preset=0), ("TooLarge",)),
    "xz with a dictionary of 1.5 GiB": ("xz", lambda: xz_with_dictionary(3 * GIB // 2), ("Refused",)),
    "xz with a dictionary of 4 GiB": ("xz", lambda: xz_with_dictionary(4 * GIB - 1), ("Refused",)),
    "xz of empty streams": ("xz", lambda: lzma.compress(b"") * 300_000, ("TooLarge",)),
    "xz chain": ("xz", lambda: chained(lzma.compress, 4 * MIB, 40), ("TooLarge",)),
    "bz2 of a high ratio": ("bz2", lambda: bz2.compress(bytes(80 * MIB)), ("TooLarge",)),
    "bz2 chain": ("bz2", lambda: chained(bz2.compress, 900_000, 200), ("TooLarge",)),
    "bz2 of empty streams": ("bz2", lambda: bz2.compress(b"") * 1_000_000, ("TooLarge",)),
    "gz of a high ratio": ("gz", lambda: zlib_bomb(100 * MIB), ("",)),  # deflate knows no higher one: 1,030
    "gz of many members": ("gz", lambda: gzip.compress(b"x") * 200_000, ("",)),
    "gz of empty members": ("gz", lambda: gzip.compress(b"") * 1_000_000, ("TooLarge",)),
    "gz of huge members": ("gz", lambda: chained(gzip.compress, 8 * MIB, 12), ("", "TooLarge")),
    "gz with a name of 10 MB": (
        "gz", lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (10 * MIB) + b"\0" + gzip.compress(b"x")[10:], ("",)
    ),
    "gz cut": ("gz", lambda: gzip.compress(bytes(MIB))[:-20], ("Damaged",)),
}  # fmt: skip
_FORMS = {"zst": "zstd", "xz": "xz", "bz2": "bzip2", "gz": "gzip"}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_compressed_file(kind: str) -> None:
    """Unpacked to be searched, viewed, or compared with its siblings."""
    suffix, bomb, errors = TEXTS[kind]
    data = bomb()

    def work() -> None:
        for piece in unpacked(
            _FORMS[suffix], lambda at, count: data[at : at + count], where="x", bytes_max=TEXT_BYTES_MAX
        ):
            assert piece

    ends(work, *errors)


@pytest.mark.parametrize("kind", ["zst of a high ratio", "zst with a huge window", "xz with a dictionary of 1.5 GiB",
                                  "bz2 chain", "gz of empty members"])  # fmt: skip
def test_a_compressed_file_in_an_archive_is_given_as_stored(shelf: Shelf, kind: str) -> None:
    """And says why."""
    suffix, bomb, _ = TEXTS[kind]
    data = bomb()
    done = shelf.put(f"bomb.{suffix}", data)
    assert done.generation_id is not None

    def work() -> None:
        assert done.generation_id is not None
        text = shelf.archive.text(done.generation_id)
        with text.reader as reader:
            assert text.why
            assert reader.size == len(data)

    ends(work, "")


# Bundles -------------------------------------------------------------------------------------------------------------


def tar_of(name: str, size: int, *, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive of one member of zeros."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        info = tarfile.TarInfo(name)
        info.size = size
        tar.addfile(info, io.BytesIO(bytes(size)))
    return out.getvalue()


def pax(records: bytes, kind: bytes) -> bytes:
    """A pax extension header with these records."""
    info = tarfile.TarInfo("pax")
    info.size, info.type = len(records), kind
    block = info.tobuf(tarfile.USTAR_FORMAT)
    return block + records + bytes(-len(records) % 512)


def many_keys(kind: bytes, count: int) -> bytes:
    """Extension headers of 60 KB each, every one with a key of its own and no member behind it."""
    out = []
    for number in range(count):
        body = b"key%08d=" % number + b"v" * 60_000 + b"\n"
        length = len(body) + 6
        out.append(pax(b"%d %s" % (length, body), kind))
    return b"".join(out)


def packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(data)


BUNDLES: dict[str, tuple[str, Bomb, tuple[str, ...]]] = {
    "high ratio": ("tar.zst", lambda: packed(tar_of("zeros", 200 * MIB)), ("",)),
    "no tar, high ratio": ("tar.zst", lambda: zeros_frame(GIB, checksum=False), ("", "BadBundle")),
    "lying content size": ("tar.zst", lambda: zeros_frame(GIB, declares=RAW), ("BadBundle",)),
    "content size of 2^60": ("tar.zst", lambda: zeros_frame(RAW, declares=1 << 60, window_log=20), ("BadBundle",)),
    "missing content size": ("tar.zst", lambda: zeros_frame(GIB // 4, declares=None), ("BadBundle",)),
    "huge window": ("tar.zst", lambda: zeros_frame(RAW, window_log=31), ("BadBundle",)),
    "window of 128 MiB": ("tar.zst", lambda: zeros_frame(RAW, window_log=27), ("BadBundle",)),
    "nested": ("tar.zst", lambda: packed(packed(tar_of("a", 1000))), ("BadBundle",)),
    "empty frames": ("tar.zst", lambda: EMPTY_FRAME * 1_000_000, ("BadBundle",)),
    "cut": ("tar.zst", lambda: packed(tar_of("a", MIB))[:-5], ("BadBundle",)),
    "member of 2^60 bytes": ("tar", lambda: tar_of("a", 0)[:124] + b"7" * 11 + tar_of("a", 0)[135:], ("BadBundle",)),
    "name of 10 MB by pax": ("tar", lambda: tar_of("n" * 10 * MIB, 1), ("BadBundle",)),
    "name of 10 MB by GNU": ("tar", lambda: tar_of("n" * 10 * MIB, 1, form=tarfile.GNU_FORMAT), ("BadBundle",)),
    "many keys for the next member": ("tar.zst", lambda: packed(many_keys(b"x", 3_000)), ("BadBundle",)),
    "many keys for all members": ("tar.zst", lambda: packed(many_keys(b"g", 3_000)), ("BadBundle",)),
    "gz members": ("tar.gz", lambda: gzip.compress(b"") * 1_000_000, ("BadBundle",)),
    "gz of a high ratio": ("tar.gz", lambda: gzip.compress(tar_of("zeros", 100 * MIB)), ("",)),
}


@pytest.mark.parametrize("kind", BUNDLES)
def test_a_bundle(kind: str) -> None:
    """As the server unpacks it while it arrives (its caps on ratio, bytes and members are tested with the server)."""
    form, bomb, errors = BUNDLES[kind]
    data = bomb()

    def work() -> None:
        tar = TarReader()

        def take(piece: bytes | memoryview) -> None:
            for _ in tar.feed(piece):
                pass

        expander = EXPANDERS[form](take)
        for at in range(0, len(data), 256 * 1024):
            expander.feed(data[at : at + 256 * 1024])
        expander.finish()
        tar.finish()

    ends(work, *errors)


# What was taken out --------------------------------------------------------------------------------------------------


def zip_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def tar_with(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _lying_zip() -> bytes:
    """The member says that it is 4 GiB long."""
    data = bytearray(zip_of([("a", bytes(1000))]))
    for signature, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = data.index(signature)
        data[start + at : start + at + 4] = b"\xf0\xff\xff\xff"
    return bytes(data)


TAKEN: dict[str, tuple[str, Bomb, tuple[str, ...]]] = {
    "zip of a high ratio": ("zip", lambda: zip_of([("a", bytes(150 * MIB))]), ("Damaged",)),
    "zip with a manifest of 100 MiB": ("zip", lambda: zip_of([("MANIFEST.json", bytes(100 * MIB))]), ("Damaged",)),
    "zip with a lying size": ("zip", _lying_zip, ("Damaged",)),
    "zip in zip": ("zip", lambda: zip_of([("a.zip", zip_of([("a.zip", bytes(100 * MIB))]))]), ("Damaged",)),
    "zip cut": ("zip", lambda: zip_of([("a", bytes(1000))])[:-10], ("Damaged",)),
    "tar.zst with a huge window": ("tar.zst", lambda: zeros_frame(RAW, window_log=31), ("Damaged",)),
    "tar.zst with a window of 128 MiB": ("tar.zst", lambda: zeros_frame(RAW, window_log=27), ("Damaged",)),
    "tar.zst with a window of 64 MiB, used": (
        "tar.zst", lambda: zeros_frame(200 * MIB, declares=None, window_log=26), ("Damaged",)
    ),
    "tar.zst of a high ratio": ("tar.zst", lambda: packed(tar_with(("a", bytes(300 * MIB)))), ("Damaged",)),
    "tar.zst with a manifest of 300 MiB": (
        "tar.zst", lambda: packed(tar_with(("MANIFEST.json", bytes(300 * MIB)))), ("Damaged",)
    ),
    "tar.zst with a name of 60 MB": ("tar.zst", lambda: packed(tar_of("n" * 60 * 10**6, 1)), ("Damaged",)),
    "tar.zst of many empty members": (
        "tar.zst", lambda: packed(b"".join(_headers(10_000))), ("Damaged",)
    ),
    "tar.zst cut": ("tar.zst", lambda: packed(tar_with(("a", bytes(MIB))))[:-5], ("Damaged",)),
    "tar.gz of empty members": ("tar.gz", lambda: gzip.compress(b"") * 100_000, ("Damaged",)),
}  # fmt: skip


def _headers(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield tarfile.TarInfo(f"{number:099d}").tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize("kind", TAKEN)
def test_a_zip_or_tar_that_is_read_back(tmp_path: Path, kind: str) -> None:
    form, bomb, errors = TAKEN[kind]
    path = tmp_path / f"bomb.{form}"
    path.write_bytes(bomb())
    ends(lambda: inspect(str(path), form), *errors)  # type: ignore[arg-type]


def test_what_is_no_bomb_goes_through() -> None:
    """The child and its limits are not what stops the others."""
    made = make([bytes(8 * MIB)], frame_bytes=4 * MIB, chunk=MIB)
    ends(lambda: read_segment(made.data), "")
