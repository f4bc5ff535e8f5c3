"""Several connections to one server at once, each on a thread of its own, all taking from the same work."""

from __future__ import annotations

import threading
from collections.abc import Callable

from logferry.errors import LogferryError
from logferry.ftp.client import FtpClient

Clients = FtpClient | Callable[[], FtpClient]
"""A client, whose settings the other connections share, or what makes one for each connection."""


def run_lanes(clients: Clients, work: Callable[[FtpClient], None], *, connections: int) -> None:
    """Call ``work`` with a signed-in client on up to ``connections`` threads; return when all have come back.

    The first connection must succeed. Where the server admits fewer connections than wanted the work is done by those.
    An exception in ``work`` cuts the others and is raised here, as is Ctrl-C. A client passed in stays connected.

    Raises whatever connecting raises: Unreachable, TimedOut, Busy, NotSignedIn, Refused (certificate).
    """
    assert connections >= 1, connections
    first = clients if isinstance(clients, FtpClient) else clients()
    try:
        first.connect()
        if connections == 1:
            work(first)
            return
        more = first.another if isinstance(clients, FtpClient) else clients
        _run(first, [more() for _ in range(connections - 1)], work)
    finally:
        if first is not clients:
            first.close()


def _run(first: FtpClient, others: list[FtpClient], work: Callable[[FtpClient], None]) -> None:
    broken: list[BaseException] = []

    def lane(client: FtpClient) -> None:
        try:
            if client is not first:
                try:
                    client.connect()
                except LogferryError:
                    return  # fewer connections than wanted: the others do it all
            work(client)
        except BaseException as error:  # noqa: BLE001 - raised again on the calling thread
            broken.append(error)
            _abort([first, *others], but=client)
        finally:
            if client is not first:
                client.close()

    threads = [threading.Thread(target=lane, args=(client,), name="logferry-lane") for client in (first, *others)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        _abort([first, *others])
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        raise
    if broken:
        raise broken[0]


def _abort(clients: list[FtpClient], *, but: FtpClient | None = None) -> None:
    for client in clients:
        if client is not but:
            client.abort()
