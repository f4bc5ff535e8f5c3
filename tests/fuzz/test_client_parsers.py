"""What a hostile or broken server may say to the client: replies, listings, facts, passive ports, sizes.

Invariants: whole or byte by byte, the same result; the only errors are Logferry's own; memory stays bounded.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from logferry.errors import LogferryError
from logferry.ftp.client_store import read_size
from logferry.ftp.protocol.client import ClientProtocol
from logferry.ftp.protocol.features import read_features
from logferry.ftp.protocol.listing_reader import Listed, ListingReader, read_facts
from logferry.ftp.protocol.passive_reader import extended_passive_port, passive_port
from logferry.ftp.protocol.refusals import failure
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.reply_reader import ReplyReader
from logferry.limits import FTP_LISTING_LINE_BYTES_MAX, FTP_REPLY_LINE_BYTES_MAX
from tests.fuzz.mutate import PIECES, bent
from tests.security.amounts import amount, dice

NOW_NS = 1_795_000_000_000_000_000
REPLIES = [
    b"220 ready\r\n",
    b"220-one\r\n two\r\n220 three\r\n",
    b"211-Extensions:\r\n EPSV\r\n MLST type*;size*;\r\n HASH SHA-256*;SHA-1\r\n X-LOGFERRY atomic\r\n211 End\r\n",
    b"227 Entering passive mode (127,0,0,1,156,64).\r\n",
    b"227 =10,0,0,1,4,1\r\n",
    b"229 Entering extended passive mode (|||40000|)\r\n",
    b"213 12345\r\n",
    b"213 20260101000000.123\r\n",
    b'257 "/a ""b""" is here\r\n',
    b"250-Facts:\r\n type=file;size=5;modify=20260101000000; /a\r\n250 End\r\n",
    b"150 Opening (99 bytes)\r\n226 done\r\n",
    b"550 No such file\r\n",
    b"421 bye\n",
]
ROWS = [
    b"type=file;size=1234;modify=20260101000000.5;unique=1g2;perm=adfrw; a name\r\n",
    b"type=cdir;modify=20260101000000; .\r\n",
    b"type=OS.unix=slink:/etc;size=7; link\r\n",
    b"-rw-r--r--   1 ftp      ftp          1234 Nov 23 08:14 a name\r\n",
    b"drwxr-xr-x   2 0        0            4096 Feb 29  2024 folder\r\n",
    b"lrwxrwxrwx 1 a b 7 Jan  1 00:00 link -> target -> more\r\n",
    b"brw-rw---- 1 root disk 8, 0 2026-01-01 10:10 sda\r\n",
    b"01-31-26  10:15PM       <DIR>          folder\r\n",
    b"01-31-2026  00:15          123456789 file.txt\r\n",
    b"total 12\r\n",
    b"-rw-r--r-- 1 a b " + b"9" * 5000 + b" Nov 23 08:14 large\r\n",
    b"type=file;size=" + b"9" * 5000 + b"; large\r\n",
    b"01-31-26  10:15PM  " + b"9" * 5000 + b" large\r\n",
    b"-rw-r--r-- " + b"1 " * 4000 + b"\r\n",
    b"-rw-r--r--" + b" " * 8000 + b"a" * 4000 + b"\r\n",
]


def _told(work: Callable[[], object]) -> object:
    """What ``work`` returns, or the error it tells; anything but an error of ours fails the test."""
    try:
        return work()
    except LogferryError as error:
        return f"{type(error).__name__}: {error}"


def _mutant(corpus: list[bytes], source: random.Random) -> bytes:
    data = b"".join(source.choice(corpus) for _ in range(source.randrange(1, 6)))
    if source.random() < 0.1:
        data += source.choice(PIECES) * source.randrange(1, 50)
    return bent(data, source) if source.random() < 0.9 else data


def _all_at_once(data: bytes, source: random.Random) -> list[bytes]:
    return [data]


def _bytes(data: bytes, source: random.Random) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


Cut = Callable[[bytes, random.Random], list[bytes]]


def _replies(data: bytes, source: random.Random, cut: Cut) -> tuple[list[Reply], object]:
    reader, found = ReplyReader(), []
    for piece in cut(data, source):
        try:
            found += reader.feed(piece)
        except LogferryError as error:
            return found, type(error)
        assert len(reader._buffer) <= FTP_REPLY_LINE_BYTES_MAX
    return found, None


def _read_on(reply: Reply) -> None:
    """Everything the client makes of a reply."""
    for reader in (extended_passive_port, passive_port, read_size, read_features):
        _told(lambda reader=reader: reader(reply))  # type: ignore[misc]
    for row in reply.lines:
        entry = read_facts(row)
        assert entry is None or entry.size is None or 0 <= entry.size < 2**63
    size = read_size(reply)
    assert size is None or 0 <= size < 2**63
    failure(reply, "STOR /a")


def test_mutated_replies_are_read_alike_however_they_are_cut() -> None:
    """Whole replies or one clear error, then ports, sizes, features and facts out of them."""
    source = dice("replies")
    count = amount("fuzz_replies", 4_000, 300_000)
    read = 0
    for _ in range(count):
        data = _mutant(REPLIES, source)
        whole, error = _replies(data, source, _all_at_once)
        single, error_single = _replies(data, source, _bytes)
        # A reader that gives up loses the replies of the same piece: cut finer, more of them are out before.
        assert error_single == error, data
        assert single[: len(whole)] == whole, data
        assert error is not None or single == whole, data
        for reply in single:
            _read_on(reply)
        read += len(single)
        protocol = ClientProtocol()
        _told(lambda protocol=protocol, data=data: protocol.receive(data))  # type: ignore[misc]
    print(f"{count} streams, {read} replies")


def _listing(data: bytes, *, facts: bool, pieces: list[bytes]) -> object:
    reader = ListingReader(facts=facts, now_ns=NOW_NS)

    def read() -> list[Listed]:
        for piece in pieces:
            reader.feed(piece)
            assert len(reader._buffer) <= FTP_LISTING_LINE_BYTES_MAX
        return reader.finish()

    return _told(read)


def test_mutated_listings_are_read_alike_however_they_are_cut() -> None:
    """Entries or one clear error; sizes are such that a file can have."""
    source = dice("listings")
    count = amount("fuzz_listings", 1_500, 100_000)
    entries = 0
    slowest = 0.0
    for _ in range(count):
        data = _mutant(ROWS, source)
        facts = source.random() < 0.5
        started = time.perf_counter()
        whole = _listing(data, facts=facts, pieces=[data])
        slowest = max(slowest, time.perf_counter() - started)
        middle = source.randrange(len(data) + 1)
        assert _listing(data, facts=facts, pieces=[data[:middle], data[middle:]]) == whole
        if len(data) < 2000:
            assert _listing(data, facts=facts, pieces=_bytes(data, source)) == whole
        if isinstance(whole, list):
            entries += len(whole)
            assert all(one.size is None or 0 <= one.size < 2**63 for one in whole)
    print(f"{count} listings, {entries} entries; slowest {slowest * 1000:.1f} ms")


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_the_corpus_itself_is_read(row: bytes) -> None:
    """Each row alone, by both readers, raises nothing."""
    for facts in (True, False):
        _listing(row, facts=facts, pieces=[row])
