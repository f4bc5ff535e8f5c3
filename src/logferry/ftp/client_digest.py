"""Digests of files on the server and here, to compare: a size says that nothing is missing, they that all is equal."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

from logferry.errors import Conflict, Refused
from logferry.ftp.client_session import ClientSession
from logferry.ftp.client_store import patience_s
from logferry.ftp.portable import read_at
from logferry.ftp.protocol.digest_reader import best_method, digest_argument, read_digest
from logferry.ftp.protocol.refusals import failure
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
    method = best_method(session.features)
    if method is None:
        return None
    if method.verb == "HASH":
        chosen = session.digest_algorithm or session.features.hash_algorithms[0]
        if chosen.upper() != method.algorithm:
            if not session.control.command("OPTS", f"HASH {method.algorithm}").completed:
                return None
            session.digest_algorithm = method.algorithm
    argument = digest_argument(method.verb, path)
    # The server reads the whole file before it answers.
    reply = session.control.command(method.verb, argument, patience_s=patience_s(length))
    if reply.transient:
        raise failure(reply, f"{method.verb} {path}")
    found = read_digest(reply, method.algorithm)
    return None if found is None else Digest(method.algorithm, found)


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
