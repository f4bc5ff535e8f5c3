"""Tar archives as they arrive: Python's ``tarfile`` is the oracle, for every format, whole and byte by byte."""

from __future__ import annotations

import io
import random
import tarfile
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logferry.errors import LogferryError
from logferry.ftp.protocol import tar_writer
from logferry.ftp.protocol.tar_headers import BadBundle, Member, decimal_ns, number, records
from logferry.ftp.protocol.tar_reader import TarReader
from logferry.limits import TAR_EXTENSION_BYTES_MAX

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


class Whole(NamedTuple):
    """A member and its content."""

    member: Member
    content: bytes


def read(archive: bytes, step: int = 0, *, finish: bool = True) -> list[Whole]:
    """All members, fed ``step`` bytes at a time."""
    reader = TarReader()
    found: list[tuple[Member, list[bytes]]] = []
    for start in range(0, len(archive), step or max(len(archive), 1)):
        for event in reader.feed(memoryview(archive)[start : start + (step or len(archive))]):
            if isinstance(event, Member):
                found.append((event, []))
            else:
                found[-1][1].append(bytes(event))
    if finish:
        reader.finish()
    return [Whole(member, b"".join(pieces)) for member, pieces in found]


def archive_of(*files: tuple[str, bytes], form: int = tarfile.PAX_FORMAT, mtime: float = 1_700_000_000) -> bytes:
    """A tar archive as Python writes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = mtime
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


names = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1, max_size=60),
    min_size=1,
    max_size=6,
).map("/".join)


@given(
    st.lists(st.tuples(names, st.binary(max_size=1500)), max_size=5),
    st.sampled_from(FORMATS),
    st.integers(0, 2**33 - 1),
    st.sampled_from([1, 7, 511, 512, 513]),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_reads_what_tarfile_writes(files: list[tuple[str, bytes]], form: int, mtime: int, step: int) -> None:
    """Names, sizes, times and contents come out as they went in, however the bytes are cut."""
    try:
        archive = archive_of(*files, form=form, mtime=mtime)
    except ValueError:  # too long a name for ustar
        assert form == tarfile.USTAR_FORMAT
        return
    whole = read(archive)
    assert [(one.member.name.decode(), one.content, one.member.size) for one in whole] == [
        (name.rstrip("/"), content, len(content)) for name, content in files
    ]
    assert all(one.member.modified_ns == mtime * 10**9 and one.member.kind == "file" for one in whole)
    assert read(archive, step) == whole


@given(
    st.lists(st.tuples(names, st.binary(max_size=700)), max_size=4),
    st.integers(-(2**60), 2**62),
)
@settings(deadline=None, max_examples=60)
def test_tarfile_reads_what_we_write(files: list[tuple[str, bytes]], modified_ns: int) -> None:
    """What the client sends is a tar archive to everybody, and to ourselves, times to the nanosecond."""
    parts = []
    for name, content in files:
        raw = name.encode()
        parts += [tar_writer.header(raw, len(content), modified_ns), content, tar_writer.padding(len(content))]
    archive = b"".join(parts) + tar_writer.END
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = [(info.name, extracted.read()) for info in tar if (extracted := tar.extractfile(info)) is not None]
    assert found == [(name.rstrip("/"), content) for name, content in files]
    assert [(one.member.name.decode(), one.content) for one in read(archive)] == files
    assert all(one.member.modified_ns == modified_ns for one in read(archive))


def test_other_kinds_are_told_and_their_content_passed_over() -> None:
    """Links, devices and FIFOs are named by kind; what follows them is found again."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind in (
            ("folder", tarfile.DIRTYPE),
            ("hard", tarfile.LNKTYPE),
            ("soft", tarfile.SYMTYPE),
            ("char", tarfile.CHRTYPE),
            ("block", tarfile.BLKTYPE),
            ("fifo", tarfile.FIFOTYPE),
            ("contiguous", tarfile.CONTTYPE),
            ("strange", b"Q"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "x" * 150
            if kind in (tarfile.CONTTYPE, b"Q"):
                info.size = 600
            tar.addfile(info, io.BytesIO(bytes(600)))
        tar.addfile(tarfile.TarInfo("last"))
    for step in (0, 1):
        kinds = {one.member.name: one.member.kind for one in read(out.getvalue(), step)}
        assert kinds == {
            b"folder/": "folder",
            b"hard": "hard link",
            b"soft": "symbolic link",
            b"char": "character device",
            b"block": "block device",
            b"fifo": "FIFO",
            b"contiguous": "file",
            b"strange": "unknown type b'Q'",
            b"last": "file",
        }


def _header(name: bytes, size: bytes, kind: bytes = b"0", *, tail: bytes = b"") -> bytes:
    """A GNU header with fields as given and the right checksum."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[124:136] = size
    block[136:148] = b"00000000000\x00"
    block[156:157] = kind
    block[257:265] = b"ustar  \x00"
    block[345 : 345 + len(tail)] = tail
    block[148:156] = b"        "
    block[148:156] = b"%06o\x00 " % sum(block)
    return bytes(block)


def test_old_sparse_files_are_passed_over_with_their_maps() -> None:
    """The map of an old GNU sparse file may go on in further blocks; its content follows those."""
    more, last = bytearray(b"1" * 512), bytearray(b"1" * 512)
    more[504], last[504] = 1, 0
    head = _header(b"sparse", b"%011o\x00" % 1024, b"S", tail=bytes(137) + b"\x01")
    archive = head + bytes(more) + bytes(last) + b"s" * 1024 + archive_of(("after", b"here"))
    for step in (0, 1):
        assert [(one.member.kind, one.content) for one in read(archive, step)] == [
            ("sparse file", b""),
            ("file", b"here"),
        ]


def test_sparse_files_in_pax_are_no_files() -> None:
    """A map inside the content must not be taken for content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("GNUSparseFile.0/x")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "x"}
        tar.addfile(info)
    assert [(one.member.kind, one.member.name) for one in read(out.getvalue())] == [("sparse file", b"x")]


