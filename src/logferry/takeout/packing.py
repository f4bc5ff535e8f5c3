"""Members into one zip or tar, as a stream of bytes. A file that cannot be read never stops the others: it is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol, get_args

from logferry.compressed import form_by_name
from logferry.errors import Damaged, LogferryError
from logferry.limits import COPY_BYTES, PIECE_BYTES, ZIP_LEVEL
from logferry.takeout.manifest import Manifest, blocks_of
from logferry.takeout.member import Member, Opened, member_name
from logferry.takeout.tars import TarStream, gzip_tar, zstd_tar
from logferry.takeout.zips import ZipStream

Form = Literal["zip", "tar", "tar.gz", "tar.zst"]
FORMS: tuple[Form, ...] = get_args(Form)
MEDIA_TYPES: dict[Form, str] = {
    "zip": "application/zip",
    "tar": "application/x-tar",
    "tar.gz": "application/gzip",
    "tar.zst": "application/zstd",
}
_PIECES_MAX = 64
"""What is made at one go, each at most ``COPY_BYTES`` of a file: whoever sends it wants to stop between."""


class Stream(Protocol):
    """A zip or tar in the making."""

    def begin(self, name: str, size: int, modified_ns: int, *, level: int) -> bytes:
        """The header of a member."""
        ...

    def data(self, block: bytes) -> bytes:
        """Bytes of it."""
        ...

    def end(self) -> Iterator[bytes]:
        """Its end."""
        ...

    def close(self) -> Iterator[bytes]:
        """The end of the whole."""
        ...

    def drop(self) -> None:
        """It will not be finished."""
        ...


_MAKERS: dict[Form, Callable[[], Stream]] = {
    "zip": ZipStream,
    "tar": TarStream,
    "tar.gz": gzip_tar,
    "tar.zst": zstd_tar,
}


def form_by_output(name: str) -> Form | None:
    """The form that the end of a file name asks for: ``.zip``, ``.tar``, ``.tar.gz`` or ``.tgz``, ``.tar.zst``."""
    lower = name.lower()
    if lower.endswith(".tgz"):
        return "tar.gz"
    return next((form for form in FORMS if lower.endswith(f".{form}")), None)


def packed(form: Form, members: Iterable[Member], *, agents: Iterable[str], made_ns: int) -> Iterator[bytes]:
    """The bytes of a zip or tar with all members, ``MANIFEST.json`` and, where something is missing, ``ERRORS.txt``.

    Args:
        members: in the order wanted; consumed as the bytes are taken.
        agents: all that members may belong to: their names are the folders at the top.
        made_ns: the time that is written into it.

    Raises:
        Refused: the form needs a package that is not installed.
    """
    stream = _MAKERS[form]()  # what is not there is told before the first byte
    return _gathered(_pieces(stream, members, frozenset(agents), made_ns))


def _pieces(stream: Stream, members: Iterable[Member], agents: frozenset[str], made_ns: int) -> Iterator[bytes]:
    manifest = Manifest(made_ns)
    try:
        for member in members:
            yield from _member(stream, manifest, member)
        for name, size, file in manifest.members(agents):
            yield stream.begin(name, size, made_ns, level=ZIP_LEVEL)
            yield from map(stream.data, blocks_of(file))
            yield from stream.end()
        yield from stream.close()
    finally:
        stream.drop()
        manifest.close()


def _member(stream: Stream, manifest: Manifest, member: Member) -> Iterator[bytes]:
    name = member_name(member.agent, member.path)
    try:
        opened = member.open()
    except LogferryError as error:
        manifest.missing(member, name, error)
        return
    with opened as reader:
        try:
            block = reader.read_at(0, COPY_BYTES)
        except LogferryError as error:
            manifest.missing(member, name, error)
            return
        yield stream.begin(name, reader.size, member.modified_ns, level=0 if form_by_name(member.path) else ZIP_LEVEL)
        digest, at = hashlib.sha256(), 0
        fault: LogferryError | None = None
        while block:
            digest.update(block)
            at += len(block)
            yield stream.data(block)
            try:
                block = reader.read_at(at, COPY_BYTES)
            except LogferryError as error:
                fault = error
                break
        yield from stream.end()
        fault = fault or _checked(member, reader, at, digest.hexdigest())
    if fault:
        manifest.broken(member, name, fault, size=at, of=reader.size, sha256=digest.hexdigest())
    else:
        manifest.whole(member, name, at, digest.hexdigest())


def _checked(member: Member, reader: Opened, size: int, sha256: str) -> LogferryError | None:
    """What is wrong with bytes that could all be read."""
    if size != reader.size:
        return Damaged(
            f"{member.path} ended at byte {size:,}", where=member.path, hint="ask for a scrub of the archive"
        )
    if member.sha256 and member.size == size and member.sha256 != sha256:
        return Damaged(
            f"{member.path} has other bytes than were confirmed",
            where=member.path,
            expected=member.sha256,
            found=sha256,
            hint="ask for a scrub of the archive",
        )
    return None


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces worth sending; now and then an empty one, where much becomes nearly nothing."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES or len(waiting) >= _PIECES_MAX:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
