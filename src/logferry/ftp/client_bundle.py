"""Many files as one upload: a tar archive made while it is sent, and what the server says became of each member.

See docs/reference/bundle.md for what goes over the wire.
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from logferry.compressed import zstd_library
from logferry.errors import BadName, Conflict, Later, LogferryError, Refused, Unreachable
from logferry.ftp.client_data import DataConnection, Progress, Refusal
from logferry.ftp.client_session import ClientSession
from logferry.ftp.client_store import StoreItem, StoreResult, patience_s
from logferry.ftp.cut import Aborted
from logferry.ftp.protocol import tar_writer
from logferry.ftp.protocol.bundle import Report, member_path, read_report
from logferry.ftp.protocol.refusals import failure
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.sending import SendSource
from logferry.limits import FTP_DATA_BLOCK_BYTES, READ_WHOLE_BYTES

_LEVEL_MAX = 19
"""Beyond it zstd uses windows that servers refuse."""


@dataclass(frozen=True, slots=True)
class BundleResult:
    """What became of a bundle. ``results`` has one entry per item, in order; stored if and only if it has no error.

    ``error`` says why the bundle as a whole ended early; ``files`` and ``count`` (bytes) are what the server says it
    has stored of it. ``agrees``: whether the server got the very bytes that were sent; None: not asked, or it cannot
    tell. If not, members may be stored that have other bytes: compare each of them.
    """

    results: tuple[StoreResult, ...]
    reply: Reply | None = field(default=None, repr=False)
    error: LogferryError | None = None
    files: int = 0
    count: int = 0
    agrees: bool | None = None


class SessionKeeper(Protocol):
    """Whoever owns the session."""

    def session(self) -> ClientSession: ...


def best_format(offered: tuple[str, ...]) -> str:
    """The format to send where ``offered`` are understood: the smallest that costs little here; empty for none."""
    if "tar.zst" in offered and zstd_library() is not None:
        return "tar.zst"
    return next((form for form in ("tar", "tar.gz") if form in offered), "")


def store_bundle(
    keeper: SessionKeeper,
    items: Iterable[StoreItem],
    *,
    form: str = "",
    level: int = 3,
    progress: Progress | None = None,
    verify: bool = False,
) -> BundleResult:
    """Send ``items`` as one bundle in ``form`` (see ``FtpClient.store_bundle``)."""
    session = keeper.session()
    offered = session.features.bundle_formats
    form = form or best_format(offered)
    if not session.features.bundle_folder or form not in offered:
        raise Refused(
            f"the server takes no bundles{f' of the form {form}' if form else ''}",
            hint="see Features.bundle_formats; upload the files one by one",
        )
    # TLS and compressed forms find out by themselves.
    digest = None
    if verify and form == "tar" and not session.control.encrypted:
        session.ask_for_digests()
        digest = hashlib.sha256() if session.upload_digests else None
    work = _Sending(items, _compressor(form, level), progress, digest)
    path = f"{session.features.bundle_folder}/{secrets.token_hex(8)}.{form}"
    return work.run(session, path)


class _Sending:
    """One bundle on its way."""

    def __init__(
        self, items: Iterable[StoreItem], compressor: _Compressor, progress: Progress | None, digest: _Digest | None
    ) -> None:
        self._digest = digest
        self._items = iter(items)
        self._compressor = compressor
        self._progress = progress
        self._all: list[StoreItem] = []
        self._unsent: dict[int, LogferryError] = {}
        """Items that were left out here, and why."""
        self._members: dict[bytes, int] = {}
        """Names whose headers went out, in order, and the indices of their items."""
        self._sent = 0

    def run(self, session: ClientSession, path: str) -> BundleResult:
        reply: Reply | None = None
        error: LogferryError | None = None
        with session.transfer("STOR", path, rest=0) as data:
            try:
                self._send(session, data)
            except Refusal:
                error = Unreachable(f"STOR {path}: the server ended it before it had the bytes", hint="try again")
            except Aborted:
                raise
            except LogferryError as broken:
                error = broken
            if error is not None:
                data.reset()
            reply, error = self._verdict(session, error, f"STOR {path}")
        self._all.extend(self._items)
        return self._result(reply, error)

    def _send(self, session: ClientSession, data: DataConnection) -> None:
        session.secure(data)
        waiting: list[bytes] = []
        size = 0
        for piece in self._archive():
            packed = self._compressor.compress(piece)
            if not packed:
                continue
            waiting.append(packed)
            size += len(packed)
            if size >= FTP_DATA_BLOCK_BYTES:
                self._send_block(data, b"".join(waiting))
                waiting, size = [], 0
                if self._progress is not None:
                    self._progress(self._sent)
        waiting.append(self._compressor.flush())
        self._send_block(data, b"".join(waiting))
        data.finish_sending()

    def _send_block(self, data: DataConnection, block: bytes) -> None:
        if self._digest is not None:
            self._digest.update(block)
        data.send(SendSource.of(block))

    def _archive(self) -> Iterator[bytes]:
        """The tar archive, piece by piece. Raises what makes it impossible to go on: a large source that shrank."""
        for item in self._items:
            index = len(self._all)
            self._all.append(item)
            try:
                name = self._name(item)
                # Read before its header goes out: a small source that shrank leaves the others alone.
                whole = _content(item) if item.length <= READ_WHOLE_BYTES else None
            except LogferryError as error:
                self._unsent[index] = error
                continue
            self._members[name] = index
            head = tar_writer.header(name, item.length, item.modified_ns)
            self._sent += item.length
            if whole is not None:
                yield b"".join((head, whole, tar_writer.padding(item.length)))
                continue
            yield head
            done = 0
            while done < item.length:
                block = item.source.block(done, FTP_DATA_BLOCK_BYTES)
                done += len(block)
                yield bytes(block)
            yield tar_writer.padding(item.length)
        yield tar_writer.END

    def _name(self, item: StoreItem) -> bytes:
        assert item.rest == 0, "a bundle holds whole files"
        path = member_path(item.path.lstrip("/").encode("utf-8", "surrogateescape"))
        name = path[1:].encode("utf-8", "surrogateescape")
        if not name:
            raise BadName(f"{item.path} is no file")
        if name in self._members:
            raise Conflict(f"{item.path} came before in this bundle", hint="each path once")
        return name

    def _verdict(
        self, session: ClientSession, broken: LogferryError | None, doing: str
    ) -> tuple[Reply | None, LogferryError | None]:
        """The final reply, which explains a broken data connection better than the break; and what went wrong."""
        try:
            reply = session.control.final(patience_s=patience_s(self._sent))
        except LogferryError as error:
            return None, broken or error
        report = read_report(reply)
        if report is None:
            return reply, broken or failure(reply, doing) if not reply.completed else broken
        if report.members < len(self._members):
            return reply, broken if isinstance(broken, Conflict) else failure(reply, doing)
        return reply, None

    def _result(self, reply: Reply | None, error: LogferryError | None) -> BundleResult:
        report = read_report(reply) if reply is not None else None
        if report is None:
            report = Report()
            if error is None:
                error = Later("the server did not say what it stored of the bundle", hint="upload the files one by one")
        unsent = error or Later("it was not sent", hint="send it again")
        outcome: dict[int, LogferryError] = dict.fromkeys(range(len(self._all)), unsent) | self._unsent
        refused = {one.name: one for one in report.refusals}
        for place, (name, index) in enumerate(self._members.items()):
            one = refused.get(name)
            if one is not None:
                outcome[index] = failure(Reply(one.code, (one.reason,)), f"bundle member {self._all[index].path}")
            elif place < report.members:
                if report.refused == len(report.refusals):
                    del outcome[index]
                else:
                    outcome[index] = Later("the server refused members it did not name", hint="send fewer at once")
        results = tuple(
            StoreResult(
                item,
                reply,
                size=None if index in outcome else item.length,
                error=outcome.get(index),
                modified_set=index not in outcome and item.modified_ns is not None,
            )
            for index, item in enumerate(self._all)
        )
        agrees = self._digest.hexdigest() == report.sha256 if self._digest is not None and report.sha256 else None
        return BundleResult(results, reply, error, report.files, report.count, agrees)


def _content(item: StoreItem) -> bytes:
    """All bytes of a small item. Raises Conflict, Refused."""
    source, done, parts = item.source, 0, []
    while done < item.length:
        block = source.block(done, item.length - done)
        parts.append(bytes(block))
        done += len(block)
    return b"".join(parts)


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Stored:
    """No compression."""

    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _compressor(form: str, level: int) -> Any:
    if form == "tar":
        return _Stored()
    if form == "tar.gz":
        return zlib.compressobj(min(level, 9), wbits=31)
    library = zstd_library()
    if library is None:
        raise Refused("zstd is not installed here", hint="pip install zstandard, or send tar")
    level = min(level, _LEVEL_MAX)
    compressor = library.ZstdCompressor
    if hasattr(compressor, "stream_writer"):
        return compressor(level=level, write_checksum=True).compressobj()
    parameters = library.CompressionParameter
    return compressor(options={parameters.compression_level: level, parameters.checksum_flag: 1})
