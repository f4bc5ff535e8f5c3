"""As much of HTTP/1.1 as a load of many clients needs: one kept connection, a request at a time, little CPU."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the body without the marks between its chunks."""

    status: int
    body: bytes


class Wire:
    """A connection that is made when it is needed, and again where the server has closed it."""

    def __init__(self, host: str, port: int, headers: dict[str, str]) -> None:
        self._host, self._port = host, port
        self._head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": f"{host}:{port}", **headers}.items())
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str) -> Answer:
        """One GET, to the end of its answer. Raises OSError, EOFError where the connection breaks off."""
        is_kept = self._streams is not None
        try:
            return await self._get(target)
        except (OSError, EOFError):
            self.close()
            if not is_kept:  # else it was closed between two requests, which is no failure
                raise
        return await self._get(target)

    async def _get(self, target: str) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=1 << 22)
        reader, writer = self._streams
        writer.write(f"GET {target} HTTP/1.1\r\n{self._head}\r\n".encode())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        if b"\r\ntransfer-encoding: chunked\r\n" in head:
            body = await _chunked(reader)
        else:
            _, _, rest = head.partition(b"\r\ncontent-length: ")
            body = await reader.readexactly(int(rest.split(b"\r\n", 1)[0] or b"0"))
        if b"\r\nconnection: close\r\n" in head:
            self.close()
        return Answer(status, body)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)
