"""Replies out of bytes: whole, one byte at a time, and cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import Unreachable
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.reply_reader import ReplyReader
from logferry.limits import FTP_REPLY_LINE_BYTES_MAX, FTP_REPLY_LINES_MAX

CASES: list[tuple[bytes, list[Reply]]] = [
    (b"220 ready\r\n", [Reply(220, ("ready",))]),
    (b"220 ready\n", [Reply(220, ("ready",))]),
    (b"230\r\n", [Reply(230, ("",))]),
    (b"200 \r\n", [Reply(200, ("",))]),
    (b"\r\n220 after an empty line\r\n", [Reply(220, ("after an empty line",))]),
    (b"226 a\r\n213 5\r\n", [Reply(226, ("a",)), Reply(213, ("5",))]),
    (b"211-Features:\r\n SIZE\r\n MDTM\r\n211 End\r\n", [Reply(211, ("Features:", "SIZE", "MDTM", "End"))]),
    (b"211-Features:\n211-SIZE\n211-MDTM\n211 End\n", [Reply(211, ("Features:", "SIZE", "MDTM", "End"))]),
    (b"230-Welcome\r\n\r\n  two\r\n230 in\r\n", [Reply(230, ("Welcome", "", " two", "in"))]),
    (b"123-First\r\nSecond\r\n 234 numbers\r\n123 Last\r\n", [Reply(123, ("First", "Second", "234 numbers", "Last"))]),
    (b"214-Help\r\n220 not the end\r\n214\r\n", [Reply(214, ("Help", "220 not the end", ""))]),
    (b"250-Listing\r\n type=file; /a b\r\n250 End\r\n", [Reply(250, ("Listing", "type=file; /a b", "End"))]),
    ('257 "/ü" is it\r\n'.encode(), [Reply(257, ('"/ü" is it',))]),
    (b"550 \xff\xfe gone\r\n", [Reply(550, ("\udcff\udcfe gone",))]),
    (b"550 a\rb\r\n", [Reply(550, ("ab",))]),
]


@pytest.mark.parametrize(("wire", "replies"), CASES)
def test_replies_are_read_whole(wire: bytes, replies: list[Reply]) -> None:
    """All bytes at once give all replies."""
    reader = ReplyReader()
    assert reader.feed(wire) == replies
    assert reader.empty


@pytest.mark.parametrize(("wire", "replies"), CASES)
def test_replies_are_read_byte_by_byte(wire: bytes, replies: list[Reply]) -> None:
    """One byte at a time gives the same replies."""
    reader = ReplyReader()
    assert [reply for n in range(len(wire)) for reply in reader.feed(wire[n : n + 1])] == replies


_bytes = st.binary(max_size=30).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
_texts = _bytes.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
_replies = st.builds(
    lambda code, lines: Reply(code, tuple(lines)), st.integers(100, 599), st.lists(_texts, min_size=1, max_size=5)
)


def _repeats_code(reply: Reply) -> bool:
    """Inner lines that look like the code itself are not told apart from a server that repeats it."""
    return any(line.startswith(f"{reply.code}-") for line in reply.lines[1:-1])


@given(st.lists(_replies.filter(lambda reply: not _repeats_code(reply)), max_size=4), st.randoms())
def test_what_a_server_renders_is_read_back_however_it_is_cut(replies: list[Reply], random: object) -> None:
    """``render`` and ``feed`` are inverse to one another over every partition of the bytes."""
    wire = b"".join(reply.render() for reply in replies)
    cuts = sorted(random.randrange(len(wire) + 1) for _ in range(5)) if wire else []  # type: ignore[attr-defined]
    reader = ReplyReader()
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert [reply for piece in pieces for reply in reader.feed(piece)] == replies
    assert reader.empty


@given(st.binary(max_size=300))
def test_any_bytes_give_replies_or_one_clear_error(data: bytes) -> None:
    """Nothing but Unreachable comes out of garbage."""
    reader = ReplyReader()
    try:
        replies = reader.feed(data)
    except Unreachable:
        return
    assert all(100 <= reply.code <= 599 for reply in replies)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"600 too high\r\n",
        b"099 too low\r\n",
        b"2200 four digits\r\n",
        b"22\r\n",
        b"x" * (FTP_REPLY_LINE_BYTES_MAX + 1),
        b"220 " + b"x" * FTP_REPLY_LINE_BYTES_MAX + b"\r\n",
        b"220-open\r\n" + b"more\r\n" * FTP_REPLY_LINES_MAX,
        b"220-open\r\n" + (b"x" * 16_000 + b"\r\n") * 300,
    ],
    ids=["http", "ssh", "600", "099", "four digits", "two digits", "no end", "long line", "lines", "bytes"],
)
def test_what_is_no_reply_or_too_long_is_refused(wire: bytes) -> None:
    """Other protocols and endless answers end in an error, not in memory."""
    with pytest.raises(Unreachable):
        ReplyReader().feed(wire)


def test_a_started_reply_is_not_empty() -> None:
    """Half a line and half a reply both count as something inside."""
    reader = ReplyReader()
    reader.feed(b"2")
    assert not reader.empty
    reader.feed(b"20-a\r\n")
    assert not reader.empty
    reader.feed(b"220 b\r\n")
    assert reader.empty
