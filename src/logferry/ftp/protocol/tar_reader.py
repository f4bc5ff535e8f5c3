"""A tar archive as it arrives: bytes in, members and pieces of their content out. No I/O, nothing kept but a header.

Understood: V7, ustar, pax (``path``, ``size``, ``mtime`` with fractions, global headers), GNU long names, numbers in
base 256. Fed in one piece or byte by byte it gives the same members with the same content.
"""

from __future__ import annotations

from collections.abc import Iterator

from logferry.ftp.protocol.tar_headers import (
    BLOCK_BYTES,
    FILE,
    ZEROS,
    BadBundle,
    Header,
    Member,
    decimal_ns,
    decimal_size,
    has_content,
    kind_of,
    read_header,
    records,
)
from logferry.limits import TAR_EXTENSION_BYTES_MAX

_YIELD, _SKIP, _COLLECT = range(3)
"""What is done with the content that comes."""
_SPARSE = b"GNU.sparse."
"""Begins the keys of records about a sparse file."""


class TarReader:
    """Feed it everything, then ask ``finish``.

    A ``Member`` is followed by its content, ``memoryview`` pieces of together ``size`` bytes, if it is a file;
    content of anything else is passed over.
    """

    __slots__ = ("_block", "_collected", "_common", "_extension", "_left", "_long_name", "_own", "_padding", "_sparse",
                 "_use", "ended")  # fmt: skip

    def __init__(self) -> None:
        self._block = bytearray()
        """The beginning of a header that has not arrived whole."""
        self._left = 0
        """Content that is still to come, then ``_padding``."""
        self._padding = 0
        self._use = _YIELD
        self._extension = b""
        """The type of the extension header whose content is being collected."""
        self._collected = bytearray()
        self._common: dict[bytes, bytes] = {}
        """What global pax headers say of all members, ``_own`` what others say of the next."""
        self._own: dict[bytes, bytes] = {}
        self._long_name: bytes | None = None
        self._sparse: Member | None = None
        """A sparse file whose map goes on in the next block."""
        self.ended = False
        """Whether the end mark has come."""

    def feed(self, data: memoryview | bytes) -> Iterator[Member | memoryview]:
        """Take bytes; to be iterated to the end. The pieces are views of ``data``.

        Raises:
            BadBundle: what comes here is no tar archive, or a damaged one. What came out before is good.
        """
        view = memoryview(data)
        at, end = 0, len(view)
        while at < end:
            if self._left:
                take = min(self._left, end - at)
                self._left -= take
                if self._use == _YIELD:
                    yield view[at : at + take]
                elif self._use == _COLLECT:
                    self._collected += view[at : at + take]
                    if not self._left:
                        self._extend()
                at += take
            elif self._padding:
                take = min(self._padding, end - at)
                self._padding -= take
                at += take
            elif not self._block and end - at >= BLOCK_BYTES:
                member = self._take(bytes(view[at : at + BLOCK_BYTES]))
                at += BLOCK_BYTES
                if member is not None:
                    yield member
            else:
                take = min(BLOCK_BYTES - len(self._block), end - at)
                self._block += view[at : at + take]
                at += take
                if len(self._block) == BLOCK_BYTES:
                    block = bytes(self._block)
                    self._block.clear()
                    member = self._take(block)
                    if member is not None:
                        yield member

    def finish(self) -> None:
        """That was all. Raises BadBundle when it cannot have been: the end mark is missing or something is cut."""
        if not self.ended or self._left or self._padding or any(self._block):
            raise BadBundle("the tar archive ends before its end mark", hint="it was cut; send it again")

    # Header blocks -------------------------------------------------------------------------------------------------

    def _take(self, block: bytes) -> Member | None:
        """One header block: the member it begins, if it does."""
        if self._sparse is not None:
            return self._more_map(block)
        if block == ZEROS:
            if self._own or self._long_name is not None:
                raise BadBundle("the tar archive ends behind an extension header")
            self.ended = True
            return None
        header = read_header(block)
        # Archives may follow each other, each with its end mark.
        self.ended = False
        if header.kind in b"xXgLK":
            self._begin_extension(header)
            return None
        return self._begin(header)

    def _begin_extension(self, header: Header) -> None:
        if header.size > TAR_EXTENSION_BYTES_MAX:
            raise BadBundle(f"an extension header of {header.size} bytes", hint=f"at most {TAR_EXTENSION_BYTES_MAX}")
        self._extension = header.kind
        self._collected.clear()
        self._expect(header.size, _COLLECT)
        if not header.size:
            self._extend()

    def _extend(self) -> None:
        """An extension header has arrived whole."""
        kind, content = self._extension, bytes(self._collected)
        if kind in b"xX":
            self._own.update(_of_use(records(content)))
        elif kind == b"g":
            self._common.update(_of_use(records(content)))
        elif kind == b"L":
            self._long_name = content.partition(b"\x00")[0]
        # K, the long target of a link: links are not followed by anybody here.

    def _begin(self, header: Header) -> Member | None:
        said = {**self._common, **self._own} if self._common else self._own
        name = header.name if self._long_name is None else self._long_name
        size, modified_ns, kind = header.size, header.modified_ns, kind_of(header.kind)
        if said:
            # An empty value takes back what was said before (POSIX pax, "pax header block").
            name = said.get(b"path") or name
            size = decimal_size(said[b"size"]) if said.get(b"size") else size
            modified_ns = decimal_ns(said[b"mtime"]) if said.get(b"mtime") else modified_ns
            if kind == FILE and _SPARSE in said:
                kind = "sparse file"
                name = said.get(b"GNU.sparse.name") or name
        self._own = {}
        self._long_name = None
        if not has_content(header.kind):
            size = 0
        member = Member(name, kind, size, modified_ns)
        if header.kind == b"S" and header.is_sparse_extended:
            self._sparse = member
            return None
        self._expect(size, _YIELD if kind == FILE else _SKIP)
        return member

    def _more_map(self, block: bytes) -> Member | None:
        """A block more of the map of an old GNU sparse file; after the last one its content follows."""
        if block[504] == 1:
            return None
        member, self._sparse = self._sparse, None
        assert member is not None
        self._expect(member.size, _SKIP)
        return member

    def _expect(self, size: int, use: int) -> None:
        self._left = size
        self._padding = -size % BLOCK_BYTES
        self._use = use


def _of_use(said: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """What we go by of the records of a pax header. Others are not kept: their number has no bound."""
    kept: dict[bytes, bytes] = {
        key: said[key] for key in (b"path", b"size", b"mtime", b"GNU.sparse.name") if key in said
    }
    if any(key.startswith(_SPARSE) for key in said):
        kept[_SPARSE] = b""
    return kept
