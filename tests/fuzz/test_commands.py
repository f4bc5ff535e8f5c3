"""Mutated command lines and sessions through the server's protocol core.

Invariants: only whole replies of the grammar come back, one final reply for each command; nothing raises; what waits
inside stays below its bounds; nothing that is not allowed reaches the file system; and the same bytes give the same
replies, whole or one by one.
"""

from __future__ import annotations

import random
import time

from logferry.ftp.protocol.state import TlsPolicy
from logferry.limits import FTP_LINE_BYTES_MAX, FTP_LINE_DISCARD_BYTES_MAX
from tests.fuzz.mutate import bent, line, pieces_of
from tests.fuzz.shell import FINAL, REPLIES, Shell
from tests.security.amounts import amount, dice

LINES_A_SESSION = 50
POLICIES: tuple[TlsPolicy, ...] = ("off", "off", "explicit", "required")
LOGIN = [b"USER ann\r\n", b"PASS secret\r\n"]
GOODBYE = (b"221 Goodbye.\r\n", b"Too many attempts.\r\n", b"closing.\r\n")
SECURE = [b"AUTH TLS\r\n", b"PBSZ 0\r\n", b"PROT P\r\n"]


def _run(lines: list[bytes], seed: float, policy: TlsPolicy, *, single: bool) -> bytes:
    """Everything a session says to ``lines``, each received whole, or byte by byte."""
    shell = Shell(random.Random(seed), policy)
    shell.feed(b"")
    for one in lines:
        for piece in [one[i : i + 1] for i in range(len(one))] if single else [one]:
            shell.feed(piece)
            assert len(shell.protocol._reader._buffer) <= FTP_LINE_BYTES_MAX + 1
    assert not shell.protocol.busy or shell.gone
    return bytes(shell.out)


def _session(source: random.Random, policy: TlsPolicy) -> list[bytes]:
    start = [*(SECURE if policy != "off" else []), *LOGIN] if source.random() < 0.8 else []
    lines = [*start]
    while len(lines) < LINES_A_SESSION:
        lines.append(line(source))
        if source.random() < 0.3:
            lines.append(b"EPSV\r\n" if source.random() < 0.7 else b"PASV\r\n")
    # What stands behind AUTH in one packet is dropped: such lines come alone, or a byte more or less would matter.
    return lines if policy == "off" else [one[: one.index(b"\n") + 1] for one in lines]


def test_mutated_lines_get_replies_and_nothing_else() -> None:
    """Every line of a fuzzed session, and the same bytes one by one: the same whole replies."""
    source = dice("lines")
    count = amount("fuzz_lines", 12_000, 1_000_000)
    done = 0
    slowest = 0.0
    while done < count:
        policy = source.choice(POLICIES)
        lines = _session(source, policy)
        seed = source.random()
        started = time.perf_counter()
        whole = _run(lines, seed, policy, single=False)
        slowest = max(slowest, time.perf_counter() - started)
        assert REPLIES.fullmatch(whole), (lines, whole)
        if policy == "off" and not whole.endswith(GOODBYE):
            assert len(FINAL.findall(whole)) == 1 + b"".join(lines).count(b"\n"), (lines, whole)
        assert _run(lines, seed, policy, single=True) == whole, lines
        done += len(lines)
    print(f"{done} lines, each whole and byte by byte; slowest session {slowest * 1000:.1f} ms")


def test_mutated_sessions_end_or_go_on_but_never_break() -> None:
    """Whole sessions in pieces cut anywhere, bent once more as a stream: the bounds inside hold, replies stay whole."""
    source = dice("sessions")
    count = amount("fuzz_sessions", 400, 100_000)
    ended = finals = 0
    for _ in range(count):
        policy = source.choice(POLICIES)
        shell = Shell(random.Random(source.random()), policy)
        stream = b"".join(_session(source, policy)[: source.randrange(2, LINES_A_SESSION)])
        if source.random() < 0.5:
            stream = bent(stream, source)
        shell.feed(b"")
        for piece in pieces_of(stream, source):
            shell.feed(piece)
            assert shell.protocol._queued_bytes >= 0
            assert shell.protocol._queued_bytes == 0 or shell.gone or shell.protocol.ended
        assert REPLIES.fullmatch(bytes(shell.out)), (stream, shell.out)
        finals += len(FINAL.findall(shell.out))
        ended += shell.protocol.ended
        if shell.protocol.ended:
            before = len(shell.out)
            shell.feed(b"NOOP\r\n")
            assert len(shell.out) == before, "a session that ended still talks"
    print(f"{count} sessions, {finals} final replies, {ended} ended by themselves")


def test_a_line_of_twenty_megabytes_costs_no_memory_and_ends_the_session() -> None:
    """What is longer than a line is thrown away as it comes, and after a bound the client is sent away."""
    shell = Shell(random.Random(0), "off")
    sent = 0
    while sent < 20 * 2**20 and not shell.protocol.ended:
        shell.feed(b"A" * 8192)
        sent += 8192
        assert len(shell.protocol._reader._buffer) <= FTP_LINE_BYTES_MAX
    assert sent <= FTP_LINE_DISCARD_BYTES_MAX + 4 * 8192
    assert bytes(shell.out).splitlines()[-1].startswith(b"421 ")
