"""An FTP server of several processes on one port, with limits by the time of day.

    FTP_PASSWORD=... python examples/serve_processes.py /srv/ann --processes 4 --port 2121

SIGUSR1 prints who is connected, to whichever process; Ctrl-C ends it. The server is started before anything else in the
program has threads, since it forks.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading

from logferry.ftp import DefenderRules, FtpServer, MemoryUsers, Received, ServerLimits, User


def tell(server: FtpServer) -> None:
    """One line for each session, then one for each banned address."""
    for session in server.sessions():
        print(
            f"{session.id} {session.user or '?'} {session.address} {session.doing} {session.path}".rstrip(), flush=True
        )
    for ban in server.bans():
        print(f"{ban.address} is banned for {ban.left_s:.0f} s more", flush=True)


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--port", type=int, default=2121)
    given = parser.parse_args()

    users = MemoryUsers(User.with_password("ann", os.environ["FTP_PASSWORD"], home=given.folder, connections=50))
    server = FtpServer(
        ("127.0.0.1", given.port),
        users=users,
        tls="off",
        processes=given.processes,
        limits=ServerLimits(upload_rate="08:00-18:00 50 MiB/s, else no limit", sessions_per_address=100),
        defender=DefenderRules(allow=("10.0.0.0/8",)),
    )
    server.on(Received, lambda event: print(f"received {event.path}", flush=True))
    stop, ask = threading.Event(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGUSR1, lambda *_: ask.set())
    with server:
        print("listening on {}:{}".format(*server.address), flush=True)
        print(f"{len(server.process_ids)} processes", flush=True)
        while not stop.wait(0.2):
            if ask.is_set():
                ask.clear()
                tell(server)


if __name__ == "__main__":
    main()
