"""The file system: listings, facts and byte ranges of archived files, as fsspec asks for them."""

from __future__ import annotations

import weakref
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from logferry.cli.api import Row
from logferry.cli.connection import Connection, find
from logferry.cli.place import Place
from logferry.errors import NotFound, NotSignedIn, Refused
from logferry.fs.address import PROTOCOL, Address, parse, server_of, stripped
from logferry.fs.pool import Pool

Facts = dict[str, Any]
BLOCK_BYTES = 4 * 1024 * 1024
"""What one request fetches at least, unless ``block_size`` says otherwise."""


class LogferryFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files of a Logferry server, read-only.

    Args:
        host: ``name`` or ``name:port``; empty: the server that the command line would talk to (``LOGFERRY_URL``, the
            server of this machine, or what ``logferry login`` kept).
        token: an API token; without one, that of the command line's connection if it is to the same server.
        pin: ``sha256/…`` of the server's certificate, where no authority signed it.
        secure: False: plain HTTP, for a server on the loopback interface.
        generation: of every file opened, unless its address says another one.

    Missing files raise FileNotFoundError, writing raises PermissionError; everything else the errors of ``logferry``.
    """

    protocol = PROTOCOL
    root_marker = "/"
    cachable = True

    def __init__(
        self,
        host: str = "",
        token: str = "",
        pin: str = "",
        *,
        secure: bool = True,
        generation: int | None = None,
        **storage_options: Any,
    ) -> None:
        super().__init__(host, token, pin, secure=secure, generation=generation, **storage_options)
        self._connection = _connection(host, token, pin, secure=secure)
        self._generation = generation
        self._pool = Pool(self._connection)
        weakref.finalize(self, self._pool.close)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return stripped(str(path))

    @staticmethod
    def _get_kwargs_from_urls(urlpath: str) -> Facts:
        host = server_of(str(urlpath))
        return {"host": host} if host else {}

    def unstrip_protocol(self, name: str) -> str:
        """The whole address of a path."""
        return f"{PROTOCOL}://{urlsplit(self._connection.url).netloc}{stripped(name)}"

    # Looking ---------------------------------------------------------------------------------------------------------

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What lies in a folder; at the root the agents. Of a file: itself."""
        address = self._address(path)
        try:
            found = self._listed(address)
        except NotFound as error:
            raise FileNotFoundError(stripped(path)) from error
        return found if detail else [facts["name"] for facts in found]

    def _listed(self, address: Address) -> list[Facts]:
        place = Place(address.agent, address.path)
        with self._pool.taken() as api:
            if not address.agent:
                return [_folder(f"/{row['id']}", row) for row in api.agents()]
            file = api.file_or_none(place)
            if file is None:
                return [
                    _folder(f"/{address.agent}/{row['path']}", row) if kind == "folder" else _file(row)
                    for kind, row in api.folder(place)
                ]
        return [self._facts(address, file)]

    def _file_at(self, address: Address) -> Row | None:
        with self._pool.taken() as api:
            return api.file_or_none(Place(address.agent, address.path))

    def info(self, path: str, **_: Any) -> Facts:
        """Facts of one file or folder: ``name``, ``type``, ``size``; of a file also ``generation``, ``sha256``,
        ``modified``, ``fid``."""
        address = self._address(path)
        if not address.agent:
            return {"name": "/", "size": 0, "type": "directory"}
        file = self._file_at(address)
        if file:
            return self._facts(address, file)
        if address.generation is None:
            try:
                with self._pool.taken() as api:
                    row = api.get("/tree", agent=address.agent, path=address.path, limit=1)
            except NotFound as error:
                raise FileNotFoundError(stripped(path)) from error
            return _folder(address.text, row)
        raise FileNotFoundError(stripped(path))

    def _address(self, path: str) -> Address:
        """What a path means: ``name~3`` is a file of that name if there is one, else generation 3 of ``name``."""
        first, older = parse(stripped(path))
        if older is None or self._file_at(first):
            return first
        return older if self._file_at(older) else first

    def _facts(self, address: Address, row: Row) -> Facts:
        """Facts of a file in the generation that is asked for."""
        number = address.generation or self._generation
        if number is None or number == row["generation"]:
            return _file(row) | ({"name": f"{address.text}~{number}"} if address.generation else {})
        with self._pool.taken() as api:
            generations = api.get(f"/files/{row['fid']}/generations")["items"]
        for older in generations:
            if older["number"] == number:
                facts = {"size": older["size"], "generation": number, "sha256": older.get("sha256")}
                name = f"{address.text}~{number}" if address.generation else address.text
                return _file(row) | facts | {"modified": _moment(older.get("modified_at")), "name": name}
        raise FileNotFoundError(f"{address.text} has no generation {number}")

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """Paths that a pattern matches. The ``?`` of ``?generation=N`` is no wildcard."""
        plain = stripped(path)
        if parse(plain)[0].generation is None:
            return super().glob(path, maxdepth=maxdepth, **kwargs)
        found = {plain: self.info(plain)} if self.exists(plain) else {}
        return found if kwargs.get("detail") else list(found)

    def modified(self, path: str) -> datetime | None:
        """The node's own time of a file."""
        moment: datetime | None = self.info(path).get("modified")
        return moment

    def checksum(self, path: str) -> str:
        """Changes when the bytes do: generation and length name them."""
        facts = self.info(path)
        return str(facts.get("sha256") or f"{facts.get('fid')}-{facts.get('generation')}-{facts['size']}")

    ukey = checksum

    # Reading ---------------------------------------------------------------------------------------------------------

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,  # noqa: ARG002 - theirs
        cache_options: Facts | None = None,
        **kwargs: Any,
    ) -> LogferryFile:
        if mode != "rb":
            raise PermissionError("a Logferry archive is written by agents only")
        facts = self.info(path)
        if facts["type"] != "file":
            raise IsADirectoryError(stripped(path))
        return LogferryFile(self, facts, block_size=block_size or BLOCK_BYTES, cache_options=cache_options, **kwargs)

    def fetch(self, facts: Facts, start: int, end: int) -> bytes:
        """Bytes ``start <= x < end`` of a generation."""
        if end <= start:
            return b""
        with (
            self._pool.taken() as api,
            api.raw(facts["fid"], gen=facts["generation"], first=start, last=end - 1) as answer,
        ):
            if start and answer.status != 206:
                raise Refused("the server does not send parts of files", hint="is a proxy in between?")
            return answer.read(end - start)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The bytes of a file, or a part of them; negative positions count from the end."""
        facts = self.info(path)
        if facts["type"] != "file":
            raise IsADirectoryError(stripped(path))
        first, last, _step = slice(start, end).indices(facts["size"])
        return self.fetch(facts, first, last)

    def created(self, path: str) -> datetime:
        """Not known."""
        raise NotImplementedError("an archive knows when a file was changed, not when it was made")

    # Writing: never --------------------------------------------------------------------------------------------------

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise PermissionError("a Logferry archive is written by agents only")

    mkdir = makedirs = rmdir = rm_file = _rm = cp_file = mv = touch = pipe_file = put_file = _refuse


class LogferryFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """One open generation, as long as it was when it was opened, with fsspec's block cache before it."""

    def __init__(self, fs: LogferryFileSystem, facts: Facts, **kwargs: Any) -> None:
        self._facts = facts
        super().__init__(fs, facts["name"], "rb", size=facts["size"], **kwargs)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return bytes(self.fs.fetch(self._facts, start, min(end, self.size)))


def _connection(host: str, token: str, pin: str, *, secure: bool) -> Connection:
    """Where to ask, and as whom.

    Raises:
        NotSignedIn: no server is named and none is known.
    """
    try:
        known: Connection | None = find()
    except NotSignedIn:
        if not host:
            raise
        known = None
    if known and (not host or urlsplit(known.url).netloc == host):
        if not token and not pin:
            return known
        return Connection(known.url, token=token or known.token, pin=pin or known.pin, origin="storage options")
    return Connection(f"http{'s' * secure}://{host}", token=token, pin=pin, origin="storage options")


def _folder(name: str, row: Row) -> Facts:
    return {
        "name": name.rstrip("/"),
        "size": 0,
        "type": "directory",
        "files": row.get("files"),
        "bytes": row.get("bytes"),
    }


def _file(row: Row) -> Facts:
    return {
        "name": f"/{row['agent']}/{row['path']}",
        "size": row["size"],
        "type": "file",
        "generation": row["generation"],
        "sha256": row.get("sha256"),
        "modified": _moment(row.get("modified_at")),
        "fid": row["fid"],
    }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
