"""A far server: a proxy that holds everything back by half a round trip each way and limits no bandwidth.

It listens on another loopback address. Control connections are read along for ``229``: the data port named there is
then open on that address too, so no reply has to be rewritten. ``connect`` to the proxy itself returns at once, so a
client should wait for a round trip then; one that cannot is helped at least so far that nothing it sends arrives
earlier than it could. Slow start and lost packets are left out.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

ADDRESS = "127.0.0.2"
_PASSIVE = re.compile(rb"229 [^\r\n]*\(\|\|\|(\d+)\|\)")
_BLOCK_BYTES = 256 << 10
_START_S_MAX = 20.0


class _Proxy:
    def __init__(self, port: int, delay_s: float) -> None:
        self._port = port
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, asyncio.Server] = {}

    async def start(self) -> int:
        server = await asyncio.start_server(self._control, ADDRESS, 0)
        self._server = server
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._join(reader, writer, self._port, watch=True)

    async def _join(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, *, watch: bool = False
    ) -> None:
        arrived = self._loop.time()
        await asyncio.sleep(self._delay_s)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            self._carry(reader, back, arrived + 3 * self._delay_s),
            self._carry(there, writer, 0.0, watch=watch),
        )

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, not_before: float, *, watch: bool = False
    ) -> None:
        """Bytes from one side to the other, each block when its time has come; then the end of the stream."""
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.create_task(_release(line, writer))
        while True:
            try:
                data = await reader.read(_BLOCK_BYTES)
            except ConnectionError:
                data = b""
            if watch:
                for found in _PASSIVE.findall(data):
                    await self._mirror(int(found))
            line.put_nowait((max(self._loop.time() + self._delay_s, not_before), data))
            if not data:
                break
        await sender

    async def _mirror(self, port: int) -> None:
        """Open a data port on our address, for one connection."""

        async def arrive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._open.pop(port).close()
            await self._join(reader, writer, port)

        stale = self._open.pop(port, None)
        if stale is not None:
            stale.close()
        self._open[port] = await asyncio.start_server(arrive, ADDRESS, port)


async def _release(line: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await line.get()
        if (left := due - loop.time()) > 0:
            await asyncio.sleep(left)
        try:
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()
        except ConnectionError:
            return


async def _serve(port: int, delay_s: float, told: Connection) -> None:
    told.send(await _Proxy(port, delay_s).start())
    await asyncio.Event().wait()


def _main(port: int, delay_s: float, told: Connection) -> None:
    asyncio.run(_serve(port, delay_s, told))


@contextmanager
def far(port: int, round_trip_s: float) -> Iterator[int]:
    """The port on ``ADDRESS`` behind which the server at ``port`` seems ``round_trip_s`` away."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_main, args=(port, round_trip_s / 2, there), daemon=True)
    process.start()
    try:
        if not here.poll(_START_S_MAX):
            raise ChildProcessError("the proxy does not start")
        yield here.recv()
    finally:
        process.terminate()
        process.join()