def test_numbers() -> None:
    """Octal with all the padding in use, base 256 positive and negative."""
    assert number(b"00000000017\x00") == 15
    assert number(b"       17 \x00 ") == 15
    assert number(b"\x00" * 12) == 0
    assert number(b"\x80" + bytes(3) + (2**40).to_bytes(8, "big")) == 2**40
    assert number(b"\xff" * 11 + b"\xfe") == -2
    for wrong in (b"12x45      \x00", b"-1\x00", b"99\x00"):
        with pytest.raises(BadBundle):
            number(wrong)


def test_times_with_fractions() -> None:
    """A pax time is exact to the nanosecond; what cannot be kept is left out."""
    assert decimal_ns(b"1700000000.123456789123") == 1_700_000_000_123_456_789
    assert decimal_ns(b"-1.5") == -1_500_000_000
    assert decimal_ns(b"12.") == 12_000_000_000
    for strange in (b"", b"1e5", b"nan", b"99999999999999999"):
        assert decimal_ns(strange) is None


def test_large_sizes() -> None:
    """Sizes beyond 8 GiB, by base 256 and by pax, and a negative one."""
    size = 9 * 2**30
    base_256 = _header(b"huge", b"\x80" + size.to_bytes(11, "big"))
    for archive in (base_256, tar_writer.header(b"huge", size, 0)):
        assert read(archive, finish=False)[0].member.size == size
    with pytest.raises(BadBundle):
        read(_header(b"negative", b"\xff" * 12), finish=False)


@pytest.mark.parametrize(
    "content",
    [b"x", b"9 path=ab\n", b"30 path=short\n", b"3 a\n", b"5 abc\n", b"0 =\n", b"9 path=abX", b"99999999999 a=b\n"],
)
def test_broken_pax_records(content: bytes) -> None:
    """A record that does not fit its own length is damage."""
    with pytest.raises(BadBundle):
        records(content)


