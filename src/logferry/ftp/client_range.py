"""Digests of the bytes that were just sent, there and here: what SIZE cannot say, that they arrived unchanged."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

from logferry.ftp.client_session import ClientSession
from logferry.ftp.protocol.client import Command
from logferry.ftp.protocol.digest_reader import (
    DigestMethod,
    best_method,
    digest_argument,
    hashed_range,
    read_digest,
)
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.sending import SendSource
from logferry.limits import FTP_DATA_BLOCK_BYTES


@dataclass(frozen=True, slots=True)
class RangeQuestion:
    """How to ask for the digest of bytes ``start`` to ``stop`` (not included) of a file that ends there."""

    method: DigestMethod
    commands: tuple[Command, ...]
    start: int
    stop: int

    def agrees(self, reply: Reply, source: SendSource) -> bool | None:
        """Whether the server has the bytes of ``source``; None when its reply does not tell.

        A reply that names another range, or another algorithm, is about other bytes. Raises Shrank, Refused: the
        source cannot be read any more.
        """
        there = read_digest(reply, self.method.algorithm)
        named = hashed_range(reply)
        # Some name the last byte behind the dash, some the end. Where a file ends here, both are what was asked for.
        if there is None or (named is not None and named not in ((self.start, self.stop), (self.start, self.stop + 1))):
            return None
        if named is None and self.start:
            return None
        return there == source_digest(source, self.method.algorithm)


def choose_method(session: ClientSession) -> DigestMethod | None:
    """The strongest digest the server offers, chosen by OPTS where that is how; None: none, or not to be had."""
    method = best_method(session.features)
    if method is None or method.verb != "HASH":
        return method
    chosen = session.digest_algorithm or session.features.hash_algorithms[0]
    if chosen.upper() != method.algorithm:
        if not session.control.command("OPTS", f"HASH {method.algorithm}").completed:
            return None
        session.digest_algorithm = method.algorithm
    return method


def question(session: ClientSession, method: DigestMethod, path: str, start: int, stop: int) -> RangeQuestion | None:
    """How to ask for bytes ``start`` to ``stop`` of ``path``, which is not longer; None: this server cannot tell.

    A part is asked for by RANG and HASH, and of servers like ours only. Elsewhere a RANG may outlive a HASH that knows
    nothing of it and cut the next upload, and two numbers behind XCRC and its like mean different things.
    """
    assert 0 <= start < stop, (start, stop)
    ask = (method.verb, digest_argument(method.verb, path))
    if start == 0:
        return RangeQuestion(method, (ask,), start, stop)
    if method.verb != "HASH" or not session.features.guards:
        return None
    return RangeQuestion(method, (("RANG", f"{start} {stop - 1}"), ask), start, stop)


def small_question(start: int, stop: int) -> RangeQuestion:
    """What the reply to a small upload answers by itself, once OPTS STOR SHA-256 was agreed to."""
    return RangeQuestion(DigestMethod("STOR", "SHA-256"), (), start, stop)


def source_digest(source: SendSource, algorithm: str) -> str:
    """The digest of all bytes of ``source``, which is no stream, in hexadecimal. Raises Shrank, Refused."""
    checksum = 0
    hasher = None if algorithm == "CRC32" else hashlib.new(algorithm.replace("-", ""), usedforsecurity=False)
    done = 0
    while done < source.length:
        block = source.block(done, FTP_DATA_BLOCK_BYTES)
        if hasher is None:
            checksum = zlib.crc32(block, checksum)
        else:
            hasher.update(block)
        done += len(block)
    return f"{checksum:08x}" if hasher is None else hasher.hexdigest()
