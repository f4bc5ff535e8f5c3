"""Digests of files on the server and here, to compare: a size says that nothing is missing, they that all is equal."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

from logferry.errors import Conflict, Refused
from logferry.ftp.client_range import choose_method, question
from logferry.ftp.client_session import ClientSession
from logferry.ftp.client_store import patience_s
from logferry.ftp.portable import read_at
from logferry.ftp.protocol.digest_reader import digest_argument, read_digest
from logferry.ftp.protocol.refusals import failure
from logferry.ftp.sending import SendSource
from logferry.limits import COPY_BYTES


@dataclass(frozen=True, slots=True)
class Digest:
    """``hexadecimal`` digits of a digest by ``algorithm``: SHA-256, SHA-512, SHA-1, MD5 or CRC32."""

    algorithm: str
    hexadecimal: str


def ask_digest(session: ClientSession, path: str, *, length: int) -> Digest | None:
    """The server's digest of the whole file ``path`` of about ``length`` bytes; None when it does not compute any.

    Raises Later and its kinds (4yz), Unreachable, TimedOut, BadName, Aborted.
    """
    method = choose_method(session)
    if method is None:
        return None
    argument = digest_argument(method.verb, path)
    # The server reads the whole file before it answers.
    reply = session.control.command(method.verb, argument, patience_s=patience_s(length))
    if reply.transient:
        raise failure(reply, f"{method.verb} {path}")
    found = read_digest(reply, method.algorithm)
    return None if found is None else Digest(method.algorithm, found)


def sent_agrees(session: ClientSession, path: str, source: SendSource, *, rest: int) -> bool | None:
    """Whether the server has the bytes of ``source``, just sent to ``path`` from byte ``rest`` on; None: no telling.

    Raises Shrank, Refused (the source cannot be read any more), Unreachable, TimedOut, BadName, Aborted.
    """
    method = choose_method(session)
    asked = None if method is None else question(session, method, path, rest, rest + source.length)
    if asked is None:
        return None
    *before, last = asked.commands
    for verb, argument in before:
        if not session.control.command(verb, argument).intermediate:
            return None
    return asked.agrees(session.control.command(*last, patience_s=patience_s(source.length)), source)


def file_digest(descriptor: int, algorithm: str, length: int) -> Digest:
    """The digest of the first ``length`` bytes of an open file. Raises Conflict (it has less), Refused (unreadable)."""
    checksum = 0
    hasher = None if algorithm == "CRC32" else hashlib.new(algorithm.replace("-", ""), usedforsecurity=False)
    done = 0
    while done < length:
        try:
            block = read_at(descriptor, min(COPY_BYTES, length - done), done)
        except OSError as error:
            raise Refused(f"cannot read the file: {error.strerror}", hint="check the file and its disk") from error
        if not block:
            raise Conflict(f"the file has {done} bytes, {length} were there before", hint="it was truncated meanwhile")
        if hasher is None:
            checksum = zlib.crc32(block, checksum)
        else:
            hasher.update(block)
        done += len(block)
    return Digest(algorithm, f"{checksum:08x}" if hasher is None else hasher.hexdigest())