def test_extension_headers_are_bounded() -> None:
    """Nobody makes us keep more than a bound of them in memory."""
    for kind in b"xXgLK":
        with pytest.raises(BadBundle):
            read(_header(b"pax", b"%011o\x00" % (TAR_EXTENSION_BYTES_MAX + 1), bytes([kind])), finish=False)


def test_archives_that_follow_each_other_are_one() -> None:
    """``cat a.tar b.tar``: nothing after an end mark is dropped in silence."""
    two = archive_of(("a", b"1")) + archive_of(("b", b"2"))
    assert [one.content for one in read(two)] == [b"1", b"2"]
    with pytest.raises(BadBundle):
        read(archive_of(("a", b"1")) + b"garbage".ljust(512))


def test_every_cut_is_noticed() -> None:
    """An archive without its end mark is not whole, wherever it was cut; its whole members are good."""
    archive = archive_of(("a", b"1" * 700), ("ü" * 120, b"2" * 300))
    end = len(archive.rstrip(b"\x00")) + 512  # at least to the end of that block
    for cut in range(0, end - end % 512, 7):
        with pytest.raises(BadBundle):
            read(archive[:cut])
    with pytest.raises(BadBundle):
        read(b"")
    assert read(bytes(1024)) == []


def test_every_flipped_bit_of_a_header_is_noticed() -> None:
    """The checksum tells; nothing is taken for another name or size."""
    archive = archive_of(("a", b"1"), form=tarfile.USTAR_FORMAT)
    for place in range(512):
        for bit in range(8):
            changed = bytearray(archive)
            changed[place] ^= 1 << bit
            try:
                found = read(bytes(changed))
            except BadBundle:
                continue
            # Spaces, NULs and digits beyond the field's end mean the same to the checksum itself.
            assert 148 <= place < 156, place
            assert found == read(archive)


def test_signed_checksums() -> None:
    """Some old programs added signed bytes."""
    block = bytearray(_header(b"\xfc\xfc", b"00000000000\x00"))
    block[148:156] = b"        "
    signed = sum(byte - 256 if byte > 127 else byte for byte in block)
    block[148:156] = b"%06o\x00 " % signed
    assert read(bytes(block) + bytes(1024))[0].member.name == b"\xfc\xfc"


def test_mutated_archives_end_in_members_or_in_our_own_error() -> None:
    """Whatever comes: an error of our own or members, the same for every way to cut the bytes."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    archives = [
        archive_of(("a/b", b"1" * 600), ("n" * 180, b"2" * 20), ("ü/x", b""), form=form, mtime=17.25)
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    ]
    for _ in range(1500):
        archive = bytearray(dice.choice(archives))
        for _ in range(dice.randrange(1, 5)):
            start = dice.randrange(0, len(archive))
            choice = dice.randrange(4)
            if choice == 0:
                archive[start] = dice.randrange(256)
            elif choice == 1:
                del archive[start : start + dice.randrange(1, 700)]
            elif choice == 2:
                archive[start:start] = archive[dice.randrange(0, len(archive)) :][: dice.randrange(1, 700)]
            else:
                archive[start : start + 4] = dice.randbytes(4)
            if not archive:
                break
            # Half of the time the header is made right again, so that what is behind the checksum is reached.
            if dice.random() < 0.5 and len(archive) >= 512:
                at = dice.randrange(0, len(archive) // 512) * 512
                archive[at + 148 : at + 156] = b"        "
                archive[at + 148 : at + 156] = b"%06o\x00 " % sum(archive[at : at + 512])
        outcomes = []
        for step in (0, dice.randrange(1, 600)):
            try:
                outcomes.append(str(read(bytes(archive), step)))
            except LogferryError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1], f"seed {seed}"
