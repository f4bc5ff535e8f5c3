"""Bytes that nobody meant: command lines, replies and listings, taken apart and put together wrongly."""

from __future__ import annotations

import random
from collections.abc import Sequence

from logferry.ftp.protocol.commands import ALIASES, RULES
from logferry.limits import FTP_LINE_BYTES_MAX, NAME_BYTES_MAX

VERBS = [verb.encode() for verb in (*RULES, *ALIASES, "XFOO", "REIN", "ACCT", "SMNT", "LPRT", "MDXX", "HOST", "HASH")]

PIECES: list[bytes] = [
    *(b"", b" ", b"/", b"//", b".", b"..", b"../../..", b"/../etc/passwd", b"\\..\\..", b"C:\\", b"CON", b"nul.txt"),
    *(b"a", b"name with spaces", b"-la", b"-a -l /x", b"--", b"*", b"?[a-z]*", b"[", b"~", b"~root", b"$HOME", b"`id`"),
    *(
        b"\x00",
        b"\r",
        b"\x1b[2J",
        b"\x7f",
        b"\x85",
        b"\x0b\x0c",
        b"\xe2\x80\xa8",
        b"\xe2\x80\xae",
        b"\xff",
        b"\xff\xff",
    ),
    *(
        b"\xff\xf4\xff\xf2",
        b"\xff\xfb\x01",
        b"\xff\xfd",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xfe\xff",
    ),
    *(
        b"ann",
        b"secret",
        b"wrong",
        b"TLS",
        b"SSL",
        b"TLS-C",
        b"P",
        b"C",
        b"S",
        b"E",
        b"0",
        b"1",
        b"2",
        b"ALL",
        b"I",
        b"A",
    ),
    *(
        b"F",
        b"R",
        b"B",
        b"Z",
        b"18446744073709551615",
        b"9" * 19,
        b"9" * 5000,
        b"-1",
        b"1e9",
        b"\xd9\xa1\xd9\xa2",
        b"0x10",
    ),
    *(
        b"127,0,0,1,0,80",
        b"10,0,0,1,4,1",
        b"|1|127.0.0.1|80|",
        b"|2|::1|2121|",
        b"|||",
        b"1,2,3,4,5,6,7",
        b"256,0,0,0,0,0",
    ),
    *(b"20260101000000", b"20260230000000", b"00000000000000", b"99991231235960", b"20260101000000.999999999"),
    *(
        b"20260101000000 /a",
        b"MLST type;size;",
        b"MLST",
        b"UTF8 ON",
        b"HASH SHA-256",
        b"CHMOD 644 /a",
        b"CHMOD 9999 /a",
    ),
    *(b"HELP", b"CHMOD 0777 ..", b"x" * NAME_BYTES_MAX, b"x" * (NAME_BYTES_MAX + 1), b"d/" * 300, b"y/" * 2000),
    *(b"z" * (FTP_LINE_BYTES_MAX - 6), b"z" * FTP_LINE_BYTES_MAX, "ünïcode/日本".encode(), b"%n%s%x", b"'\"", b"\t"),
]
ENDS = [b"\r\n"] * 12 + [b"\n"] * 2 + [b"\r\r\n", b" \r\n", b"\x00\r\n", b"\r\n\r\n", b"\xff\r\n", b"\n\r"]


def line(dice: random.Random) -> bytes:
    """One command line, often nearly right, with its end."""
    kind = dice.random()
    if kind < 0.05:
        return dice.randbytes(dice.randrange(40)) + dice.choice(ENDS)
    verb = dice.choice(VERBS)
    if dice.random() < 0.2:
        verb = bytes(byte ^ 0x20 if dice.random() < 0.5 else byte for byte in verb)
    argument = b"".join(dice.choice(PIECES) for _ in range(dice.choice((0, 1, 1, 1, 2, 3))))
    made = verb + (b" " + argument if argument or dice.random() < 0.1 else b"")
    if kind < 0.25:
        made = bent(made, dice)
    return made + dice.choice(ENDS)


def bent(data: bytes, dice: random.Random) -> bytes:
    """``data`` with a few bytes changed, cut out, doubled or put in."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5))):
        at = dice.randrange(len(changed) + 1)
        match dice.randrange(5):
            case 0 if at < len(changed):
                changed[at] = dice.randrange(256)
            case 1:
                del changed[at : at + dice.randrange(1, 5)]
            case 2:
                changed[at:at] = changed[at : at + dice.randrange(1, 9)]
            case 3:
                changed[at:at] = dice.randbytes(dice.randrange(1, 4))
            case _:
                changed[at:at] = dice.choice(PIECES)
    return bytes(changed)


def pieces_of(data: bytes, dice: random.Random) -> Sequence[bytes]:
    """``data`` cut at random places."""
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
