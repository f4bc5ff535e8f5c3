"""An FTP server beside your own program, which hears of everything that happens.

    FTP_PASSWORD=... python examples/serve_events.py /srv/incoming --port 2121

User ``ann`` may do everything in the folder. Ends with Ctrl-C. TLS is off to keep the example short: on a network, pass
``identity=TlsIdentity.ensure(folder)`` and leave ``tls`` away.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal

from logferry.ftp import Event, FtpServer, Incomplete, LoginFailed, MemoryUsers, Missed, Received, User


def describe(event: Event) -> str:
    """One line for people."""
    match event:
        case Received():
            return f"{event.user} sent {event.path}: {event.count} bytes in {event.seconds:.3f} s"
        case Incomplete():
            return f"{event.path} broke off after {event.count} bytes: {event.reason}"
        case LoginFailed():
            return f"login as {event.user!r} from {event.address} refused: {event.reason}"
        case Missed():
            return f"{event.count} events passed unseen"
        case _:
            return f"{type(event).__name__} of session {event.session}"


async def follow(server: FtpServer) -> None:
    """Print events until the server stops. Any number of such tasks may run; none of them can hold up the server."""
    async for event in server.events():
        print(describe(event), flush=True)


async def run(server: FtpServer) -> None:
    """Serve until somebody presses Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # A callable is called before the client gets its reply; keep it short.
    server.on(Received, lambda event: print(f"file {event.path} is on disk", flush=True))
    following = asyncio.create_task(follow(server))
    await asyncio.to_thread(server.start)
    print("listening on {}:{}".format(*server.address), flush=True)
    await stop.wait()
    await asyncio.to_thread(server.stop)
    await following


def main() -> None:
    """Read the command line, serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=2121)
    given = parser.parse_args()
    users = MemoryUsers(User.with_password("ann", os.environ["FTP_PASSWORD"], home=given.folder))
    asyncio.run(run(FtpServer(("127.0.0.1", given.port), users=users, tls="off")))


if __name__ == "__main__":
    main()
